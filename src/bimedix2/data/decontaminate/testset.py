"""Test sets as hashes: enough to find their items in training data, and no text or picture in them."""

from __future__ import annotations

import io
import json
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import write_whole
from bimedix2.errors import DataError
from bimedix2.records.schema import Record

from .minhash import NUMBERS, signatures
from .prints import ImageCodes
from .runs import RunHasher, sample
from .units import Units, asked_units, key_of

FORMAT = 1  # raise it when any hash changes: files of another format are refused
SHIPPED = "test_hashes.npz"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed time in the archive: the same sets give the same file
Looks = tuple[int, int, ImageCodes]
LookAt = Callable[[Record], Sequence[Looks]]
"""File key, pixel key and codes of each image of a record; ``prints.py`` and ``pictures.py`` make them."""

_ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "item_set": ("int32", ()),
    "long_key": ("uint64", ()),
    "long_item": ("int32", ()),
    "long_signature": ("uint8", (NUMBERS,)),
    "run_key": ("uint32", ()),
    "run_long": ("int32", ()),
    "pair_key": ("uint64", ()),
    "pair_item": ("int32", ()),
    "name_key": ("uint64", ()),
    "name_item": ("int32", ()),
    "image_file": ("uint64", ()),
    "image_pixels": ("uint64", ()),
    "image_item": ("int32", ()),
    "code_coarse": ("uint64", ()),
    "code_fine": ("uint64", (4,)),
    "code_image": ("int32", ()),
}


@dataclass(frozen=True, eq=False)
class TestHashes:
    """Items of test sets.

    Attributes:
        sets: one description a set: name, items, images, licence, and what else its maker noted.
        ids: of the items, as in their records.
        arrays: by name, see ``_ARRAYS``; ``…_item``, ``…_long`` and ``…_image`` are places in the arrays that they
            name. ``long`` are texts that stand for themselves, ``run`` samples of their runs of words, ``pair`` short
            questions with answers.
    """

    __test__ = False  # its name looks like a test's
    sets: tuple[dict[str, Any], ...]
    ids: tuple[str, ...]
    arrays: dict[str, NDArray[Any]]

    def __getattr__(self, name: str) -> NDArray[Any]:
        try:
            found: NDArray[Any] = self.__dict__["arrays"][name]
        except KeyError as error:
            raise AttributeError(name) from error
        return found

    def set_of(self, item: int) -> str:
        """Name of the set that an item belongs to."""
        return str(self.sets[int(self.item_set[item])]["name"])


class Collector:
    """Gathers the items of test sets, set by set."""

    def __init__(self) -> None:
        self._sets: list[dict[str, Any]] = []
        self._ids: list[str] = []
        self._rows: dict[str, list[Any]] = {name: [] for name in _ARRAYS}
        self._hasher = RunHasher()
        self._images = 0

    def add_set(self, name: str, records: Iterable[Record], look_at: LookAt, **facts: Any) -> None:
        """Take the records of a set.

        Args:
            name: of the set.
            records: each is an item.
            look_at: gives what images are compared by; see :class:`bimedix2.data.decontaminate.pictures.Pictures`.
            facts: kept with the set, such as its licence.
        """
        taken: list[tuple[int, Units]] = []
        first, images = len(self._ids), self._images
        known: dict[tuple[int, int], int] = {}
        for record in records:
            item = len(self._ids)
            self._ids.append(record.id)
            self._rows["item_set"].append(len(self._sets))
            taken.append((item, asked_units(record)))
            self._add_images(item, look_at(record), known)
        self._add_texts(taken)
        self._sets.append({"name": name, "items": len(self._ids) - first, "images": self._images - images, **facts})

    def _add_images(self, item: int, looks: Sequence[Looks], known: dict[tuple[int, int], int]) -> None:
        """Images of a set once each, under the first item that shows them: hundreds of questions may share one."""
        rows = self._rows
        for file, pixels, codes in looks:
            if (file, pixels) in known:
                continue
            known[file, pixels] = self._images
            rows["image_file"].append(file)
            rows["image_pixels"].append(pixels)
            rows["image_item"].append(item)
            rows["code_coarse"] += codes.coarse.tolist()
            rows["code_fine"] += codes.fine.tolist()
            rows["code_image"] += [self._images] * len(codes.coarse)
            self._images += 1

    def _add_texts(self, taken: list[tuple[int, Units]]) -> None:
        """Texts and runs of words that stand in many items of a set are set phrases and tell nothing."""
        counts = Counter(form.text for _, units in taken for form in units.long)
        most = max(5, len(taken) // 200)
        rows, texts = self._rows, []
        hashed = {text: np.unique(self._hasher.of(text)) for text in counts if counts[text] <= most}
        common = _common(list(hashed.values()))
        for item, units in taken:
            for form in units.long:
                if form.text not in hashed:
                    continue
                runs = sample(hashed[form.text], common).tolist()
                rows["run_key"] += runs
                rows["run_long"] += [len(rows["long_key"])] * len(runs)
                rows["long_key"].append(key_of(form.text))
                rows["long_item"].append(item)
                texts.append(form.text)
            for key, own in (("pair", [key_of(form.text) for form in units.pairs]), ("name", list(units.names))):
                rows[f"{key}_key"] += own
                rows[f"{key}_item"] += [item] * len(own)
        rows["long_signature"] += list(signatures(texts)) if texts else []

    def collected(self) -> TestHashes:
        """All sets taken so far."""
        arrays = {name: np.array(self._rows[name], kind).reshape(-1, *shape) for name, (kind, shape) in _ARRAYS.items()}
        return TestHashes(tuple(self._sets), tuple(self._ids), arrays)


def _common(runs: Sequence[NDArray[np.uint32]]) -> NDArray[np.uint32]:
    """Runs of words that are in more than three texts of a set."""
    if not runs:
        return np.empty(0, np.uint32)
    keys, counts = np.unique(np.concatenate(runs), return_counts=True)
    found: NDArray[np.uint32] = keys[counts > 3]
    return found


def joined(parts: Sequence[TestHashes]) -> TestHashes:
    """Several collections as one."""
    arrays: dict[str, list[NDArray[Any]]] = {name: [] for name in _ARRAYS}
    sets: list[dict[str, Any]] = []
    ids: list[str] = []
    longs = images = 0
    for part in parts:
        shift = {"set": len(sets), "item": len(ids), "long": longs, "image": images}
        for name in _ARRAYS:
            arrays[name].append(part.arrays[name] + shift.get(name.rpartition("_")[2], 0) * _is_place(name))
        sets += part.sets
        ids += part.ids
        longs, images = longs + len(part.long_key), images + len(part.image_file)
    whole = {
        name: np.concatenate(arrays[name]).astype(kind) if parts else np.empty((0, *shape), kind)
        for name, (kind, shape) in _ARRAYS.items()
    }
    return TestHashes(tuple(sets), tuple(ids), whole)


def _is_place(name: str) -> int:
    return int(_ARRAYS[name][0] == "int32")


def save(hashes: TestHashes, path: Path) -> None:
    """Write a file of hashes; the same hashes give the same bytes."""
    about = json.dumps({"format": FORMAT, "sets": hashes.sets, "ids": hashes.ids}, ensure_ascii=False, sort_keys=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("about.json", _EPOCH), about.encode(), zipfile.ZIP_DEFLATED)
        for name in _ARRAYS:
            content = io.BytesIO()
            np.lib.format.write_array(content, hashes.arrays[name], allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _EPOCH), content.getvalue(), zipfile.ZIP_DEFLATED)
    write_whole(path, buffer.getvalue())


def load(path: Path) -> TestHashes:
    """Read a file of hashes.

    Raises:
        DataError: ``bad_test_hashes``: it is missing, damaged, or of another format.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read("about.json"))
            if about["format"] != FORMAT:
                raise ValueError(f"format {about['format']} instead of {FORMAT}")
            arrays = {
                name: np.lib.format.read_array(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in _ARRAYS
            }
            _check(arrays, about)
            return TestHashes(tuple(about["sets"]), tuple(about["ids"]), arrays)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is no usable file of test-set hashes ({error}). Make it anew with tools/make_test_hashes.py.",
            f"الملف {path} ليس ملف بصمات صالحا لمجموعات الاختبار ({error}). أعد إنشاءه بالأداة "
            "tools/make_test_hashes.py.",
            code="bad_test_hashes",
        ) from error


def _check(arrays: dict[str, NDArray[Any]], about: dict[str, Any]) -> None:
    sizes = {
        "set": len(about["sets"]), "item": len(about["ids"]), "long": len(arrays["long_key"]),
        "image": len(arrays["image_file"]),
    }  # fmt: skip
    for name, (kind, shape) in _ARRAYS.items():
        array = arrays[name]
        if array.dtype != kind or array.shape[1:] != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}")
        if _is_place(name) and len(array) and not 0 <= array.min() <= array.max() < sizes[name.rpartition("_")[2]]:
            raise ValueError(f"{name} points outside")


def shipped() -> TestHashes:
    """Hashes of the public test sets that come with the package; ``docs/decontamination.md`` lists them."""
    return load(Path(str(files("bimedix2.data").joinpath("assets", SHIPPED))))
