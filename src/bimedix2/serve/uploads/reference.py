"""``upload:ID?frame=0&center=40&width=400``: how a message points to an upload and to the view of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from bimedix2.serve.errors import ServeError

SCHEME = "upload:"
_FORM = re.compile(r"upload:([A-Za-z0-9_-]{1,64})(?:\?([A-Za-z0-9_=&.+%-]{0,200}))?")


@dataclass(frozen=True, slots=True)
class UploadReference:
    """An upload, the 0-based frame and the (centre, width) to show it with; ``None`` is the file's own."""

    id: str
    frame: int | None = None
    window: tuple[float, float] | None = None


def parse_reference(url: str, param: str | None = None) -> UploadReference:
    """Read a reference.

    Raises:
        ServeError: 400 ``bad_upload_reference``.
    """
    found = _FORM.fullmatch(url)
    try:
        if found is None:
            raise ValueError
        pairs = parse_qsl(found[2] or "", keep_blank_values=True, strict_parsing=bool(found[2]), max_num_fields=3)
        values = dict(pairs)
        if len(values) != len(pairs) or not values.keys() <= {"frame", "center", "width"}:
            raise ValueError
        window = (float(values["center"]), float(values["width"])) if {"center", "width"} & values.keys() else None
        return UploadReference(found[1], int(values["frame"]) if "frame" in values else None, window)
    except (ValueError, KeyError):
        raise ServeError(
            "A picture of ours is written upload:ID?frame=0&center=40&width=400, with centre and width together.",
            "تكتب الإشارة إلى صورة مرفوعة هكذا: upload:ID?frame=0&center=40&width=400، مع المركز والعرض معا.",
            code="bad_upload_reference",
            param=param,
        ) from None
