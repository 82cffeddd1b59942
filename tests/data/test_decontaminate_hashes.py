"""Hashes against what they stand for: exact similarity, SciPy, and looking at everything."""

from __future__ import annotations

import itertools
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from decontaminate_records import VIGNETTE, VIGNETTE_AR, drawing, made
from hypothesis import given, settings
from hypothesis import strategies as st

from bimedix2.data.decontaminate import minhash, testset
from bimedix2.data.decontaminate.hamming import HammingIndex
from bimedix2.data.decontaminate.prints import PARTS, codes_of_parts, different_bits, training_codes
from bimedix2.data.decontaminate.runs import RunHasher
from bimedix2.data.decontaminate.units import asked_units, is_long, trained_units
from bimedix2.errors import DataError
from bimedix2.images.phash import packed_hashes, thumbnails
from bimedix2.text import normalize_for_search
from bimedix2.text.canonical import canonical

WORDS = st.lists(st.sampled_from(["lung", "heart", "left", "رئة", "قلب", "يسرى", "opacity", "mm", "12"]), min_size=1)


def jaccard(first: str, second: str) -> float:
    one, other = ({f" {text} "[at : at + 5] for at in range(len(text) - 2)} for text in (first, second))
    return len(one & other) / len(one | other)


@given(st.text(max_size=60))
def test_the_short_way_to_a_canonical_form_is_the_long_one(text: str) -> None:
    import unicodedata

    plain = normalize_for_search(text)
    slow = " ".join("".join(" " if unicodedata.category(c)[0] == "P" else c for c in plain).split())
    assert canonical(text) == slow
    assert canonical(slow) == slow


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_needs_no_exception(text: str) -> None:
    import unicodedata

    plain = normalize_for_search(text)
    assert canonical(text) == " ".join("".join(" " if unicodedata.category(c)[0] == "P" else c for c in plain).split())


def test_minhash_estimates_the_jaccard_similarity() -> None:
    generator = np.random.default_rng(0)
    letters = list("abcdefghij ابتثج")
    texts = ["".join(generator.choice(letters, 80)).strip() for _ in range(60)]
    near = [text[:40] + other[40:] for text, other in itertools.pairwise(texts)]
    first, second = minhash.signatures(texts[:-1]), minhash.signatures(near)
    errors = [
        float(minhash.similarity(a, b)) - jaccard(text, other)
        for a, b, text, other in zip(first, second, texts, near, strict=False)
    ]
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.05  # sqrt(0.25 / 128) = 0.044
    assert minhash.similarity(first[0], minhash.signatures([texts[0]])[0]) == pytest.approx(1)


@settings(max_examples=30, deadline=None)
@given(st.lists(WORDS.map(" ".join), min_size=1, max_size=12))
def test_a_signature_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    together = minhash.signatures(texts)
    assert all((together[at] == minhash.signatures([text])[0]).all() for at, text in enumerate(texts))


def test_short_texts_have_signatures_too() -> None:
    assert minhash.signatures(["a", "ab", "ا"]).shape == (3, 128)
    grams, starts = minhash.gram_hashes(["a", "abc", "abcd"])
    assert len(grams) == 3 - 1 + 2  # " a  " padded to one gram, " abc " one, " abcd " two
    assert starts.tolist() == [0, 1, 2]


def by_hand(text: str) -> list[int]:
    """The signature in plain Python, from the definitions."""
    full, prime = 2**64 - 1, 0x9E3779B97F4A7C15

    def mixed(value: int) -> int:
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & full
        value = (value ^ value >> 27) * 0x94D049BB133111EB & full
        return value ^ value >> 31

    def gram(letters: str) -> int:
        value = 0
        for letter in letters:
            value = (value * prime + ord(letter)) & full
        return mixed(value)

    padded = f" {text} ".ljust(5)
    grams = {gram(padded[at : at + 5]) for at in range(len(padded) - 4)}
    numbers = [mixed(prime * at & full) for at in range(1, 257)]
    return [
        min((one * (factor | 1) + summand & full) >> 32 for one in grams) & 255
        for factor, summand in zip(numbers[:128], numbers[128:], strict=True)
    ]


@pytest.mark.parametrize("text", ["Is there a left pleural effusion?", "هل يوجد انصباب جنبي؟", "T2", "𝛂 10⁹/L"])
def test_signatures_are_what_their_definition_says(text: str) -> None:
    """Test sets ship signatures: a change here needs a new ``FORMAT`` and a new file of hashes."""
    assert minhash.signatures([canonical(text)])[0].tolist() == by_hand(canonical(text))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 11), st.integers(0, 2**32))
def test_near_numbers_are_those_that_a_look_at_all_pairs_finds(most: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    known = generator.integers(0, 2**64, 60, dtype=np.uint64)
    asked = known[:20].copy()
    for at in range(20):  # up to 14 bits changed
        for bit in generator.choice(64, generator.integers(0, 15), replace=False):
            asked[at] ^= np.uint64(1) << np.uint64(bit)
    found = set(zip(*(part.tolist() for part in HammingIndex(known).near(asked, most)), strict=True))
    wanted = {
        (one, other, bits)
        for one in range(20)
        for other in range(60)
        if (bits := (int(asked[one]) ^ int(known[other])).bit_count()) <= most
    }
    assert found == wanted


def test_an_empty_index_finds_nothing_and_too_many_bits_are_refused() -> None:
    index = HammingIndex(np.empty(0, np.uint64))
    assert [len(part) for part in index.near(np.array([1], np.uint64), 8)] == [0, 0, 0]
    with pytest.raises(ValueError, match="at most 11 bits"):
        index.near(np.array([1], np.uint64), 12)


def test_fine_and_coarse_hash_are_those_of_scipy() -> None:
    from scipy.fft import dct

    small = np.random.default_rng(3).integers(0, 256, (5, 32, 32), dtype=np.uint8)
    coarse, fine = packed_hashes(small)
    for at, one in enumerate(small):
        low = dct(dct(one.astype(float), axis=0), axis=1)
        for size, packed in ((8, coarse[at : at + 1]), (16, fine[at])):
            bits = (low[:size, :size] > np.median(low[:size, :size])).ravel()
            text = "".join(f"{int(number):064b}" for number in packed)
            assert text == "".join("1" if bit else "0" for bit in bits)


def test_bits_are_counted_over_rows() -> None:
    one, other = np.array([0, 3], np.uint64), np.array([1, 3], np.uint64)
    assert different_bits(one, other).tolist() == [1, 0]
    assert different_bits(np.stack([one, other]), np.stack([other, other])).tolist() == [1, 0]


def test_parts_of_a_picture_and_its_mirror_image() -> None:
    pixels = np.asarray(drawing(1))
    assert len(PARTS) == 17
    own = codes_of_parts(pixels)
    mirrored = training_codes(thumbnails(pixels[:, ::-1], PARTS[:1]))
    assert len(own.coarse) == len(own.fine) <= 34
    apart = min(int(code ^ other).bit_count() for code in own.coarse for other in mirrored.coarse)
    assert apart == 0
    plain = training_codes(thumbnails(pixels[:, ::-1], PARTS[:1]), mirrored=False)
    assert min(int(code ^ other).bit_count() for code in own.coarse for other in plain.coarse) > 8


@given(WORDS, WORDS)
def test_runs_of_words_are_equal_exactly_where_eight_words_are(first: list[str], second: list[str]) -> None:
    hasher = RunHasher()
    one, other = (hasher.of(" ".join(words)).tolist() for words in (first, second))
    grams = [[tuple(words[at : at + 8]) for at in range(len(words) - 7)] for words in (first, second)]
    assert len(one) == len(grams[0])
    for at, gram in enumerate(grams[0]):
        assert (one[at] in other) == (gram in grams[1])


def test_units_of_a_question_with_instruction_and_options() -> None:
    options = "A. Angina that lasts for more than an hour now\nB. Gout"
    text = f"Answer with the letter.\n{VIGNETTE} What is the diagnosis?\n{options}"
    own = asked_units(made("medqa:1", text, "A. Angina", task="mcq"))
    assert [form.text for form in own.near] == [canonical(text), canonical(f"{VIGNETTE} What is the diagnosis?")]
    assert own.pairs == ()
    short = asked_units(made("medqa:2", "What is asthma?", "B. Narrow airways"))
    assert [form.text for form in short.pairs] == [
        "what is asthma\x1fb narrow airways",
        "what is asthma\x1fnarrow airways",
    ]
    assert short.long == ()


def test_a_question_about_an_image_is_no_item_without_it_and_a_caption_is() -> None:
    question = "Is there any evidence of a pleural effusion in this image?"
    assert asked_units(made("vqa:1", question, paths=("a.png",))).long == ()
    caption = "Axial CT shows a large left pleural effusion with collapse"
    own = asked_units(made("roco:1", question, caption, paths=("a.png",), task="caption"))
    assert [form.text for form in own.long] == [canonical(caption)]
    assert question.lower().removesuffix("?") in {form.text for form in trained_units(made("t:1", question)).long}


def test_arabic_needs_fewer_words() -> None:
    assert is_long(canonical("هل يوجد انصباب جنبي في الصورة"))
    assert not is_long(canonical("Is there a pleural effusion in it"))
    assert not is_long(canonical("هل يوجد انصباب جنبي؟"))


def test_only_names_with_their_source_count() -> None:
    named = trained_units(made("medqa:test-1:en", "x", parent="medqa:test-1", pair_id="7"))
    assert len(named.names) == 2
    assert trained_units(made("17", "x", source="llava")).names == ()


def collected() -> testset.TestHashes:
    collector = testset.Collector()
    collector.add_set("exam", [made("exam:1", VIGNETTE), made("exam:2", VIGNETTE_AR, language="ar")], lambda record: [])
    collector.add_set("short", [made("short:1", "What is asthma?", "Narrow airways")], lambda record: [], licence="MIT")
    return collector.collected()


def test_a_file_of_hashes_comes_back_and_is_the_same_each_time(tmp_path: Path) -> None:
    hashes = collected()
    for name in ("a.npz", "b.npz"):
        testset.save(hashes, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = testset.load(tmp_path / "a.npz")
    assert (again.sets, again.ids) == (hashes.sets, hashes.ids)
    assert all((again.arrays[name] == hashes.arrays[name]).all() for name in hashes.arrays)
    assert [again.set_of(item) for item in range(3)] == ["exam", "exam", "short"]


def test_collections_are_joined_with_their_places() -> None:
    whole = testset.joined([collected(), collected()])
    assert whole.ids == collected().ids * 2
    assert whole.item_set.tolist() == [0, 0, 1, 2, 2, 3]
    assert whole.long_item.tolist() == [0, 1, 3, 4]
    assert set(whole.run_long.tolist()) == {0, 1, 2, 3}
    assert testset.joined([]).ids == ()


@pytest.mark.parametrize("damage", ["missing", "text", "cut", "format", "outside", "array"])
def test_unusable_files_of_hashes_are_refused_in_both_languages(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "h.npz"
    if damage != "missing":
        testset.save(collected(), path)
    if damage == "text":
        path.write_text("not a zip")
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-300])
    elif damage in ("format", "outside", "array"):
        hashes = collected()
        if damage == "outside":
            hashes.arrays["long_item"][0] = 99
        if damage == "array":
            hashes.arrays["pair_key"] = hashes.arrays["pair_key"].astype(np.float64)
        testset.save(hashes, path)
        if damage == "format":
            with zipfile.ZipFile(path) as archive:
                parts = {name: archive.read(name) for name in archive.namelist()}
            about = json.loads(parts["about.json"]) | {"format": 99}
            with zipfile.ZipFile(path, "w") as archive:
                for name, content in (parts | {"about.json": json.dumps(about).encode()}).items():
                    archive.writestr(name, content)
    with pytest.raises(DataError, match="make_test_hashes") as caught:
        testset.load(path)
    assert caught.value.code == "bad_test_hashes"
    assert "بصمات" in caught.value.message_ar


def test_set_phrases_are_no_items() -> None:
    phrase = "Answer the following question about the patient in one word please"
    collector = testset.Collector()
    records = [made(f"exam:{at}", f"{phrase}\n{VIGNETTE} Case {at} of many others in this book.") for at in range(9)]
    collector.add_set("exam", records, lambda record: [])
    hashes = collector.collected()
    assert len(hashes.long_key) == 18  # whole turn and main line, nine times each
    assert len(hashes.run_key) < 18 * 12  # the vignette's own runs are in all nine and were left out


def test_shipped_hashes_hold_no_text() -> None:
    hashes = testset.shipped()
    names = {one["name"]: one["items"] for one in hashes.sets}
    assert names["medqa"] == 1273
    assert names["mmlu"] == 1089
    assert {array.dtype.kind for array in hashes.arrays.values()} == {"u", "i"}
    assert all(name.split(":")[0] in names and " " not in name for name in hashes.ids)
