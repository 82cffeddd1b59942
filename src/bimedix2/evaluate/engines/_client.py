"""HTTP client for chat completions of any OpenAI-compatible server: vLLM, llama.cpp, a hosted GPT-4o."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bimedix2.endpoint.completion import Completion, problem_of, read_completion
from bimedix2.endpoint.errors import (
    EndpointBadReplyError,
    EndpointError,
    EndpointTimeoutError,
    EndpointUnreachableError,
    status_error,
)
from bimedix2.endpoint.price import Price
from bimedix2.endpoint.settings import check_price, checked_key, checked_url, without_key

from ._usage import Ledger, Usage

if TYPE_CHECKING:
    import httpx

MAX_REPLY_BYTES = 8 * 1024 * 1024
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class Endpoint:
    """One model behind ``{base_url}/chat/completions``; safe to share between threads.

    Attempts that time out, lose their connection or get 408, 409, 429 or 5xx are repeated after 0.5, 1, 2 … 30 s
    (half of it random), counted from the end of the server's ``Retry-After`` (heeded up to 60 s). Redirects are not
    followed, and a reply larger than 8 MiB is refused.

    Args:
        base_url: up to and including ``/v1``; http or https, without credentials or query.
        model: name that the server knows it by.
        api_key: sent as a bearer token and kept out of everything else.
        timeout_s: most seconds that one attempt may take.
        retries: further attempts after the first.
        seed: sent with every request unless ``None``; not every server heeds it.
        price: of tokens; without it cost stays 0.
        budget: most that may be spent; needs a price.
        extra: further fields of every request; they override, and ``None`` removes one (newer OpenAI models want
            ``{"max_tokens": None, "max_completion_tokens": 512}``).
        spent: totals to start from, as of an earlier run that the budget covers too.

    Raises:
        ConfigError: an address, key, price or budget that cannot be used.
    """

    backoff_s = 0.5

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str = "",
        timeout_s: float = 120,
        retries: int = 5,
        seed: int | None = 0,
        price: Price | None = None,
        budget: float | None = None,
        extra: Mapping[str, Any] | None = None,
        spent: Usage | None = None,
    ) -> None:
        self.base_url, self.model = checked_url(base_url), model
        self._key = checked_key(api_key)
        self.timeout_s, self.retries, self.seed, self.extra = timeout_s, retries, seed, dict(extra or {})
        check_price(price, budget)
        self._ledger = Ledger(price, budget, spent or Usage())
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()
        # Set once a call has failed for good: the calls after it try once, until one gets through.
        self._down = False
        self._hurry = threading.Event()

    @property
    def fingerprint(self) -> str:
        """Address, model and settings; changes whenever replies may."""
        settings = json.dumps({"seed": self.seed, **self.extra}, sort_keys=True, ensure_ascii=False)
        return f"{self.base_url}|{self.model}|{settings}"

    @property
    def usage(self) -> Usage:
        """Running totals."""
        return self._ledger.total

    @contextmanager
    def no_retries(self) -> Iterator[None]:
        """Let calls under way finish their attempt and make no other, as after an interrupt."""
        self._hurry.set()
        try:
            yield
        finally:
            self._hurry.clear()

    def close(self) -> None:
        """Close idle connections; the next call opens new ones."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        top_logprobs: int = 0,
    ) -> Completion:
        """The model's next message.

        Args:
            messages: as the interface has them: ``role`` and ``content``.
            max_tokens: longest reply.
            temperature: 0 takes the likeliest token.
            top_logprobs: so many alternatives of the first token with their log-probabilities; 0 asks for none.

        Raises:
            EndpointError: one of its subclasses, by what went wrong; also when the budget does not allow the call.
        """
        body = self._body(messages, max_tokens, temperature, top_logprobs)
        worst = self._ledger.worst_case(messages, max_tokens)
        attempt = 0
        while True:
            try:
                completion = self._attempt(body, worst)
            except EndpointError as error:
                lasting = isinstance(error, EndpointTimeoutError | EndpointUnreachableError)
                if not error.transient or attempt >= self.retries or self._down or self._hurry.is_set():
                    self._down = self._down or lasting
                    raise
                if self._hurry.wait(error.retry_after_s + self._backoff(attempt)):
                    raise
                self._ledger.settle(0.0, Usage(retries=1))
                attempt += 1
            else:
                self._down = False
                return completion

    def _body(
        self, messages: Sequence[Mapping[str, Any]], max_tokens: int, temperature: float, top_logprobs: int
    ) -> bytes:
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": list(messages),
            "max_tokens": max_tokens,
            "temperature": temperature,
            "seed": self.seed,
        }
        if top_logprobs:
            fields |= {"logprobs": True, "top_logprobs": top_logprobs}
        kept = {name: value for name, value in (fields | self.extra).items() if value is not None}
        return json.dumps(kept, ensure_ascii=False).encode("utf-8", "replace")

    def _attempt(self, body: bytes, worst: float) -> Completion:
        """One request, paid for."""
        self._ledger.reserve(worst)
        used = Usage()
        try:
            status, headers, data = self._post(body)
            if status // 100 != 2:
                raise status_error(self.base_url, self.model, status, headers, without_key(data, self._key))
            completion = read_completion(data)
            if completion is None:
                raise EndpointBadReplyError(self.base_url, *problem_of(without_key(data, self._key)))
            used = self._used(completion, worst)
            return completion
        except EndpointError as error:
            if error.may_cost:
                used = Usage(uncounted=1, cost=worst)
            raise
        finally:
            self._ledger.settle(worst, used)

    def _used(self, completion: Completion, worst: float) -> Usage:
        prompt, written = completion.prompt_tokens, completion.completion_tokens
        if prompt is None or written is None:
            return Usage(requests=1, uncounted=1, cost=worst)
        price = self._ledger.price
        cost = price.of(prompt, written) if price else 0.0
        return Usage(requests=1, prompt_tokens=prompt, completion_tokens=written, cost=cost)

    def _post(self, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of one exchange."""
        import httpx

        started = time.monotonic()
        data = bytearray()
        try:
            with self._client().stream("POST", f"{self.base_url}/chat/completions", content=body) as response:
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > MAX_REPLY_BYTES:
                        size = MAX_REPLY_BYTES // 2**20
                        raise EndpointBadReplyError(self.base_url, f"more than {size} MiB", f"أكبر من {size} MiB")
                    if time.monotonic() - started > self.timeout_s:  # a server that drips never times out by itself
                        raise EndpointTimeoutError(self.base_url, self.timeout_s)
                return response.status_code, response.headers, bytes(data)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            raise EndpointUnreachableError(self.base_url, _reason(error)) from None
        except httpx.TimeoutException:
            raise EndpointTimeoutError(self.base_url, self.timeout_s) from None
        except (httpx.TransportError, httpx.DecodingError, RuntimeError) as error:
            # RuntimeError: the client was closed by another thread.
            raise EndpointUnreachableError(self.base_url, _reason(error), sent=True) from None

    def _client(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._http is None:
                headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
                if self._key:
                    headers["Authorization"] = f"Bearer {self._key}"
                self._http = httpx.Client(
                    headers=headers,
                    timeout=httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 20)),
                    limits=httpx.Limits(max_connections=None),
                    follow_redirects=False,
                    # A proxy from the environment is meant for hosts elsewhere.
                    trust_env=urlsplit(self.base_url).hostname not in _LOCAL,
                )
            return self._http

    def _backoff(self, attempt: int) -> float:
        longest = min(self.backoff_s * 2.0**attempt, 30.0)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 -- spreads retries, guards nothing


def _reason(error: Exception) -> str:
    return str(error).strip() or type(error).__name__
