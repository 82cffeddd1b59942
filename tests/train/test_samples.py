"""Records to stores: columns against hand-worked values, bad samples by name, builds that are killed."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from bimedix2.errors import AssetError, DataError, RecordError
from bimedix2.images import ImagePolicy
from bimedix2.model import Bundle
from bimedix2.records import ImageRef, Record, Turn
from bimedix2.text.chat import encode_conversation, get_template
from bimedix2.train.samples import prepare as prepare_module
from bimedix2.train.samples.journal import GrowingFolder
from bimedix2.train.samples.prepare import Prepared, open_prepared, prepare
from bimedix2.train.samples.table import stable_hash
from tiny import SPECIALS, tiny_tokenizer

PER_IMAGE = 4


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """Everything but the weights, which preparing does not touch."""
    tokenizer = tiny_tokenizer()
    return Bundle(
        model=None, tokenizer=tokenizer, template=get_template("llama3"), image_policy=ImagePolicy.clip(28),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), tokens_per_image=PER_IMAGE, name="tiny",
    )  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(generator.integers(0, 255, (30, 50, 3), dtype=np.uint8)).save(folder / name)
    shutil.copy(folder / "a.png", folder / "a_again.png")
    (folder / "broken.png").write_bytes((folder / "b.png").read_bytes()[:200])
    return folder


def record(name: str, *turns: tuple[str, str, tuple[int, ...]], images: tuple[str, ...] = (), **more: Any) -> Record:
    """Turns as (language, text, images), the user's first."""
    roles = ("user", "assistant") * len(turns)
    fields = {"task": "vqa", "modality": "ct", "source": "test", "licence": "CC0-1.0"} | more
    return Record(
        id=name,
        turns=tuple(Turn(role=role, text=text, language=language, images=shown)  # type: ignore[arg-type]
                    for role, (language, text, shown) in zip(roles, turns, strict=False)),
        images=tuple(ImageRef(path=path) for path in images),
        **fields,
    )  # fmt: skip


def ask(name: str, question: str, answer: str, *images: str, language: str = "en", **more: Any) -> Record:
    shown = tuple(range(len(images)))
    return record(name, (language, question, shown), (language, answer, ()), images=images, **more)


def good(count: int) -> list[Record]:
    return [
        ask(f"r{number}", "Is it CT?", f"Yes {number}", *("a.png", "b.png")[: number % 3]) for number in range(count)
    ]


def make(records: list[Record], root: Path, bundle: Bundle, folder: Path, **more: Any) -> Prepared:
    return prepare(records, root, bundle, folder, **{"max_tokens": 400, **more})


def test_tokens_and_masks_are_those_of_the_chat_encoder(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = [
        ask("text", "What is clear?", "12 mm"),
        ask("one", "What is shown?", "The left lung", "a.png"),
        ask("two in a turn", "ماذا يظهر؟", "الرئة اليسرى سليمة", "a.png", "b.png", language="ar"),
        record("two turns", ("en", "CT?", (0,)), ("en", "Yes", ()), ("en", "This?", (1,)), ("ar", "لا", ()),
               images=("c.png", "a.png")),
    ]  # fmt: skip
    ready = make(records, root, bundle, tmp_path / "stores")
    assert ready.skipped == []
    assert ready.images is not None
    for row, one in enumerate(records):
        expected = encode_conversation(
            one.turns, bundle.tokenizer, bundle.template,
            image_token_id=bundle.image_token_id, tokens_per_image=PER_IMAGE,
        )  # fmt: skip
        ids, supervised = ready.store.ids(row), ready.store.supervised(row)
        assert ids.dtype == np.int32
        assert supervised.dtype == np.bool_
        assert ids.tolist() == expected.input_ids
        assert np.where(supervised, ids, -100).tolist() == expected.labels
        assert ready.store.record_id(row) == one.id
        assert np.count_nonzero(ids == bundle.image_token_id) == PER_IMAGE * len(one.images)
    table = ready.store.table
    assert len(table) == len(ready.store) == 4
    assert table.length.tolist() == [len(ready.store.ids(row)) for row in range(4)]
    assert table.supervised.tolist() == [int(ready.store.supervised(row).sum()) for row in range(4)]
    assert [table.images(row).tolist() for row in range(4)] == [[], [0], [0, 1], [2, 0]]
    assert [table.cells[code] for code in table.cell] == ["en/ct/vqa", "en/ct/vqa", "ar/ct/vqa", "ar/ct/vqa"]
    assert table.key.tolist() == [stable_hash(one.id) for one in records]


def test_prefix_ends_with_the_last_image_unless_an_answer_stands_before_it(
    root: Path, bundle: Bundle, tmp_path: Path
) -> None:
    records = [
        ask("text", "What is clear?", "12 mm"),
        ask("one", "What is shown?", "The left lung", "a.png"),
        ask("same picture under another name", "CT?", "No", "a_again.png"),
        ask("another", "CT?", "No", "b.png"),
        ask("two", "CT?", "No", "a.png", "b.png"),
        ask("other order", "CT?", "No", "b.png", "a.png"),
        record("after an answer", ("en", "CT?", (0,)), ("en", "Yes", ()), ("en", "This?", (1,)), ("en", "No", ()),
               images=("a.png", "b.png")),
        record("same picture, other system text", ("en", "CT?", (0,)), ("en", "Yes", ()), images=("a.png",)),
    ]  # fmt: skip
    system = Turn(role="system", text="Be brief", language="en")
    records[-1] = Record(**{name: getattr(records[-1], name) for name in records[-1].__struct_fields__} | {
        "turns": (system, *records[-1].turns)})  # fmt: skip
    table = make(records, root, bundle, tmp_path / "stores").store
    ends = []
    for row in range(len(records)):
        places = np.flatnonzero(table.ids(row) == bundle.image_token_id)
        ends.append(int(places[-1]) + 1 if len(places) else 0)
    assert table.table.prefix.tolist() == [*ends[:6], 0, ends[7]]
    key = table.table.prefix_key.tolist()
    assert key[0] == key[6] == 0
    assert key[1] == key[2]
    assert len({key[1], key[3], key[4], key[5], key[7]}) == 5


def test_phrasings_share_a_group_and_translations_a_pair(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = [
        ask("1:en", "CT?", "Yes", pair_id="1"),
        ask("1:ar", "ماذا يظهر؟", "نعم", language="ar", pair_id="1"),
        ask("1:ar2", "ماذا يظهر؟", "نعم", language="ar", pair_id="1"),
        ask("2", "CT?", "Yes"),
    ]
    table = make(records, root, bundle, tmp_path / "stores").store.table
    group, pair = table.group.tolist(), table.pair.tolist()
    # The first trainer's group was the text "pair|language".
    assert group == [stable_hash(text) for text in ("1|en", "1|ar", "1|ar", "2|en")]
    assert pair[0] == pair[1] == pair[2] != pair[3]


def one_of_each_fault() -> list[Record]:
    return [
        ask("good", "CT?", "Yes", "a.png"),
        ask("missing", "CT?", "Yes", "a.png", "nowhere.png"),
        ask("broken", "CT?", "Yes", "c.png", "broken.png"),
        record("no answer", ("en", "CT?", ())),
        ask("empty answer", "CT?", " "),
        ask("long", "CT?", "Yes " * 500),
        ask("good", "CT?", "No"),
        ask("many", "CT?", "Yes", "a.png", "b.png", "c.png"),
        record("surrogate", ("en", "CT \ud800?", ()), ("en", "Yes", ())),
        ask("also good", "CT?", "Yes"),
    ]


def test_bad_samples_are_named_and_cost_nothing_else(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = one_of_each_fault()[:8] + one_of_each_fault()[9:]
    ready = make(
        records, root, bundle, tmp_path / "stores", max_images=2, files=(("first.jsonl", 4), ("second.jsonl", 9))
    )
    assert [ready.store.record_id(row) for row in range(len(ready.store))] == ["good", "also good"]
    assert ready.store.record.tolist() == [0, 8]
    found = [(bad.record_id, bad.file_or_row, bad.field, bad.kind) for bad in ready.skipped]
    assert found == [
        ("missing", "first.jsonl, row 2", "images[1].path", "image_missing"),
        ("broken", "first.jsonl, row 3", "images[1].path", "image_broken"),
        ("no answer", "first.jsonl, row 4", "turns", "no_assistant_turn"),
        ("empty answer", "second.jsonl, row 1", "turns[1].text", "bad_record"),
        ("long", "second.jsonl, row 2", "turns", "too_long"),
        ("good", "second.jsonl, row 3", "id", "duplicate_id"),
        ("many", "second.jsonl, row 4", "images", "too_many_images"),
    ]
    for bad in ready.skipped:
        assert bad.reason != bad.reason_ar
        assert any("\u0600" <= letter <= "\u06ff" for letter in bad.reason_ar)
    again = open_prepared(tmp_path / "stores", ready.store.name, (("first.jsonl", 4), ("second.jsonl", 9)))
    assert again.skipped == ready.skipped
    assert again.manifest_hash == ready.manifest_hash
    assert again.images is not None
    assert again.images.name == ready.images.name  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("place", "field"),
    [(1, "images[1].path"), (2, "images[1].path"), (3, "turns"), (5, "turns"), (6, "id"), (7, "images")],
)
def test_stop_ends_at_a_bad_sample(place: int, field: str, root: Path, bundle: Bundle, tmp_path: Path) -> None:
    faults = one_of_each_fault()
    records = [faults[0], faults[9], faults[place]]
    for _ in range(2):  # also where the store was finished with "skip"
        with pytest.raises(RecordError) as caught:
            make(records, root, bundle, tmp_path / "stores", max_images=2, policy="stop", files=(("x.jsonl", 3),))
        assert (caught.value.path, caught.value.row, caught.value.field) == ("x.jsonl", 3, field)
        assert records[2].id in caught.value.problem
        assert len(make(records, root, bundle, tmp_path / "stores", max_images=2).skipped) == 1


def test_text_that_no_tokenizer_takes_is_a_bad_sample(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    # Such text cannot come from a file, and the store's key could not be computed over it: the encoder says so.
    from bimedix2.train.samples.encode import Bad, SampleEncoder

    outcome = SampleEncoder(bundle, 200).encode(one_of_each_fault()[8], ())
    assert isinstance(outcome, Bad)
    assert (outcome.kind, outcome.field) == ("bad_text", "turns")


def test_an_answer_in_a_script_that_the_vocabulary_lacks_is_all_masked(bundle: Bundle, tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate("YesCT?\n")}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    latin = replace(bundle, tokenizer=tokenizer, image_token_id=tokenizer.token_to_id("<image>"))
    records = [ask("latin", "CT?", "Yes"), ask("arabic", "CT?", "نعم", language="ar")]
    ready = make(records, tmp_path, latin, tmp_path / "stores")
    assert [(bad.record_id, bad.kind) for bad in ready.skipped] == [("arabic", "nothing_supervised")]


def test_many_bad_samples_mean_wrong_data(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = good(100)
    for place in range(6):
        records[place] = ask(f"bad{place}", "CT?", "Yes", "nowhere.png") if place < 4 else ask(f"bad{place}", "a", " ")
    with pytest.raises(DataError, match=r"6 of 100 .*image missing: 4; .*rules? of the records: 2.*row 1") as caught:
        make(records, root, bundle, tmp_path / "stores")
    assert caught.value.code == "too_many_bad_samples"
    assert "صورة مفقودة: 4" in caught.value.message_ar
    records[0] = good(1)[0]
    assert len(make(records, root, bundle, tmp_path / "stores").skipped) == 5  # 5 % are still single samples
    assert len(make(records[:20], root, bundle, tmp_path / "stores").skipped) == 5


def test_nothing_left_is_an_error(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    for records in ([], [ask("1", "CT?", "Yes", "nowhere.png")], [ask("1", "CT?", "Yes", "broken.png")]):
        with pytest.raises(DataError) as caught:
            make(records, root, bundle, tmp_path / "stores")
        assert caught.value.code == "no_samples"


def old_manifest_hash(records: list[Record], images: set[Path]) -> str:
    """As the first trainer computed it."""
    digest = hashlib.sha256()
    for one in sorted(records, key=lambda item: item.id):
        digest.update(repr((one.id, [(turn.role, turn.text) for turn in one.turns])).encode())
    for hexdigest in sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in images):
        digest.update(hexdigest.encode())
    return digest.hexdigest()


def test_data_hash_is_comparable_with_older_runs(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = [ask("z", "ماذا يظهر؟", "Yes", "b.png"), ask("b", "CT?", "No", "a_again.png"),
               ask("a", "CT?", "Yes", "a.png"), ask("m", "CT?", "Yes", "nowhere.png"),
               ask("c", "CT?", "12", "../data/a.png")]  # fmt: skip
    ready = make(records, root, bundle, tmp_path / "stores")
    shown = {(root / name).resolve() for name in ("a.png", "a_again.png", "b.png")}
    assert ready.manifest_hash == old_manifest_hash(records, shown)
    assert [ready.store.table.images(row).tolist() for row in range(4)] == [[0], [1], [1], [1]]  # equal bytes: one slot


def test_stores_follow_the_content_and_not_the_place(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records, stores = good(5), tmp_path / "stores"
    first = make(records, root, bundle, stores)
    moved = root.rename(tmp_path / "elsewhere")
    same = make(records, moved, bundle, stores)
    assert (same.store.name, same.images.name) == (first.store.name, first.images.name)  # type: ignore[union-attr]
    others = [
        make(records, moved, bundle, stores, max_tokens=300),
        make(records[:4], moved, bundle, stores),
        make(records, moved, bundle, stores, image_format="jpeg"),
        make(records, moved, replace(bundle, tokens_per_image=2), stores),
        make(records, moved, replace(bundle, template=replace(bundle.template, default_system=None)), stores),
        make(records, moved, replace(bundle, image_policy=ImagePolicy.dinov2(28)), stores),
    ]
    shutil.copy(moved / "c.png", moved / "b.png")
    others.append(make(records, moved, bundle, stores))
    assert len({first.store.name, *(other.store.name for other in others)}) == 8
    assert others[-1].manifest_hash != first.manifest_hash


def test_a_missing_image_that_comes_back_is_trained_on(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records = [ask("1", "CT?", "Yes"), ask("2", "CT?", "Yes", "late.png")]
    assert len(make(records, root, bundle, tmp_path / "stores").skipped) == 1
    shutil.copy(root / "a.png", root / "late.png")
    assert make(records, root, bundle, tmp_path / "stores").skipped == []


def test_text_alone_needs_no_image_store(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    ready = make([ask("1", "CT?", "Yes")], root, bundle, tmp_path / "stores")
    assert ready.images is None
    assert ready.store.table.image_index.tolist() == []
    assert ready.store.table.image_start.tolist() == [0, 0]


def in_a_fork(work: Callable[[], None]) -> int:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(60)
    assert process.exitcode is not None
    return process.exitcode


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def killing_at(method: str, count: int, work: Callable[[], object]) -> Callable[[], None]:
    """``work`` in a process that is killed (-9) at the n-th call of a method of the growing files."""

    def run() -> None:
        left = iter(range(count))
        original = getattr(GrowingFolder, method)

        def counted(self: GrowingFolder, *arguments: Any, **options: Any) -> None:
            if next(left, None) is None:
                for file in self._files.values():
                    file.flush()  # the worst case: torn data has reached the disk
                os.kill(os.getpid(), signal.SIGKILL)
            original(self, *arguments, **options)

        setattr(GrowingFolder, method, counted)
        work()

    return run


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare_module, "_CHUNK", 3)
    monkeypatch.setattr("bimedix2.train.samples.images._CHUNK", 1)


def test_a_killed_build_goes_on_and_equals_an_unbroken_one(
    root: Path, bundle: Bundle, tmp_path: Path, small_chunks: None
) -> None:
    records = [
        *good(10),
        ask("bad", "CT?", " "),
        ask("broken", "CT?", "Yes", "broken.png"),
        ask("c", "CT?", "No", "c.png"),
    ]
    whole = make(records, root, bundle, tmp_path / "whole")
    part = tmp_path / "part"
    # In the tokens, in the images, just before the images get their name, and in the last steps of the tokens.
    kills = [("append", 3), ("append", 22), ("commit", 1), ("append", 17), ("append", 2), ("commit", 2), ("finish", 0),
             ("finish", 0), ("finish", 1), ("finish", 0)]  # fmt: skip
    codes = [in_a_fork(killing_at(method, count, lambda: make(records, root, bundle, part))) for method, count in kills]
    assert codes == [-signal.SIGKILL] * len(kills)
    # The last kill came when all was written, just before the token store got its name.
    assert sorted(path.suffix for path in part.iterdir() if path.is_dir()) == ["", ".partial"]
    ready = make(records, root, bundle, part)
    assert content(ready.store.folder) == content(whole.store.folder)
    assert content(ready.images.folder) == content(whole.images.folder)  # type: ignore[union-attr]
    assert [bad.record_id for bad in ready.skipped] == ["bad", "broken"]
    assert len(ready.store) == 11


def test_a_killed_build_does_not_start_anew(root: Path, bundle: Bundle, tmp_path: Path, small_chunks: None) -> None:
    records, lines = good(10), []
    assert in_a_fork(killing_at("commit", 2, lambda: make(records, root, bundle, tmp_path))) == -signal.SIGKILL
    make(records, root, bundle, tmp_path, say=lambda *line: lines.append(line[0]))
    assert [line for line in lines if "tokenised" in line] == [
        "samples tokenised: 9 of 10",
        "samples tokenised: 10 of 10",
    ]
    lines.clear()
    make(records, root, bundle, tmp_path, say=lambda *line: lines.append(line[0]))
    assert lines == []


def test_processes_that_prepare_at_once_build_once(root: Path, bundle: Bundle, tmp_path: Path) -> None:
    records, log = good(50), tmp_path / "log"

    def work() -> None:
        with log.open("a") as file:
            make(records, root, bundle, tmp_path / "stores", say=lambda line, _: print(line, file=file, flush=True))

    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(log.read_text().splitlines()) == [
        "image files read: 2 of 2", "images decoded: 2 of 2", "samples tokenised: 50 of 50",
    ]  # fmt: skip


def test_a_full_disk_is_an_error_that_loses_nothing(
    root: Path, bundle: Bundle, tmp_path: Path, small_chunks: None
) -> None:
    records = good(12)

    def on_a_small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
        with pytest.raises(AssetError, match="run the same command again") as caught:
            make(records, root, bundle, tmp_path / "part")
        assert caught.value.code == "cannot_write"

    assert in_a_fork(on_a_small_disk) == 0
    ready = make(records, root, bundle, tmp_path / "part")
    whole = make(records, root, bundle, tmp_path / "whole")
    assert content(ready.store.folder) == content(whole.store.folder)


def test_a_torn_journal_or_file_starts_the_build_anew(
    root: Path, bundle: Bundle, tmp_path: Path, small_chunks: None
) -> None:
    records = good(10)
    whole = make(records, root, bundle, tmp_path / "whole")
    for name, text in (("journal.json", b'{"state": {"do'), ("ids.bin", b"")):
        folder = tmp_path / name
        assert in_a_fork(killing_at("commit", 2, lambda folder=folder: make(records, root, bundle, folder))) != 0  # type: ignore[misc]
        next(folder.glob("tokens-*.partial")).joinpath(name).write_bytes(text)
        assert content(make(records, root, bundle, folder).store.folder) == content(whole.store.folder)


def test_a_token_added_later_is_not_typed_by_anybody() -> None:
    tokenizer = tiny_tokenizer()
    turns = (Turn(role="user", text="<|fim|>", language="en"), Turn(role="assistant", text="Yes", language="en"))

    def ids() -> list[int]:
        return encode_conversation(
            turns, tokenizer, get_template("llama3"), image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
            tokens_per_image=1,
        ).input_ids  # fmt: skip

    before = ids()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|fim|>"]})
    assert tokenizer.convert_tokens_to_ids("<|fim|>") not in ids()
    assert tokenizer.decode(ids()) == tokenizer.decode(before)
