"""An OpenID Connect provider as the server talks to it: discovery, keys, the code's exchange, the ID token's check."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from bimedix2.serve.auth.clock import Clock
from bimedix2.serve.auth.oidc_settings import OIDCSettings, is_safe_address
from bimedix2.serve.errors import ServeError

_LOG = logging.getLogger(__name__)
_SECONDS = 10.0
_MOST_BYTES = 1024 * 1024
_KEYS_LIVE = 3600.0
_KEYS_AT_MOST_EVERY = 30.0
_LEEWAY = 60
_OLDEST_TOKEN = 600
_TOKEN_CHARACTERS = 16_384
_PUBLIC = frozenset({"RSA", "EC", "OKP"})


class SignInError(ServeError):
    """The sign-in is refused; the same answer for every reason."""

    code = "sign_in_failed"
    status = 401

    def __init__(self) -> None:
        super().__init__(
            "The sign-in did not succeed. Open the page and sign in again.",
            "لم ينجح تسجيل الدخول. افتح الصفحة وسجل الدخول مرة أخرى.",
        )


class ProviderError(ServeError):
    """The provider does not answer, or not as it should."""

    code = "sign_in_unavailable"
    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The sign-in service does not answer. Try again later; a key works meanwhile.",
            "خدمة تسجيل الدخول لا تستجيب. أعد المحاولة لاحقا، ويمكن استخدام مفتاح في هذه الأثناء.",
            retry_after=30.0,
        )


class Provider:
    """One provider.

    Args:
        settings: who it is, and ours there.
        clock: for the times in tokens and the age of keys.
        client: for tests.
    """

    def __init__(self, settings: OIDCSettings, clock: Clock, client: httpx.AsyncClient | None = None) -> None:
        self.settings, self._clock = settings, clock
        self._client = client or httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False)
        self._facts: dict[str, Any] | None = None
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._busy = asyncio.Lock()

    async def facts(self) -> dict[str, Any]:
        """Its endpoints.

        Raises:
            ProviderError: it cannot be reached, names another issuer, or endpoints that are not https.
        """
        if self._facts is None:
            found = await self._get(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
            endpoints = [found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
            safe = all(isinstance(address, str) and is_safe_address(address) for address in endpoints)
            if found.get("issuer") != self.settings.issuer or not safe:
                _LOG.error("provider_misfit")
                raise ProviderError
            self._facts = found
        return self._facts

    async def exchange(self, code: str, verifier: str, redirect: str) -> str:
        """The ID token for an authorization code.

        Raises:
            SignInError: the provider refuses the code.
            ProviderError: it does not answer.
        """
        endpoint = (await self.facts())["token_endpoint"]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": redirect,
            "client_id": self.settings.client_id,
        }
        secret = self.settings.secret()
        login = None if secret is None else httpx.BasicAuth(self.settings.client_id, secret)
        try:
            reply = await self._client.post(endpoint, data=form, auth=login or httpx.USE_CLIENT_DEFAULT)
        except httpx.HTTPError as error:
            raise ProviderError from error
        if reply.status_code >= 500:
            raise ProviderError
        token = _json(reply).get("id_token") if reply.status_code == 200 else None
        if not isinstance(token, str) or len(token) > _TOKEN_CHARACTERS:
            raise SignInError
        return token

    async def check(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token, once its signature, issuer, audience, times and nonce are right.

        Raises:
            SignInError: something is not.
            ProviderError: the keys cannot be had.
        """
        claims = self._verified(token, await self._key_set(anew=False))
        if claims is None:  # perhaps signed with a key that is newer than ours
            claims = self._verified(token, await self._key_set(anew=True))
        if claims is None:
            raise SignInError
        wanted = self.settings
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.wall()),
            leeway=_LEEWAY,
            iss={"essential": True, "value": wanted.issuer},
            aud={"essential": True, "value": wanted.client_id},
            sub={"essential": True, "allow_blank": False},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise SignInError from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if (several or "azp" in claims) and claims.get("azp") != wanted.client_id:
            raise SignInError
        if self._clock.wall() - claims["iat"] > _OLDEST_TOKEN:
            raise SignInError
        return claims

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    def _verified(self, token: str, keys: KeySet) -> dict[str, Any] | None:
        try:
            return dict(jwt.decode(token, keys, algorithms=list(self.settings.algorithms)).claims)
        except (JoseError, ValueError, KeyError, TypeError):
            return None

    async def _key_set(self, *, anew: bool) -> KeySet:
        async with self._busy:
            age = self._clock.steady() - self._fetched
            if self._keys is None or age > _KEYS_LIVE or (anew and age > _KEYS_AT_MOST_EVERY):
                rows = (await self._get((await self.facts())["jwks_uri"])).get("keys")
                public = [row for row in rows if _is_public(row)] if isinstance(rows, list) else []
                try:
                    self._keys = KeySet.import_key_set({"keys": public})
                except (JoseError, ValueError, KeyError) as error:
                    raise ProviderError from error
                self._fetched = self._clock.steady()
            return self._keys

    async def _get(self, address: str) -> dict[str, Any]:
        try:
            reply = await self._client.get(address)
        except httpx.HTTPError as error:
            raise ProviderError from error
        if reply.status_code != 200:
            raise ProviderError
        return _json(reply)


def _is_public(row: object) -> bool:
    """Whether a key of a JWKS checks signatures; a symmetric one has no business there."""
    return isinstance(row, dict) and row.get("kty") in _PUBLIC and row.get("use", "sig") == "sig"


def _json(reply: httpx.Response) -> dict[str, Any]:
    try:
        found = reply.json() if len(reply.content) <= _MOST_BYTES else None
    except ValueError as error:
        raise ProviderError from error
    if not isinstance(found, dict):
        raise ProviderError
    return found
