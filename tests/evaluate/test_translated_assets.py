"""The packaged Arabic items: their shape, how tasks fall back to them, and their agreement with the English source."""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bimedix2.errors import RecordError
from bimedix2.evaluate.registry import all_tasks
from bimedix2.evaluate.runner import RunOptions, plan
from bimedix2.evaluate.schema import Sample
from bimedix2.evaluate.tasks import _translated
from bimedix2.evaluate.tasks._translated import PACKAGED, source_sha256
from bimedix2.records.schema import Language

SUBJECTS = ("anatomy", "clinical_knowledge", "college_biology", "college_medicine", "medical_genetics",
            "professional_medicine")  # fmt: skip
SIZES = {f"mmlu_ar/{subject}_test.jsonl": 15 for subject in SUBJECTS} | {
    "medmcqa_ar.jsonl": 50,
    "medqa_ar.jsonl": 40,
    "pubmedqa_ar.jsonl": 30,
}
TASK_OF = {name: name.split(".")[0].replace("_ar", "").replace("/", "_").removesuffix("_test") for name in SIZES}
Item = tuple[str, dict[str, Any], dict[str, Any]]
"""Name of item, English row, Arabic row."""


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (PACKAGED / name).read_text(encoding="utf-8").splitlines()]


def texts(row: dict[str, Any]) -> list[str]:
    return [row["question"], *(row["options"] if "options" in row else [row["context"]])]


def tool() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "tools" / "choose_translation_items.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def items(data_root: Path) -> list[Item]:
    english = tool().choose(data_root)
    assert {name: [(row["id"], row["source_sha256"]) for row in rows(name)] for name in SIZES} == {
        name: [(row["id"], row["source_sha256"]) for row in chosen] for name, chosen in english.items()
    }, "the files hold other items than the tool chooses"
    return [
        (f"{name}:{source['id']}", source, row)
        for name, chosen in english.items()
        for source, row in zip(chosen, rows(name), strict=True)
    ]


# --- shape, without the data sets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIZES)
def test_every_file_has_its_items_and_holds_arabic_alone(name: str) -> None:
    found = rows(name)
    assert len({row["id"] for row in found}) == len(found) == SIZES[name]
    text_field = "context" if name.startswith("pubmedqa") else "options"
    for row in found:
        assert list(row) == ["id", "source_sha256", "question", text_field]
        assert re.fullmatch("[0-9a-f]{64}", row["source_sha256"])
        assert text_field == "context" or len(set(row["options"])) == len(row["options"]) == 4
        for text in texts(row):
            assert text == " ".join(text.split())
            assert not re.search("[\u064b-\u0652\u0660-\u0669\u06f0-\u06f9\u200e\u200f\u202a-\u202e]", text)
            assert not re.search(r"(?<!\b[بل])\u0640|\u0640(?! \[?[A-Za-z0-9(]|:$)", text), text
            assert not re.search(r"\s[،؛؟.:]|[\u0600-\u06ff)] ?[;?]|[\u0600-\u06ff] ?,", text), text
            assert not english_sentences(text), row["id"]


# --- how tasks use them -------------------------------------------------------------------------------------------


def write(path: Path, *found: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")


def read(name: str, root: Path, language: Language, bad: list[RecordError] | None = None) -> list[Sample]:
    task = all_tasks()[name]
    return list(task.samples(root, language, task.splits[0], bad))


OPTIONS = ["Liver", "Kidney", "Lung", "Spleen"]
ARABIC = {"question": "أي عضو؟", "options": ["الكبد", "الكلية", "الرئة", "الطحال"]}


def mmlu(root: Path, option: str = "Spleen") -> None:
    (root / "mmlu").mkdir(exist_ok=True)
    lines = ['"An item that is not translated?",a,b,c,d,A', f"Which  organ?,Liver,Kidney,Lung,{option},B"]
    (root / "mmlu" / "anatomy_test.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def medmcqa(root: Path, option: str = "Spleen") -> None:
    row = {"id": "2", "question": "Which organ?", "cop": 2, "choice_type": "single"}
    write(root / "medmcqa" / "dev.json", row | dict(zip(["opa", "opb", "opc", "opd"], [*OPTIONS[:3], option])))  # noqa: B905


def medqa(root: Path, option: str = "Spleen") -> None:
    options = dict(zip("ABCD", [*OPTIONS[:3], option], strict=True))
    other = {"question": "Not translated?", "options": options, "answer_idx": "A"}
    write(root / "medqa" / "test.jsonl", other, {"question": "Which organ?", "options": options, "answer_idx": "B"})


@pytest.mark.parametrize(
    ("task", "make", "packaged", "own"),
    [
        ("mmlu_anatomy", mmlu, "mmlu_ar/anatomy_test.jsonl", "mmlu_ar/anatomy_test.jsonl"),
        ("medmcqa", medmcqa, "medmcqa_ar.jsonl", "medmcqa_ar/dev.jsonl"),
        ("medqa", medqa, "medqa_ar.jsonl", "medqa_ar/test.jsonl"),
    ],
)
def test_choice_tasks_fall_back_to_the_packaged_items(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    task: str,
    make: Callable[..., None],
    packaged: str,
    own: str,
) -> None:
    shipped = tmp_path / "package"
    monkeypatch.setattr(_translated, "PACKAGED", shipped)
    make(tmp_path)
    with pytest.raises(RecordError, match="Arabic needs this file") as missing:
        read(task, tmp_path, "ar")
    assert "تحتاج العربية إلى هذا الملف" in missing.value.message_ar
    write(shipped / packaged, {"id": "2", "source_sha256": source_sha256("Which organ?", *OPTIONS), **ARABIC})
    (arabic,) = read(task, tmp_path, "ar")
    assert (arabic.id, arabic.options, arabic.reference) == ("2", tuple(ARABIC["options"]), "ب")
    assert read(task, tmp_path, "en")[-1].reference == "B"
    make(tmp_path, "Brain")
    bad: list[RecordError] = []
    assert read(task, tmp_path, "ar", bad) == []
    (error,) = bad
    assert (error.path, error.row, error.field) == (str(shipped / packaged), 1, "source_sha256")
    assert "translated from another English text" in error.message
    assert "الصف 1، الحقل source_sha256: تُرجم العنصر 2 عن نص إنجليزي غير الموجود هنا" in error.message_ar
    write(tmp_path / own, {"id": "2", **ARABIC, "question": "أيها؟"})
    assert [sample.question for sample in read(task, tmp_path, "ar")] == ["أيها؟"]


def test_pubmedqa_falls_back_and_its_baselines_do_without_arabic_training_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "package" / "pubmedqa_ar.jsonl"
    monkeypatch.setattr(_translated, "PACKAGED", shipped.parent)
    item = {"QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "final_decision": "maybe"}
    write(tmp_path / "pubmedqa" / "ori_pqal.json", {"1": item, "2": item, "3": item | {"final_decision": "no"}})
    write(tmp_path / "pubmedqa" / "test_ground_truth.json", {"2": "maybe", "3": "no"})
    row = {"id": "2", "source_sha256": source_sha256("Does it?", "One. Two."), "question": "هل؟", "context": "نص."}
    write(shipped, row)
    (arabic,) = read("pubmedqa", tmp_path, "ar")
    assert (arabic.prompt.splitlines()[0], arabic.reference) == ("الملخص: نص.", "ربما")
    options = RunOptions(languages=("ar",), conditions=("majority", "lookup"))
    engine: Any = SimpleNamespace(name="none", fingerprint="")
    jobs = list(plan([all_tasks()["pubmedqa"]], engine, tmp_path, tmp_path / "run", options))
    assert [(job.condition, [reply.text for reply in job.replies.values()]) for job in jobs] == [("majority", ["ربما"])]
    with pytest.raises(RecordError, match=r"pubmedqa_ar.train\.jsonl.*Arabic needs this file"):
        list(all_tasks()["pubmedqa"].samples(tmp_path, "ar", "train"))
    write(shipped, row | {"source_sha256": source_sha256("Does it?", "One.")})
    with pytest.raises(RecordError, match=r"pubmedqa_ar\.jsonl, row 1, field source_sha256"):
        read("pubmedqa", tmp_path, "ar")


@pytest.mark.parametrize("name", SIZES)
def test_arabic_asks_the_same_items_as_english(data_root: Path, name: str) -> None:
    if (data_root / name.replace("_ar.jsonl", "_ar")).exists():
        pytest.skip("the data folder has translations of its own")
    arabic, english = (read(TASK_OF[name], data_root, language) for language in ("ar", "en"))  # type: ignore[arg-type]
    assert {sample.id for sample in arabic} == {row["id"] for row in rows(name)}
    by_id = {sample.id: sample for sample in english}
    for sample in arabic:
        source = by_id[sample.id]
        assert sample.letters.index(sample.reference) == source.letters.index(source.reference)
        assert sample.group == source.group


# --- agreement with the English source ----------------------------------------------------------------------------

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
WORD_FOR_ONE_OR_TWO = re.compile(
    r"سنتان|شهران|شهرين|[أا]?ل?أسبوعين|يومان|يومين|اليومين|حبتين|صفيحتان"
    r"|(?:سنة|شهرا|أسبوع|يوم|ساعة|دقيقة|صفيحة صغيرة|علبة سجائر|الحبة) (?:ال)?واحد[ةا]?"
)
"""Arabic says one or two of a thing in letters: these stand for a figure 1 or 2."""
REORDERED = {"pubmedqa_ar.jsonl:9488747", "pubmedqa_ar.jsonl:20337202"}
"""Here the Arabic sentence names its figures in another order."""
ABBREVIATION = re.compile(r"(?<![A-Za-z])[A-Za-z]*[A-Z][A-Za-z]*[A-Z][A-Za-z0-9]*|\b[A-Z]+\d+[A-Za-z]?\b")
AS_WORDS = {
    "NOT": "ليس", "EXCEPT": "ما عدا", "CASE": "الحالة", "IV": "وريد", "MATERIALS": "المواد", "GRID": "الشبكة",
    "HBs": "HBsAg", "DiGeorge": "دي جورج", "McNemar": "ماكنمار",
    "VSDs": "VSD", "ASDs": "ASD", "ECDs": "ECD", "CLABSIs": "CLABSI",
}  # fmt: skip
"""Not abbreviations, or English plurals of some: what stands in the Arabic in their place."""
UNIT = re.compile(
    r"(?<=\d)[ -]?(mm ?Hg|cm H2O|mg/dL|g/dL|pg/mL|ng/dL|µg/mL|µg/dL|µg|μg/kg|mEq/L|mIU/mL|U/L|/min|kJ/min|L/min|l/min"
    r"|kg/m2|kg|lb|mg|g|cm|mm|μm3|/mm3|/hpf|°C|°F|℃|℉|Gy|dBA|Hz|microM|%|sec|ft|h)(?![A-Za-z])"
)
LATIN_ADDED = {"warfarin", "hbsag", "davey", "c", "mrna", "introgression"}
"""Latin words of a translation that its source spells otherwise or leaves out."""


def english_sentences(text: str) -> list[str]:
    """Runs of four or more Latin words, name and address of a maker apart."""
    text = text.replace("OraSure Technologies, Inc., Bethlehem, PA, USA", "")
    return re.findall(r"(?:\b[A-Za-z]{2,}\b[ ,]+){3,}[A-Za-z]{2,}\b", text)


def joined(row: dict[str, Any]) -> str:
    return "\n".join(texts(row))


def without_ones_and_twos(numbers: list[str], count: int) -> Iterator[list[str]]:
    """The numbers with ``count`` of the figures 1 and 2 taken out, in every way there is."""
    places = [place for place, number in enumerate(numbers) if number in ("1", "2")]
    for gone in itertools.combinations(places, count):
        yield [number for place, number in enumerate(numbers) if place not in gone]


def test_numbers_are_those_of_the_source_in_its_order(items: list[Item]) -> None:
    for name, source, row in items:
        english, arabic = NUMBER.findall(joined(source)), NUMBER.findall(joined(row))
        in_letters = len(english) - len(arabic)
        assert 0 <= in_letters <= len(WORD_FOR_ONE_OR_TWO.findall(joined(row))), (name, english, arabic)
        if name in REORDERED:
            english, arabic = sorted(english), sorted(arabic)
        assert any(rest == arabic for rest in without_ones_and_twos(english, in_letters)), (name, english, arabic)


def test_units_are_those_of_the_source(items: list[Item]) -> None:
    def units(text: str) -> Counter[str]:
        found = UNIT.findall(text.replace("℃", "°C").replace("℉", "°F"))
        return Counter(unit.replace(" ", "") for unit in found)

    for name, source, row in items:
        assert units(joined(source)) == units(joined(row)), name


def test_abbreviations_and_latin_terms_are_those_of_the_source(items: list[Item]) -> None:
    for name, source, row in items:
        english, arabic = joined(source), joined(row)
        known = {word.casefold() for word in re.findall("[A-Za-z]+", english)}
        used = {word.casefold() for word in re.findall("[A-Za-z]+", arabic)}
        assert used <= known | LATIN_ADDED, (name, used - known)
        for found in set(ABBREVIATION.findall(english)):
            there = re.search(rf"(?<![A-Za-z]){re.escape(found)}(?![A-Za-z])", arabic, re.IGNORECASE)
            assert there or AS_WORDS.get(found, "\0") in arabic, (name, found)


def test_items_are_arabic_throughout_and_about_as_long(items: list[Item]) -> None:
    for name, source, row in items:
        for english, arabic in zip(texts(source), texts(row), strict=True):
            letters, latin = len(re.findall("[\u0621-\u064a]", arabic)), len(re.findall("[A-Za-z]", arabic))
            assert letters or english.casefold() == arabic.casefold() or arabic in english, (name, arabic)
            assert arabic is not row["question"] or letters > 0.7 * latin, (name, arabic)
        assert 0.55 < len(joined(row)) / len(joined(source)) < 1.6, name


def test_latin_glosses_do_not_point_at_the_answer(data_root: Path, items: list[Item]) -> None:
    by_name = {name: source for name, source, _ in items}
    for file in SIZES:
        for sample in read(TASK_OF[file], data_root, "ar"):
            english = by_name[f"{file}:{sample.id}"].get("options", ["yes", "no", "maybe"])
            pairs = list(zip(english, sample.options, strict=True))
            if not any(re.search(r"[A-Z]{2}|\d", option) for option in english):
                glossed = [bool(re.search("[A-Za-z]", arabic)) for _, arabic in pairs]
                right = glossed.pop(sample.letters.index(sample.reference))
                assert right in glossed, (file, sample.id, sample.options)
