"""Ctrl-C in a real terminal: it stops the answer, then forgives once, then leaves."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from pathlib import Path

import pytest

pty = pytest.importorskip("pty", reason="no pseudo-terminals on this system")
termios = pytest.importorskip("termios", reason="no terminals on this system")

# A conversation whose answer would take a minute; the terminal code around it is the real one.
PROGRAM = """
import sys, time
from bimedix2.cli import _repl, chat

class SlowStream:
    answer = None
    def __iter__(self):
        for number in range(600):
            time.sleep(0.1)
            yield f"word{number} "
    def close(self):
        pass

class SlowChat:
    def stream(self, text, images, **options):
        return SlowStream()

repl = _repl.Repl(None, SlowChat(), None, "en")
print("ready", flush=True)
try:
    chat._run(repl.handle)
except KeyboardInterrupt:
    sys.exit(130)
"""


class Terminal:
    """A child process on a pseudo-terminal."""

    def __init__(self) -> None:
        self.seen = ""
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            # A run in the background of a shell ignores SIGINT, and children inherit that.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.execve(sys.executable, [sys.executable, "-c", PROGRAM], {**os.environ, "TERM": "dumb"})

    def expect(self, text: str, seconds: float = 60) -> None:
        """Wait for ``text`` after what was expected before."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} did not come; saw {self.seen!r}"
            if select.select([self.file], [], [], 0.1)[0]:
                self.seen += os.read(self.file, 65536).decode(errors="replace")
        self.seen = self.seen.split(text, 1)[1]

    def line_editor(self) -> None:
        """Wait for a prompt and then until the line editor waits for a key.

        Python's line editor notices a signal only while it waits, and the prompt appears a moment before.
        """
        self.expect("> ")
        state = Path(f"/proc/{self.pid}/stat")
        end = time.monotonic() + 60
        while termios.tcgetattr(self.file)[3] & termios.ICANON or (
            state.is_file() and state.read_text().rpartition(")")[2].split()[0] != "S"
        ):
            assert time.monotonic() < end, "no line editor"
            time.sleep(0.01)
        time.sleep(0.2)  # where /proc is missing, this has to do

    def type(self, text: str) -> None:
        os.write(self.file, text.encode())


def test_ctrl_c_stops_the_answer_then_forgives_then_leaves() -> None:
    terminal = Terminal()
    terminal.expect("ready")
    terminal.type("What is shown?\n")
    terminal.expect("word1 ")
    terminal.type("\x03")
    terminal.expect("Stopped; this turn is not kept.")
    terminal.line_editor()
    terminal.type("\x03")
    terminal.expect("Ctrl-C again")
    terminal.line_editor()
    terminal.type("\x03")
    _, status = os.waitpid(terminal.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 130
