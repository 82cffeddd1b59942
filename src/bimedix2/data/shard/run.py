"""Sharding from end to end: shard by shard, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from bimedix2 import __version__
from bimedix2.cache import sha256_file, write_whole
from bimedix2.data.locks import only_one
from bimedix2.data.quarantine import Quarantine
from bimedix2.errors import ConfigError, DataError, RecordError
from bimedix2.records import Record, write_records

from .manifest import FORMAT, MANIFEST, SCHEMA, done_before, request_of
from .scan import Scan, Scanner, require_usable
from .settings import ShardReport, ShardSettings, Tell
from .state import Done, Picture, State
from .tar import groups, write_tar


def run_shard(settings: ShardSettings, tell: Tell | None = None) -> ShardReport:
    """Write shards, or return the report of an earlier run that had done the same.

    ``OUT/records/*.parquet`` has the records, with images named ``images/<sha256>.<ending>``; ``OUT/images/*.tar`` has
    every image once; ``OUT/manifest.json``, written last, has counts and the SHA-256 of every file. The same mix,
    images and settings give the same bytes, however often the run was interrupted.

    Args:
        settings: what, and how large.
        tell: takes lines in English and Arabic.

    Raises:
        ConfigError: a size that is not positive.
        DataError: ``missing_images``, ``marked_images``, ``other_shards``, ``changed``, ``no_records`` or ``busy``.
        RecordError: the mix is missing or a row of it is bad.
    """
    tell = tell or (lambda english, arabic: None)
    _check(settings)
    out = settings.out
    out.mkdir(parents=True, exist_ok=True)
    with only_one(out):
        request = _request(settings)
        earlier = done_before(out, request)
        if earlier is not None and not settings.force:
            return earlier
        _require_own(settings, request)
        (out / MANIFEST).unlink(missing_ok=True)
        state, done = State(out, request), False
        try:
            report = _shard(settings, request, state, tell)
            done = True
        finally:
            state.close(remove=done)
    return report


def _check(settings: ShardSettings) -> None:
    if settings.records_per_shard < 1 or settings.shard_bytes < 1:
        raise ConfigError(
            "--records-per-shard and --shard-bytes count from 1.", "يبدأ --records-per-shard و--shard-bytes من 1."
        )
    if not settings.mix.is_file():
        raise RecordError(settings.mix, 0, "file", "does not exist; check the path", "غير موجود؛ تحقق من المسار")


def _request(settings: ShardSettings) -> dict[str, Any]:
    plain = ("records_per_shard", "shard_bytes", "skip_missing", "phi")
    return {
        "version": __version__,
        "mix_sha256": sha256_file(settings.mix),
        **{name: getattr(settings, name) for name in plain},
    }


def _require_own(settings: ShardSettings, request: dict[str, Any]) -> None:
    """Nothing of the user's is overwritten: the folder is empty, holds an unfinished run, or ``force`` is given."""
    out, own = settings.out, request_of(settings.out)
    if settings.force or own == request or (own is None and (out / ".work").is_dir()):
        return
    if any(out.iterdir()):
        what, what_ar = ("shards of another mix", "أجزاء خليط آخر") if own else ("other files", "ملفات أخرى")
        raise DataError(
            f"{out} holds {what}. Choose another --out, or replace them with --force.",
            f"يحتوي {out} على {what_ar}. اختر --out آخر أو استبدلها بالخيار --force.",
            code="other_shards",
        )


def _shard(settings: ShardSettings, request: dict[str, Any], state: State, tell: Tell) -> ShardReport:
    out, scanner = settings.out, Scanner(settings, state)
    listed = out / "quarantine.jsonl"
    quarantine = Quarantine(listed)
    try:
        scan = scanner.scan(quarantine, tell)
    except BaseException:
        quarantine.close(keep=False)
        raise
    quarantine.close(keep=True)
    require_usable(scan, quarantine, settings, listed)
    if not scan.records:
        raise DataError("No record is left to shard.", "لم يبق أي سجل للتجزئة.", code="no_records")
    images, image_bytes = state.end_scan()
    for name in ("records", "images"):
        (out / name).mkdir(exist_ok=True)
        for left in (out / name).glob(".*"):  # half written by a run that was killed
            left.unlink()
    files = [*_image_shards(settings, state, tell), *_record_shards(settings, scanner, state, tell)]
    _remove_others(out, files)
    content = _manifest(settings, request, scan, files) | {"images": images, "image_bytes": image_bytes}
    write_whole(out / MANIFEST, (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())
    return ShardReport(out, out / MANIFEST, scan.records, images, image_bytes, False, content)


def _image_shards(settings: ShardSettings, state: State, tell: Tell) -> Iterator[dict[str, Any]]:
    for number, group in enumerate(groups(state.pictures(), settings.shard_bytes)):
        name = f"images/images-{number:05d}.tar"
        made_of = _digest(picture.name for picture in group)
        done = _still_there(settings.out / name, state.done(name, made_of))
        if done is None:
            write_tar(settings.out / name, group, settings.data)
            done = _finished(settings.out / name, len(group))
            state.finish(name, made_of, done)
            tell(f"{name}: {done.items:,} images", f"{name}: {done.items:,} صورة")
        yield {"path": name, "bytes": done.bytes, "sha256": done.sha256, "images": done.items} | _ends(group)


def _ends(group: list[Picture]) -> dict[str, str]:
    return {"first": group[0].name, "last": group[-1].name}


def _record_shards(settings: ShardSettings, scanner: Scanner, state: State, tell: Tell) -> Iterator[dict[str, Any]]:
    records, number = scanner.usable(), 0
    while batch := list(islice(records, settings.records_per_shard)):
        name = f"records/records-{number:05d}.parquet"
        made_of = _digest(map(_line, batch))
        done = _still_there(settings.out / name, state.done(name, made_of))
        if done is None:
            write_records(settings.out / name, batch)
            done = _finished(settings.out / name, len(batch))
            state.finish(name, made_of, done)
            tell(f"{name}: {done.items:,} records", f"{name}: {done.items:,} سجل")
        yield {"path": name, "bytes": done.bytes, "sha256": done.sha256, "records": done.items}
        number += 1


def _line(record: Record) -> str:
    return msgspec.json.encode(record).decode()


def _digest(parts: Iterator[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() + b"\n")
    return digest.hexdigest()


def _still_there(path: Path, done: Done | None) -> Done | None:
    return done if done is not None and path.is_file() and path.stat().st_size == done.bytes else None


def _finished(path: Path, count: int) -> Done:
    return Done(path.stat().st_size, sha256_file(path), count)


def _remove_others(out: Path, files: list[dict[str, Any]]) -> None:
    """Shards of an earlier, larger mix."""
    own = {file["path"] for file in files}
    for path in [*(out / "records").glob("records-*.parquet"), *(out / "images").glob("images-*.tar")]:
        if path.relative_to(out).as_posix() not in own:
            path.unlink()


def _manifest(
    settings: ShardSettings, request: dict[str, Any], scan: Scan, files: list[dict[str, Any]]
) -> dict[str, Any]:
    """Nothing in it depends on time or place, so that equal shards have equal manifests."""
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "version": __version__,
        "request": request,
        "mix": {"name": settings.mix.name, "sha256": request["mix_sha256"], "content_sha256": scan.content_sha256}
        | _of_mix(settings.mix, request["mix_sha256"]),
        "records": scan.records,
        "left_out": scan.left_out,
        "licences": scan.counts["licence"],
        "counts": {name: own for name, own in scan.counts.items() if name != "licence"},
        "files": files,
    }


def _of_mix(mix: Path, sha256: str) -> dict[str, Any]:
    """Seed and targets from the report beside the mix, if it is about this very file."""
    try:
        content = json.loads(mix.with_name(f"{mix.stem}.json").read_bytes())
        if content["out"]["sha256"] != sha256:
            return {}
        return {"seed": content["seed"], "unit": content["unit"], "targets": content["request"]["targets"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
