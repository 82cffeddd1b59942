"""What can go wrong in a step, named: memory, numbers that are not finite."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from bimedix2.errors import ModelError

if TYPE_CHECKING:
    from .plan.packs import Pack
    from .recipe import Policy
    from .samples.prepare import Prepared

IN_A_ROW = 3
_SHOWN = 8


@contextmanager
def out_of_memory(pack: Pack, prepared: Prepared) -> Iterator[None]:
    """Say which pack did not fit and what to change.

    Raises:
        ModelError: ``out_of_memory``.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and "can't allocate memory" not in str(error):
            raise
        names = listed([prepared.store.record_id(row) for row in pack.rows])
        raise ModelError(
            f"Out of memory on a pack of {pack.tokens} tokens ({names}). Lower pack_tokens or images_per_pack, set "
            "gradient_checkpointing=true, or use engine=fsdp2 on more processes; the same command then resumes only "
            "with another --out, for packs change with these settings.",
            f"نفدت الذاكرة عند حزمة من {pack.tokens} رمزا ({names}). قلل pack_tokens أو images_per_pack أو اضبط "
            "gradient_checkpointing=true أو استخدم engine=fsdp2 على عمليات أكثر، مع مجلد --out آخر لأن الحزم تتغير.",
            code="out_of_memory",
        ) from error


class FiniteGuard:
    """Decides about steps whose loss or gradient is not finite; the same in every process.

    Args:
        policy: ``skip`` or ``stop``.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy, self.in_a_row = policy, 0

    def accepts(self, loss: float, norm: float, names: list[str]) -> bool:
        """Whether the step may be applied.

        Raises:
            ModelError: ``nonfinite`` if the policy or the number of such steps in a row says stop.
        """
        if math.isfinite(loss) and math.isfinite(norm):
            self.in_a_row = 0
            return True
        self.in_a_row += 1
        if self.policy == "skip" and self.in_a_row < IN_A_ROW:
            return False
        raise ModelError(
            f"The loss is {loss} and the gradient norm {norm} on {listed(names)}"
            + (f", {self.in_a_row} steps in a row" if self.in_a_row > 1 else "")
            + ". Look at these samples, or lower the learning rate; the last checkpoint is still good.",
            f"قيمة الخسارة {loss} ومعيار التدرج {norm} عند {listed(names)}. افحص هذه العينات أو قلل معدل التعلم؛ "
            "ونقطة الحفظ الأخيرة سليمة.",
            code="nonfinite",
        )


def listed(names: list[str]) -> str:
    """The first few names."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
