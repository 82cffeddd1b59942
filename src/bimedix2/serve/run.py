"""Runs the server until it is told to end."""

from __future__ import annotations

import socket

import uvicorn

from bimedix2.cli._terminal import tell
from bimedix2.errors import ConfigError
from bimedix2.serve.app import create_app
from bimedix2.serve.engines.choose import choose_engine
from bimedix2.serve.logs import configure
from bimedix2.serve.settings import ServeSettings

_DRAIN_SECONDS = 10
_IDLE_SECONDS = 30


def run(settings: ServeSettings) -> None:
    """Serve. Ends on SIGINT or SIGTERM, after the answers under way or ten seconds.

    Raises:
        ConfigError: the port is taken, the data folder cannot be used, or keys are needed.
    """
    listening = listen(settings.host, settings.port)
    try:
        app = create_app(settings, choose_engine(settings))
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        address = settings.public_url or f"http://{shown}:{port}"
        tell(
            f"BiMediX2 is at {address} (interface: {address}/v1). Ctrl-C ends it.",
            f"العنوان: {address} . يوقفه Ctrl-C.",
        )
        configure()
        server = uvicorn.Server(server_config(app))
        server.run(sockets=[listening])
    finally:
        listening.close()


def server_config(app: object) -> uvicorn.Config:
    """uvicorn with our own log and without what a client could hold open for ever."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        backlog=512,
    )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        ConfigError: ``port_taken``.
    """
    try:
        kind, _, _, _, address = socket.getaddrinfo(host or "0.0.0.0", port, type=socket.SOCK_STREAM)[0]  # noqa: S104
        found = socket.socket(kind, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(512)
    except OSError as error:
        raise ConfigError(
            f"The server cannot listen on {host}, port {port} ({error.strerror}). Choose another --port or --host.",
            f"يتعذر الاستماع على {host} والمنفذ {port}. اختر منفذا آخر بالخيار --port أو عنوانا آخر بالخيار --host.",
            code="port_taken",
        ) from error
    return found
