"""Near duplicates within a set: the first stays, and what only looks alike stays too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from decontaminate_records import drawing, made, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageOps
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.decontaminate import dedup as dedup_module
from bimedix2.data.decontaminate.dedup import DedupSettings, dedup, guarded
from bimedix2.errors import ConfigError, RecordError
from bimedix2.records import Record, read_records, write_records
from bimedix2.text.canonical import canonical

CAPTION = (
    "Axial CT of the chest shows a large left pleural effusion of 12 mm with collapse of the lower lobe in an old man"
)
CAPTION_AR = "تظهر صورة مقطعية محورية للصدر انصبابا جنبيا كبيرا في الجانب الأيسر بسماكة 12 مم مع انخماص الفص السفلي"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))


def kept(tmp_path: Path, records: list[Record], **options: object) -> list[str]:
    write_records(tmp_path / "set.jsonl", records)
    dedup(tmp_path / "set.jsonl", tmp_path / "out.jsonl", DedupSettings(data=tmp_path, **options))
    return [record.id for record in read_records(tmp_path / "out.jsonl")]


def reasons(tmp_path: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").open(encoding="utf-8")]
    assert all(row["reason"] != row["reason_ar"] for row in rows)
    return {row["id"]: row["code"] for row in rows}


@pytest.mark.parametrize(
    ("text", "small", "other"),
    [
        (CAPTION, CAPTION.replace("old man", "aged man"), CAPTION.replace("left", "right")),
        (CAPTION, CAPTION.replace("large", "big"), CAPTION.replace("12", "21")),
        (CAPTION, CAPTION.replace("shows", "showed"), CAPTION.replace("shows", "shows no")),
        (CAPTION_AR, CAPTION_AR.replace("كبيرا", "واسعا"), CAPTION_AR.replace("الأيسر", "الأيمن")),
        (CAPTION_AR, CAPTION_AR.replace("تظهر صورة", "أظهرت صورة"), CAPTION_AR.replace("12", "١٣")),
        (CAPTION_AR, CAPTION_AR.replace("للصدر", "في الصدر"), CAPTION_AR.replace("تظهر", "لا تظهر")),
    ],
)
def test_a_small_edit_is_a_duplicate_and_another_finding_is_not(
    tmp_path: Path, text: str, small: str, other: str
) -> None:
    language = "en" if text.isascii() else "ar"
    records = [made(f"a:{at}", "?", one, language, task="caption") for at, one in enumerate((text, small, other))]
    assert kept(tmp_path, records, similarity=0.7) == ["a:0", "a:2"]
    assert reasons(tmp_path) == {"a:1": "duplicate_near"}
    assert kept(tmp_path, records, similarity=1.0) == ["a:0", "a:1", "a:2"]


def test_equal_records_keep_the_first_and_short_answers_must_agree(tmp_path: Path) -> None:
    question = "Is there any evidence of a pleural effusion in this image of the chest?"
    records = [
        made("a:0", question, "Yes"),
        made("a:1", question.upper(), "yes."),
        made("a:2", question, "No"),
        made("a:3", question.replace("any ", ""), "Yes"),
        made("a:4", "هل يوجد انصباب؟", "نعم", "ar"),
        made("a:5", "هل يوجد انصباب؟", "نعم", "ar"),
    ]
    assert kept(tmp_path, records, similarity=0.75) == ["a:0", "a:2", "a:4"]
    assert reasons(tmp_path) == {"a:1": "duplicate_exact", "a:3": "duplicate_near", "a:5": "duplicate_exact"}


def test_the_same_words_about_other_images_are_no_duplicates_and_about_copies_are(tmp_path: Path) -> None:
    saved(drawing(1), tmp_path / "a.png")
    saved(drawing(1).resize((120, 90)), tmp_path / "copy.jpg", quality=50)
    saved(ImageOps.mirror(drawing(1)), tmp_path / "mirror.png")
    saved(drawing(2), tmp_path / "other.png")
    records = [
        made(f"a:{name}", "What is seen?", "A mass", paths=(name,))
        for name in ("a.png", "copy.jpg", "mirror.png", "other.png", "a.png|again")
    ]
    records[-1] = made("a:again", "What is seen?", "A mass", paths=("a.png",))
    assert kept(tmp_path, records) == ["a:a.png", "a:mirror.png", "a:other.png"]
    assert kept(tmp_path, records, images="path") == ["a:a.png", "a:copy.jpg", "a:mirror.png", "a:other.png"]


def test_what_was_made_from_a_duplicate_goes_with_it(tmp_path: Path) -> None:
    records = [
        made("a:1:en", "What is it?", CAPTION),
        made("a:1:ar", "ما هذا؟", CAPTION_AR, "ar", parent="a:1:en"),
        made("a:2:en", "What is it?", CAPTION),
        made("a:2:ar", "ما هذا؟", "ترجمة أخرى لا تشبه الأولى في كلماتها أبدا", "ar", parent="a:2:en"),
        made("a:2:ar~1", "ما هذا؟", "صياغة ثالثة من الترجمة نفسها", "ar", parent="a:2:ar"),
    ]
    assert kept(tmp_path, records) == ["a:1:en", "a:1:ar"]
    assert reasons(tmp_path) == {
        "a:2:en": "duplicate_exact", "a:2:ar": "duplicate_parent", "a:2:ar~1": "duplicate_parent",
    }  # fmt: skip


def test_likeness_does_not_chain(tmp_path: Path) -> None:
    """b is like a, and c is like b but not like a: b goes, c stays."""
    signs = np.zeros((3, 128), np.uint8)
    signs[1:, :20] = 1
    signs[2, 20:40] = 1
    rows = np.zeros(3, dedup_module._ROW)
    rows["near"] = True
    gone: dict[int, dedup_module.Dropped] = {}
    signs.tofile(tmp_path / "signatures")
    dedup_module._add_near(rows, tmp_path / "signatures", 0.8, gone)
    assert {place: why.first for place, why in gone.items()} == {1: 0}


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30))
def test_each_text_stays_once_whatever_the_order(tmp_path_factory: pytest.TempPathFactory, choice: list[int]) -> None:
    folder = tmp_path_factory.mktemp("dedup")
    rng = np.random.default_rng(0)
    texts = [" ".join("".join(rng.choice(list("abcdefgh"), 6)) for _ in range(12)) for _ in range(6)]
    records = [made(f"a:{at}", texts[number], "Yes") for at, number in enumerate(choice)]
    names = kept(folder, records, images="path")
    assert [choice[int(name[2:])] for name in names] == list(dict.fromkeys(choice))


def test_guarded_words_in_both_languages() -> None:
    assert guarded(canonical("No effusion; 12 mm on the LEFT")) == ["12", "left", "no"]
    assert guarded(canonical("لا انصباب في الجانب الأيمن ١٢ مم")) == ["12", "الايمن", "لا"]
    assert guarded(canonical("في الرئتين لاحقا")) == []


def test_bad_input_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    records = [made("a:1", "What?", paths=("missing.png",))]
    with pytest.raises(RecordError, match=r"row 1, field images\[0\]\.path"):
        kept(tmp_path, records)
    assert not (tmp_path / "out.jsonl").exists()
    assert list(tmp_path.glob(".out.jsonl-*")) == []
    with pytest.raises(ConfigError):
        dedup(tmp_path / "set.jsonl", tmp_path / "set.jsonl")
    assert kept(tmp_path, []) == []


def test_the_command(tmp_path: Path) -> None:
    write_records(tmp_path / "set.jsonl", [made("a:1", "What is it?", CAPTION), made("a:2", "What is it?", CAPTION)])
    arguments = [str(tmp_path / "set.jsonl"), "--out", str(tmp_path / "out.parquet"), "--data", str(tmp_path)]
    result = CliRunner().invoke(app, ["data", "dedup", *arguments, "--json"])
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout) == {"records": 2, "written": 1, "dropped": {"exact": 1}, "bad_rows": 0}
    assert [step.name for step in next(iter(read_records(tmp_path / "out.parquet"))).provenance] == ["dedup"]


def test_a_run_killed_with_kill_9_leaves_a_folder_that_the_next_one_clears(tmp_path: Path) -> None:
    """The killed process dies while it describes its second batch; its scratch folder is a folder, not a file."""
    words = [f"{number} opacities in lobe {number * 7} of a lung with many findings" for number in range(40)]
    write_records(
        tmp_path / "set.jsonl", [made(f"a:{number}", "What is it?", text) for number, text in enumerate(words)]
    )
    code = (
        "import os, signal, sys; from pathlib import Path; from bimedix2.data.decontaminate import dedup as d\n"
        "d.BATCH, first = 16, d._described\n"
        "def second(batch):\n"
        "    d._described = lambda batch: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return first(batch)\n"
        "d._described = second\n"
        "d._describer = lambda: lambda batch: d._described(batch)\n"
        "d.dedup(Path(sys.argv[1]), Path(sys.argv[2]), d.DedupSettings(images='path'))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "set.jsonl"), str(tmp_path / "out.jsonl")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert [path.is_dir() for path in tmp_path.glob(".out.jsonl-*")] == [True]
    content = dedup(tmp_path / "set.jsonl", tmp_path / "out.jsonl", DedupSettings(images="path"))
    assert content["written"] == 40
    assert not list(tmp_path.glob(".out.jsonl-*"))


def test_bad_rows_stop_nothing_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "set.jsonl"
    write_records(path, [made("a:1", "What is it?", CAPTION), made("a:2", "What is it?", CAPTION)])
    path.write_bytes(b"no json\n" + path.read_bytes())
    content = dedup(path, tmp_path / "out.jsonl", DedupSettings(images="path"))
    assert content == {"records": 2, "written": 1, "dropped": {"exact": 1}, "bad_rows": 1}
    rows = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").read_text("utf-8").splitlines()]
    assert [(one["row"], one["code"]) for one in rows] == [(1, "bad_row"), (3, "duplicate_exact")]
