"""A small run on disk, made by the real runner and scorers from replies that are written down here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bimedix2.evaluate.controls import CONDITIONS
from bimedix2.evaluate.runner import RunOptions, ask_all, plan
from bimedix2.evaluate.schema import Reply, Sample, Task
from bimedix2.evaluate.scoring import results_of
from bimedix2.records.schema import Language

LANGUAGES: tuple[Language, ...] = ("en", "ar")
QUESTIONS = {"en": ("Is there a fracture {}?", "Which organ {}?"), "ar": ("هل يوجد كسر {}؟", "أي عضو {}؟")}
ANSWERS = {"en": ("yes", "left lung"), "ar": ("نعم", "الرئة اليسرى")}
MODALITIES = {"en": ("CT", "X-ray"), "ar": ("تصوير مقطعي محوسب (CT)", "أشعة سينية")}
MODES = ("corrected", "multimedeval", "named", "lenient")
HOSTILE_PROMPT = "</script><script>window.pwned = 1</script><img src=x onerror='window.pwned = 1'> & \u202egnp.exe"
HOSTILE_MODEL = "<b>m|odel</b> \u202e`x`"
LONG_REPLY = "word " * 4000
MISSING, BROKEN = "gone.png", "broken.png"


def vqa(root: Path, language: Language, split: str) -> Iterator[Sample]:
    """Eight questions on three images; closed ones have even numbers."""
    for number in range(8):
        kind = number % 2
        question = QUESTIONS[language][kind].format(number if split == "test" else f"x{number}")
        yield Sample(
            id=f"v{number}",
            task="vqa_rad",
            language=language,
            prompt=question,
            question=question,
            reference=ANSWERS[language][kind],
            images=(f"{number % 3}.png",),
            cluster=str(number % 3),
            group={"answer_type": ("closed", "open")[kind]},
        )


def modality(root: Path, language: Language, split: str) -> Iterator[Sample]:
    """Six figures; the last three are a missing image, a broken one and a hostile prompt."""
    images = ("0.png", "1.png", "2.png", MISSING, BROKEN, "0.png")
    for number, image in enumerate(images):
        yield Sample(
            id=f"r{number}",
            task="rocov2_modality",
            language=language,
            prompt=HOSTILE_PROMPT if number == 5 else f"? {number}",
            reference=MODALITIES[language][number % 2],
            images=(image,),
            options=MODALITIES[language],
        )


def anatomy(root: Path, language: Language, split: str) -> Iterator[Sample]:
    """Six questions in English, the right answer always B."""
    for number in range(6):
        yield Sample(
            id=str(number),
            task="mmlu_anatomy",
            language=language,
            prompt=f"Bone {number}? A. one B. two Answer:",
            reference="B",
            options=("one", "two"),
            letters=("A", "B"),
        )


TASKS = (
    Task("vqa_rad", "vqa", vqa, splits=("test", "train"), train_split="train"),
    Task("rocov2_modality", "classification", modality),
    Task("mmlu_anatomy", "choice", anatomy, languages=("en",), request="options"),
)


class Scripted:
    """Answers from a list: right, wrong, refused and unreadable replies at known places, without an image always no."""

    name, fingerprint = HOSTILE_MODEL, "scripted"

    def generate(self, samples: Sequence[Sample], root: Path, max_new_tokens: int) -> list[Reply]:
        return [self._vqa(s) if s.task == "vqa_rad" else self._modality(s) for s in samples]

    def _vqa(self, sample: Sample) -> Reply:
        number, arabic = int(sample.id[1:]), sample.language == "ar"
        if not sample.images:
            return Reply(id=sample.id, text="لا" if arabic else "no")
        if number == 1:
            return Reply(id=sample.id, text="لا أستطيع تقديم إجابة" if arabic else "I cannot provide an answer.")
        # Arabic has one more mistake than English.
        wrong = number == 0 or (arabic and number == 2)
        right = ANSWERS[sample.language][number % 2]
        return Reply(id=sample.id, text=("لا" if arabic else "no") if wrong else right)

    def _modality(self, sample: Sample) -> Reply:
        if sample.id == "r3" and sample.images == (MISSING,):
            return Reply(id=sample.id, error=f"image_missing: {MISSING} is not there")
        if sample.id == "r4":
            return Reply(id=sample.id, text=LONG_REPLY)
        return Reply(id=sample.id, text=MODALITIES[sample.language][0 if sample.images else 1])

    def option_scores(self, samples: Sequence[Sample], root: Path) -> list[Reply]:
        # Two of six are right.
        return [Reply(id=s.id, option_logprobs=(-1.0, -0.5 if int(s.id) < 2 else -1.5)) for s in samples]


def make_run(root: Path, out: Path) -> dict[str, Any]:
    """Ask and score everything; images lie in ``root``. Returns what ``results.json`` holds."""
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.png")
    (root / BROKEN).write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    options = RunOptions(languages=LANGUAGES, conditions=CONDITIONS)
    jobs = list(plan(TASKS, Scripted(), root, out, options))
    ask_all(jobs, Scripted(), root, options, lambda _: None)
    return results_of(jobs, Scripted.name, options, out, MODES)


def results(*rows: dict[str, Any], signature: str = "bimedix2|seed 0|limit none") -> dict[str, Any]:
    """Results written by hand, for the parts that need no files."""
    return {"model": "ours", "signature": signature, "partial": False, "rows": list(rows)}


def result_row(task: str, mode: str, metrics: dict[str, float | None], **other: Any) -> dict[str, Any]:
    """One row of them."""
    values = {name: {"value": value} for name, value in metrics.items()}
    known = {"language": "en", "condition": "model", "split": "test", "n": 9, "request": "options", "by_group": {}}
    return {"task": task, "mode": mode, "metrics": values, **known, **other}
