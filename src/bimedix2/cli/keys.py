"""``bimedix2 keys`` and ``bimedix2 audit``: who may use the server, and what they did."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bimedix2.serve.auth.keys import Key, KeyStore

Data = Annotated[Path, typer.Option(help="Data folder of the server, as given to `bimedix2 serve`.")]
_DATA = Path("bimedix2-data")


def create(
    name: Annotated[str, typer.Argument(help="For whom or what; shown in lists.")],
    scope: Annotated[list[str] | None, typer.Option(help="chat or admin; may be repeated. Default: chat.")] = None,
    days: Annotated[float | None, typer.Option(help="Days until it expires; never by default.")] = None,
    tokens_per_day: Annotated[int | None, typer.Option(help="Its own quota; 0 sets no bound.")] = None,
    images_per_day: Annotated[int | None, typer.Option(help="Its own quota; 0 sets no bound.")] = None,
    data: Data = _DATA,
) -> None:
    """Make a key and print it, once: only its hash is kept. Works while the server runs.

    إنشاء مفتاح وطباعته مرة واحدة، ولا تحفظ إلا بصمته. يعمل أثناء تشغيل الخادم.
    """
    from ._terminal import tell

    with _store(data) as keys:
        secret, key = keys.create(
            name,
            scopes=scope or ("chat",),
            days=days,
            tokens_per_day=tokens_per_day,
            images_per_day=images_per_day,
        )
    typer.echo(secret)
    tell(
        f"{key.id}: copy the key now, it cannot be shown again. Revoke it with `bimedix2 keys revoke {key.id}`.",
        f"{key.id}: انسخ المفتاح الآن، فلا يمكن عرضه مرة أخرى. ألغه بالأمر `bimedix2 keys revoke {key.id}`.",
    )


def list_(
    data: Data = _DATA,
    json_output: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the keys: id, first characters, scopes, expiry, name; never the keys themselves.

    سرد المفاتيح: المعرف والأحرف الأولى والنطاقات والانتهاء والاسم، دون المفاتيح نفسها.
    """
    import json
    import time

    from ._terminal import readable

    with _store(data) as keys:
        found, now = keys.all(), time.time()
    if json_output:
        typer.echo(json.dumps([_row(key, now) for key in found], ensure_ascii=False, indent=2))
        return
    for key in found:
        row = _row(key, now)
        cells = (key.id, f"{key.prefix}…", row["state"], ",".join(sorted(key.scopes)), row["expires"] or "-")
        typer.echo("  ".join(str(cell).ljust(10) for cell in cells) + "  " + readable(key.name))


def revoke(
    key: Annotated[str, typer.Argument(help="Id or first characters, as `keys list` shows them.")],
    data: Data = _DATA,
) -> None:
    """End a key now, also on a running server.

    إلغاء مفتاح فورا، حتى والخادم يعمل.
    """
    from ._terminal import tell

    with _store(data) as keys:
        ended = keys.revoke(key)
    tell(f"{ended.id} opens nothing any more.", f"لم يعد المفتاح {ended.id} يفتح شيئا.")


def verify(
    data: Data = _DATA,
    contains: Annotated[str, typer.Option(help="A hash noted earlier that the log must still hold.")] = "",
) -> None:
    """Check the chain of the audit log and print the last hash; note it elsewhere to prove later that nothing changed.

    فحص سلسلة سجل التدقيق وطباعة آخر بصمة. احفظها في مكان آخر لتثبت لاحقا أن شيئا لم يتغير.
    """
    from bimedix2.serve.store.audit import verify as check

    from ._terminal import tell

    verdict = check(_log(data), contains or None)
    typer.echo(f"{verdict.lines}  {verdict.last}")
    if verdict.sound:
        tell("The chain holds.", "السلسلة سليمة.")
        return
    if verdict.broken is not None:
        tell(f"Line {verdict.broken} was changed, or lines before it are missing.", f"السطر {verdict.broken} تغير.")
    if verdict.torn:
        tell("The last line is cut; the next start of the server takes it off.", "السطر الأخير مقطوع.")
    if verdict.found is False:
        tell("The hash is not in the log: it was rewritten or cut.", "البصمة ليست في السجل، فقد أعيدت كتابته أو قص.")
    raise typer.Exit(1)


def tail(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many.")] = 20,
    data: Data = _DATA,
) -> None:
    """Print the last lines of the audit log.

    طباعة آخر أسطر سجل التدقيق.
    """
    import json
    from collections import deque

    from bimedix2.serve.store.audit import entries

    for entry in deque(entries(_log(data)), maxlen=lines):
        typer.echo(json.dumps(entry, ensure_ascii=False))


def _row(key: Key, now: float) -> dict[str, object]:
    from datetime import UTC, datetime

    def day(seconds: float | None) -> str | None:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="minutes")

    state = "revoked" if key.revoked is not None else "active" if key.active(now) else "expired"
    return {
        "id": key.id,
        "prefix": key.prefix,
        "name": key.name,
        "state": state,
        "scopes": sorted(key.scopes),
        "created": day(key.created),
        "expires": day(key.expires),
        "tokens_per_day": key.tokens_per_day,
        "images_per_day": key.images_per_day,
    }


def _log(data: Path) -> Path:
    from bimedix2.errors import ConfigError
    from bimedix2.serve.store.audit import NAME

    path = data / NAME
    if not path.is_file():
        raise ConfigError(
            f"There is no audit log at {path}. Start the server once, or give its folder with --data.",
            f"لا يوجد سجل تدقيق في {path}. شغل الخادم مرة، أو حدد مجلده بالخيار --data.",
            code="no_audit_log",
        )
    return path


@contextmanager
def _store(data: Path) -> Iterator[KeyStore]:
    """The table of keys, beside a running server or without one."""
    from bimedix2.serve.auth.keys import KeyStore
    from bimedix2.serve.store.database import Database

    database = Database(data, shared=True)
    try:
        yield KeyStore(database)
    finally:
        database.close()
