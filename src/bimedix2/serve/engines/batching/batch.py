"""Jobs that have a place: prompts that are being read, and answers that are being written."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
        """Read one piece of the oldest prompt; a whole prompt becomes a row."""
        if self._prompt is None and not self._admitted:
            return []
        ticket = self._prompt.ticket if self._prompt else self._admitted[0]
        try:
            self._read(ticket)
        except Exception as error:  # noqa: BLE001 - the job fails, not the engine
            if not is_out_of_memory(error):
                return [(ticket, error)]
            self._free_memory()
            try:
                self._prompt = None
                self._read(ticket)
            except Exception as again:  # noqa: BLE001 - the job fails, not the engine
                return [(ticket, again)]
        return []

    def step(self) -> Failures:
        """Write one token of every answer."""
        if not self._rows:
            return []
        everything = slice(0, len(self._rows))
        try:
            hidden = self._forward(everything)
        except Exception as error:  # noqa: BLE001 - whoever is at fault is found next
            if is_out_of_memory(error):
                return self._step_with_less(error)
            return self._step_alone()
        return self._choose(list(range(len(self._rows))), hidden)

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
        if fitted.dropped:
            ticket.emit(Delta(notices=((fitted.report("en"), fitted.report("ar")),)))
        ids = fitted.encoded.input_ids
        images = [job.images[index] for index in fitted.encoded.images]
        keys = identify(self.model.bundle, ids, images)
        shared, cache = self.prefixes.find(keys, job.adapter)
        return _Prompt(ticket, ids, keys, shared, self.model.open(ids, images, shared, cache, job.adapter))

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
        try:
            return list(self.model.scores(hidden, plain))
        except Exception:  # noqa: BLE001 - found out below
            found: list[Tensor | Exception] = []
            for number, kind in enumerate(plain):
                try:
                    found += self.model.scores(hidden[number : number + 1], [kind])
                except Exception as error:  # noqa: BLE001 - the row fails, not its neighbours
                    found.append(error)
            return found

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
        try:
            kept = self.pool.copy(number, length)
        except Exception:  # noqa: BLE001 - the answer is complete; without memory only the next turn is slower
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

    def _step_with_less(self, error: Exception) -> Failures:
        """Once more without the prefix cache; if memory still does not suffice, the longest row goes."""
        self._free_memory()
        try:
            hidden = self._forward(slice(0, len(self._rows)))
        except Exception as again:  # noqa: BLE001 - one row fails, the rest goes on
            longest = max(range(len(self._rows)), key=lambda number: self.pool.lengths[number])
            return [(self._rows[longest].ticket, again if is_out_of_memory(again) else error)]
        return self._choose(list(range(len(self._rows))), hidden)

    def _free_memory(self) -> None:
        self.prefixes.clear()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
