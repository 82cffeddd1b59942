"""``POST /v1/export/…`` with real uploads: notice and draft in every format, pictures as the model saw them."""

from __future__ import annotations

import base64
import io
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema_rs
import numpy as np
import pytest
from PIL import Image
from upload_app import pixels_of, send, upload_client, who

from bimedix2.images import DecodeLimits
from bimedix2.notice import NOTICE_AR, NOTICE_EN
from bimedix2.serve.engines.protocol import EngineInfo
from bimedix2.serve.export.pictures import ExportPictures
from bimedix2.serve.export.routes import TYPES, export_router
from bimedix2.serve.export.wording import DRAFT
from bimedix2.serve.pictures import Pictures
from bimedix2.text import strip_bidi_controls

INFO = EngineInfo(model="nano", engine="echo", context=10, image_tokens=1, fingerprint="fp_123")
FORMS = sorted(TYPES)
SCHEMA = json.loads((Path(__file__).parent / "fhir_diagnostic_report.schema.json").read_text())


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with upload_client(tmp_path_factory.mktemp("server") / "data") as found:
        uploads = found.app.state.uploads
        pictures = Pictures(DecodeLimits(), uploads._pool)
        found.app.include_router(export_router(ExportPictures(uploads, pictures), lambda: INFO, who))
        yield found


@pytest.fixture(scope="module")
def scan(client) -> str:
    from image_builders import dicom_bytes

    data = dicom_bytes(np.array([[-1000, 0], [500, 1000]], np.int16), ImageLaterality="R")
    return send(client, data).json()["id"]


def conversation(*urls: str) -> dict:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return {
        "id": "kept",
        "title": "",
        "mode": "chat",
        "messages": [
            {"role": "system", "content": "hidden rules"},
            {"role": "user", "content": [*parts, {"type": "text", "text": "ما حجم الورم؟"}], "language": "ar"},
            {"role": "assistant", "content": "حجم الورم 12 × 8 mm في الفص الأيمن.", "language": "ar"},
            {"role": "user", "content": "In English?"},
            {"role": "assistant", "content": "The mass measures **12 × 8 mm**."},
        ],
    }


def export(client, form: str, body: dict, **headers: str):
    return client.post(f"/v1/export/{form}", json=body, headers=headers)


def words(form: str, data: bytes) -> str:
    """Plain text of a file in logical order, as far as its reader gives it."""
    if form == "docx":
        import docx

        word = docx.Document(io.BytesIO(data))
        foot = word.sections[0].footer.paragraphs
        return strip_bidi_controls("\n".join(p.text for p in [*word.paragraphs, *foot]))
    if form == "pdf":
        pdfium = pytest.importorskip("pypdfium2", reason="text of pages is read with pypdfium2")
        text = "\n".join(page.get_textpage().get_text_range() for page in pdfium.PdfDocument(data))
        return text.replace("\r\n", " ")
    if form == "fhir":
        values = json.loads(data)
        forms = [base64.b64decode(item["data"]).decode() for item in values["presentedForm"]]
        return strip_bidi_controls("\n".join([values["conclusion"], values["text"]["div"], *forms]))
    return strip_bidi_controls(data.decode())


@pytest.mark.parametrize("form", FORMS)
def test_every_format_says_what_it_is(client, scan, form):
    answer = export(client, form, {"conversation": conversation(f"upload:{scan}?center=0&width=2001")})
    assert answer.status_code == 200, answer.text
    kind, ending = TYPES[form]
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"] == f'attachment; filename="bimedix2-conversation.{ending}"'
    assert answer.headers["cache-control"] == "private, no-store"
    text = words(form, answer.content)
    assert NOTICE_EN[:60] in text and DRAFT["en"] in text and "12 × 8 mm" in text.replace("\u00a0", " ")
    assert "hidden rules" not in text
    if form != "pdf":  # PDF readers give Arabic in one of several orders; its glyphs are looked at elsewhere
        assert NOTICE_AR in text and DRAFT["ar"] in text and "حجم الورم" in text


def test_picture_is_what_the_model_saw(client, scan):
    view = {"center": 0, "width": 2001}
    expected = pixels_of(client.get(f"/v1/uploads/{scan}/image", params=view))
    answer = export(client, "markdown", {"conversation": conversation(f"upload:{scan}?center=0&width=2001")})
    text = answer.content.decode()
    inline = text[text.index("base64,") + 7 :].split(")")[0]
    assert (np.asarray(Image.open(io.BytesIO(base64.b64decode(inline))).convert("RGB")) == expected).all()
    plain = strip_bidi_controls(text)
    assert "الصورة 1 · النافذة: المركز 0، العرض 2001 · الجانب بحسب الملف: الأيمن" in plain
    english = export(
        client, "markdown", {"conversation": conversation(f"upload:{scan}?center=0&width=2001"), "language": "en"}
    )
    assert "Picture 1 · window: centre 0, width 2001 · Side according to the file: right" in english.text


def test_pictures_inside_the_request_are_decoded_again(client):
    stream = io.BytesIO()
    Image.new("RGB", (3, 3), "red").save(stream, "PNG")
    url = "data:image/png;base64," + base64.b64encode(stream.getvalue() + b"<script>").decode()
    answer = export(client, "docx", {"report": {"text": "Clear.", "images": [url]}})
    assert answer.status_code == 200 and b"<script>" not in answer.content


def test_pictures_that_are_gone_and_those_of_others(client, scan):
    for url, owner in ((f"upload:{'A' * 32}", "anna"), (f"upload:{scan}", "berta")):
        answer = export(client, "markdown", {"conversation": conversation(url)}, **{"x-owner": owner})
        assert answer.status_code == 200 and "لم تعد هذه الصورة محفوظة" in answer.text and "base64" not in answer.text


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "file:///etc/passwd", "/etc/passwd", "upload:../x", "data:text/html,x"]
)
def test_no_other_address_is_followed(client, url):
    answer = export(client, "pdf", {"conversation": conversation(url)})
    assert answer.status_code in (400, 415)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"conversation": None},
        {"report": {}},
        {"report": {"text": 3}},
        {"conversation": {"messages": []}},
        {"conversation": {"messages": [{"role": "doctor", "content": "x"}]}},
        {"report": {"text": "x"}, "conversation": {"messages": [{"role": "user", "content": "x"}]}},
        {"report": {"text": "x" * 64_001}},
        {"report": {"text": "x", "images": ["upload:x"] * 17}},
        {"report": {"text": "x", "subject": "Patient/<script>"}},
        {"report": {"text": "x", "subject": "http://evil.example/Patient/1"}},
        {"report": {"text": "x", "effective": "yesterday"}},
        {"report": {"text": "x"}, "language": "fr"},
        {"conversation": {"messages": [{"role": "user", "content": "x"}] * 257}},
    ],
)
def test_limits(client, body):
    assert export(client, "fhir", body).status_code == 422


def test_unknown_format(client):
    assert export(client, "exe", {"report": {"text": "x"}}).status_code in (404, 422)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
        "\x01\x1b",  # JSON with a NUL is refused before
        "ـ" * 300,
        "\u0301" * 5000,
        "x" * 5000,
        "**" * 3000,
        "(" * 3000,
        "م (م " * 2000,
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_any_text_is_written(client, form, text):
    assert export(client, form, {"report": {"text": text, "title": text[:400]}}).status_code == 200


REPORT = {
    "text": "## النتائج\nعقدة 12 × 8 mm في الفص العلوي الأيمن <b>&",
    "language": "ar",
    "translation": {"text": "## Findings\nNodule of 12 × 8 mm in the right upper lobe.", "language": "en"},
    "subject": "Patient/p-1",
    "effective": "2023-05-01",
}


@pytest.fixture(scope="module")
def fhir(client, scan):
    body = {"report": {**REPORT, "images": [f"upload:{scan}?center=0&width=2001"]}}
    return export(client, "fhir", body).json()


def test_fhir_is_preliminary_and_by_a_machine(fhir):
    assert fhir["status"] == "preliminary" and fhir["code"]["coding"][0]["code"] == "18748-4"
    assert "performer" not in fhir and "resultsInterpreter" not in fhir
    assert [label["code"] for label in fhir["meta"]["security"]] == ["PROCESSINLINELABEL", "AIRPT"]
    assert fhir["_conclusion"]["extension"][0]["valueCoding"]["code"] == "AIRPT"
    contained = {item["id"]: item for item in fhir["contained"]}
    assert contained["model"]["deviceName"][0]["name"] == "nano"
    assert [item["value"] for item in contained["model"]["version"]][1] == "fp_123"
    assert contained["origin"]["agent"][0]["who"]["reference"] == "#model"
    assert contained["origin"]["target"] == [{"reference": "#"}]
    assert contained["picture-1"]["content"]["title"].startswith("الصورة 1")
    assert fhir["subject"] == {"reference": "Patient/p-1"} and fhir["effectiveDateTime"] == "2023-05-01"


def test_fhir_has_a_form_for_each_language(fhir):
    forms = {item["language"]: base64.b64decode(item["data"]).decode() for item in fhir["presentedForm"]}
    assert set(forms) == {"ar", "en"} and fhir["language"] == "ar"
    assert "\u206612 × 8 mm\u2069" in forms["ar"] and "Nodule of 12 × 8 mm" in forms["en"]
    assert NOTICE_AR in strip_bidi_controls(forms["ar"]) and NOTICE_EN in forms["en"]


def test_fhir_narrative_is_valid_and_has_directions(fhir):
    root = ET.fromstring(fhir["text"]["div"])
    namespace = "{http://www.w3.org/1999/xhtml}"
    assert root.tag == f"{namespace}div"
    allowed = {f"{namespace}{name}" for name in ("div", "p", "b", "span")}
    assert {element.tag for element in root.iter()} <= allowed
    paragraphs = root.findall(f"{namespace}p")
    assert all(p.get("dir") in ("rtl", "ltr") and p.get("lang") in ("ar", "en") for p in paragraphs)
    isolated = [span.text for span in root.iter(f"{namespace}span")]
    assert "12 × 8 mm" in isolated


def test_fhir_follows_the_schema(fhir, client):
    checker = jsonschema_rs.validator_for(SCHEMA)
    assert checker.is_valid(fhir), [str(error) for error in checker.iter_errors(fhir)]
    assert not checker.is_valid({**fhir, "status": "done"})
    assert not checker.is_valid({**fhir, "issued": "today"})
    plain = export(client, "fhir", {"conversation": conversation()}).json()
    assert checker.is_valid(plain) and "media" not in plain


def test_fhir_agrees_with_a_library(fhir):
    library = pytest.importorskip("fhir.resources.R4B.diagnosticreport", reason="fhir.resources is not installed")
    found = library.DiagnosticReport.model_validate(fhir)
    assert found.status == "preliminary"
    for item in found.contained:
        assert item.__class__.__name__ in {"Device", "Provenance", "Media"}
