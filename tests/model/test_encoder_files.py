"""Trained encoder blocks beside an adapter: exact after a round trip, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_checkpoints import edit_json, logits, toy_bundle

from bimedix2.errors import BiMediX2Error, ModelError
from bimedix2.model import add_adapter, attach_adapter, export_hf, load_bundle, lora_config, merge, save_adapter
from bimedix2.model.encoder import trained_blocks, unfreeze_blocks


def tuned(dtype: torch.dtype = torch.float32) -> Any:
    """A toy with trained LoRA, projector and last used block of the encoder."""
    model = toy_bundle().model.to(dtype)
    torch.manual_seed(1)
    add_adapter(model, lora_config(r=2, alpha=4))
    generator = torch.Generator().manual_seed(4)
    trained = unfreeze_blocks(model, 1)
    with torch.no_grad():
        for parameter in [*trained, *(p for name, p in model.named_parameters() if ".lora_" in name)]:
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_adapter(tuned(), tmp_path / "adapter")


def test_trained_blocks_survive_an_adapter_folder(saved: Path) -> None:
    assert {file.name for file in saved.iterdir()} == {
        "adapter_config.json", "adapter_model.safetensors", "projector.safetensors", "encoder.safetensors",
    }  # fmt: skip
    names = load_file(saved / "encoder.safetensors").keys()
    assert {name.rsplit(".", 1)[0].startswith("encoder.layers.0.") for name in names} == {True}
    bundle = toy_bundle()
    attach_adapter(bundle.model, saved)
    assert torch.equal(logits(bundle.model, bundle.image_token_id), logits(tuned(), bundle.image_token_id))
    assert trained_blocks(bundle.model) == [0]
    (saved / "encoder.safetensors").unlink()
    without = toy_bundle()
    attach_adapter(without.model, saved)
    difference = logits(without.model, 261) - logits(bundle.model, 261)
    assert difference.abs().max() > 0.1


def test_stored_again_from_what_was_loaded(saved: Path, tmp_path: Path) -> None:
    bundle = toy_bundle()
    attach_adapter(bundle.model, saved)
    again = save_adapter(bundle.model, tmp_path / "again")
    first, second = (load_file(folder / "encoder.safetensors") for folder in (saved, again))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_nothing_unfrozen_writes_no_encoder(tmp_path: Path) -> None:
    model = toy_bundle().model
    unfreeze_blocks(model, 0)
    assert [file.name for file in save_adapter(model, tmp_path / "a").iterdir()] == ["projector.safetensors"]


def test_float32_blocks_take_the_models_type(saved: Path) -> None:
    bundle = toy_bundle()
    bundle.model.to(torch.bfloat16)
    attach_adapter(bundle.model, saved)
    assert {p.dtype for p in bundle.model.model.vision_tower.parameters()} == {torch.bfloat16}
    exact = load_file(saved / "encoder.safetensors")
    own = bundle.model.model.vision_tower.state_dict()
    assert all(torch.equal(own[name], value.to(torch.bfloat16)) for name, value in exact.items())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: {k.replace("layers.0.", "layers.7."): v for k, v in t.items()}, "wrong_keys"),
        (lambda t: dict(list(t.items())[1:]), "wrong_keys"),
        (lambda t: {**t, "encoder.layers.0.more": torch.ones(1)}, "wrong_keys"),
        (lambda t: {**t, "embeddings.class_embedding": torch.ones(32)}, "wrong_keys"),
        (lambda t: {k: v[:-1].contiguous() for k, v in t.items()}, "wrong_shapes"),
        (lambda t: {k: v / 0 for k, v in t.items()}, "bad_adapter"),
        (lambda _: {}, "wrong_keys"),
    ],
)
def test_unfit_blocks_leave_the_model_alone(saved: Path, change: Any, code: str) -> None:
    file = saved / "encoder.safetensors"
    save_file(change(load_file(file)), file)
    bundle = toy_bundle()
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    with pytest.raises(BiMediX2Error) as caught:
        attach_adapter(bundle.model, saved)
    assert caught.value.code == code
    assert caught.value.message_ar != caught.value.message
    after = bundle.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_another_encoders_adapter_is_refused(saved: Path) -> None:
    (saved / "encoder.json").write_text("{}")
    edit_json(saved / "encoder.json", source="owner/encoder", sha256="0" * 64)
    with pytest.raises(ModelError) as caught:
        attach_adapter(toy_bundle().model, saved)
    assert caught.value.code == "wrong_encoder"
    assert "owner/encoder" in caught.value.message_ar


def test_export_and_merge_contain_the_trained_blocks(saved: Path, tmp_path: Path) -> None:
    export_hf(toy_bundle(), tmp_path / "base")
    bundle = load_bundle(tmp_path / "base", adapter=saved, device="cpu", dtype="float32")
    wanted = logits(tuned(), bundle.image_token_id)
    export_hf(bundle, tmp_path / "out")
    again = load_bundle(tmp_path / "out", device="cpu", dtype="float32")
    assert torch.allclose(logits(again.model, again.image_token_id), wanted, atol=1e-4)
    assert torch.allclose(logits(merge(bundle.model), bundle.image_token_id), wanted, atol=1e-4)


def test_the_merge_command_contains_the_trained_blocks(saved: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from bimedix2.cli.app import app

    base, out = export_hf(toy_bundle(), tmp_path / "base"), tmp_path / "out"
    result = CliRunner().invoke(app, ["merge", str(base), str(out), "--adapter", str(saved)])
    assert result.exit_code == 0, result.output
    stored, blocks = load_file(out / "model.safetensors"), load_file(saved / "encoder.safetensors")
    for name, value in blocks.items():
        found = stored[f"vision_tower.vision_model.{name}"]
        assert torch.equal(found, value.to(found.dtype))


def test_an_export_from_training_is_of_one_type(tmp_path: Path) -> None:
    """Blocks and projector in float32 beside a bfloat16 rest, as a trainer holds them."""
    bundle = toy_bundle()
    bundle.model = tuned(torch.bfloat16)
    bundle.model.model.multi_modal_projector.float()
    export_hf(bundle, tmp_path / "out")
    again = load_bundle(tmp_path / "out", device="cpu", dtype="bfloat16")
    assert {parameter.dtype for parameter in again.model.parameters()} == {torch.bfloat16}
    stored = load_file(tmp_path / "out" / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.bfloat16}
