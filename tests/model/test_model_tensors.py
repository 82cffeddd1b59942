"""Damaged and hostile weight files get named errors before anything is read from them."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from bimedix2.errors import ModelError
from bimedix2.model.tensors import INDEX_NAME, ShardWriter, folder_tensors, read_header, weight_files


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "model.safetensors"
    save_file({"a": torch.arange(6.0).view(2, 3), "b": torch.ones(4, dtype=torch.bfloat16)}, file)
    return file


def code_of(file: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_header(file)
    assert str(file) in caught.value.message_ar
    assert caught.value.message_ar != caught.value.message
    return caught.value.code


def test_header_agrees_with_the_library(good: Path) -> None:
    infos, tensors = read_header(good), load_file(good)
    assert {name: info.shape for name, info in infos.items()} == {n: tuple(t.shape) for n, t in tensors.items()}
    assert {info.dtype for info in infos.values()} == {"F32", "BF16"}
    assert sum(info.nbytes for info in infos.values()) == 6 * 4 + 4 * 2


@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**31, 0])
def test_impossible_header_length(good: Path, length: int) -> None:
    good.write_bytes(struct.pack("<Q", length) + good.read_bytes()[8:])
    assert code_of(good) == "bad_safetensors"


@given(st.integers(0, 200))
@settings(max_examples=25, deadline=None)
def test_every_truncation_is_noticed(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    file = tmp_path_factory.mktemp("cut") / "model.safetensors"
    save_file({"a": torch.arange(6.0)}, file)
    whole = file.read_bytes()
    file.write_bytes(whole[: min(cut, len(whole) - 1)])
    assert code_of(file) == "bad_safetensors"


def test_trailing_bytes_are_noticed(good: Path) -> None:
    good.write_bytes(good.read_bytes() + b"x")
    assert code_of(good) == "bad_safetensors"


@pytest.mark.parametrize(
    "header",
    [
        b"[]",
        b"not json",
        b'{"a": 5}',
        b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}',
        b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
        b"[" * 50_000,
    ],
)
def test_malformed_headers(tmp_path: Path, header: bytes) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert code_of(file) == "bad_safetensors"


def test_pickles_are_refused_and_never_opened(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "ran",)  # type: ignore[return-value]

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="save_file") as caught:
        weight_files(tmp_path)
    assert caught.value.code == "pickle_refused"
    assert not (tmp_path / "ran").exists()


def test_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        weight_files(tmp_path)
    assert caught.value.code == "no_weights"


@pytest.mark.parametrize("shard", ["../outside.safetensors", "/etc/passwd", "absent.safetensors", 7])
def test_index_cannot_lead_elsewhere(good: Path, shard: object) -> None:
    (good.parent / INDEX_NAME).write_text(json.dumps({"weight_map": {"a": shard}}))
    (good.parent.parent / "outside.safetensors").write_bytes(good.read_bytes())
    with pytest.raises(ModelError) as caught:
        folder_tensors(good.parent)
    assert caught.value.code == "bad_safetensors"


def test_shard_writer_splits_and_indexes(tmp_path: Path) -> None:
    tensors = {f"t{i}": torch.full((10,), float(i)) for i in range(5)}
    writer = ShardWriter(tmp_path, max_shard_bytes=80)
    for name, tensor in tensors.items():
        writer.add(name, tensor)
    writer.close()
    index = json.loads((tmp_path / INDEX_NAME).read_text())
    assert index["metadata"]["total_size"] == 200
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)
    ]
    for name, tensor in tensors.items():
        assert torch.equal(load_file(tmp_path / index["weight_map"][name])[name], tensor)
    assert set(folder_tensors(tmp_path)) == set(tensors)


def test_single_shard_has_no_index(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path)
    writer.add("a", torch.ones(2))
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
