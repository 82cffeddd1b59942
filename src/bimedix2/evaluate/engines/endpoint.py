"""Any OpenAI-compatible server as an engine: vLLM, llama.cpp, a hosted GPT-4o."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from bimedix2.endpoint.completion import Completion
from bimedix2.endpoint.errors import BudgetExceededError, EndpointBadRequestError, EndpointError
from bimedix2.endpoint.price import Price
from bimedix2.errors import BiMediX2Error, ConfigError
from bimedix2.evaluate.schema import Reply, RunStopped, Sample
from bimedix2.evaluate.store import write_json
from bimedix2.records.schema import Language

from ._client import Endpoint
from ._images import MAX_SIDE, DataUrls
from ._letters import label_logprobs
from ._usage import Usage

__all__ = ["BudgetExceededError", "Completion", "Endpoint", "EndpointEngine", "EndpointError", "Price", "Usage"]

TOP_LOGPROBS = 20  # the most that OpenAI gives; vLLM's default limit too
SYSTEM: dict[Language, str] = {"en": "Answer in English.", "ar": "أجب باللغة العربية."}


class EndpointEngine:
    """Asks a server for greedy replies, several at a time.

    A request is a system message that asks for the language of the sample, in that language, and a user message with
    the images (PNG, see :class:`DataUrls`) and then the prompt.

    Args:
        endpoint: the server and model.
        concurrency: requests under way at once.
        max_side: longest side of the images sent, in pixels.
        system: send the system message; without it its sentence comes first in the user's, for models whose
            template has no system role.
        usage_file: receives the endpoint's totals after every batch.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        concurrency: int = 8,
        max_side: int = MAX_SIDE,
        system: bool = True,
        usage_file: Path | None = None,
    ) -> None:
        self.endpoint, self.concurrency, self.system = endpoint, concurrency, system
        self.name = f"{endpoint.model} @ {urlsplit(endpoint.base_url).netloc}"
        asked = f"{'system' if system else 'user'} {SYSTEM['en']} {SYSTEM['ar']}"
        self.fingerprint = f"endpoint|{endpoint.fingerprint}|{asked}|png {max_side}|greedy"
        self._images = DataUrls(max_side)
        self._usage_file = usage_file
        self._gives_logprobs = False

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        """Free-text replies in the language of each sample.

        Raises:
            RunStopped: the budget, the key or the model's name lets no request through.
        """

        def ask(sample: Sample) -> Reply:
            completion = self.endpoint.chat(self.messages(sample, root), max_tokens=max_new_tokens)
            return Reply(id=sample.id, text=completion.text, tokens=completion.completion_tokens or 0)

        return self._each(samples, ask)

    def option_scores(self, samples: Sequence[Sample], root: Path) -> list[Reply]:
        """Log-probability of each option's letter as the first token of the reply, see :func:`label_logprobs`.

        A letter outside the 20 likeliest tokens gets 1 nat less than the last of them. Where no letter is among
        them, the reply is an error.

        Raises:
            RunStopped: as for ``generate``; also, with a ``ConfigError``, where the server gives no
                log-probabilities.
        """
        return self._each(samples, lambda sample: self._option_scores(sample, root))

    def _option_scores(self, sample: Sample, root: Path) -> Reply:
        messages, labels = self.messages(sample, root), sample.letters or sample.options
        try:
            completion = self.endpoint.chat(messages, max_tokens=1, top_logprobs=TOP_LOGPROBS)
        except EndpointBadRequestError as error:
            if "logprob" in error.reason:
                raise _no_logprobs(self.name) from error
            raise
        if not completion.top_logprobs and not self._gives_logprobs and completion.finish_reason != "content_filter":
            raise _no_logprobs(self.name)
        self._gives_logprobs = self._gives_logprobs or bool(completion.top_logprobs)
        scores = label_logprobs(completion.top_logprobs, labels)
        if scores is None:
            raise _no_label(self.name, labels, completion)
        return Reply(id=sample.id, option_logprobs=scores, tokens=completion.completion_tokens or 0)

    def messages(self, sample: Sample, root: Path) -> list[dict[str, Any]]:
        """What is sent for a sample.

        Raises:
            ImageError: one of its images cannot be used.
        """
        prompt = sample.prompt if self.system else f"{SYSTEM[sample.language]}\n{sample.prompt}"
        # Servers of models without images take nothing but a string.
        content: str | list[dict[str, Any]] = prompt
        if sample.images:
            urls = [self._images.of(root / image) for image in sample.images]
            content = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
            content.append({"type": "text", "text": prompt})
        user = {"role": "user", "content": content}
        return [{"role": "system", "content": SYSTEM[sample.language]}, user] if self.system else [user]

    def _each(self, samples: Sequence[Sample], ask: Callable[[Sample], Reply]) -> list[Reply]:
        started = time.monotonic()
        pool = ThreadPoolExecutor(self.concurrency)
        futures = [pool.submit(_answer, ask, sample) for sample in samples]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException as reason:
            # What is under way is paid for: its replies are waited for and kept, nothing new is begun.
            with self.endpoint.no_retries():
                pool.shutdown(cancel_futures=True)
            raise RunStopped(reason, _finished(futures)) from reason
        finally:
            pool.shutdown(wait=False)
            if self._usage_file is not None:
                write_json(self._usage_file, self.endpoint.usage)
        each = round((time.monotonic() - started) / len(samples), 4)
        return [msgspec.structs.replace(future.result(), seconds=each) for future in futures]


def _answer(ask: Callable[[Sample], Reply], sample: Sample) -> Reply:
    """The reply to one sample, or its error; an error that every other would meet too is raised."""
    try:
        return ask(sample)
    except ConfigError:
        raise
    except (BiMediX2Error, OSError) as error:
        if isinstance(error, EndpointError) and error.stops_run:
            raise
        code = error.code if isinstance(error, BiMediX2Error) else type(error).__name__
        return Reply(id=sample.id, error=f"{code}: {error}")


def _finished(futures: Sequence[Future[Reply]]) -> list[Reply]:
    done = [future for future in futures if future.done() and not future.cancelled()]
    return [future.result() for future in done if future.exception() is None]


def _no_logprobs(name: str) -> ConfigError:
    return ConfigError(
        f"{name} gives no log-probabilities. Add --request generate: the options are then read from the reply's text.",
        f"لا يعطي {name} احتمالات الرموز. أضف --request generate لتقرأ الخيارات من نص الإجابة.",
    )


def _no_label(name: str, labels: Sequence[str], completion: Completion) -> EndpointError:
    shown, first = " ".join(labels), completion.top_logprobs[:1]
    begin = repr(first[0][0].encode("utf-8", "replace").decode()) if first else completion.finish_reason
    return EndpointError(
        f"None of {shown} is among the {TOP_LOGPROBS} likeliest first tokens of {name}; it would begin with {begin}. "
        "Add --request generate.",
        f"لا يوجد أي من {shown} بين أول {TOP_LOGPROBS} رمزا محتملا في رد {name}، بل يبدأ بـ {begin}. "
        "أضف --request generate.",
        code="endpoint_no_label",
    )
