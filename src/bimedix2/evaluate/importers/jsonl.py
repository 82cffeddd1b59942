"""Our own JSON lines, described in :class:`bimedix2.evaluate.predictions.PredictionRow`."""

from __future__ import annotations

from bimedix2.evaluate.predictions import prediction_rows

from ._base import Importer

IMPORTER = Importer(
    name="jsonl",
    title="JSON lines with id, prediction and reference",
    recognises=lambda head: (
        not head.array and (head.has("prediction") or head.has("reference")) and not head.has("doc_id", "target")
    ),
    rows=prediction_rows,
)
