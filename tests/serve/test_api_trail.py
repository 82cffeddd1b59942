"""The audit log beside answers: every line once and in order, few waits for the disk, and no answer before its line."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from bimedix2.serve.api.trail import Trail
from bimedix2.serve.store.audit import AuditLog, entries, verify
from bimedix2.serve.store.failures import StorageError


def line(number: int) -> dict[str, Any]:
    return {"who": "a", "action": "chat", "outcome": "begun", "request": str(number)}


def test_lines_of_many_answers_share_a_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, waits = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda file: (waits.append(_size(file)), real(file)))

    async def work() -> None:
        trail = Trail(AuditLog(tmp_path / "audit.jsonl"))
        for first in range(0, 200, 50):
            await asyncio.gather(*(trail.write(line(first + number), durable=True) for number in range(50)))
            assert waits[-1] == _size_of(tmp_path), "a line counted as written that the disk did not have"
        await trail.close()

    asyncio.run(work())
    assert verify(tmp_path / "audit.jsonl").sound
    assert [entry["request"] for entry in entries(tmp_path / "audit.jsonl")] == [str(number) for number in range(200)]
    assert len(waits) < 100


def _size(file: int) -> int:
    return os.fstat(file).st_size


def _size_of(folder: Path) -> int:
    return (folder / "audit.jsonl").stat().st_size


def test_lines_that_nobody_waits_for_are_on_the_disk_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, waits = os.fdatasync, []
    monkeypatch.setattr(os, "fdatasync", lambda file: (waits.append(_size(file)), real(file)))

    async def work() -> None:
        trail = Trail(AuditLog(tmp_path / "audit.jsonl"))
        await asyncio.gather(*(trail.write(line(number), durable=False) for number in range(20)))
        assert not waits and verify(tmp_path / "audit.jsonl").lines == 20
        await trail.close()
        assert waits == [_size_of(tmp_path)]

    asyncio.run(work())


@pytest.mark.parametrize("error", [OSError("no space left"), ValueError("a fault of ours")])
def test_a_disk_that_takes_nothing_is_told_and_the_next_line_is_tried(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, broken = os.fdatasync, [False]

    def failing(file: int) -> None:
        if broken[0]:
            raise error
        real(file)

    monkeypatch.setattr(os, "fdatasync", failing)

    async def work() -> None:
        trail = Trail(AuditLog(tmp_path / "audit.jsonl"))
        for number, is_broken in enumerate((False, True, True, False)):
            broken[0] = is_broken
            if is_broken:
                with pytest.raises(StorageError):
                    await trail.write(line(number), durable=True)
            else:
                await trail.write(line(number), durable=True)
        await trail.close()

    asyncio.run(work())
    assert verify(tmp_path / "audit.jsonl").lines == 4
