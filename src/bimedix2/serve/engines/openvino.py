"""An exported model run by OpenVINO GenAI, one answer at a time: the fast path for the 8B in 4 bits on a laptop."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from bimedix2.errors import BiMediX2Error
from bimedix2.serve.engines.batching.errors import closed, engine_fault, not_loaded
from bimedix2.serve.engines.batching.ticket import Ticket
from bimedix2.serve.engines.echo import unknown_adapter
from bimedix2.serve.engines.openvino_prompt import OpenVinoPrompts, missing_package, refuse_adapters
from bimedix2.serve.engines.protocol import Delta, EngineInfo, EngineState, Job, Usage
from bimedix2.serve.errors import DeadlineError, QueueFullError, ServeError
from bimedix2.serve.settings import ServeSettings

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 10.0
_END_BYTES = 65_536


class OpenVinoEngine:
    """Answers jobs in the order in which they came; the rest wait in a bounded queue.

    Args:
        settings: ``model`` is a folder that ``optimum-cli export openvino`` wrote; see ``docs/serving.md``.
        properties: of OpenVINO's device; its own choice of precision is the fastest.
    """

    def __init__(self, settings: ServeSettings, properties: dict[str, Any] | None = None) -> None:
        self._settings, self._properties = settings, properties or {}
        self._info = EngineInfo(model=settings.model, engine="openvino", context=0, image_tokens=0)
        self._problem: tuple[str, str] | None = (str(closed()), closed().message_ar)
        self._prompts: OpenVinoPrompts | None = None
        self._pipeline: Any = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="bimedix2-openvino")
        self._changed = threading.Lock()
        self._tickets: list[Ticket] = []

    @property
    def info(self) -> EngineInfo:
        """What it serves; complete once it has started."""
        return self._info

    async def start(self) -> None:
        """Load the model in its thread.

        Raises:
            BiMediX2Error: the package, the folder or its tokenizer cannot be used, or adapters are wanted.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._worker, self._open)
        except BiMediX2Error as error:
            self._problem = (str(error), error.message_ar)
            raise
        except Exception:
            self._problem = (str(not_loaded()), not_loaded().message_ar)
            raise

    async def close(self) -> None:
        """End every job and free the model."""
        self._problem = (str(closed()), closed().message_ar)
        with self._changed:
            left = list(self._tickets)
        for ticket in left:
            ticket.cancelled = True
            ticket.emit(closed())
        await asyncio.to_thread(self._worker.shutdown)
        self._pipeline = self._prompts = None

    def state(self) -> EngineState:
        """How it is doing."""
        with self._changed:
            count = len(self._tickets)
        running = min(count, 1)
        return EngineState(ready=self._problem is None, running=running, queued=count - running, problem=self._problem)

    async def generate(self, job: Job) -> AsyncGenerator[Delta]:
        """Write one answer; raises as ``Engine.generate`` says."""
        if self._problem is not None:
            raise closed()
        if job.adapter is not None:
            raise unknown_adapter()
        ticket = Ticket(job)
        self._queue(ticket)
        try:
            while True:
                item = await ticket.receive()
                yield item
                if item.finish_reason is not None:
                    return
        finally:
            ticket.cancelled = True
            self._forget_waiting(ticket)

    async def count_tokens(self, job: Job) -> int:
        """Tokens of the prompt, images included."""
        if self._prompts is None:
            raise closed()
        return await asyncio.to_thread(self._prompts.count, job.turns)

    def _queue(self, ticket: Ticket) -> None:
        with self._changed:
            ahead = len(self._tickets)
            if ahead > self._settings.limits.queue:
                raise QueueFullError(_RETRY_SECONDS)
            self._tickets.append(ticket)
            ticket.tell_position(ahead)
            self._worker.submit(self._run, ticket)

    def _forget_waiting(self, ticket: Ticket) -> None:
        """A job that was given up while it waited leaves the queue at once; one that runs leaves by itself."""
        with self._changed:
            if ticket in self._tickets[1:]:
                self._tickets.remove(ticket)
                self._tell_positions()

    def _tell_positions(self) -> None:
        for position, waiting in enumerate(self._tickets):
            waiting.tell_position(position)

    def _run(self, ticket: Ticket) -> None:
        if ticket not in self._tickets:
            return
        last: Delta | BaseException = DeadlineError()
        try:
            if not ticket.cancelled and not ticket.is_late():
                last = self._answer(ticket)
        except Exception as error:  # noqa: BLE001 - the job fails, not the engine
            last = self._failure(ticket, error)
        with self._changed:
            self._tickets.remove(ticket)
            self._tell_positions()
        ticket.emit(last)

    def _answer(self, ticket: Ticket) -> Delta | BaseException:
        assert self._prompts is not None
        prompt = self._prompts.build(ticket.job)
        if prompt.notices:
            ticket.emit(Delta(notices=prompt.notices))
        writer = self._prompts.writer(ticket.job, prompt.tokens)
        late = False

        def take(token: int) -> bool:
            """Whether the answer goes on."""
            nonlocal late
            late = ticket.is_late()
            if ticket.cancelled or late or writer.reason is not None:
                return False
            text = writer.push(token)
            if text:
                ticket.emit(Delta(text=text))
            return writer.reason is None

        self._generate(prompt.text, prompt.images, ticket.job.config, take)
        if late or ticket.cancelled:
            return DeadlineError()
        # Where the pipeline ends by itself it keeps the end token to itself.
        rest = writer.push(writer.ends[0]) if writer.reason is None else ""
        usage = Usage(prompt.tokens, writer.tokens)
        return Delta(text=rest, finish_reason=writer.reason, usage=usage)

    def _failure(self, ticket: Ticket, error: Exception) -> ServeError:
        if isinstance(error, ServeError):
            return error
        if isinstance(error, BiMediX2Error):
            return ServeError(str(error), error.message_ar, code=error.code, status=400, param="messages")
        # Only the kind: an exception's text may quote what somebody wrote.
        _LOG.error("request %s failed in the engine: %s", ticket.job.request_id, type(error).__name__)
        return engine_fault()

    def _generate(self, text: str, images: list[Any], config: Any, take: Callable[[int], bool]) -> Any:
        import openvino
        import openvino_genai as genai

        class Streamer(genai.StreamerBase):  # type: ignore[misc]
            def write(self, token: int | list[int]) -> Any:
                tokens = token if isinstance(token, list) else [token]
                goes_on = all(take(one) for one in tokens)
                return genai.StreamingStatus.RUNNING if goes_on else genai.StreamingStatus.CANCEL

            def end(self) -> None:
                pass

        assert self._prompts is not None
        wanted = genai.GenerationConfig()
        wanted.max_new_tokens, wanted.repetition_penalty = config.max_new_tokens, config.repetition_penalty
        wanted.apply_chat_template, wanted.stop_token_ids = False, set(self._prompts.ends)
        wanted.do_sample = config.temperature > 0
        if wanted.do_sample:
            wanted.temperature, wanted.top_p, wanted.rng_seed = config.temperature, config.top_p, config.seed
        given = {"images": [openvino.Tensor(image) for image in images]} if images else {}
        return self._pipeline.generate(text, generation_config=wanted, streamer=Streamer(), **given)

    def _open(self) -> None:
        refuse_adapters(self._settings.adapters)
        folder = Path(self._settings.model)
        self._prompts = OpenVinoPrompts(folder)
        try:
            import openvino_genai as genai
        except ImportError:
            raise missing_package() from None
        self._pipeline = genai.VLMPipeline(str(folder), "CPU", **self._properties)
        self._prompts.check(lambda text, images, config: self._measure(text, images, config))
        self._info = replace(
            self._info,
            context=self._prompts.context,
            image_tokens=self._prompts.tokens_per_image,
            fingerprint=fingerprint(folder, genai.__version__),
        )
        self._problem = None

    def _measure(self, text: str, images: list[Any], config: Any) -> int:
        """Tokens that the pipeline makes of a prompt."""
        return int(self._generate(text, images, config, lambda _token: True).perf_metrics.get_num_input_tokens())


def fingerprint(folder: Path, version: str) -> str:
    """Twelve hex digits that change with the exported files (size and end of each) and the package."""
    digest = hashlib.sha256(version.encode())
    for path in sorted(folder.glob("openvino_*")):
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            file.seek(max(0, size - _END_BYTES))
            digest.update(file.read())
    return "ov-" + digest.hexdigest()[:12]
