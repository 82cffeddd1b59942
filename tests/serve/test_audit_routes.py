"""Who took which picture or file out stands in the audit log before it goes, by hashes alone."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

from fastapi.testclient import TestClient
from PIL import Image

from bimedix2.serve.app import create_app
from bimedix2.serve.engines.echo import EchoEngine
from bimedix2.serve.settings import ServeSettings
from bimedix2.serve.store.audit import entries, verify


def picture() -> bytes:
    held = io.BytesIO()
    Image.new("RGB", (32, 24), (90, 10, 10)).save(held, "PNG")
    return held.getvalue()


def test_uploads_and_exports_leave_a_line(tmp_path: Path) -> None:
    settings = ServeSettings(data=tmp_path / "data", engine="echo")
    with TestClient(create_app(settings, EchoEngine()), base_url="http://127.0.0.1:8000") as client:
        name = client.post("/v1/uploads", files={"file": ("Jane Doe.png", picture())}).json()["id"]
        assert client.get(f"/v1/uploads/{name}/image").status_code == 200
        report = {"report": {"text": "Normal heart size.", "language": "en"}}
        assert client.post("/v1/export/markdown", json=report).status_code == 200
        assert client.delete(f"/v1/uploads/{name}").status_code == 204
    log = settings.data / "audit.jsonl"
    lines = list(entries(log))
    assert [line["action"] for line in lines] == ["upload.create", "upload.read", "export.markdown", "upload.delete"]
    text = log.read_text(encoding="utf-8")
    assert "Jane" not in text and name not in text
    assert hashlib.sha256(name.encode()).hexdigest()[:16] in text
    assert verify(log).sound
