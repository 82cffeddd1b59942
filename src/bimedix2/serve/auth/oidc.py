"""Sign-in with OpenID Connect: authorization code with PKCE, and a session on the server afterwards.

One random value in a cookie of the browser gives the state, the nonce and the PKCE verifier of a sign-in. Nothing is
stored before somebody has signed in, so nobody can fill the disk, and an answer fits the browser that asked alone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.clock import SYSTEM_CLOCK, Clock
from bimedix2.serve.auth.errors import ScopeError
from bimedix2.serve.auth.guard import COOKIE, SECURE_COOKIE, Guard, address_of
from bimedix2.serve.auth.oidc_provider import Provider, SignInError
from bimedix2.serve.auth.oidc_settings import is_safe_address, load_oidc
from bimedix2.serve.errors import ServeError
from bimedix2.serve.principal import Principal
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.store.audit import AuditLog

LOGIN = "/auth/login"
_SIGN_IN = "bimedix2_sign_in"
_MINUTES = 10
_Parameter = Annotated[str, Query(max_length=4096)]


class SignIn:
    """The steps of a sign-in.

    Args:
        settings: for the address that the browser comes back to.
        provider: who signs people in.
        guard: holds the sessions.

    Raises:
        ConfigError: ``bad_oidc``: cookies and codes would go over a network in the clear.
    """

    def __init__(self, settings: ServeSettings, provider: Provider, guard: Guard) -> None:
        self._provider, self._guard = provider, guard
        base = settings.public_url.rstrip("/") or f"http://{_bracketed(settings.host)}:{settings.port}"
        if not is_safe_address(base):
            raise ConfigError(
                f"A sign-in needs an https address that people type, not {base}. Give it with --public-url.",
                f"يحتاج تسجيل الدخول إلى عنوان https يكتبه الناس وليس {base}. حدده بالخيار --public-url.",
                code="bad_oidc",
            )
        self.redirect = base + "/auth/callback"
        self.secure = base.startswith("https://")
        self.cookie = SECURE_COOKIE if self.secure else COOKIE
        self.session_seconds = provider.settings.session_hours * 3600

    async def begin(self, seed: str) -> str:
        """Where to send the browser that holds ``seed``. Raises ``ProviderError``."""
        facts = await self._provider.facts()
        query = {
            "response_type": "code",
            "client_id": self._provider.settings.client_id,
            "redirect_uri": self.redirect,
            "scope": " ".join(self._provider.settings.scopes),
            "state": _derived(seed, "state"),
            "nonce": _derived(seed, "nonce"),
            "code_challenge": _encoded(hashlib.sha256(_derived(seed, "verifier").encode()).digest()),
            "code_challenge_method": "S256",
        }
        address: str = facts["authorization_endpoint"]
        return address + ("&" if "?" in address else "?") + urlencode(query)

    async def finish(self, seed: str, code: str, state: str, issuer: str = "") -> tuple[Principal, str]:
        """Who has signed in, and the value of the session's cookie.

        Raises:
            SignInError: another browser's answer, a refused code, or an ID token that is not right.
            ScopeError: a person who may not come in.
            ProviderError: the provider does not answer.
        """
        expected = self._provider.settings.issuer
        if not seed or not code or not hmac.compare_digest(_derived(seed, "state").encode(), state.encode()):
            raise SignInError
        if issuer and issuer != expected:  # RFC 9207: an answer of another provider
            raise SignInError
        token = await self._provider.exchange(code, _derived(seed, "verifier"), self.redirect)
        claims = await self._provider.check(token, _derived(seed, "nonce"))
        scopes = self._provider.settings.scopes_of(claims)
        if not scopes:
            raise ScopeError("chat")
        person = hashlib.sha256(f"{expected}\n{claims['sub']}".encode()).hexdigest()[:32]
        principal = Principal(f"person:{person}", scopes, str(claims.get("name") or claims.get("email") or "")[:100])
        return principal, self._guard.sessions.open(principal, self.session_seconds)

    def end(self, request: Request) -> None:
        """End the session of a browser."""
        if token := request.cookies.get(self.cookie):
            self._guard.sessions.end(token)

    async def run(self) -> None:
        """Hold the connections to the provider until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._provider.close()

    def set_cookie(self, response: Response, name: str, value: str, seconds: float) -> None:
        """A cookie that scripts cannot read and other sites cannot send along with what they post."""
        response.set_cookie(
            name, value, max_age=int(seconds), path="/", secure=self.secure, httponly=True, samesite="lax"
        )

    def drop_cookie(self, response: Response, name: str) -> None:
        """Take a cookie back."""
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")


def sign_in_of(settings: ServeSettings, guard: Guard, clock: Clock = SYSTEM_CLOCK) -> SignIn | None:
    """The sign-in that the settings name, or ``None``. Raises ``ConfigError`` as ``load_oidc`` and ``SignIn`` do."""
    if settings.oidc is None:
        return None
    return SignIn(settings, Provider(load_oidc(settings.oidc), clock), guard)


def sign_in_router(sign_in: SignIn, guard: Guard, audit: AuditLog) -> APIRouter:
    """``/auth/login``, ``/auth/callback`` and ``/auth/logout``; they need no authentication."""
    router = APIRouter(prefix="/auth", tags=["sign-in"], include_in_schema=False)

    @router.get("/login")
    async def login(request: Request) -> Response:
        guard.count_stranger(address_of(request))
        seed = secrets.token_urlsafe(32)
        response = RedirectResponse(await sign_in.begin(seed), 303)
        sign_in.set_cookie(response, _SIGN_IN, seed, _MINUTES * 60)
        return response

    @router.get("/callback")
    async def callback(
        request: Request, code: _Parameter = "", state: _Parameter = "", iss: _Parameter = ""
    ) -> Response:
        guard.count_stranger(address_of(request))
        try:
            principal, token = await sign_in.finish(request.cookies.get(_SIGN_IN, ""), code, state, iss)
        except ServeError as error:
            audit.record(who="unknown", action="sign_in", outcome="refused", status=error.status)
            raise
        audit.record(who=principal.owner, action="sign_in", outcome="done")
        response = RedirectResponse("/", 303)
        sign_in.set_cookie(response, sign_in.cookie, token, sign_in.session_seconds)
        sign_in.drop_cookie(response, _SIGN_IN)
        return response

    @router.post("/logout")
    async def logout(request: Request) -> Response:
        sign_in.end(request)
        response = RedirectResponse("/", 303)
        sign_in.drop_cookie(response, sign_in.cookie)
        return response

    return router


def _derived(seed: str, purpose: str) -> str:
    """43 characters that tell nothing of the seed or of each other."""
    return _encoded(hmac.digest(seed.encode(), purpose.encode(), "sha256"))


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
