"""All checks together, on pairs and on records."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bimedix2.data.check import CheckResult, Context, PairRow, UseScorer, check_pair, check_pairs, check_record, has_use
from bimedix2.data.check.show import mark
from bimedix2.records import Record, Turn

needs_encoder = pytest.mark.skipif(not has_use(), reason="needs the check extra")


@pytest.fixture(scope="module")
def encoder() -> UseScorer | None:
    return UseScorer() if has_use() else None


def test_a_good_pair_passes_in_both_directions(encoder: UseScorer | None) -> None:
    english, arabic = "Is there a fracture of the left 7th rib?", "هل يوجد كسر في الضلع السابع الأيسر؟"
    for source, translation in ((english, arabic), (arabic, english)):
        result = check_pair("a", source, translation, similarity=encoder)
        assert (result.id, result.failed, result.findings) == ("a", [], [])
        assert result.scores["risk"] < 0.5


def test_failed_names_each_check_once_and_the_scores_stay_in_bounds(encoder: UseScorer | None) -> None:
    result = check_pair(
        "b",
        "No fracture, no dislocation; give 5 mg.",
        "يوجد كسر وخلع في الجانب الأيسر؛ أعط 50 ملغ.",
        similarity=encoder,
    )
    assert {"numbers", "negation", "laterality"} <= set(result.failed)
    assert len(result.failed) == len(set(result.failed))
    assert result.scores["risk"] > 0.99
    assert all(0 <= result.scores[name] <= 1 for name in ("risk", "mismatch", "cut", "words_english", "words_arabic"))


@pytest.mark.parametrize("with_encoder", [True, False])
def test_the_translation_of_another_text_fails(encoder: UseScorer | None, with_encoder: bool) -> None:
    if with_encoder and encoder is None:
        pytest.skip("needs the check extra")
    similarity = encoder if with_encoder else None
    good = [
        ("Is the heart enlarged on this image?", "هل القلب متضخم في هذه الصورة؟"),
        ("Where is the lesion in the brain located?", "أين تقع الآفة في الدماغ؟"),
        ("Is there a pleural effusion in the chest?", "هل يوجد انصباب جنبي في الصدر؟"),
        ("Wash your hands often with soap and water.", "اغسل يديك كثيرا بالماء والصابون."),
    ]
    moved = [(one[0], other[1]) for one, other in zip(good, good[1:] + good[:1], strict=True)]
    rows = [PairRow(str(at), *pair) for at, pair in enumerate(good + moved)]
    failed = ["mismatch" in result.failed for result in check_pairs(rows, similarity=similarity)]
    assert failed == [False] * 4 + [True] * 4


def test_a_missing_second_half_fails(encoder: UseScorer | None) -> None:
    source = "People with the infection may have fever and cough, and they should stay at home and call a doctor."
    whole = "قد يعاني المصابون بالعدوى من الحمى والسعال، وعليهم البقاء في المنزل والاتصال بالطبيب."
    half = "قد يعاني المصابون بالعدوى من الحمى"
    assert check_pair("a", source, whole, similarity=encoder).failed == []
    assert {"cut", "length"} & set(check_pair("a", source, half, similarity=encoder).failed)


def test_an_empty_translation_fails() -> None:
    assert check_pair("a", "Normal.", "  ").failed == ["empty"]


@needs_encoder
def test_batches_and_single_pairs_agree(encoder: UseScorer) -> None:
    rows = [PairRow("1", "Chest CT", "CT للصدر"), PairRow("2", "No mass in the left lung", "توجد كتلة في الرئة اليمنى")]
    single = [check_pair(row.id, row.source, row.translation, similarity=encoder) for row in rows]
    for one, other in zip(single, check_pairs(rows, similarity=encoder), strict=True):
        assert (one.id, one.failed, one.findings) == (other.id, other.failed, other.findings)
        assert one.scores == pytest.approx(other.scores, abs=2e-4)  # sums in another order


def record(id: str, texts: list[str], language: str, parent: str | None = None) -> Record:  # noqa: A002
    turns = tuple(
        Turn(role="user" if at % 2 == 0 else "assistant", text=text, language=language)  # type: ignore[arg-type]
        for at, text in enumerate(texts)
    )
    return Record(id=id, turns=turns, task="vqa", modality="xray", source="hand", licence="CC0-1.0", parent=parent)


ORIGINAL = record("r", ["Is there a left effusion?", "No."], "en")


def test_a_record_is_checked_turn_by_turn() -> None:
    good = record("r-ar", ["هل يوجد انصباب أيسر؟", "لا."], "ar", "r")
    assert check_record(ORIGINAL, good).failed == []
    bad = check_record(ORIGINAL, record("r-ar", ["هل يوجد انصباب أيمن؟", "نعم."], "ar", "r"))
    assert {"laterality", "negation"} <= set(bad.failed)
    assert {finding.turn for finding in bad.findings} == {0, 1}
    short = check_record(ORIGINAL, record("r-ar", ["هل يوجد انصباب أيسر؟", "لا.", "شكرا", "عفوا"], "ar", "r"))
    assert short.failed == ["structure"]


class Shorter:
    """A scorer of the tests: the share of the shorter text in the longer one."""

    name = "shorter"

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        return [min(map(len, pair)) / max(map(len, pair)) for pair in pairs]


def test_a_further_scorer_adds_its_figure_and_its_limit() -> None:
    (result,) = check_pairs([PairRow("1", "Liver", "كبد")], scorers=[Shorter()], least={"shorter": 0.9})
    assert result.scores["shorter"] == 0.6
    assert result.failed == ["shorter"]


def test_the_direction_is_told_by_the_letters_or_by_the_context() -> None:
    for source, translation in (("120", "120"), ("CXR", "CXR")):
        assert check_pair("1", source, translation).failed == []
    arabic = check_pair("1", "١٢٠", "120", Context("ar"))
    assert arabic.failed == []


def test_marked_spans_do_not_overlap() -> None:
    assert mark("abcdef", [(1, 3), (2, 4), (5, 6)]) == "a⟦bcd⟧e⟦f⟧"
    assert mark("abc", [(0, 3)]) == "abc"  # the whole text says nothing


def test_results_are_plain_json() -> None:
    import msgspec

    result = check_pair("1", "Give 5 mg.", "أعط 50 ملغ.")
    assert msgspec.json.decode(msgspec.json.encode(result), type=CheckResult) == result
