"""A small OpenID Connect provider on 127.0.0.1: discovery, authorization code with PKCE, keys; and its lies."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse
from joserfc import jwt
from joserfc.jwk import RSAKey


class Provider:
    """What it hands out; tests change ``claims``, ``header``, ``sign`` and ``token`` to make it lie."""

    def __init__(self) -> None:
        self.issuer = ""
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.published = [self.key]
        self.person: dict[str, Any] = {
            "sub": "42",
            "name": "آنا",
            "email": "anna@hospital.example",
            "email_verified": True,
        }
        self.claims: dict[str, Any] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.seen: list[str] = []
        self.forge: Any = None
        self.app = FastAPI()
        self._routes()

    def id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "bimedix2", "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        claims.update(self.claims)
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.forge is not None:
            return str(self.forge(claims))
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    def hs256_with_public_key(self, claims: dict[str, Any]) -> str:
        """Signed with what everybody knows, for checkers that take the algorithm from the token; made by hand,
        because the library refuses to."""
        content = f"{_part({'alg': 'HS256', 'kid': self.key.kid})}.{_part(claims)}"
        digest = hmac.digest(self.key.as_pem(private=False), content.encode(), "sha256")
        return f"{content}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"

    def unsigned(self, claims: dict[str, Any]) -> str:
        """``alg: none``."""
        return f"{_part({'alg': 'none', 'kid': self.key.kid})}.{_part(claims)}."

    def other_key(self, claims: dict[str, Any]) -> str:
        """Signed with a key that is not the provider's, under the name of one that is."""
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, RSAKey.generate_key(2048))

    def _routes(self) -> None:
        @self.app.get("/.well-known/openid-configuration")
        def discovery() -> dict[str, str]:
            self.seen.append("discovery")
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return {"issuer": self.issuer, **{name: f"{self.issuer}/{path}" for name, path in names.items()}}

        @self.app.get("/authorize")
        def authorize(request: Request) -> RedirectResponse:
            code = secrets.token_urlsafe(16)
            query = dict(request.query_params)
            self.codes[code] = query
            back = f"{query['redirect_uri']}?code={code}&state={query['state']}"
            return RedirectResponse(back, 302)

        @self.app.post("/token")
        def token(
            request: Request, code: str = Form(), code_verifier: str = Form(), redirect_uri: str = Form()
        ) -> JSONResponse:
            asked = self.codes.pop(code, None)  # a code is good for one exchange
            digest = base64.urlsafe_b64encode(hashlib.sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
            login = base64.b64encode(b"bimedix2:secret of ours").decode()
            if request.headers.get("authorization") != f"Basic {login}":
                return JSONResponse({"error": "invalid_client"}, 401)
            if asked is None or asked["code_challenge"] != digest or asked["redirect_uri"] != redirect_uri:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(
                {"id_token": self.id_token(asked["nonce"]), "token_type": "Bearer", "access_token": "x"}
            )

        @self.app.get("/keys")
        def keys() -> dict[str, Any]:
            self.seen.append("keys")
            return {"keys": [key.as_dict(private=False) for key in self.published]}


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@contextmanager
def provider() -> Iterator[Provider]:
    """A running provider."""
    found = Provider()
    config = uvicorn.Config(found.app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    for _ in range(1000):
        if server.started:
            break
        thread.join(0.01)
    found.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield found
    finally:
        server.should_exit = True
        thread.join(10)
