"""What goes to the screen: Arabic in the right order, streams in whole lines, progress on stderr."""

from __future__ import annotations

import sys
from typing import Any, TextIO


def readable(text: str, stream: TextIO | None = None) -> str:
    """Text as the stream's terminal needs it; a pipe or a file gets it unchanged."""
    stream = stream or sys.stdout
    if not stream.isatty() or text.isascii():
        return text
    from bimedix2.text.terminal import for_terminal

    return for_terminal(text, is_tty=True)


def say(text: str) -> None:
    """A progress line on stderr, so that stdout holds answers alone."""
    # Not typer.echo: it writes past the stream that a live view puts in the place of stderr.
    print(readable(text, sys.stderr), file=sys.stderr, flush=True)


def tell(english: str, arabic: str) -> None:
    """A line on stderr in the language of messages; in both, one below the other, where none was chosen."""
    from ._errors import message_language

    language = message_language()
    if language != "ar":
        say(english)
    if language != "en":
        say(arabic)


def in_one_language(english: str, arabic: str) -> None:
    """A line of long progress on stderr: in English where no language was chosen, for twice the lines hide the news."""
    from ._errors import message_language

    say(arabic if message_language() == "ar" else english)


def quiet_libraries() -> None:
    """Switch off the progress bars and hints of the libraries beneath."""
    from transformers.utils import logging

    library: Any = logging  # its functions carry no annotations
    library.disable_progress_bar()
    library.set_verbosity_error()


class AnswerPrinter:
    """Prints an answer as it comes: left-to-right text at once, right-to-left text in whole lines.

    The order of the letters of an Arabic line is known only when the line is complete.

    Args:
        rtl: whether the answer is to be Arabic.
        stream: where it goes; a pipe gets every piece at once in logical order.
    """

    def __init__(self, rtl: bool, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self._whole_lines = rtl and self.stream.isatty()
        self._line = ""

    def push(self, piece: str) -> None:
        """Print what can be printed of a new piece."""
        if not self._whole_lines:
            self._write(piece)
            return
        *lines, self._line = (self._line + piece).split("\n")
        for line in lines:
            self._write(readable(line, self.stream) + "\n")

    def close(self) -> None:
        """Print the rest and end the line."""
        self._write(readable(self._line, self.stream) + "\n")
        self._line = ""

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()
