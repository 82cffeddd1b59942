"""Bad data, predictions and run folders at the command line: what is said, in both languages, and what is left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bimedix2.evaluate import predictions

QUESTION = {"q_lang": "en", "img_name": "x.png", "question": "Is it normal?", "answer": "Yes", "answer_type": "CLOSED"}
GOOD = {"id": 1, "prediction": "yes", "reference": "yes"}
Invoke = Callable[..., Any]
Wanted = tuple[str, ...]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data root with SLAKE's one image."""
    (tmp_path / "data" / "slake" / "imgs").mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(tmp_path / "data" / "slake" / "imgs" / "x.png")
    return tmp_path / "data"


@pytest.fixture
def ask(invoke: Invoke, data: Path, model_folder: Path) -> Invoke:
    """``bimedix2 evaluate`` on that root, with messages in one language."""

    def command(*tasks: str, out: Path | None = None, lang: str = "en", **more: str) -> Any:
        os.environ["BIMEDIX2_LANG"] = lang
        options = [part for name, value in more.items() for part in (f"--{name}", value)]
        run = out or data.parent / "run"
        return invoke(
            "evaluate", *tasks, "--data", str(data), "--out", str(run), "--model", str(model_folder), "--lang", "en",
            *options,
        )  # fmt: skip

    return command


@pytest.fixture(autouse=True)
def language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests set the language of messages themselves."""
    monkeypatch.setenv("BIMEDIX2_LANG", "en")


def slake(data: Path, *rows: Any, split: str = "test") -> Path:
    """Write a file of questions; bytes are written as they are."""
    path = data / "slake" / f"{split}.json"
    content = rows[0] if isinstance(rows[0], bytes) else json.dumps(list(rows)).encode()
    path.write_bytes(content)
    return path


def said(done: Any, status: int, *wanted: str) -> str:
    """The output of a command that has failed for a reason that it names."""
    assert done.exit_code == status, done.output
    assert "[internal]" not in done.output
    assert "Traceback" not in done.output
    for text in wanted:
        assert text in done.output, done.output
    return str(done.output)


def results(data: Path) -> Any:
    return json.loads((data.parent / "run" / "results.json").read_text(encoding="utf-8"))


LANGUAGES = pytest.mark.parametrize("lang", ["en", "ar"])


@LANGUAGES
def test_unknown_names(ask: Invoke, data: Path, lang: str) -> None:
    slake(data, {**QUESTION, "qid": 1})
    unknown = {"en": "is not known. Choose one of", "ar": "غير معروف. اختر من"}[lang]
    split = {"en": "has no split 'dev'. Choose one of: test", "ar": "لا يوجد قسم 'dev'"}[lang]
    said(ask("slakke", lang=lang), 2, "'slakke'", unknown, "slake")
    said(ask("slake", lang=lang, mode="correctd"), 2, "'correctd'", unknown, "corrected")
    said(ask("slake:dev", lang=lang), 2, split)
    assert not (data.parent / "run").exists()


@LANGUAGES
def test_missing_data(ask: Invoke, data: Path, lang: str) -> None:
    remedy = {"en": "not found. Download SLAKE", "ar": "غير موجود. نزل SLAKE"}[lang]
    said(ask("slake", lang=lang), 1, "test.json", remedy)
    assert not (data.parent / "run").exists()


DAMAGED = [
    (b'[{"q_lang": "en", "question": "Is', ("row 0, field row", "not JSON"), ("الصف 0", "ليس JSON")),
    (b'{"q_lang": "en", "question": "\xff\xfe"}\n', ("row 1, field row", "UTF-8"), ("الصف 1", "UTF-8")),
    (b"[1, 2]", ("row 1, field row", "not a JSON object"), ("الصف 1", "ليس كائن JSON")),
    (b"[]", ("split test is empty. Choose another",), ("القسم test فارغ",)),
    (
        json.dumps([{**QUESTION, "qid": n, "answer": None, "reply": "Yes"} for n in (1, 2)]).encode(),
        ("row 1, field answer", "no other row can be read: 2 of 2"),
        ("الصف 1، الحقل answer", "المعيب 2 من 2"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("content", "english", "arabic"), DAMAGED)
def test_a_file_without_a_usable_row(ask: Invoke, data: Path, content: bytes, english: Wanted, arabic: Wanted) -> None:
    slake(data, content)
    for lang, wanted in (("en", english), ("ar", arabic)):
        output = said(ask("slake", lang=lang), 2 if content == b"[]" else 1, *wanted)
        assert "slake" in output
    assert not (data.parent / "run").exists()


def test_bad_rows_are_named_and_the_others_are_asked(ask: Invoke, data: Path) -> None:
    good, twice = {**QUESTION, "qid": 1}, {**QUESTION, "qid": 1, "question": "Other?"}
    lines = [json.dumps(row).encode() for row in (good, {**QUESTION, "qid": 2, "answer": ""}, twice)]
    lines += [b'{"bad": "\xff"}', b'{"q_lang": "en", "que', json.dumps({**QUESTION, "qid": 9}).encode()]
    slake(data, b"\n".join(lines))
    done = ask("slake", lang="ar")
    assert done.exit_code == 0, done.output
    assert "الصف 2، الحقل answer" in done.output
    (noted,) = results(data)["bad_rows"]
    assert noted["n"] == 4
    wanted = ("row 2, field answer", "samples 1 and 2 have the id '1'", "row 4, field row", "row 5, field row")
    assert all(text in found for text, found in zip(wanted, noted["first"], strict=True)), noted
    rows = [row for row in results(data)["rows"] if row["condition"] == "model"]
    assert {row["n"] for row in rows} == {2}


def test_controls_without_their_training_file_do_without(ask: Invoke, data: Path) -> None:
    slake(data, {**QUESTION, "qid": 1}, {**QUESTION, "qid": 2})
    done = ask("slake")
    assert done.exit_code == 0, done.output
    assert "controls without training questions" in done.output
    assert "train.json" in results(data)["untrained"][0]["reason"]["ar"]
    conditions = {row["condition"] for row in results(data)["rows"]}
    assert conditions == {"model", "blind", "majority"}


@LANGUAGES
def test_a_run_folder_that_cannot_be_written(ask: Invoke, data: Path, lang: str) -> None:
    slake(data, {**QUESTION, "qid": 1})
    file = data.parent / "taken"
    file.write_text("mine")
    remedy = {"en": "Check the path, its permissions", "ar": "تحقق من المسار وصلاحياته"}[lang]
    said(ask("slake", out=file, lang=lang), 1, str(file), remedy)
    said(ask("slake", out=file / "run", lang=lang), 1, str(file), remedy)
    assert file.read_text() == "mine"


def score(invoke: Invoke, folder: Path, content: bytes, *options: str, lang: str = "en") -> Any:
    (folder / "p.jsonl").write_bytes(content)
    os.environ["BIMEDIX2_LANG"] = lang
    return invoke("score", "vqa", "--predictions", str(folder / "p.jsonl"), *options)


def line(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes, ensure_ascii=False).encode() + b"\n"


BAD_PREDICTIONS = [
    (b"", ("row 0, field row", "holds no predictions. Give JSON lines"), ("الصف 0", "لا يحتوي الملف على إجابات. أعط")),
    (b" \n\n", ("holds no predictions",), ("لا يحتوي الملف على إجابات",)),
    (b"\xff\xfe{\x00", ("row 1",), ("الصف 1",)),
    (line() + b'{"id": 2, "prediction": "y', ("row 2, field row", "--skip-bad"), ("الصف 2، الحقل row", "--skip-bad")),
    (line() + b'{"id": 2, "reference": "\xe9"}', ("row 2, field row: not UTF-8",), ("ليس بترميز UTF-8",)),
    (line() + b'{"id": 2, "reference": "x"}', ("row 2, field prediction",), ("الصف 2، الحقل prediction",)),
    (line() + line(prediction="no"), ("row 2, field id: '1' comes twice",), ("الصف 2، الحقل id: المعرف '1' مكرر",)),
]  # fmt: skip


@pytest.mark.parametrize(("content", "english", "arabic"), BAD_PREDICTIONS)
def test_bad_predictions(invoke: Invoke, tmp_path: Path, content: bytes, english: Wanted, arabic: Wanted) -> None:
    for lang, wanted in (("en", english), ("ar", arabic)):
        files = ("--per-sample", str(tmp_path / "each.jsonl"), "--save", str(tmp_path / "saved.jsonl"))
        said(score(invoke, tmp_path, content, *files, lang=lang), 1, "p.jsonl", *wanted)
        assert {path.name for path in tmp_path.iterdir()} <= {"p.jsonl", "cache"}


def test_skip_bad_scores_the_rest_and_says_what_it_left_out(invoke: Invoke, tmp_path: Path) -> None:
    content = b"".join(
        [line(), b'{"id": 2\n', b'{"id": "\xff"}\n', line(), line(id=3, prediction="نعم", reference="نعم"), b"[]\n"]
    )
    done = score(invoke, tmp_path, content, "--skip-bad", "--json", lang="ar")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert (report["n"], report["bad_rows"]["n"]) == (2, 4)
    assert [text.split("row ")[1][0] for text in report["bad_rows"]["first"]] == ["2", "3", "4", "6"]
    assert "تُرك من الصفوف 4" in done.stderr
    assert score(invoke, tmp_path, b"{\n[]\n", "--skip-bad").exit_code == 1


def test_mixed_languages_are_scored_apart(invoke: Invoke, tmp_path: Path) -> None:
    rows = line() + line(id=2, prediction="no") + line(prediction="نعم", reference="نعم") + line(id=3, language="ar")
    done = score(invoke, tmp_path, rows, "--json")
    parts = json.loads(done.stdout)["languages"]
    # By the script of the reference, unless the row says it; id 1 is a pair of both languages.
    assert {language: part["n"] for language, part in parts.items()} == {"en": 2, "ar": 2}
    assert parts["en"]["metrics"]["closed_accuracy"]["value"] == 0.5
    assert parts["ar"]["metrics"]["closed_accuracy"]["value"] == 1.0
    table = score(invoke, tmp_path, rows).stdout
    assert "en (n = 2)" in table
    assert "ar (n = 2)" in table


def test_huge_lines(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = line() + line(id=2, prediction="word " * 400_000)
    done = score(invoke, tmp_path, long, "--json")
    assert json.loads(done.stdout)["n"] == 2
    monkeypatch.setattr(predictions, "_MAX_LINE", 1 << 20)
    said(score(invoke, tmp_path, long), 1, "row 2, field row: longer than 1 MiB")
    said(score(invoke, tmp_path, long, lang="ar"), 1, "أطول من 1 ميبيبايت")


def test_predictions_that_are_not_there_or_cannot_be_written(invoke: Invoke, tmp_path: Path) -> None:
    said(invoke("score", "vqa", "--predictions", str(tmp_path / "none.jsonl")), 1, "none.jsonl", "cannot be read")
    said(invoke("score", "vqa", "--predictions", str(tmp_path)), 1, "cannot be read")
    said(score(invoke, tmp_path, line(), "--mode", "best"), 2, "mode 'best' is not known. Choose one of: corrected")
    (tmp_path / "file").write_text("mine")
    said(score(invoke, tmp_path, line(), "--per-sample", str(tmp_path / "file" / "x.jsonl")), 1, "Check the path")
    assert (tmp_path / "file").read_text() == "mine"


DAMAGED_RESULTS = [b"", b"{", b"[]", b"\xff", b'{"rows": 3}', b"whole"]


@pytest.mark.parametrize("content", DAMAGED_RESULTS)
@pytest.mark.parametrize("command", ["compare", "report"])
@LANGUAGES
def test_damaged_results(invoke: Invoke, tmp_path: Path, content: bytes, command: str, lang: str) -> None:
    os.environ["BIMEDIX2_LANG"] = lang
    (tmp_path / "results.json").write_bytes(content)
    folders = [str(tmp_path)] * (2 if command == "compare" else 1)
    remedy = {"en": "Give the folder that", "ar": "أعط المجلد الذي كتبه"}[lang]
    said(invoke(command, *folders), 2, str(tmp_path / "results.json"), remedy)
    assert {path.name for path in tmp_path.iterdir()} <= {"results.json", "cache"}


def test_a_damaged_part_of_a_run(invoke: Invoke, ask: Invoke, data: Path) -> None:
    slake(data, {**QUESTION, "qid": 1}, {**QUESTION, "qid": 2})
    run = data.parent / "run"
    assert ask("slake").exit_code == 0
    scored = run / "slake" / "en" / "scored-corrected.jsonl"
    whole = scored.read_bytes()
    scored.write_bytes(whole + b'{"id": "3", "langu')
    said(invoke("compare", str(run), str(run)), 1, "scored-corrected.jsonl, row 3")
    scored.write_bytes(whole)
    content = json.loads((run / "results.json").read_text(encoding="utf-8"))
    del content["rows"][0]["condition"]
    (run / "results.json").write_text(json.dumps(content), encoding="utf-8")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for command in (("compare", str(run), str(run)), ("report", str(run))):
        said(invoke(*command), 2, "missing required field `condition` - at `$.rows[0]`")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    # The message says how to get it back, and no reply is asked again for it.
    done = ask("slake")
    assert (done.exit_code, "0 to go" in done.output) == (0, True)
    assert invoke("report", str(run)).exit_code == 0
