"""Where the server can be reached, and by which names."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from bimedix2.serve.settings import ServeSettings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def open_to_all_here(settings: ServeSettings) -> bool:
    """Whether the settings allow a server without keys: loopback, with no proxy that lets others in.

    A proxy's requests come from this machine, so a public name or address means that others can reach it.
    """
    return is_loopback(settings.host) and not settings.public_hosts and not settings.public_url and not settings.oidc


def own_names(settings: ServeSettings) -> frozenset[str]:
    """Host names, in lower case and without port, under which the server answers."""
    names = {name.lower().partition(":")[0] if name.count(":") == 1 else name.lower() for name in settings.public_hosts}
    if settings.public_url and (host := urlsplit(settings.public_url).hostname):
        names.add(host)
    if not is_wildcard(settings.host):
        names.add(settings.host.lower().strip("[]"))
    return frozenset(name.strip("[]") for name in names) | LOOPBACK_NAMES


def is_wildcard(host: str) -> bool:
    """Whether ``host`` stands for every address of the machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_unspecified
    except ValueError:
        return host == ""


def split_host(value: str) -> tuple[str, str] | None:
    """Name and port of a Host header, in lower case; ``None`` where it is malformed."""
    if not value or any(character in value for character in "/@?#\\ ,%"):
        return None
    try:
        parts = urlsplit(f"//{value}")
        port = "" if parts.port is None else str(parts.port)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None
