"""Pictures that are refused or taken, both ways into the whole server."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path
from typing import Any

from api_server import asked, uri
from bad_answers import MARK, Whole, named

sys.path.insert(0, str(Path(__file__).parents[1] / "images"))
warnings.simplefilter("ignore", UserWarning)

CODES = {
    "image_unreadable": 422, "image_too_large": 422, "image_strip": 422, "dicom_too_deep": 422,
    "dicom_bad_rescale": 422, "unsupported_image_type": 415, "dicom_syntax_unsupported": 415, "no_image_in_dicom": 415,
    "dicom_directory": 415, "dicom_expands_too_much": 413,
}  # fmt: skip


def refused(server: Whole, data: bytes, *codes: str, name: str = f"{MARK}.dcm") -> None:
    """Both ways in give the same named answer."""
    code = codes[0]
    if len(codes) > 1:  # garbage may break off at one place or another
        code = server.upload(data, name).json()["error"]["code"]
        assert code in codes
    named(lambda headers: server.upload(data, name, headers), CODES[code], code)
    if data:
        error = named(lambda headers: server.ask(asked(uri(data)), headers=headers), CODES[code], code)
        assert error["param"] == "messages[0].content[1].image_url"


def taken(server: Whole, data: bytes, name: str = "scan.dcm") -> dict[str, Any]:
    """Both ways in take the picture; the answer to the upload, with the codes of the warnings."""
    answer = server.upload(data, name)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    shown = server.send("GET", f"/v1/uploads/{found['id']}/image")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/png")
    chat = server.ask(asked(f"upload:{found['id']}"))
    assert chat.status_code == 200 and f"{found['width']}×{found['height']}" in chat.text
    assert server.ask(asked(uri(data))).status_code == 200
    assert MARK not in answer.text + chat.text
    return {**found, "codes": {warning["code"] for warning in found["warnings"]}}
