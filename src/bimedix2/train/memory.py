"""How much memory a run takes, and giving it back."""

from __future__ import annotations

import gc
import resource

import torch


def release() -> None:
    """Let go of a stage's model, which holds references to itself, and of what the GPU keeps in store for it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def memory_gb(device: torch.device) -> float:
    """Peak memory in GB: of this process on the GPU if there is one, since the stage began; else of the process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
