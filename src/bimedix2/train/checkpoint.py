"""Checkpoints that are whole or absent, and the trained parts in their published form."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

if TYPE_CHECKING:
    from torch import nn

    from .optim import MasterAdamW

_KEEP = 2


def save_checkpoint(
    run: Path, stage: int, step: int, model: nn.Module, optimizer: MasterAdamW, state: dict[str, Any]
) -> None:
    """Write ``checkpoints/<stage>-<step>`` under a scratch name, rename it, then drop old ones.

    The rename is what makes it visible, so a kill at any moment leaves the previous checkpoint intact.
    """
    from safetensors.torch import save_file

    target = run / "checkpoints" / f"{stage:02d}-{step:06d}"
    scratch = target.with_name(f".{target.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in optimizer.state_tensors().items()},
        scratch / "optimizer.safetensors",
    )
    save_file(trained_tensors(model), scratch / "trained.safetensors")
    (scratch / "state.json").write_text(json.dumps({**state, "stage": stage, "step": step}, indent=1), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    for old in checkpoints(run)[:-_KEEP]:
        shutil.rmtree(old)


def checkpoints(run: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    return sorted(path for path in (run / "checkpoints").glob("[0-9]*-[0-9]*") if (path / "state.json").is_file())


def load_state(checkpoint: Path, fingerprint: str, manifest_hash: str) -> dict[str, Any]:
    """``state.json``, after checking that recipe and data are the ones it was written with.

    Raises:
        ModelError: they are not; the message says which.
    """
    state: dict[str, Any] = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    for key, now in (("recipe", fingerprint), ("manifest", manifest_hash)):
        if state[key] != now:
            raise ModelError(
                f"{checkpoint} was written with another {key} ({state[key]}, now {now}). "
                "Choose another --out folder, or delete this one to start over.",
                f"كتب {checkpoint} بقيمة أخرى للحقل {key}. "
                "اختر مجلدا آخر بالخيار --out أو احذف هذا المجلد لتبدأ من جديد.",
                code="resume_mismatch",
            )
    return state


def trained_tensors(model: nn.Module) -> dict[str, Any]:
    """Projector and adapter tensors by parameter name."""
    return {
        name: parameter.detach().contiguous()
        for name, parameter in model.named_parameters()
        if "lora_" in name or "multi_modal_projector" in name
    }


def restore_trained(model: nn.Module, checkpoint: Path) -> None:
    """Put the projector and, where both have one, the adapter of a checkpoint into ``model``."""
    import torch
    from safetensors.torch import load_file

    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, tensor in load_file(checkpoint / "trained.safetensors").items():
            parameters[name].copy_(tensor)
