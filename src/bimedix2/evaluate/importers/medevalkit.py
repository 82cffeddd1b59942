r"""MedEvalKit: ``results.json`` of a data set.

A JSON array whose objects are the data set's own rows plus ``response``, with ``answer`` and, as the data set has
them, ``question``, ``prompt``, ``choices`` (often ``"A. …"``), ``answer_type`` (``OPEN`` or ``CLOSED``) and ``lang``.
Rows have no id of their own, so their number is taken. As there, only what stands in ``\boxed{}`` or
``<answer>`` counts where a reply has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bimedix2.errors import RecordError
from bimedix2.evaluate.predictions import PredictionRow, Rows

from ._base import Importer, Object, converted, final_answer, image_of, label_of, options_of, text_field


def read(path: Path) -> Rows:
    """Rows in the file's order."""
    return converted(path, _row)


def _row(path: Path, number: int, row: Object) -> PredictionRow:
    prompt = row["prompt"] if isinstance(row.get("prompt"), str) else ""
    question = next((row[k] for k in ("question", "Question") if isinstance(row.get(k), str)), prompt)
    language = row.get("lang", row.get("q_lang"))
    if language not in (None, "en", "ar"):
        raise RecordError(path, number, "lang", f"{language!r} is neither en nor ar", f"اللغة {language!r} غير مدعومة")
    reference = text_field(path, number, row, "answer")
    listed: Any = row["choices"] if row.get("choices") else row.get("options")
    options = options_of({"options": listed})
    label = label_of(reference, options)
    if options and label is None:
        raise RecordError(path, number, "answer", f"{reference!r} names none of the choices", "لا يسمي أيا من الخيارات")
    return PredictionRow(
        id=number,
        prediction=final_answer(text_field(path, number, row, "response", empty=True)),
        reference=label or reference,
        question=question,
        language=language,
        options=options,
        answer_type=row["answer_type"] if isinstance(row.get("answer_type"), str) else "",
        image=image_of(row),
        prompt=prompt,
    )


IMPORTER = Importer(
    name="medevalkit",
    title="MedEvalKit (2025), results.json",
    recognises=lambda head: head.array and head.has("response"),
    rows=read,
)
