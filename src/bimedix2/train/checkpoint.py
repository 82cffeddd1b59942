"""Checkpoints that are whole or absent, whatever ends the run and however many processes write them.

A checkpoint is the folder ``checkpoints/SS-NNNNNN`` (stage, optimiser steps done) of a run::

    adapter/      trained parts in float32, as users load them: PEFT files, projector, trained encoder blocks
    optimizer/    moments and update counts, safetensors, one file for each process that wrote
    state.json    stage, step, fingerprints of recipe and data, versions
    COMPLETE      written last: size in bytes of every file

It is written under a scratch name and renamed; older ones are deleted only afterwards. With several processes all of
them see the same run folder.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from bimedix2.cache import require_space
from bimedix2.errors import AssetError, ModelError
from bimedix2.model import save_adapter

from .trained_state import (
    gather_sharded,
    load_parameters,
    optimizer_tensors,
    restore_optimizer,
    save_optimizer,
    trained_parameters,
)

__all__ = [
    "complete_checkpoints",
    "latest_checkpoint",
    "load_state",
    "restore",
    "restore_parameters",
    "save_checkpoint",
    "trained_parameters",
]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_LIBRARIES = ("bimedix2", "torch", "transformers", "peft", "safetensors")
# Bytes beside the tensors: file headers and JSON.
_SMALL_FILES = 1_000_000


def save_checkpoint(
    run: Path,
    stage: int,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    *,
    keep: int,
    rank: int,
    world: int,
) -> Path:
    """Write a checkpoint; every process of the run calls this, and all return or raise together.

    One that is already there whole is left as it is: a run computes the same up to the same step.

    Args:
        run: folder of the run.
        stage: index of the stage.
        step: optimiser steps done in it.
        model: the LLaVA model itself, not the module that an engine wraps around it.
        optimizer: over :func:`trained_parameters` of the model.
        state: goes to ``state.json``; ``recipe`` and ``manifest`` are what :func:`load_state` compares.
        keep: number of complete checkpoints to keep, at least 1.
        rank: number of this process.
        world: number of processes.

    Raises:
        AssetError: ``no_disk_space``, or ``checkpoint_not_written`` for other faults of the disk. Nothing of this
            checkpoint is left; those before it are untouched.
    """
    target = run / "checkpoints" / f"{stage:02d}-{step:06d}"
    scratch = target.with_name(f".{target.name}.partial")
    first = rank == 0
    try:
        with _together(target, world) as told:
            if first:
                told.append(_is_complete(target) or _begin(scratch, _size(model)))
        if told[0]:
            return target
        whole = gather_sharded(model, keep=first)
        with _together(target, world):
            if first:
                save_adapter(model, scratch / "adapter", whole=whole)
        with _together(target, world):
            save_optimizer(scratch / "optimizer", optimizer_tensors(model, optimizer), alone=world == 1)
        with _together(target, world):
            if first:
                _finish(scratch, target, {**state, "stage": stage, "step": step, "world": world})
                _rotate(target.parent, keep)
    finally:
        if first:
            shutil.rmtree(scratch, ignore_errors=True)
    return target


def complete_checkpoints(run: Path) -> list[Path]:
    """Checkpoints that are whole, oldest first. Torn or damaged ones are passed over, not deleted."""
    return [path for path in _folders(run / "checkpoints") if _is_complete(path)]


def latest_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint that is whole."""
    return next((path for path in reversed(_folders(run / "checkpoints")) if _is_complete(path)), None)


def load_state(checkpoint: Path, fingerprint: str, manifest_hash: str) -> dict[str, Any]:
    """``state.json``, after checking that recipe and data are the ones it was written with.

    Raises:
        ModelError: ``resume_mismatch`` if they are not (the message says which), ``bad_checkpoint`` if the file
            cannot be read.
    """
    try:
        state = json.loads((checkpoint / "state.json").read_bytes())
        found = {key: state[key] for key in ("recipe", "manifest", "stage", "step")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"{checkpoint / 'state.json'} is damaged. Delete {checkpoint}; the run resumes from the one before.",
            f"الملف {checkpoint / 'state.json'} تالف. احذف {checkpoint} ليستأنف التدريب من نقطة الحفظ السابقة.",
            code="bad_checkpoint",
        ) from error
    compared = (("recipe", "recipe", "الوصفة", fingerprint), ("manifest", "data", "البيانات", manifest_hash))
    for key, name, name_ar, now in compared:
        if found[key] != now:
            raise ModelError(
                f"{checkpoint} was written with another {name} ({found[key]}, now {now}). "
                "Choose another --out folder, or delete this one to start over.",
                f"تغيرت {name_ar} بعد كتابة {checkpoint} ({found[key]} والآن {now}). "
                "اختر مجلدا آخر بالخيار --out أو احذف هذا المجلد لتبدأ من جديد.",
                code="resume_mismatch",
            )
    return dict(state)


def restore(checkpoint: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's parameters and optimiser state back, bit for bit. Every process calls this.

    Args:
        checkpoint: from :func:`latest_checkpoint`, written by any number of processes and any engine.
        model: with the adapters of the checkpoint's stage, and sharded already where an engine shards.
        optimizer: over the model's present parameters; its learning rates stay.

    Raises:
        ModelError: ``resume_mismatch`` if the model trains other parameters, ``bad_safetensors`` if a file is damaged.
    """
    load_parameters(checkpoint / "adapter", model, complete=True)
    restore_optimizer(checkpoint / "optimizer", model, optimizer)


def restore_parameters(checkpoint: Path, model: nn.Module) -> None:
    """Start a stage from the last checkpoint of the one before: what it holds is put in, the rest stays.

    Raises:
        ModelError: as :func:`restore`.
    """
    load_parameters(checkpoint / "adapter", model, complete=False)


def _folders(parent: Path) -> list[Path]:
    named = [path for path in parent.glob("*-*") if re.fullmatch(r"\d+-\d+", path.name)]
    return sorted(named, key=lambda path: tuple(map(int, path.name.split("-"))))


def _files(folder: Path) -> dict[str, int]:
    """Size in bytes of every file, by its path in the folder."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "COMPLETE"]
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}


def _is_complete(folder: Path) -> bool:
    """Whether the marker is there and every file has the size that it names (a copy may have been cut short)."""
    try:
        return bool(json.loads((folder / "COMPLETE").read_bytes()) == _files(folder))
    except (OSError, ValueError):
        return False


def _size(model: nn.Module) -> int:
    """Bytes of a checkpoint: a weight and two moments in float32 for every trained parameter."""
    return 3 * 4 * sum(parameter.numel() for parameter in trained_parameters(model).values()) + _SMALL_FILES


def _begin(scratch: Path, needed: int) -> bool:
    """Clear what a killed process left half written or half deleted, and make the scratch folder."""
    parent = scratch.parent
    for left in (*parent.glob(".*.partial"), *parent.glob(".*.old")):
        shutil.rmtree(left)
    require_space(parent, needed, ("use an --out folder on another disk", "اختر بالخيار --out مجلدا في قرص آخر"))
    scratch.mkdir(parents=True)
    return False


def _finish(scratch: Path, target: Path, state: dict[str, Any]) -> None:
    versions = {"python": platform.python_version(), **{name: version(name) for name in _LIBRARIES}}
    text = json.dumps({**state, "versions": versions}, indent=1, ensure_ascii=False)
    (scratch / "state.json").write_text(text, encoding="utf-8")
    _flush(scratch)
    (scratch / "COMPLETE").write_text(json.dumps(_files(scratch), indent=1), encoding="utf-8")
    _flush(scratch)
    if target.exists():  # damaged, or it would not be written again
        shutil.rmtree(target)
    scratch.rename(target)
    _flush_one(target.parent)


def _flush(folder: Path) -> None:
    """Bring files and folders to the disk, so that a power cut cannot leave a marker beside empty files."""
    for path in (*folder.rglob("*"), folder):
        _flush_one(path)


def _flush_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _rotate(parent: Path, keep: int) -> None:
    """Delete all but the newest complete checkpoints; renamed first, so that none is ever seen half deleted."""
    for old in [path for path in _folders(parent) if _is_complete(path)][: -max(keep, 1)]:
        leaving = old.with_name(f".{old.name}.old")
        old.rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)


@contextmanager
def _together(target: Path, world: int) -> Iterator[list[bool]]:
    """Run a part of the work; a fault of the disk in one process is raised in all, so that none waits for ever.

    Yields:
        A list; afterwards it holds, in every process, what the first process appended.
    """
    told: list[bool] = []
    fault: tuple[str, str, str] | None = None
    try:
        yield told
    except (OSError, AssetError) as error:
        fault = _describe(error, target)
    answers: list[Any] = [(fault, told)]
    if world > 1:
        answers = [None] * world
        dist.all_gather_object(answers, (fault, told))
    faults = [answer[0] for answer in answers if answer[0] is not None]
    if faults:
        english, arabic, code = faults[0]
        raise AssetError(english, arabic, code=code)
    told[:] = answers[0][1]


def _describe(error: OSError | AssetError, target: Path) -> tuple[str, str, str]:
    """English and Arabic text and code."""
    cause = error.__cause__ if isinstance(error, AssetError) else error
    if not isinstance(cause, OSError):
        assert isinstance(error, AssetError)
        return error.message, error.message_ar, error.code
    found = re.search(r"os error (\d+)", str(cause))  # as safetensors words it
    number = cause.errno or (int(found[1]) if found else 0)
    reason = os.strerror(number) if number else str(cause)
    return (
        f"Checkpoint {target} could not be written: {reason}. Nothing of it was left behind, and the ones before it "
        "are whole. Free some space or make the folder writable, then give the same command again: it resumes.",
        f"تعذرت كتابة نقطة الحفظ {target}: {reason}. لم يبق منها شيء، والنقاط السابقة سليمة. أفرغ بعض المساحة أو اجعل "
        "المجلد قابلا للكتابة ثم أعد الأمر نفسه ليستأنف التدريب.",
        "no_disk_space" if number in _FULL else "checkpoint_not_written",
    )
