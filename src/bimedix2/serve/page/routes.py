"""``GET /`` and ``/assets/…``: the page's own files, the only ones that the server reads from its package.

Addresses of assets carry a digest of all of them, so a browser may keep each for a year and a new version of the
package is a new set of addresses. Modules import each other by relative names and so stay within one set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
    "txt": "text/plain; charset=utf-8",
}
_INDEX = "index.html"
_FOREVER = "public, max-age=31536000, immutable"
_BASE = "@@assets@@"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: its bytes, type and entity tag."""

    body: bytes
    kind: str
    tag: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files by their name below ``/assets/VERSION/``, and the page itself."""

    version: str
    files: dict[str, Asset]
    index: Asset


@lru_cache(maxsize=1)
def load_assets() -> Assets:
    """Read the files of the package, once."""
    root = resources.files("bimedix2.serve.page") / "static"
    found = dict(sorted(_walk(root, "")))
    digest = hashlib.sha256()
    for name, body in found.items():
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    version = digest.hexdigest()[:16]
    page = found.pop(_INDEX).replace(_BASE.encode(), f"/assets/{version}".encode())
    files = {name: _asset(body, TYPES[name.rpartition(".")[2]]) for name, body in found.items()}
    return Assets(version, files, _asset(page, "text/html; charset=utf-8"))


def page_router() -> APIRouter:
    """The routes; they need no authentication and hold nothing of anybody."""
    router = APIRouter(include_in_schema=False)
    assets = load_assets()

    @router.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        """The page. Never kept without asking again, so that it always names the newest files."""
        return _send(request, assets.index, "no-cache")

    @router.api_route("/assets/{version}/{name:path}", methods=["GET", "HEAD"])
    async def asset(version: str, name: str, request: Request) -> Response:
        """A file of the page, by its exact name."""
        found = assets.files.get(name)
        if found is None or version != assets.version:
            return Response(status_code=404, headers={"Cache-Control": "no-store"})
        return _send(request, found, _FOREVER)

    return router


def _send(request: Request, asset: Asset, caching: str) -> Response:
    headers = {"ETag": asset.tag, "Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    asked = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if asset.tag in asked or "*" in asked:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=None, headers={**headers, "Content-Type": asset.kind})


def _asset(body: bytes, kind: str) -> Asset:
    return Asset(body, kind, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        else:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
