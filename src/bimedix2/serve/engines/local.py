"""The engine that runs the model in this process."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.engines.batching.errors import closed, engine_fault, not_loaded
from bimedix2.serve.engines.echo import unknown_adapter
from bimedix2.serve.engines.protocol import EngineInfo, EngineState
from bimedix2.serve.errors import DeadlineError
from bimedix2.serve.settings import MIB, ServeSettings

if TYPE_CHECKING:
    from bimedix2.model import Bundle
    from bimedix2.serve.engines.batching.model import BatchModel
    from bimedix2.serve.engines.batching.scheduler import Scheduler
    from bimedix2.serve.engines.protocol import Delta, Job

_SAMPLE = 4096


class LocalEngine:
    """Continuous batching over a transformers model; see :mod:`bimedix2.serve.engines.batching`.

    Args:
        settings: model, adapters, places and queue.
        load: makes the bundle; ``None`` loads ``settings.model`` and merges the adapter that ships with it.
        prefix_bytes: bound of the cache of earlier prompts, in bytes.
        chunk: positions of a prompt that are read between two steps of the others; ``None`` goes by the model's size.
    """

    def __init__(
        self,
        settings: ServeSettings,
        load: Callable[[], Bundle] | None = None,
        *,
        prefix_bytes: int = 512 * MIB,
        chunk: int | None = None,
    ) -> None:
        self._settings, self._prefix_bytes, self._chunk = settings, prefix_bytes, chunk
        self._load = load or self._load_named
        self._info = EngineInfo(model=settings.model, engine="transformers", context=0, image_tokens=0)
        self._scheduler: Scheduler | None = None
        self._model: BatchModel | None = None
        self._problem: tuple[str, str] | None = (str(closed()), closed().message_ar)

    @property
    def info(self) -> EngineInfo:
        """What it serves; context, adapters and fingerprint are known once it has started."""
        return self._info

    async def start(self) -> None:
        """Load the model in a thread.

        Raises:
            BiMediX2Error: the model or an adapter cannot be used; ``state`` says so too.
        """
        try:
            await asyncio.to_thread(self._open)
        except BiMediX2Error as error:
            self._problem = (str(error), error.message_ar)
            raise
        except Exception:
            self._problem = (str(not_loaded()), not_loaded().message_ar)
            raise

    async def close(self) -> None:
        """End every job and free the model."""
        scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            await asyncio.to_thread(scheduler.close)
        self._model = None
        self._problem = (str(closed()), closed().message_ar)

    def state(self) -> EngineState:
        """How it is doing."""
        if self._scheduler is None:
            return EngineState(ready=False, problem=self._problem)
        running, queued = self._scheduler.counts()
        if not self._scheduler.is_alive():
            fault = engine_fault()
            return EngineState(ready=False, problem=(str(fault), fault.message_ar))
        return EngineState(ready=True, running=running, queued=queued)

    async def generate(self, job: Job) -> AsyncGenerator[Delta]:
        """Write one answer; raises as ``Engine.generate`` says."""
        from bimedix2.serve.engines.batching.ticket import Ticket

        scheduler = self._ready()
        self._check(job)
        ticket = Ticket(job)
        scheduler.submit(ticket)
        try:
            while True:
                item = await ticket.receive()
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            scheduler.cancel(ticket)

    async def count_tokens(self, job: Job) -> int:
        """Tokens of the prompt, images and the template's own included, as it would be sent."""
        model = self._model
        if model is None:
            raise closed()
        return await asyncio.to_thread(model.count, job.turns)

    def _ready(self) -> Scheduler:
        if self._scheduler is None:
            raise closed()
        return self._scheduler

    def _check(self, job: Job) -> None:
        if job.adapter is not None and job.adapter not in self._info.adapters:
            raise unknown_adapter()
        if job.deadline is not None and job.deadline <= time.monotonic():
            raise DeadlineError

    def _load_named(self) -> Bundle:
        from bimedix2.model import load_bundle, merge

        bundle = load_bundle(self._settings.model)
        # As in ``bimedix2.load``: an adapter beside the weights costs a third of the speed.
        merge(bundle.model)
        return bundle

    def _open(self) -> None:
        from bimedix2.serve.engines.batching.lora import RowAdapters, load_adapters
        from bimedix2.serve.engines.batching.model import BatchModel
        from bimedix2.serve.engines.batching.scheduler import Scheduler

        bundle = self._load()
        known = load_adapters(bundle.model, self._settings.adapters)
        model = BatchModel(bundle, RowAdapters(bundle.model, known), self._chunk)
        self._info = replace(
            self._info,
            context=model.context,
            image_tokens=bundle.tokens_per_image,
            adapters=tuple(sorted(known)),
            fingerprint=fingerprint(bundle, known),
        )
        scheduler = Scheduler(
            model, places=self._settings.batch, queue=self._settings.limits.queue, prefix_bytes=self._prefix_bytes
        )
        scheduler.start()
        self._model, self._scheduler, self._problem = model, scheduler, None


def fingerprint(bundle: Bundle, adapters: dict[str, Any]) -> str:
    """Twelve hex digits that change with the weights (by samples of each tensor), adapters and versions."""
    import torch
    import transformers

    import bimedix2

    digest = hashlib.sha256()
    versions = (torch.__version__, transformers.__version__, bimedix2.__version__)
    digest.update(repr((versions, bundle.template, bundle.image_policy, str(bundle.device))).encode())
    tensors = list(bundle.model.state_dict().items())
    for name, layers in sorted(adapters.items()):
        for module, factors in sorted(layers.items()):
            tensors += [(f"{name}/{module}/{factors.scale}/A", factors.first), (f"{name}/{module}/B", factors.second)]
    for name, tensor in tensors:
        flat = tensor.detach().flatten()
        ends = torch.cat([flat[:_SAMPLE], flat[-_SAMPLE:]]).cpu().contiguous()
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(ends.view(torch.uint8).numpy().tobytes())
    return "bx2-" + digest.hexdigest()[:12]
