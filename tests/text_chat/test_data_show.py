"""What a printed sample tells, in both languages, and what it must not let through."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from bimedix2.data.show import pick_sample, read_text_setup, show_command
from bimedix2.errors import ConfigError, ModelError
from bimedix2.records.schema import ImageRef, Record, Turn
from bimedix2.text.bidi import PDI, strip_bidi_controls

RECORD = Record(
    id="vqa-1",
    turns=(
        Turn(role="user", text="ماذا ترى\nفي CT؟", language="ar", images=(0,)),
        Turn(role="assistant", text="كتلة 12 × 8 mm", language="ar"),
    ),
    images=(ImageRef(path="ct/1.dcm", frame=3, window=(40.0, 400.0)),),
    task="vqa",
    modality="ct",
    source="made-up",
    licence="CC0-1.0",
)


@pytest.fixture
def folder(tmp_path: Path, clean_gemma_tokenizer: Tokenizer) -> Path:
    clean_gemma_tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"vision_config": {"patch_size": 14}}))
    own = {"chat_template": "gemma", "image_token_id": 5, "image_policy": {"size": 224}, "pixel_shuffle": 2}
    (tmp_path / "bimedix2.json").write_text(json.dumps(own))
    return tmp_path


def test_plain_text_marks_what_is_learnt_and_counts_tokens(folder: Path) -> None:
    shown = show_command([RECORD], "vqa-1", read_text_setup(folder), color=False, bidi=False)
    assert re.findall(r"⟦([^⟧…]*)⟧", shown) == ["كتلة 12 × 8 mm", "<end_of_turn>"]
    assert "[0] ct/1.dcm  frame 3  window 40/400" in shown
    total, image, learnt, other = map(
        int, re.search(r"tokens (\d+) = image (\d+) \+ supervised (\d+) \+ other (\d+)", shown).groups()
    )
    assert image == 64
    assert total == image + learnt + other
    assert "ماذا ترى⏎\n" in shown


def test_colour_and_arabic_labels(folder: Path) -> None:
    setup = read_text_setup(folder)
    shown = show_command([RECORD], "0", setup, color=True, bidi=False, language="ar")
    assert "\x1b[1;32mكتلة 12 × 8 mm\x1b[0m" in shown
    assert "الرموز" in shown
    assert "⟦" not in shown


def test_isolates_are_balanced_on_every_line_and_only_added(folder: Path) -> None:
    setup = read_text_setup(folder)
    shown = show_command([RECORD], "0", setup, color=False)
    plain = show_command([RECORD], "0", setup, color=False, bidi=False)
    assert strip_bidi_controls(shown) == plain
    for line in shown.splitlines():
        opened = sum(line.count(mark) for mark in "\u2066\u2067\u2068")
        assert opened == line.count(PDI)
    assert "\u2067كتلة \u206612 × 8 mm\u2069\u2069" in shown


def test_hostile_text_cannot_steer_the_terminal(folder: Path) -> None:
    turns = (
        Turn(role="user", text="a\x1b[2Jb\u202egnp.exe\u2069<bos>", language="en"),
        Turn(role="assistant", text="نعم", language="ar"),
    )
    record = Record(id="x\x1b]0;t\x07", turns=turns, task="qa", modality="text", source="s", licence="CC0-1.0")
    shown = show_command([record], "0", read_text_setup(folder), color=False, bidi=False)
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert r"a\u001b[2Jb\u202egnp.exe\u2069<bos>" in shown


def test_a_sample_without_an_answer_is_pointed_out(folder: Path) -> None:
    record = Record(
        id="q",
        turns=(Turn(role="user", text="?", language="en"),),
        task="qa",
        modality="text",
        source="s",
        licence="CC0-1.0",
    )
    setup = read_text_setup(folder)
    assert "Nothing is supervised" in show_command([record], "q", setup, color=False)
    assert "لا شيء مُتعلَّم" in show_command([record], "q", setup, color=False, language="ar")


def test_plain_template_can_be_asked_for(folder: Path) -> None:
    shown = show_command([RECORD], "0", read_text_setup(folder, template="plain"), color=False, bidi=False)
    assert "ماذا ترى" not in shown
    assert "⟦كتلة 12 × 8 mm" in shown


def test_missing_samples_and_folders_are_named_in_both_languages(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="0 to 0") as caught:
        pick_sample([RECORD], "7")
    assert "عينة" in caught.value.message_ar
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match="vision_config"):
        read_text_setup(folder)
    (folder / "bimedix2.json").unlink()
    with pytest.raises(ModelError, match=r"bimedix2\.json") as missing:
        read_text_setup(folder)
    assert "مجلد" in missing.value.message_ar
