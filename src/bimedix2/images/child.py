"""One decoding process: how it is started, asked, timed and buried."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from bimedix2.images import protocol
from bimedix2.images.messages import image_error
from bimedix2.images.types import MIB, DecodeRequest

START_SECONDS = 60.0
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); sys.path += sys.argv[2:]; "
    "from bimedix2.images.worker import main; main()"
)
_KEPT_VARIABLES = (
    "PATH",
    "SYSTEMROOT",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "TMPDIR",
    "TEMP",
    "TMP",
)


class Child:
    """One decoding process and its two pipes."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START, _PACKAGE_ROOT, *_library_folders()],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=sys.platform != "win32",
            )
        except OSError:
            raise image_error("image_decoder_unavailable") from None
        self._await_ready()

    def _await_ready(self) -> None:
        try:
            with Deadline(self, START_SECONDS):
                header, _ = protocol.read_header(self._out)
        except (OSError, protocol.ProtocolError):
            header = {}
        if header.get("ready") is not True:
            self.stop()
            raise image_error("image_decoder_unavailable")

    @property
    def _in(self) -> BinaryIO:
        return self.process.stdin  # type: ignore[return-value]

    @property
    def _out(self) -> BinaryIO:
        return self.process.stdout  # type: ignore[return-value]

    def is_usable(self) -> bool:
        """Alive, and ours: after a fork the pipes belong to the parent."""
        return self.owner == os.getpid() and self.process.poll() is None

    def ask(self, request: DecodeRequest, stream: BinaryIO, size: int) -> tuple[dict[str, Any], bytes]:
        """Send a request with the bytes of ``stream`` and read a checked answer."""
        protocol.write_header(self._in, protocol.pack_request(request), size)
        left = size
        while left:
            block = stream.read(min(left, MIB))
            if not block:
                raise protocol.ProtocolError("the file shrank while it was read")
            self._in.write(block)
            left -= len(block)
        self._in.flush()
        header, payload_size = protocol.read_header(self._out)
        protocol.check_answer(header, payload_size, request.limits, request.output)
        return header, protocol.read_exactly(self._out, payload_size)

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()

    def stop(self) -> None:
        """End the process and free its pipes; in a forked process, only let go of them."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        for pipe in (self._in, self._out):
            with suppress(OSError):  # unsent bytes of a dead child cannot be flushed
                pipe.close()

    def cause_of_death(self, late: bool) -> str:
        """Error code for a child that gave no good answer."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=0.5)
        status = self.process.returncode
        self.stop()
        if late or (sys.platform != "win32" and status == -signal.SIGXCPU):
            return "image_decode_timeout"
        if sys.platform != "win32" and status == -signal.SIGKILL:
            return "image_too_large"  # nobody but the system's memory guard kills it otherwise
        return "image_decoder_crashed"


class Deadline:
    """Kills the child when time is up, which ends any blocking read or write on its pipes."""

    def __init__(self, child: Child, seconds: float) -> None:
        self.passed = False
        self._child = child
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True

    def _expire(self) -> None:
        self.passed = True
        self._child.kill()

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()


def _library_folders() -> list[str]:
    """Where this process finds the three libraries; an isolated child might look elsewhere."""
    specs = (importlib.util.find_spec(name) for name in ("numpy", "PIL", "pydicom"))
    folders = (str(Path(spec.origin).parents[1]) for spec in specs if spec is not None and spec.origin)
    return list(dict.fromkeys(folders))


def _environment() -> dict[str, str]:
    """Only what a process needs to start: no keys, and one thread each so that address space stays small."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
