"""Small review workspaces for tests: pairs of records, findings, pictures."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.data.review.intake import Sources, start
from bimedix2.data.review.plan import Double, Plan, Zero
from bimedix2.data.review.server import ReviewServer
from bimedix2.records import ImageRef, Record, Turn, write_jsonl

ONE_READER = Plan(double=0.0)
TWO_READERS = Plan(double=1.0)
SMALL_LOT = Plan(double=0.0, critical=Zero(at_most=0.2))  # 14 rows without a fault
DOUBLE_PLAN = Plan(double=0.0, critical=Double(n1=4, accept1=0, reject1=2, n2=4, accept2=1))


def pair(number: int, *, source: str = "set", images: tuple[ImageRef, ...] = ()) -> tuple[Record, Record]:
    """An English record and its Arabic translation."""
    shown = tuple(range(len(images)))
    english = Record(
        id=f"{source}:{number}:en",
        turns=(
            Turn(role="user", text=f"What is the size of lesion {number}?", language="en", images=shown),
            Turn(role="assistant", text=f"It measures {number} x 8 mm.\nThe left lung is clear.", language="en"),
        ),
        images=images, task="vqa", modality="xray", source=source, licence="CC0-1.0",
    )  # fmt: skip
    arabic = Record(
        id=f"{source}:{number}:ar",
        turns=(
            Turn(role="user", text=f"ما حجم الآفة {number}؟", language="ar", images=shown),
            Turn(role="assistant", text=f"يبلغ قياسها {number} x 8 mm في الصورة.\nالرئة اليسرى سليمة.", language="ar"),
        ),
        images=images, task="vqa", modality="xray", source=source, licence="CC0-1.0", parent=english.id,
    )  # fmt: skip
    return english, arabic


def write_pairs(folder: Path, count: int, **more: Any) -> Path:
    """A file of pairs."""
    path = folder / f"{more.get('source', 'set')}.jsonl"
    write_jsonl(path, [record for number in range(1, count + 1) for record in pair(number, **more)])
    return path


def picture(folder: Path) -> ImageRef:
    """A picture of 90 x 60 pixels."""
    pixels = np.random.default_rng(0).integers(0, 255, (60, 90), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "scan.png")
    return ImageRef(path="scan.png")


def finding(**more: Any) -> dict[str, Any]:
    """A finding on the sizes of the second turn."""
    return {
        "check": "numbers", "severity": "critical", "turn": 1, "source": [[12, 20]], "translation": [[12, 20]],
        "english": "The number differs.", "arabic": "الرقم مختلف.", **more,
    }  # fmt: skip


def workspace(folder: Path, count: int, plan: Plan = ONE_READER, **sources: Sequence[Path]) -> Path:
    """A started workspace."""
    start(folder / "ws", Sources([write_pairs(folder, count)], **sources), plan)
    return folder / "ws"


def item_of(store: Any, number: int) -> int:
    """Item of the pair with a number."""
    found = store.number_of(f"set:{number}:ar")
    assert found is not None
    return int(found)


class Reader:
    """A browser's side of the page, over real sockets.

    Args:
        server: running.
        name: of the reviewer.
    """

    def __init__(self, server: ReviewServer, name: str) -> None:
        self.port = server.port
        link = server.links()[name]
        status, headers, _ = self.send("GET", link[link.index("/?") :])
        assert status == 303
        self.cookie = headers["Set-Cookie"].partition(";")[0]

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any, bytes]:
        """Status, headers and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        default = {"Cookie": getattr(self, "cookie", ""), "Content-Type": "application/json"}
        try:
            connection.request(method, path, data, {**default, **headers})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """JSON of a page."""
        return json.loads(self.send("GET", path)[2])

    def next(self) -> Any:
        """The next item, or None."""
        return self.get("/api/next")["item"]

    def say(self, item: int, action: str, key: str, **more: Any) -> Any:
        """Send a verdict."""
        return json.loads(self.send("POST", "/api/verdict", {"item": item, "action": action, "key": key, **more})[2])
