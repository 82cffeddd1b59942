"""Jobs that have a place: prompts that are being read, and answers that are being written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from bimedix2.serve.engines.protocol import Delta, Usage

from .errors import is_out_of_memory
from .pool import KVPool, layers_of
from .prefix import Key, PrefixCache, identify
from .row import Chooser, Row, Writer, is_plain

if TYPE_CHECKING:
    from torch import Tensor

    from .model import BatchModel, Reading
    from .ticket import Ticket

Failures = list[tuple["Ticket", Exception]]
Result = TypeVar("Result")


@dataclass
class _Prompt:
    """A prompt that is being read."""

    ticket: Ticket
    ids: list[int]
    keys: list[Key]
    shared: int
    reading: Reading


class Batch:
    """Up to ``places`` jobs, whose failures are their own.

    Args:
        model: reads prompts and writes tokens.
        places: rows of the pool.
        prefix_bytes: bound of the prefix cache.
    """

    def __init__(self, model: BatchModel, places: int, prefix_bytes: int) -> None:
        self.model = model
        self.pool = KVPool(places)
        self.prefixes = PrefixCache(prefix_bytes)
        self._admitted: deque[Ticket] = deque()
        self._prompt: _Prompt | None = None
        self._rows: list[Row] = []
        self._finished: list[tuple[Ticket, Delta]] = []

    def admit(self, ticket: Ticket) -> None:
        """Give a job a place."""
        self._admitted.append(ticket)

    def drop(self, ticket: Ticket) -> None:
        """Free a job's place, whatever it is at."""
        if self._prompt is not None and self._prompt.ticket is ticket:
            self._prompt = None
        elif ticket in self._admitted:
            self._admitted.remove(ticket)
        for number, row in enumerate(self._rows):
            if row.ticket is ticket:
                self._leave(number)
                return

    def finished(self) -> list[tuple[Ticket, Delta]]:
        """Jobs that were answered since the last call, each with its last piece, which is still to be sent."""
        done, self._finished = self._finished, []
        return done

    def read(self) -> Failures:
        """Encode one image or read one piece of the oldest prompt; a whole prompt becomes a row."""
        if self._prompt is None and not self._admitted:
            return []
        ticket = self._prompt.ticket if self._prompt else self._admitted[0]
        error = _attempt(lambda: self._read(ticket))
        if error is not None and is_out_of_memory(error):
            error, self._prompt = None, None
            self._free_memory()
            error = _attempt(lambda: self._read(ticket))
        return [] if error is None else [(ticket, error)]

    def step(self) -> Failures:
        """Write one token of every answer."""
        if not self._rows:
            return []
        hidden = self._forward_all()
        if not isinstance(hidden, Exception):
            return self._choose(list(range(len(self._rows))), hidden)
        scarce = is_out_of_memory(hidden)
        del hidden
        return self._step_with_less() if scarce else self._step_alone()

    def _read(self, ticket: Ticket) -> None:
        if self._prompt is None:
            self._prompt = self._open(ticket)
            if self._admitted and self._admitted[0] is ticket:
                self._admitted.popleft()
        scores = self.model.read(self._prompt.reading)
        if scores is not None:
            prompt, self._prompt = self._prompt, None
            self._join(prompt, scores)

    def _open(self, ticket: Ticket) -> _Prompt:
        job = ticket.job
        fitted = self.model.fit(job.turns, job.config)
        ids = fitted.encoded.input_ids
        images = [job.images[index] for index in fitted.encoded.images]
        keys = identify(self.model.bundle, ids, images)
        shared, cache = self.prefixes.find(keys, job.adapter)
        reading = self.model.open(ids, images, shared, cache, job.adapter)
        # A prompt that is opened again, after memory ran out, is no news.
        if fitted.dropped and ticket in self._admitted:
            ticket.emit(Delta(notices=((fitted.report("en"), fitted.report("ar")),)))
        return _Prompt(ticket, ids, keys, shared, reading)

    def _join(self, prompt: _Prompt, scores: Tensor) -> None:
        """The first token, and a row for the others."""
        ticket, bundle = prompt.ticket, self.model.bundle
        config, limit = ticket.job.config, self.model.context - len(prompt.ids)
        row = Row(
            ticket,
            prompt.keys,
            len(prompt.ids),
            prompt.shared,
            Chooser(config, [bundle.image_token_id], scores.device),
            Writer(bundle.tokenizer, config, self.model.ends, min(config.max_new_tokens, limit)),
        )
        layers = layers_of(prompt.reading.cache)
        self.prefixes.add(prompt.keys, ticket.job.adapter, layers)
        self.pool.join(layers, config.max_new_tokens)
        self._rows.append(row)
        number = len(self._rows) - 1
        try:
            done = self._write(row, scores)
        except Exception:
            self._leave(number)
            raise
        if done:
            self._finish(number)

    def _forward_all(self) -> Tensor | Exception:
        return _attempt(lambda: self._forward(slice(0, len(self._rows))))

    def _forward(self, rows: slice) -> Tensor:
        chosen = self._rows[rows]
        hidden = self.model.step(
            self.pool, rows, [row.token for row in chosen], [row.ticket.job.adapter for row in chosen]
        )
        self.pool.advance(rows)
        return hidden

    def _choose(self, numbers: list[int], hidden: Tensor) -> Failures:
        """Next tokens of some rows from their hidden states (N, D)."""
        rows = [self._rows[number] for number in numbers]
        failures: Failures = []
        done: list[Row] = []
        for row, scores in zip(rows, self._scores(rows, hidden), strict=True):
            try:
                if isinstance(scores, Exception):
                    raise scores
                if self._write(row, scores):
                    done.append(row)
            except Exception as error:  # noqa: BLE001 - the row fails, not its neighbours
                failures.append((row.ticket, error))
        for row in done:
            self._finish(next(number for number, own in enumerate(self._rows) if own is row))
        return failures

    def _scores(self, rows: list[Row], hidden: Tensor) -> list[Tensor | Exception]:
        """Scores of each row's next token; one row at a time where all together fail."""
        plain = [is_plain(row.ticket.job.config) for row in rows]
        together = _attempt(lambda: self.model.scores(hidden, plain))
        if not isinstance(together, Exception):
            return list(together)
        del together
        return [self._score(hidden[number : number + 1], kind) for number, kind in enumerate(plain)]

    def _score(self, hidden: Tensor, plain: bool) -> Tensor | Exception:
        return _attempt(lambda: self.model.scores(hidden, [plain])[0])

    def _write(self, row: Row, scores: Tensor) -> bool:
        """Choose a token and send its text; whether the answer is complete; its last piece is then kept."""
        row.token = row.chooser.choose(scores)
        text = row.writer.push(row.token)
        if row.writer.reason is None:
            row.keys.append(row.token)
            if text:
                row.ticket.emit(Delta(text=text))
            return False
        usage = Usage(row.prompt, row.writer.tokens, row.reused)
        row.last = Delta(text=text, finish_reason=row.writer.reason, usage=usage)
        return True

    def _finish(self, number: int) -> None:
        """Keep what the row holds for the next turn of the conversation, and free it."""
        row, length = self._rows[number], self.pool.lengths[number]
        kept = _attempt(lambda: self.pool.copy(number, length))
        if isinstance(kept, Exception):
            # The answer is complete; without memory only the next turn is slower.
            del kept
            self._free_memory()
        else:
            self.prefixes.add(row.keys[:length], row.ticket.job.adapter, kept)
        self._finished.append((row.ticket, row.last))
        self._leave(number)

    def _leave(self, number: int) -> None:
        self.pool.leave(number)
        last = self._rows.pop()
        if number < len(self._rows):
            self._rows[number] = last

    def _step_alone(self) -> Failures:
        """Row by row, after a step of all together has failed: whoever is at fault fails alone."""
        failures: Failures = []
        outcomes: list[tuple[int, Tensor]] = []
        for number, row in enumerate(self._rows):
            try:
                outcomes.append((number, self._forward(slice(number, number + 1))))
            except Exception as error:  # noqa: BLE001 - the row fails, not its neighbours
                failures.append((row.ticket, error))
        if outcomes:
            failures += self._choose([number for number, _ in outcomes], torch.cat([hidden for _, hidden in outcomes]))
        return failures

    def _step_with_less(self) -> Failures:
        """Once more without the prefix cache; if memory still does not suffice, the longest row goes."""
        self._free_memory()
        hidden = self._forward_all()
        if not isinstance(hidden, Exception):
            return self._choose(list(range(len(self._rows))), hidden)
        longest = max(range(len(self._rows)), key=lambda number: self.pool.lengths[number])
        return [(self._rows[longest].ticket, MemoryError())]

    def _free_memory(self) -> None:
        self.prefixes.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _attempt(work: Callable[[], Result]) -> Result | Exception:
    """What ``work`` returns or raises.

    Whoever tries again lets go of the failure first: its traceback holds every tensor of the calls that failed, which
    is the very memory that the next attempt needs.
    """
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - the caller decides whose failure it is
        return error
