"""The settings file of a sign-in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

from bimedix2.errors import ConfigError
from bimedix2.serve.auth.places import is_loopback

Text = Annotated[str, Meta(min_length=1, max_length=500)]
# Signatures with a key pair. HS256 is not among them: its key would be the client's secret or, mistaken, a public key.
SIGNATURES = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"})


class OIDCSettings(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An OpenID Connect provider and who of its people may come in.

    Attributes:
        issuer: address of the provider; its ``/.well-known/openid-configuration`` is read.
        client_id: ours at the provider.
        client_secret_variable: environment variable with our secret; none for a public client, PKCE is used anyway.
        scopes: asked of the provider.
        algorithms: signatures that are accepted.
        allow: verified e-mail addresses, ``@domain``, or ``*`` for everybody that the provider signs in.
        allow_groups: values of the claim ``groups_claim``, any of which lets a person in.
        admins: verified e-mail addresses that get the scope ``admin`` too.
        groups_claim: claim of the ID token that lists groups.
        session_hours: until a person must sign in again.
    """

    issuer: Text
    client_id: Text
    client_secret_variable: str = ""
    scopes: tuple[Text, ...] = ("openid", "profile", "email")
    algorithms: tuple[Text, ...] = ("RS256", "ES256", "PS256")
    allow: tuple[Text, ...] = ()
    allow_groups: tuple[Text, ...] = ()
    admins: tuple[Text, ...] = ()
    groups_claim: Text = "groups"
    session_hours: Annotated[float, Meta(gt=0, le=24 * 30)] = 12.0

    def secret(self) -> str | None:
        """Our secret at the provider."""
        return os.environ[self.client_secret_variable] if self.client_secret_variable else None

    def scopes_of(self, claims: dict[str, Any]) -> frozenset[str]:
        """What a person may do, by the claims of a checked ID token; nothing for whoever is not listed."""
        verified = claims.get("email_verified") is True
        email = str(claims.get("email", "")).lower() if verified else ""
        listed = {entry.lower() for entry in self.allow}
        groups = claims.get(self.groups_claim)
        member = isinstance(groups, list) and any(group in self.allow_groups for group in groups)
        known = email and (email in listed or "@" + email.rpartition("@")[2] in listed)
        if not (known or member or "*" in self.allow):
            return frozenset()
        return frozenset({"chat", "admin"} if email and email in {name.lower() for name in self.admins} else {"chat"})


def load_oidc(path: Path) -> OIDCSettings:
    """Read the settings file (YAML).

    Raises:
        ConfigError: ``bad_oidc``: it cannot be read, or says something that would not be safe.
    """
    try:
        settings = msgspec.yaml.decode(path.read_bytes(), type=OIDCSettings)
    except (OSError, msgspec.DecodeError) as error:
        raise _bad(path, f"{error}") from error
    if not is_safe_address(settings.issuer):
        raise _bad(path, "issuer must be an https address")
    if unsafe := set(settings.algorithms) - SIGNATURES or not settings.algorithms:
        raise _bad(path, f"algorithms may be of {', '.join(sorted(SIGNATURES))}, not {unsafe}")
    if not settings.allow and not settings.allow_groups:
        raise _bad(path, "allow or allow_groups must say who may come in")
    if settings.client_secret_variable and not os.environ.get(settings.client_secret_variable):
        raise _bad(path, f"the environment variable {settings.client_secret_variable} is not set")
    return settings


def is_safe_address(address: str) -> bool:
    """Whether nobody on the way can read or change what is said to ``address``: https, or this machine."""
    parts = urlsplit(address)
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    )


def _bad(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The sign-in settings {path} cannot be used: {why}.",
        f"لا يمكن استخدام إعدادات تسجيل الدخول {path}: {why}.",
        code="bad_oidc",
    )
