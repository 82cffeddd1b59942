"""Adapters per request: PEFT's effect, row by row, and refusals of what could not work."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_tools import answer, engine, job, run
from safetensors.torch import load_file, save_file

from bimedix2.errors import ModelError
from bimedix2.inference.assistant import Assistant
from bimedix2.model import add_adapter, attach_adapter, lora_config, save_adapter
from bimedix2.serve.engines.batching.lora import RowAdapters, load_adapters, read_adapter
from bimedix2.serve.errors import ServeError
from tiny import tiny_bundle

KINDS = ("llava", "nano")
CONFIG, WEIGHTS, PROJECTOR = "adapter_config.json", "adapter_model.safetensors", "projector.safetensors"


def make(folder: Path, kind: str, seed: int, **config: Any) -> Path:
    """A PEFT folder with a random adapter for the language model, written by PEFT's own names."""
    model = add_adapter(tiny_bundle(kind).model, lora_config(**{"r": 4, "alpha": 8, **config}))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.normal_(0, 0.3, generator=generator)
    return save_adapter(model, folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("chest", "brain")):
        make(tmp_path / name, "llava", number)
    return tmp_path


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("extra", [{}, {"use_rslora": True}, {"alpha_pattern": {"q_proj": 3}}])
def test_the_effect_is_pefts(kind: str, extra: dict[str, Any], tmp_path: Path) -> None:
    stored = make(tmp_path / "a", kind, 1)
    edit(stored / CONFIG, lambda content: content.update(extra))
    tokens = torch.tensor([[5, 20, 31, 44, 7, 90]])
    base, own, peft = tiny_bundle(kind).model, tiny_bundle(kind).model, tiny_bundle(kind).model
    attach_adapter(peft, stored)
    adapters = RowAdapters(own, load_adapters(own, tmp_path))
    with torch.inference_mode():
        with adapters.rows(["a"]):
            found = own(input_ids=tokens).logits
        torch.testing.assert_close(found, peft(input_ids=tokens).logits, atol=1e-4, rtol=1e-4)
        assert torch.equal(own(input_ids=tokens).logits, base(input_ids=tokens).logits)
        assert not torch.allclose(found, base(input_ids=tokens).logits, atol=1e-2)
        with adapters.rows([None, "a", None]):
            mixed = own(input_ids=tokens.expand(3, -1)).logits
    torch.testing.assert_close(mixed[1:2], found, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(mixed[:1], base(input_ids=tokens).logits.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_with_different_adapters_share_a_batch(kind: str, tmp_path: Path) -> None:
    names = ("chest", "brain")
    for number, name in enumerate(names):
        make(tmp_path / name, kind, number)
    asked = [
        job(text, adapter=name, max_new_tokens=8 + 3 * number)
        for number, name in enumerate((*names, None))
        for text in ("What is shown?", "ماذا يظهر؟")
    ]

    async def test() -> None:
        async with engine(kind, places=6, adapters=tmp_path) as made:
            assert made.info.adapters == ("brain", "chest")
            answers = await asyncio.gather(*(answer(made, own) for own in asked))
            with pytest.raises(ServeError) as caught:
                await answer(made, job("?", adapter="../chest"))
            assert (caught.value.status, caught.value.param) == (404, "adapter")
        for own, (text, last) in zip(asked, answers, strict=True):
            bundle = tiny_bundle(kind)
            if own.adapter is not None:
                attach_adapter(bundle.model, tmp_path / own.adapter)
            expected = "".join(Assistant(bundle).stream_turns(own.turns, (), own.language, own.config))
            assert text == expected
            assert last.usage is not None
        assert len({text for text, _ in answers}) == len(asked)

    run(test)


def test_an_adapters_prompts_are_not_reused_for_another() -> None:
    """Keys and values depend on the adapter that read them."""
    from bimedix2.serve.engines.batching.prefix import PrefixCache

    cache = PrefixCache(10**6)
    cache.add([1, 2, 3], "chest", [(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2))])
    assert [cache.find([1, 2, 3, 4], name)[0] for name in ("chest", "brain", None)] == [3, 0, 0]


def _zero_b(stored: Path) -> None:
    tensors = load_file(stored / WEIGHTS)
    save_file({name: tensor * ("lora_A" in name) for name, tensor in tensors.items()}, stored / WEIGHTS)


def _rename(old: str, new: str) -> Callable[[Path], None]:
    def change(stored: Path) -> None:
        tensors = load_file(stored / WEIGHTS)
        save_file({name.replace(old, new): tensor for name, tensor in tensors.items()}, stored / WEIGHTS)

    return change


def _cut(stored: Path) -> None:
    tensors = load_file(stored / WEIGHTS)
    save_file({name: tensor[:, :-1].contiguous() for name, tensor in tensors.items()}, stored / WEIGHTS)


def _rank(stored: Path) -> None:
    edit(stored / CONFIG, lambda content: content.update(r=16))


def _pickle(stored: Path) -> None:
    (stored / WEIGHTS).unlink()
    torch.save({}, stored / "adapter_model.bin")


def _projector(stored: Path) -> None:
    tensors = load_file(stored / PROJECTOR)
    save_file({name: tensor + 1 for name, tensor in tensors.items()}, stored / PROJECTOR)


def _encoder(stored: Path) -> None:
    save_file({"block": torch.ones(2)}, stored / "encoder.safetensors")


def _pattern(stored: Path) -> None:
    edit(stored / CONFIG, lambda content: content.update(alpha_pattern={"(a+)+$": 2}))


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (_zero_b, "noop_adapter"),
    (_rename("language_model.layers", "language_model.blocks"), "needs_merge"),
    (_rename("layers.1.", "layers.7."), "wrong_keys"),
    (_rename("layers.", "language_model.layers."), "no_match"),
    (_cut, "wrong_shapes"),
    (_rank, "wrong_shapes"),
    (_pickle, "pickle_refused"),
    (_projector, "needs_merge"),
    (_encoder, "needs_merge"),
    (_rename("language_model.layers", "vision_tower.encoder.layers"), "needs_merge"),
    (_pattern, "bad_adapter"),
    (lambda stored: (stored / CONFIG).unlink(), "bad_adapter"),
]


@pytest.mark.parametrize(("change", "code"), FAULTS)
def test_what_could_not_work_is_refused(change: Callable[[Path], None], code: str, folder: Path) -> None:
    stored = folder / "chest"
    model = tiny_bundle().model
    assert read_adapter(model, stored)
    change(stored)
    with pytest.raises(ModelError) as caught:
        load_adapters(model, folder)
    assert caught.value.code == code
    assert caught.value.message_ar != str(caught.value)
    if code == "needs_merge":
        assert "bimedix2 merge" in str(caught.value)
        assert "bimedix2 merge" in caught.value.message_ar


@pytest.mark.parametrize("name", ["two words", "-x", "x" * 65, "صدر"])
def test_names_are_checked(name: str, folder: Path) -> None:
    shutil.copytree(folder / "chest", folder / name)
    with pytest.raises(ModelError) as caught:
        load_adapters(tiny_bundle().model, folder)
    assert caught.value.code == "bad_name"


def test_links_out_of_the_folder_are_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = make(tmp_path_factory.mktemp("elsewhere") / "a", "llava", 5)
    (folder / "linked").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ModelError) as caught:
        load_adapters(tiny_bundle().model, folder)
    assert caught.value.code == "bad_name"


def test_no_folder_and_an_empty_one(tmp_path: Path) -> None:
    model = tiny_bundle().model
    assert load_adapters(model, None) == {}
    assert load_adapters(model, tmp_path) == {}
    with pytest.raises(ModelError) as caught:
        load_adapters(model, tmp_path / "gone")
    assert caught.value.code == "no_adapter_folder"


def test_a_bad_adapter_keeps_the_engine_from_starting(folder: Path) -> None:
    _zero_b(folder / "brain")

    async def test() -> None:
        with pytest.raises(ModelError):
            async with engine(adapters=folder):
                pass

    run(test)
