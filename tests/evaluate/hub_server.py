"""A real HTTP server on 127.0.0.1 with the few routes of the Hub that a download needs; misbehaves as a test says."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import huggingface_hub.constants as constants
import pytest

Files = dict[str, bytes]


class LocalHub(ThreadingHTTPServer):
    """Data sets by id, each with files by commit; ``main`` is the commit that was published last.

    Attributes:
        refuse: data set -> (status, X-Error-Code) of every answer about it.
        cut: path -> how many bytes its next transfer sends before the connection breaks.
        broken: path -> status of every transfer.
        altered: path -> bytes that are sent instead of the right ones.
        transfers: (path, Range header) of every GET of a file.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Exchange)
        self.sets: dict[str, dict[str, Files]] = {}
        self.refuse: dict[str, tuple[int, str]] = {}
        self.cut: dict[str, int] = {}
        self.broken: dict[str, int] = {}
        self.altered: dict[str, bytes] = {}
        self.transfers: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def publish(self, name: str, files: Files) -> str:
        """Make files the newest commit of a data set; gives the commit."""
        commit = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.sets.setdefault(name, {})[commit] = files
        return commit

    def commit(self, name: str, revision: str) -> str | None:
        commits = self.sets.get(name, {})
        return list(commits)[-1] if commits and revision == "main" else revision if revision in commits else None

    def handle_error(self, *_: object) -> None: ...


class _Exchange(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LocalHub

    def log_message(self, *_: object) -> None: ...

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[:1] == ["api"]:
            parts = parts[1:]
        name, rest = "/".join(parts[1:3]), parts[3:] or ["revision", "main"]
        if parts[0] != "datasets" or name not in self.server.sets | self.server.refuse:
            return self._refuse(404 if parts[0] != "datasets" else 401, "RepoNotFound")
        if name in self.server.refuse:
            return self._refuse(*self.server.refuse[name])
        commit = self.server.commit(name, rest[1])
        if commit is None:
            return self._refuse(404, "RevisionNotFound")
        files = self.server.sets[name][commit]
        if rest[0] == "resolve":
            return self._file(commit, "/".join(rest[2:]), files)
        entries = [_entry(path, content) for path, content in files.items()]
        if rest[0] == "tree":
            return self._send(200, json.dumps(entries).encode())
        siblings = [
            {
                "rfilename": entry["path"],
                "size": entry["size"],
                "blobId": entry["oid"],
                "lfs": {**entry["lfs"], "sha256": entry["lfs"]["oid"]} if "lfs" in entry else None,
            }
            for entry in entries
        ]
        return self._send(200, json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode())

    def _file(self, commit: str, path: str, files: Files) -> None:
        content, entry = files[path], _entry(path, files[path])
        headers = {"X-Repo-Commit": commit, "ETag": f'"{entry["lfs"]["oid"] if "lfs" in entry else entry["oid"]}"'}
        if self.command == "HEAD":
            return self._send(200, content, headers)
        asked = self.headers.get("Range", "")
        self.server.transfers.append((path, asked))
        if path in self.server.broken:
            return self._refuse(self.server.broken[path], "")
        content = self.server.altered.get(path, content)
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self._send(206 if asked else 200, content[start:], headers, self.server.cut.pop(path, None))

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code} if code else {})

    def _send(self, status: int, data: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[:cut])
        self.close_connection = cut is not None


def _entry(path: str, content: bytes) -> dict[str, object]:
    """A file as the Hub lists it; Parquet files and archives are large ones, named by their SHA-256."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, object] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith((".parquet", ".zip")):
        entry["oid"] = hashlib.sha1(path.encode()).hexdigest()  # of the pointer file, not of the content
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


@contextmanager
def local_hub(tmp_path: Path, patch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """The server, with the Hub's library pointed at it and its caches and token away from the user's."""
    server = LocalHub()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    patch.setattr(constants, "ENDPOINT", server.url)
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}")
    patch.setattr(constants, "HF_HUB_OFFLINE", False)
    patch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    for name in ("HF_HUB_CACHE", "HF_TOKEN_PATH", "AGENT_HARNESSES_PATH", "HF_ASSETS_CACHE", "HF_XET_CACHE"):
        if hasattr(constants, name):
            patch.setattr(constants, name, str(tmp_path / "hf" / name))
    patch.delenv("HF_TOKEN", raising=False)
    patch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
