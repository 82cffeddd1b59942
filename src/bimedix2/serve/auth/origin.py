"""Which names the server answers to and whose pages may ask it: DNS rebinding, cross-site requests, odd paths.

A page of another site can make a browser talk to a server on the reader's own machine. It cannot fake the Host,
Origin and Sec-Fetch-Site headers that the browser adds.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from bimedix2.serve.auth.errors import BadAddressError, BadHostError, CrossSiteError, LongHeadersError
from bimedix2.serve.auth.places import is_wildcard, own_names, split_host
from bimedix2.serve.auth.refusal import App, Receive, Scope, Send, header_values, refuse
from bimedix2.serve.errors import ServeError
from bimedix2.serve.settings import ServeSettings

MOST_HEADER_BYTES = 8192
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# No route of ours needs an empty segment, a dot segment, a backslash, or any of / . \ % and controls escaped.
_ODD_PATH = re.compile(rb"//|/\.{1,2}(?:/|$)|\\|%(?:2[ef5]|5c|[01][0-9a-f]|7f)|[\x00-\x20\x7f]", re.IGNORECASE)


class OriginCheck:
    """ASGI middleware; the outermost but for the headers'.

    Args:
        app: what follows.
        settings: where the server listens and the names it has besides.
    """

    def __init__(self, app: App, settings: ServeSettings) -> None:
        self._app, self._names = app, own_names(settings)
        # A literal address cannot be rebound to another one, so a server on every address answers to all of its own.
        self._any_address = is_wildcard(settings.host)
        self._public = urlsplit(settings.public_url) if settings.public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then hand on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        error = self.fault(scope)
        if error is not None or scope["type"] == "websocket":
            await refuse(scope, receive, send, error or CrossSiteError())
            return
        await self._app(scope, receive, send)

    def fault(self, scope: Scope) -> ServeError | None:
        """Why the request is refused, or ``None``."""
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if len(path) + sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
            return LongHeadersError()
        hosts = header_values(scope, b"host")
        host = split_host(hosts[0]) if len(hosts) == 1 else None
        if host is None or not path.startswith(b"/") or _ODD_PATH.search(path.partition(b"?")[0]):
            return BadAddressError()
        if not self._ours(host[0]):
            return BadHostError()
        # "cross-site" also marks a link on another site to our page, and that is fine to follow.
        unsafe = scope.get("method", "GET") not in _SAFE
        if unsafe and "cross-site" in header_values(scope, b"sec-fetch-site"):
            return CrossSiteError()
        origins = header_values(scope, b"origin")
        if unsafe and not all(self._own_origin(origin, host) for origin in origins):
            return CrossSiteError()
        return None

    def _ours(self, name: str) -> bool:
        if name in self._names:
            return True
        if not self._any_address:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _own_origin(self, origin: str, host: tuple[str, str]) -> bool:
        """Whether the page that asks was served by us: same name and port, or the public address before a proxy."""
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https"):
            return False
        if self._public is not None and (parts.scheme, parts.netloc) == (self._public.scheme, self._public.netloc):
            return True
        return split_host(parts.netloc) == host
