"""PubMedQA (Jin et al. 2019, MIT): does the abstract answer yes, no or maybe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

import msgspec

from bimedix2.errors import ConfigError, RecordError
from bimedix2.records.schema import Record, Split

from ._common import exchange
from ._files import Values, json_entries, text
from ._reading import Option, Reading, Source, SourceInfo, each, missing

INFO = SourceInfo(
    name="pubmedqa",
    licence="MIT",
    languages=("en",),
    tasks=("qa",),
    splits=("train", "dev", "test"),
    files=(
        "pubmedqa/ori_pqal.json with test_ground_truth.json, or pqal_test_set.json with pqal_fold0/",
        "pubmedqa/pqaa_train_set.json and pqaa_dev_set.json, or ori_pqaa.json (optional)",
    ),
    notes="The 500 items of test_ground_truth.json are the official test; without that file ori_pqal.json is refused, "
    "because nothing else tells them. The generated set (pqaa) comes with --set artificial=yes.",
    notes_ar="بنود test_ground_truth.json الخمسمئة هي الاختبار الرسمي، ويرفض ori_pqal.json من دونه. تضاف المجموعة "
    "المولدة (pqaa) بالخيار --set artificial=yes.",
    options=(
        Option(
            name="answer",
            default="label",
            meaning="label: yes, no or maybe; long: the label and the authors' conclusion",
            meaning_ar="label: نعم أو لا أو ربما؛ long: مع خلاصة المؤلفين",
        ),
        Option(
            name="artificial",
            default="no",
            meaning="yes: also the 211,269 generated items",
            meaning_ar="yes: مع 211269 بندا مولدا",
        ),
    ),
)
TRUTH = "test_ground_truth.json"
_LABELS = ("yes", "no", "maybe")
_ASK = {"label": "Answer with yes, no or maybe.", "long": "Answer with yes, no or maybe, and say why."}


def read(reading: Reading) -> Iterator[Record]:
    """One record an item."""
    if reading.options["answer"] not in _ASK:
        raise ConfigError("--set answer= must be label or long.", "الخيار --set answer= قيمته label أو long.")
    for path, split_of in _files(reading):
        yield from each(reading, path, json_entries(reading, path), partial(_make, reading, split_of, path))


SplitOf = Callable[[str], Split]


def _files(reading: Reading) -> Iterator[tuple[Path, SplitOf]]:
    """Each file with the split of its items by PubMed id."""
    folder = reading.root / "pubmedqa"
    if (folder / "ori_pqal.json").exists():
        test = _test_ids(folder / TRUTH)
        yield folder / "ori_pqal.json", lambda name: "test" if name in test else "train"
    elif (folder / "pqal_test_set.json").exists():
        yield from _present(reading, folder, ("pqal_test_set.json", "test"), ("pqal_fold0/train_set.json", "train"))
        yield from _present(reading, folder, ("pqal_fold0/dev_set.json", "dev"))
    elif not reading.peek:
        raise missing(folder / "ori_pqal.json", INFO, reading)
    if reading.flag("artificial"):
        if (folder / "ori_pqaa.json").exists():
            yield from _present(reading, folder, ("ori_pqaa.json", "train"))
        else:
            yield from _present(reading, folder, ("pqaa_train_set.json", "train"), ("pqaa_dev_set.json", "dev"))


def _present(reading: Reading, folder: Path, *files: tuple[str, Split]) -> Iterator[tuple[Path, SplitOf]]:
    for name, split in files:
        if split in reading.splits and (folder / name).exists():
            yield folder / name, lambda _, split=split: split  # type: ignore[misc]
        elif split in reading.splits:
            reading.absent.append(folder / name)


def _test_ids(path: Path) -> Collection[str]:
    try:
        return set(msgspec.json.decode(path.read_bytes(), type=dict[str, str]))
    except (OSError, msgspec.MsgspecError) as error:
        problem = f"cannot be read ({error}); it names the 500 test items: get it from github.com/pubmedqa/pubmedqa"
        problem_ar = "تعذرت قراءته وهو يسمي بنود الاختبار الخمسمئة: نزله من github.com/pubmedqa/pubmedqa"
        raise RecordError(path, 0, "file", problem, problem_ar) from error


def _make(reading: Reading, split_of: SplitOf, path: Path, number: int, item: tuple[str, Values]) -> list[Record]:
    name, row = item
    contexts = row.get("CONTEXTS")
    if not isinstance(contexts, list) or not contexts or not all(isinstance(part, str) for part in contexts):
        raise RecordError(path, number, "CONTEXTS", "is not a list of texts", "ليس قائمة نصوص")
    label = text(path, number, row, "final_decision").lower()
    if label not in _LABELS:
        raise RecordError(path, number, "final_decision", f"{label!r} is not yes, no or maybe", "قيمة غير معروفة")
    kind = reading.options["answer"]
    long = f". {text(path, number, row, 'LONG_ANSWER')}" if kind == "long" else ""
    abstract, question = "\n".join(contexts), text(path, number, row, "QUESTION")
    return [
        exchange(
            f"pubmedqa:{name}:en",
            f"Abstract: {abstract}\nQuestion: {question}\n{_ASK[kind]}",
            f"{label.capitalize()}{long}",
            "en",
            task="qa",
            modality="text",
            source=INFO.name,
            licence=INFO.licence,
            split=split_of(name),
        )
    ]


SOURCES = (Source(INFO, read),)
