"""One process, DDP or FSDP2 behind the same few calls; PyTorch's own parts, started by torchrun.

What is sharded under FSDP2: every decoder layer of the language model, and the projector as a unit of its own. What
is not: the vision encoder (0.6 GB, and processes without images do not call it), the embeddings and the head, which
do not train and which the chunked loss reads as a plain matrix.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from bimedix2.errors import ConfigError, ModelError

from .forward.vlm import PackModel
from .recipe import EngineName

Forward = nn.Module
"""A :class:`PackModel` as the engine runs it: ``Batch`` to (sum of losses, losses)."""
# Longest time for tokenising and storing the images of a large set, which the first process does alone.
_PREPARING = timedelta(days=7)


class Engine:
    """How the processes of a run work together.

    Args:
        name: ``none``, ``ddp`` or ``fsdp2``; ``auto`` takes ``ddp`` where torchrun started several processes.
        timeout: minutes after which a silent process is given up.

    Attributes:
        name: the choice made.
        rank, world: this process and their number.
        device: where this process computes.
    """

    def __init__(self, name: EngineName = "auto", timeout: float = 10.0) -> None:
        self.world, self.rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        self.name = ("ddp" if self.world > 1 else "none") if name == "auto" else name
        if self.name == "none" and self.world > 1:
            raise ConfigError(
                f"engine is none, but torchrun started {self.world} processes; set engine=ddp or engine=fsdp2",
                f"قيمة engine هي none لكن torchrun بدأ {self.world} عمليات؛ اضبط engine=ddp أو engine=fsdp2",
            )
        cuda = torch.cuda.is_available()
        self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(self.device)
        self._replicated: list[nn.Parameter] = []
        if self.name != "none" and not dist.is_initialized():
            _start_group(cuda, timedelta(minutes=timeout))

    def place(self, module: nn.Module) -> nn.Module:
        """The module on this process's device; what will be sharded goes there in :meth:`wrap`, a layer at a time."""
        return module if self.name == "fsdp2" else module.to(self.device)

    def wrap(self, module: PackModel) -> Forward:
        """The module as this engine runs it; parameters must have their final type and ``requires_grad``."""
        if self.name == "ddp":
            # Processes load the same files with the same seed, so the first broadcast of the whole model is left out.
            return nn.parallel.DistributedDataParallel(
                module,
                broadcast_buffers=False,
                init_sync=False,
                gradient_as_bucket_view=True,
                # Unfrozen encoder blocks have no gradient on a process without images.
                find_unused_parameters=_trains_encoder(module),
            )
        if self.name == "fsdp2":
            _shard(module)
            module.to(self.device)
            self._replicated = [parameter for parameter in module.parameters() if _is_plain(parameter)]
        return module

    @contextmanager
    def accumulate(self, forward: Forward, *, last: bool) -> Iterator[None]:
        """Gradients of every backward pass but the ``last`` of a step stay in this process."""
        wrapped: Any = forward
        if self.name == "fsdp2":
            wrapped.set_requires_gradient_sync(last)
        with wrapped.no_sync() if self.name == "ddp" and not last else nullcontext():
            yield

    def finish_gradients(self) -> None:
        """Average what FSDP2 does not shard (unfrozen encoder blocks) over the processes.

        A step without any image leaves them without a gradient, as in one process: on zeros the optimiser would go on
        with its momentum.
        """
        if not self._replicated:
            return
        there = self.total(torch.tensor([float(p.grad is not None) for p in self._replicated], dtype=torch.float64))
        for parameter, count in zip(self._replicated, there.tolist(), strict=True):
            if not count:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= self.world

    def total(self, values: Tensor) -> Tensor:
        """Sum of float64 values over all processes, on the CPU."""
        if self.world == 1:
            return values.cpu()
        summed = values.to(self.device)
        dist.all_reduce(summed)
        return summed.cpu()

    def clip(self, parameters: Iterable[nn.Parameter], max_norm: float) -> float:
        """Clip the gradients to a global norm, and return the norm before that."""
        trained = [parameter for parameter in parameters if parameter.grad is not None]
        squares = torch.zeros((), dtype=torch.float64)
        groups = [[p for p in trained if _is_plain(p) == plain] for plain in (True, False)]
        for group in filter(None, groups):
            norm: Any = torch.nn.utils.get_total_norm([p.grad for p in group if p.grad is not None])
            squares += float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm) ** 2
        total = squares.sqrt().float()
        for group in filter(None, groups):
            torch.nn.utils.clip_grads_with_norm_(group, max_norm, total.to(self.device))
        return float(total)

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.world > 1:
            dist.barrier()

    def wait_for_first(self) -> None:
        """Wait as long as the first process prepares its data; if it dies, the others still hear of it at once."""
        if self.world > 1:
            group = dist.new_group(backend="gloo", timeout=_PREPARING)
            dist.barrier(group=group)
            dist.destroy_process_group(group)

    def close(self, *, failed: bool = False) -> None:
        """Leave the group; without the barrier one process may find its partner gone.

        A process that failed does not wait for the others: they are elsewhere, and hear of it when it ends.
        """
        if failed and self.world > 1:
            return
        if self.name != "none" and dist.is_initialized():
            self.barrier()
            dist.destroy_process_group()


def _start_group(cuda: bool, timeout: timedelta) -> None:
    if "MASTER_ADDR" not in os.environ:  # one process without torchrun
        with_defaults = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0", "RANK": "0", "WORLD_SIZE": "1"}
        os.environ.update({name: os.environ.get(name, value) for name, value in with_defaults.items()})
    dist.init_process_group("cuda:nccl,cpu:gloo" if cuda else "gloo", timeout=timeout)


def _shard(module: PackModel) -> None:
    from torch.distributed.fsdp import fully_shard

    inner: Any = module.model
    units: list[nn.Module] = [*inner.model.language_model.layers, inner.model.multi_modal_projector]
    for unit in units:
        fully_shard(unit)
    # The common root holds nothing itself. Without it every layer would wait for its own weights: only under one root
    # is a layer gathered while the one before it computes.
    sharded = {parameter for unit in units for parameter in unit.parameters()}
    fully_shard(module, ignored_params={parameter for parameter in module.parameters() if parameter not in sharded})


def _is_plain(parameter: Tensor) -> bool:
    """Whether a parameter that trains is whole on every process."""
    return parameter.requires_grad and not hasattr(parameter, "full_tensor")


def _trains_encoder(module: PackModel) -> bool:
    return any(p.requires_grad and "vision_tower" in name for name, p in module.named_parameters())


@contextmanager
def lost_processes() -> Iterator[None]:
    """Turn the many ways in which a dead partner shows into one error."""
    try:
        yield
    except (dist.DistBackendError, RuntimeError) as error:
        text = str(error).lower()
        if not any(sign in text for sign in ("connection", "timed out", "timeout", "peer", "nccl", "gloo")):
            raise
        raise ModelError(
            f"Another process of this run is gone or does not answer ({str(error).splitlines()[0]}). Look at its "
            "output for the cause; the same command resumes from the last checkpoint, with any number of processes.",
            f"توقفت عملية أخرى من هذا التدريب أو لم تعد تجيب ({str(error).splitlines()[0]}). ابحث في مخرجاتها عن "
            "السبب؛ والأمر نفسه يستأنف من آخر نقطة حفظ بأي عدد من العمليات.",
            code="process_lost",
        ) from error
