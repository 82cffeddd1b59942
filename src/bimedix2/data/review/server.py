"""The page on a port of this machine: loopback alone, one process a workspace."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from bimedix2.errors import ConfigError

from .desk import Desk
from .entry import Role
from .errors import ReviewError
from .intake import OWNER
from .pictures import Pictures
from .store import Workspace
from .web import HEADERS, LARGEST_BODY, Request, Response, Site

HOST = "127.0.0.1"
_NAME = re.compile(r"[\w.-]{1,40}")
_SECONDS = 30  # that a connection may be silent


class ReviewServer:
    """A running server of one workspace.

    Args:
        folder: the workspace.
        roles: pseudonyms of the reviewers and what they do.
        data: folder that image paths start from.
        port: 0 takes a free one.
        pictures: further folder that absolute image paths may lie in.

    Raises:
        ConfigError: a pseudonym cannot be used.
        ReviewError: the workspace cannot be used, or the port is taken.
        WorkspaceBusyError: another process serves the workspace.
    """

    def __init__(
        self, folder: Path, roles: Mapping[str, Role], data: Path, port: int = 0, pictures: Path | None = None
    ) -> None:
        _check_names(roles)
        self.workspace = Workspace(folder)
        self.workspace.close()  # says clearly that there is none before a lock is made
        self.workspace = Workspace(folder, write=True)
        try:
            desk = Desk(self.workspace, roles)
            self.http = _listen(port)
        except BaseException:
            self.workspace.close()
            raise
        self.pictures = Pictures(data, pictures)
        self.site = Site(desk, self.pictures, self.http.server_address[1])
        self.http.site = self.site
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self.http.server_address[1])

    def links(self) -> dict[str, str]:
        """The address of each reviewer; whoever has it can judge under that name until the server ends."""
        return {name: f"http://{HOST}:{self.port}/?token={token}" for name, token in self.site.tokens.items()}

    def run(self) -> None:
        """Serve until interrupted."""
        self.http.serve_forever(poll_interval=0.2)

    def close(self) -> None:
        """Stop; every verdict that was answered is on the disk already."""
        if self._thread is not None:
            self.http.shutdown()
            self._thread.join()
        self.http.server_close()
        self.pictures.close()
        self.workspace.close()

    def __enter__(self) -> ReviewServer:
        """Serve in the background."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    site: Site

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no error; anything else shows its traceback."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    server: _Http

    def do_GET(self) -> None:
        self._respond(b"")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self._send(Response(413, "text/plain", b""))
            return
        self._respond(self.rfile.read(int(length)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name is the base class's
        """Say nothing: addresses and times of reviewers are nobody's business."""

    def version_string(self) -> str:
        return "bimedix2"

    def _respond(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.server.site.answer(Request(self.command, self.path, headers, body)))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        headers = {"Content-Type": response.kind, "Content-Length": str(len(response.body)), **HEADERS}
        for name, value in (headers | dict(response.headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)


def _listen(port: int) -> _Http:
    try:
        return _Http((HOST, port), _Handler)
    except (OSError, OverflowError) as error:
        raise ReviewError(
            f"Port {port} of {HOST} cannot be used ({getattr(error, 'strerror', None) or error}). "
            "Give another --port, or 0 for a free one.",
            f"تعذر استخدام المنفذ {port}. أعط منفذا آخر بالخيار --port، أو 0 لمنفذ حر.",
            code="port_taken",
        ) from error


def _check_names(roles: Mapping[str, Role]) -> None:
    if not roles:
        raise ConfigError(
            "Name at least one reviewer with --reviewer or --adjudicator.",
            "سم مراجعا واحدا على الأقل بالخيار --reviewer أو --adjudicator.",
        )
    for name in roles:
        if not _NAME.fullmatch(name) or name == OWNER:
            raise ConfigError(
                f"{name!r} is no pseudonym: use up to 40 letters, digits, '.', '_' or '-', and not {OWNER!r}.",
                f"القيمة {name!r} ليست اسما مستعارا صالحا: استخدم حتى 40 حرفا أو رقما أو '.' أو '_' أو '-'.",
            )
