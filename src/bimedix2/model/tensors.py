"""Safetensors files: checked before they are trusted, written shard by shard.

The header layout is that of the safetensors format: 8 bytes little-endian header length, a JSON object
``{name: {dtype, shape, data_offsets}}``, then the bytes of all tensors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER_BYTES = 100_000_000
MAX_SHARD_BYTES = 4_000_000_000
INDEX_NAME = "model.safetensors.index.json"
_ITEM_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("I16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("I32", "U32", "F32"), 4),
    **dict.fromkeys(("I64", "U64", "F64"), 8),
}
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


@dataclass(frozen=True)
class TensorInfo:
    """Where a tensor lies and what it is, read from the header alone.

    Attributes:
        file: safetensors file that holds it.
        shape: its shape.
        dtype: safetensors name, such as ``"BF16"``.
        nbytes: its size in bytes.
        key: its name in the file.
    """

    file: Path
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    key: str


def _broken(path: Path, english: str, arabic: str) -> ModelError:
    return ModelError(
        f"{path}: {english} The file is damaged or not a safetensors file; download or export it again.",
        f"{path}: {arabic} الملف تالف أو ليس بصيغة safetensors؛ نزله أو صدره من جديد.",
        code="bad_safetensors",
    )


def _read_header(path: Path) -> tuple[dict[str, Any], int]:
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise _broken(path, f"its header claims {length} bytes.", f"ترويسة الملف تدعي أن طولها {length} بايت.")
        raw = file.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _broken(path, "its header is not JSON.", "ترويسة الملف ليست JSON.") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not a table.", "ترويسة الملف ليست جدولا.")
    return header, size - 8 - length


def _entry(path: Path, name: str, entry: Any) -> tuple[int, int, TensorInfo]:
    try:
        begin, end = entry["data_offsets"]
        shape = tuple(int(side) for side in entry["shape"])
        expected = math.prod(shape) * _ITEM_BYTES[entry["dtype"]]
        consistent = min((0, *shape)) >= 0 and end - begin == expected
    except (KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"the entry of {name} is malformed.", f"مدخل {name} غير صحيح.") from error
    if not consistent:
        raise _broken(path, f"the entry of {name} has the wrong size.", f"حجم {name} غير صحيح.")
    return begin, end, TensorInfo(path, shape, entry["dtype"], expected, name)


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Names, shapes and types of the tensors in a file, after checking that it is whole.

    Raises:
        ModelError: ``bad_safetensors`` if the header is impossible or the file is truncated.
    """
    header, data_bytes = _read_header(path)
    header.pop("__metadata__", None)
    entries = sorted((_entry(path, name, entry) for name, entry in header.items()), key=lambda e: e[:2])
    position = 0
    for begin, end, _ in entries:
        if begin != position:
            raise _broken(path, "its tensors overlap or leave gaps.", "تتداخل الموترات أو بينها فراغات.")
        position = end
    if position != data_bytes:
        raise _broken(
            path,
            f"{data_bytes} bytes of tensors instead of {position}.",
            f"فيه {data_bytes} بايت من الموترات بدلا من {position}.",
        )
    return {name: _entry(path, name, entry)[2] for name, entry in header.items()}


def refuse_pickle(folder: Path) -> None:
    """Raise ``pickle_refused`` if the folder's weights are pickles. Call it when safetensors are missing."""
    pickles = sorted(file.name for file in folder.iterdir() if file.suffix in _PICKLES)
    if pickles:
        raise ModelError(
            f"{folder} holds pickled weights only ({', '.join(pickles[:3])}). A pickle can run any code, so "
            "it is never opened. On a machine you can spare, load it and save it again with "
            "safetensors.torch.save_file, then use that folder.",
            f"يحتوي {folder} على أوزان بصيغة pickle فقط ({'، '.join(pickles[:3])}). قد يشغل ملف pickle "
            "أي برنامج، لذلك لا يفتح أبدا. حوله إلى safetensors على جهاز معزول ثم استخدم المجلد الناتج.",
            code="pickle_refused",
        )


def _indexed_files(index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(index, "not a weight index.", "ليس فهرس أوزان.") from error
    files = []
    for name in names:
        # An index is untrusted text: a path in it must not lead out of the folder.
        if not isinstance(name, str) or Path(name).name != name or not (index.parent / name).is_file():
            raise _broken(index, f"shard {name} is missing.", f"الجزء {name} مفقود.")
        files.append(index.parent / name)
    return files


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that make up a model folder, in order.

    Raises:
        ModelError: ``pickle_refused``, ``bad_safetensors`` (a shard is missing) or ``no_weights``.
    """
    index = folder / INDEX_NAME
    if index.is_file():
        return _indexed_files(index)
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.safetensors"))
    if not files:
        refuse_pickle(folder)
        raise ModelError(
            f"{folder} holds no weights: no model.safetensors and no {INDEX_NAME}. Download the folder again.",
            f"لا يحتوي {folder} على أوزان: لا model.safetensors ولا {INDEX_NAME}. نزل المجلد من جديد.",
            code="no_weights",
        )
    return files


def folder_tensors(folder: Path) -> dict[str, TensorInfo]:
    """All tensors of a model folder by name, with every file checked."""
    tensors: dict[str, TensorInfo] = {}
    for file in weight_files(folder):
        tensors.update(read_header(file))
    return tensors


def iterate(tensors: Iterable[TensorInfo]) -> Iterator[tuple[TensorInfo, Tensor]]:
    """Yield each tensor, file by file; tensors are mapped from disk, so memory stays low."""
    from safetensors import safe_open

    by_file: dict[Path, list[TensorInfo]] = {}
    for info in tensors:
        by_file.setdefault(info.file, []).append(info)
    for file, infos in by_file.items():
        with safe_open(file, framework="pt") as handle:
            for info in infos:
                yield info, handle.get_tensor(info.key)


def load_tensors(file: Path) -> dict[str, Tensor]:
    """Check a safetensors file and read it whole; for small files (adapters, projectors)."""
    return {info.key: tensor.clone() for info, tensor in iterate(read_header(file).values())}


class ShardWriter:
    """Writes ``model.safetensors``, or numbered shards with an index; holds one shard in memory at most."""

    def __init__(self, folder: Path, max_shard_bytes: int = MAX_SHARD_BYTES) -> None:
        self.folder, self.max_shard_bytes = folder, max_shard_bytes
        self.shards: list[list[str]] = []
        self.total_bytes = 0
        self._pending: dict[str, Tensor] = {}
        self._pending_bytes = 0

    def add(self, name: str, tensor: Tensor) -> None:
        """Queue one tensor; a full shard goes to disk at once."""
        nbytes = tensor.numel() * tensor.element_size()
        if self._pending and self._pending_bytes + nbytes > self.max_shard_bytes:
            self._flush()
        self._pending[name] = tensor.detach().contiguous()
        self._pending_bytes += nbytes
        self.total_bytes += nbytes

    def _flush(self) -> None:
        save_tensors(self._pending, self.folder / f"part-{len(self.shards)}.safetensors")
        self.shards.append(list(self._pending))
        self._pending, self._pending_bytes = {}, 0

    def close(self) -> None:
        """Write the last shard, give the shards their final names and write the index."""
        if self._pending:
            self._flush()
        count = len(self.shards)
        weight_map: dict[str, str] = {}
        for number, names in enumerate(self.shards):
            final = "model.safetensors" if count == 1 else f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            (self.folder / f"part-{number}.safetensors").rename(self.folder / final)
            weight_map.update(dict.fromkeys(names, final))
        if count > 1:
            index = {
                "metadata": {"total_size": self.total_bytes},
                "weight_map": dict(sorted(weight_map.items())),
            }
            (self.folder / INDEX_NAME).write_text(json.dumps(index, indent=2), encoding="utf-8")


def save_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    """``safetensors`` file with the ``format`` entry that loaders want; a full disk is an ``OSError``."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file(tensors, file, metadata={"format": "pt"})
    except SafetensorError as error:
        # The library wraps the system's error; callers (`atomic_folder`) act on OSError.
        raise OSError(str(error)) from error
