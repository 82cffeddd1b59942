"""Headers that tell a browser what our pages may do, on every answer."""

from __future__ import annotations

from bimedix2.serve.auth.refusal import App, Message, Receive, Scope, Send
from bimedix2.serve.settings import ServeSettings

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' blob: data:",
        "object-src 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    )
)
_ALWAYS = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),  # no-referrer would make browsers send "Origin: null" with our own forms
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_CACHED = "/assets/"
_YEAR = b"max-age=31536000"


class SecurityHeaders:
    """ASGI middleware; the outermost, so that refusals carry the headers too.

    Everything but ``/assets/`` is ``no-store``: answers, pictures and history stay out of caches on shared machines.

    Args:
        app: what follows.
        settings: an https address brings Strict-Transport-Security.
    """

    def __init__(self, app: App, settings: ServeSettings) -> None:
        self._app = app
        secure = settings.public_url.startswith("https://")
        self._headers = (*_ALWAYS, (b"strict-transport-security", _YEAR)) if secure else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and add the headers to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(list(message.get("headers", ())), scope["path"])
            await send(message)

        await self._app(scope, receive, with_headers)

    def _complete(self, headers: list[tuple[bytes, bytes]], path: str) -> list[tuple[bytes, bytes]]:
        ours = list(self._headers)
        if not path.startswith(_CACHED):
            ours.append((b"cache-control", b"no-store"))
        replaced = {name for name, _ in ours} | {b"server"}
        return [(name, value) for name, value in headers if name.lower() not in replaced] + ours
