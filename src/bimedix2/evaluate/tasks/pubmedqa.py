"""PubMedQA (Jin et al. 2019, arXiv 1909.06146): yes, no or maybe from an abstract; the official 500 test items."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bimedix2.errors import RecordError
from bimedix2.evaluate.schema import Sample, Task
from bimedix2.records.schema import Language

from ._files import each, field
from ._pubmedqa import Item, labelled
from ._translated import arabic_file, arabic_rows, check_source

NAME = "pubmedqa"
LABELS: dict[Language, tuple[str, str, str]] = {"en": ("yes", "no", "maybe"), "ar": ("نعم", "لا", "ربما")}
PROMPT: dict[Language, str] = {
    "en": "Abstract: {context}\nQuestion: {question}\nAnswer with yes, no or maybe.",
    "ar": "الملخص: {context}\nالسؤال: {question}\nأجب بنعم أو لا أو ربما.",
}


def read(root: Path, language: Language, split: str) -> Iterator[Sample | RecordError]:
    """Items of ``pubmedqa/`` in the layouts of :func:`labelled`; Arabic ``pubmedqa_ar/<split>.jsonl`` by id.

    Without that file Arabic asks the packaged sample of the test items; of the training items there is none: an
    error in place of their rows, so that the baselines can do without them.
    """
    translated = arabic_file(root / f"{NAME}_ar" / f"{split}.jsonl", f"{NAME}_ar.jsonl" if split == "test" else "")
    try:
        arabic = arabic_rows(translated, "context") if language == "ar" else None
    except RecordError as error:
        if split == "test" or translated.exists():
            raise
        yield error
        return

    def make(_: int, item: Item) -> Sample | None:
        path, number, name, row = item
        if not name:
            raise RecordError(path, number, "pubid", "missing or empty", "مفقود أو فارغ")
        if arabic is not None and name not in arabic:
            return None
        answer = field(path, number, row, "final_decision").lower()
        if answer not in LABELS["en"]:
            raise RecordError(path, number, "final_decision", f"{answer!r} is not yes, no or maybe", "قيمة غير معروفة")
        source = {"question": row.get("QUESTION"), "context": "\n".join(row.get("CONTEXTS") or [])}
        question, context = (field(path, number, source, key) for key in ("question", "context"))
        if arabic is not None:
            place, own = arabic[name]
            check_source(translated, place, own, question, [context])
            question, context = (field(translated, place, own, key) for key in ("question", "context"))
        return Sample(
            id=name,
            task=NAME,
            language=language,
            prompt=PROMPT[language].format(context=context, question=question),
            question=question,
            reference=LABELS[language][LABELS["en"].index(answer)],
            options=LABELS[language],
            letters=LABELS[language],
            group={"answer": answer},
        )

    yield from each(enumerate(labelled(root / NAME, split)), make)


TASK = Task(
    name=NAME,
    family="choice",
    read=read,
    splits=("test", "train"),
    train_split="train",
    request="options",
    max_new_tokens=12,
    title={"en": "PubMedQA", "ar": "PubMedQA"},
    licence="MIT",
    hub="bigbio/pubmed_qa",
    hub_files=("pqal.zip",),
    table="2",
)
