"""``quantize: nf4`` in whole runs: close to the unquantised model, and an adapter that goes onto that one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_run import recipe, records

from bimedix2.errors import ConfigError
from bimedix2.model import attach_adapter, export_hf, load_bundle
from bimedix2.model.quantize import is_quantized
from bimedix2.model.toy import toy_bundle
from bimedix2.train.recipe import Recipe
from bimedix2.train.run import load_start, train_records
from bimedix2.train.watch.log import read_log
from tiny import TEXTS


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return export_hf(toy_bundle("llama", TEXTS), tmp_path / "base")


def four_bit(base: Path, **settings: Any) -> Recipe:
    return replace(recipe("none"), model=str(base), dtype="float32", quantize="nf4", holdout=0.2, **settings)


def losses(run: Path) -> list[float]:
    return [row["loss"] for row in read_log(run).steps]


def test_a_recipe_that_cannot_be_had_ends_before_the_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    for settings, text in (({}, "bimedix2\\[gpu\\]"), ({"engine": "fsdp2"}, "engine=ddp")):
        with pytest.raises(ConfigError, match=text):
            load_start(replace(four_bit(Path("/no/such/model")), **settings))


def test_both_stages_train_close_to_the_unquantised_model(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantize: nf4 needs bitsandbytes, which is optional")
    chosen = four_bit(base)
    bundle = load_start(chosen)
    assert is_quantized(bundle.model)
    assert bundle.dtype == torch.float32
    found = records(tmp_path)
    assert train_records(chosen, found, lambda: load_start(chosen), tmp_path, tmp_path / "nf4", lambda *_: None)
    plain = replace(chosen, quantize="none")
    assert train_records(plain, found, lambda: load_start(plain), tmp_path, tmp_path / "plain", lambda *_: None)
    own, other = losses(tmp_path / "nf4"), losses(tmp_path / "plain")
    assert own != other
    assert own == pytest.approx(other, rel=0.03)
    assert own[-1] < own[0]
    validated = [row["validation"]["loss"] for row in read_log(tmp_path / "nf4").validations]
    assert validated[-1] < validated[0]
    _on_the_unquantised(base, tmp_path / "nf4" / "final", tmp_path)


def _on_the_unquantised(base: Path, final: Path, tmp_path: Path) -> None:
    """The adapter holds nothing of the 4 bits; merged into the unquantised weights it gives the same answers."""
    stored = load_file(final / "adapter_model.safetensors")
    assert {name.rsplit(".", 2)[1] for name in stored} == {"lora_A", "lora_B"}
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    attached = load_bundle(base, adapter=final, dtype="float32")
    merged = load_bundle(export_hf(attached, tmp_path / "merged"), dtype="float32")
    untrained = load_bundle(base, dtype="float32")
    ids = torch.arange(10, 40)[None]
    with torch.no_grad():
        own, whole, before = (bundle.model(input_ids=ids).logits for bundle in (attached, merged, untrained))
    assert torch.allclose(own, whole, atol=1e-4)
    assert not torch.allclose(own, before, atol=1e-2)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantize: nf4 needs bitsandbytes, which is optional")
    chosen, found, asked = four_bit(base), records(tmp_path), 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 5

    load = lambda: load_start(chosen)  # noqa: E731
    assert train_records(chosen, found, load, tmp_path, tmp_path / "whole", lambda *_: None)
    assert not train_records(chosen, found, load, tmp_path, tmp_path / "parts", lambda *_: None, stop)
    assert train_records(chosen, found, load, tmp_path, tmp_path / "parts", lambda *_: None)
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")


def test_a_quantised_bundle_can_be_copied(base: Path, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantize: nf4 needs bitsandbytes, which is optional")
    chosen = four_bit(base)
    bundle, found = load_start(chosen), records(tmp_path)
    assert train_records(chosen, found, bundle, tmp_path, tmp_path / "given", lambda *_: None)
    assert train_records(chosen, found, lambda: load_start(chosen), tmp_path, tmp_path / "loaded", lambda *_: None)
    assert losses(tmp_path / "given") == losses(tmp_path / "loaded")
    attach_adapter(load_bundle(base, dtype="float32").model, tmp_path / "given" / "final")
