"""A FHIR R4 ``DiagnosticReport`` that says it is a preliminary text of an AI model. Source: https://hl7.org/fhir/R4/."""

from __future__ import annotations

import base64
import html
import json
from typing import Any

from bimedix2.notice import notice
from bimedix2.records.schema import Language
from bimedix2.serve.engines.protocol import EngineInfo
from bimedix2.serve.export.build import Export
from bimedix2.serve.export.document import Block, Document, block, blocks_of
from bimedix2.serve.export.markdown import write_markdown
from bimedix2.serve.export.request import Report
from bimedix2.serve.export.wording import DRAFT, caption
from bimedix2.text.bidi import Direction

_LOINC = "http://loinc.org"
_ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
_OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
_INLINE_LABEL = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
_AI = {"system": _OBSERVATION_VALUE, "code": "AIRPT", "display": "artificial intelligence reported"}
_MODEL, _ORIGIN = "model", "origin"


def write_fhir(export: Export, info: EngineInfo, version: str, report: Report | None = None) -> bytes:
    """JSON of the resource.

    The model stands in a contained ``Device`` and a contained ``Provenance`` says that it is the author: in R4
    ``performer`` takes people and organisations only. Nobody is named who has not signed.

    Args:
        export: texts and pictures.
        info: the model.
        version: of this software.
        report: subject and time, where the caller gives them.
    """
    made = export.made.isoformat().replace("+00:00", "Z")
    main = _main_language(export)
    resource: dict[str, Any] = {
        "resourceType": "DiagnosticReport",
        "meta": {"security": [{"system": _ACT_CODE, "code": "PROCESSINLINELABEL"}, _AI]},
        "language": main,
        "text": {"status": "generated", "div": _narrative(export)},
        "contained": [_device(info, version), _provenance(made), *_media(export, main)],
        "status": "preliminary",
        "category": [{"coding": [_coding("http://terminology.hl7.org/CodeSystem/v2-0074", "RAD", "Radiology")]}],
        "code": {"coding": [_coding(_LOINC, "18748-4", "Diagnostic imaging study")]},
        "issued": made,
        **_given(report),
    }
    if export.shown:
        numbers = range(1, len(export.shown) + 1)
        resource["media"] = [{"link": {"reference": f"#picture-{number}"}} for number in numbers]
    if export.reports:
        resource["conclusion"] = f"{DRAFT[main]}. {notice(main)}\n\n{export.reports[main]}"
        resource["_conclusion"] = {"extension": [{"url": _INLINE_LABEL, "valueCoding": _AI}]}
        resource["presentedForm"] = [_attachment(language, text, made) for language, text in export.reports.items()]
    return json.dumps(resource, ensure_ascii=False, indent=2).encode()


def _main_language(export: Export) -> Language:
    if not export.reports or export.document.language in export.reports:
        return export.document.language
    return next(iter(export.reports))


def _coding(system: str, code: str, display: str) -> dict[str, str]:
    return {"system": system, "code": code, "display": display}


def _given(report: Report | None) -> dict[str, Any]:
    given: dict[str, Any] = {}
    if report is not None and report.subject is not None:
        given["subject"] = {"reference": report.subject}
    if report is not None and report.effective is not None:
        given["effectiveDateTime"] = report.effective
    return given


def _device(info: EngineInfo, version: str) -> dict[str, Any]:
    return {
        "resourceType": "Device",
        "id": _MODEL,
        "deviceName": [{"name": info.model, "type": "model-name"}],
        "type": {"text": "Generative AI model, research use only"},
        "version": [
            {"type": {"text": "software"}, "value": version},
            {"type": {"text": "fingerprint"}, "value": info.fingerprint or "unknown"},
        ],
    }


def _provenance(made: str) -> dict[str, Any]:
    agents = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    return {
        "resourceType": "Provenance",
        "id": _ORIGIN,
        "meta": {"security": [_AI]},
        "target": [{"reference": "#"}],
        "recorded": made,
        "agent": [
            {"type": {"coding": [_coding(agents, "author", "Author")]}, "who": {"reference": f"#{_MODEL}"}},
        ],
    }


def _media(export: Export, language: Language) -> list[dict[str, Any]]:
    return [
        {
            "resourceType": "Media",
            "id": f"picture-{number}",
            "status": "completed",
            "content": {
                "contentType": "image/png",
                "data": base64.b64encode(shown.png).decode(),
                "title": caption(language, number, shown.frame, shown.window, shown.side),
            },
        }
        for number, shown in enumerate(export.shown, 1)
    ]


def _attachment(language: Language, text: str, made: str) -> dict[str, Any]:
    """The report with notice and draft mark, as Markdown whose order is safe in plain-text viewers."""
    base: Direction = "rtl" if language == "ar" else "ltr"
    head = block(f"{DRAFT[language]}. {notice(language)}", "notice", default=base)
    document = Document(title="", language=language, blocks=(head, *blocks_of(text, base)))
    return {
        "contentType": "text/markdown; charset=utf-8",
        "language": language,
        "data": base64.b64encode(write_markdown(document)).decode(),
        "title": DRAFT[language],
        "creation": made,
    }


def _narrative(export: Export) -> str:
    blocks = [item for item in export.document.blocks if item.kind != "picture"]
    return f'<div xmlns="http://www.w3.org/1999/xhtml">{"".join(map(_paragraph, blocks))}</div>'


def _paragraph(item: Block) -> str:
    parts = []
    for run in item.runs:
        text = "".join(
            f"<b>{html.escape(span.text)}</b>" if span.bold else html.escape(span.text) for span in run.spans
        )
        # R4 narratives allow no bdi; a span with a direction is isolated as well.
        parts.append(f'<span dir="ltr">{text}</span>' if run.isolated and item.direction == "rtl" else text)
    mark = f"{html.escape(item.mark)} " if item.mark else ""
    attributes = f'lang="{item.language}" xml:lang="{item.language}" dir="{item.direction}"'
    return f"<p {attributes}>{mark}{''.join(parts)}</p>"
