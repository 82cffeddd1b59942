"""What a server is started with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bimedix2.images.types import DecodeLimits

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one request and on one key.

    Attributes:
        body_bytes: whole request.
        images: of one request.
        image: on decoding one image.
        messages, characters: of one conversation.
        max_tokens: longest answer.
        stops, stop_characters: stop strings and the length of each.
        queue: jobs that may wait.
        per_key: jobs of one key at a time, running and waiting.
        seconds: of one answer, waiting included.
        body_seconds: for the whole request to arrive.
        requests_per_minute: of one key, and of one address.
        tokens_per_day, images_per_day: of one key, unless the key says otherwise; 0 sets no bound.
    """

    body_bytes: int = 20 * MIB
    images: int = 4
    image: DecodeLimits = field(default_factory=lambda: DecodeLimits(max_bytes=20 * MIB, max_seconds=10.0))
    messages: int = 64
    characters: int = 32_000
    max_tokens: int = 2048
    stops: int = 4
    stop_characters: int = 64
    queue: int = 32
    per_key: int = 2
    seconds: float = 300.0
    body_seconds: float = 30.0
    requests_per_minute: int = 120
    tokens_per_day: int = 0
    images_per_day: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """A whole server.

    Attributes:
        data: folder (0700) of the database, uploads and audit log.
        host, port: where it listens; anything but loopback needs keys or a sign-in.
        public_hosts: names under which a proxy may reach it; others are refused (DNS rebinding).
        public_url: address that people type, for the sign-in; empty without one.
        engine: ``transformers``, ``openvino``, ``openai`` or ``echo``.
        model: name, folder or hub id; with ``openai`` the upstream's name for it.
        upstream: address of an OpenAI-compatible server, for ``engine="openai"``.
        upstream_key_variable: environment variable that holds the upstream's key.
        adapters: allow-listed folder of language-model adapters, one folder each.
        limits: bounds.
        retention_hours: uploads and conversations are deleted after so long without use.
        keep: ``False`` keeps no conversation at all, and uploads only while they are used.
        oidc: settings file of a sign-in (YAML), or ``None``.
        strict_images: refuse pictures that may show a name instead of warning.
        batch: answers written at a time by the ``transformers`` engine.
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8000
    public_hosts: tuple[str, ...] = ()
    public_url: str = ""
    engine: str = "transformers"
    model: str = "nano"
    upstream: str = ""
    upstream_key_variable: str = "BIMEDIX2_UPSTREAM_KEY"
    adapters: Path | None = None
    limits: Limits = field(default_factory=Limits)
    retention_hours: float = 24.0 * 30
    keep: bool = True
    oidc: Path | None = None
    strict_images: bool = False
    batch: int = 8
