"""Adapters: exact after a round trip, refused when they do not fit or do nothing."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from toy_checkpoints import edit_json, logits, spread, toy_bundle

from bimedix2.errors import ModelError
from bimedix2.model import add_adapter, attach_adapter, lora_config, merge, save_adapter
from bimedix2.model.adapters import CONFIG_NAME, PROJECTOR_NAME, WEIGHTS_NAME


def trained() -> Any:
    """A toy whose LoRA and projector differ from the base's."""
    model = add_adapter(toy_bundle().model, lora_config(r=4, alpha=8))
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name:
                parameter.normal_(0, 0.2, generator=generator)
    spread(model.model.multi_modal_projector, 11)
    return model.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save_adapter(trained(), tmp_path / "adapter")


def refused(folder: Path, **changes: Any) -> ModelError:
    bundle = toy_bundle()
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        attach_adapter(bundle.model, folder)
    after = bundle.model.state_dict()
    assert after.keys() == before.keys(), "a refused adapter must leave the model alone"
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert caught.value.message_ar != caught.value.message
    return caught.value


def test_round_trip_is_exact(saved: Path) -> None:
    bundle = toy_bundle()
    base = logits(bundle.model, bundle.image_token_id)
    attach_adapter(bundle.model, saved)
    found = logits(bundle.model, bundle.image_token_id)
    assert torch.equal(found, logits(trained(), bundle.image_token_id))
    assert (found - base).abs().max() > 0.1


def test_merge_equals_adapter_and_differs_from_base(saved: Path) -> None:
    bundle = toy_bundle()
    base_keys = set(bundle.model.state_dict())
    base = logits(bundle.model, bundle.image_token_id)
    attach_adapter(bundle.model, saved)
    with_adapter = logits(bundle.model, bundle.image_token_id)
    merged = merge(bundle.model)
    assert set(merged.state_dict()) == base_keys
    assert not hasattr(merged, "peft_config")
    found = logits(merged, bundle.image_token_id)
    assert torch.allclose(found, with_adapter, atol=1e-4)
    assert (found - base).abs().max() > 0.1


def test_peft_itself_reads_the_folder(saved: Path) -> None:
    bundle = toy_bundle()
    model = PeftModel.from_pretrained(bundle.model, str(saved)).eval()
    projector = load_file(saved / PROJECTOR_NAME)
    bundle.model.model.multi_modal_projector.load_state_dict(projector)
    wanted = logits(trained(), bundle.image_token_id)
    assert torch.allclose(logits(model, bundle.image_token_id), wanted, atol=1e-5)
    assert torch.allclose(logits(merge(model), bundle.image_token_id), wanted, atol=1e-4)


def test_a_peft_model_is_saved_alike(tmp_path: Path) -> None:
    bundle = toy_bundle()
    model = get_peft_model(bundle.model, lora_config(r=4, alpha=8))
    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            parameter.data.normal_(0, 0.2)
    wanted = logits(model.eval(), bundle.image_token_id)
    fresh = toy_bundle()
    attach_adapter(fresh.model, save_adapter(model, tmp_path / "adapter"))
    assert torch.allclose(logits(fresh.model, fresh.image_token_id), wanted, atol=1e-5)


@pytest.mark.parametrize("prefix", ["base_model.model.model.layers.", "base_model.model.language_model.model.layers."])
def test_older_layouts_of_names_are_understood(saved: Path, prefix: str) -> None:
    old = {
        key.replace("base_model.model.model.language_model.layers.", prefix): value
        for key, value in load_file(saved / WEIGHTS_NAME).items()
    }
    save_file(old, saved / WEIGHTS_NAME)
    bundle = toy_bundle()
    attach_adapter(bundle.model, saved)
    assert torch.equal(logits(bundle.model, 261), logits(trained(), 261))


def test_projector_alone_is_an_adapter(tmp_path: Path) -> None:
    bundle = toy_bundle()
    spread(bundle.model.model.multi_modal_projector, 5)
    folder = save_adapter(bundle.model, tmp_path / "stage1", dtype="bfloat16")
    assert [file.name for file in folder.iterdir()] == [PROJECTOR_NAME]
    assert {value.dtype for value in load_file(folder / PROJECTOR_NAME).values()} == {torch.bfloat16}
    fresh = toy_bundle()
    attach_adapter(fresh.model, folder)
    wanted = bundle.model.model.multi_modal_projector.linear_1.weight
    assert torch.allclose(fresh.model.model.multi_modal_projector.linear_1.weight, wanted, atol=1e-2)


def rewrite(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]], file: Path) -> None:
    save_file({key: value.contiguous() for key, value in change(load_file(file)).items()}, file)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda t: {k.replace("language_model", "other_model"): v for k, v in t.items()}, "no_match"),
        (lambda t: {k.replace("layers.1.", "layers.9."): v for k, v in t.items()}, "wrong_keys"),
        (lambda t: {k: v[:, :-1] if "lora_A" in k else v for k, v in t.items()}, "wrong_shapes"),
        (lambda t: {k: v[:-1] if "lora_A" in k else v for k, v in t.items()}, "wrong_shapes"),
        (lambda t: {k: v for k, v in t.items() if "lora_A" in k}, "wrong_shapes"),
        (lambda t: {k: v * 0 if "lora_B" in k else v for k, v in t.items()}, "noop_adapter"),
        (lambda t: {k: v / 0 for k, v in t.items()}, "bad_adapter"),
        (lambda t: {"base_model.model.lm_head.weight": torch.ones(2, 2)}, "bad_adapter"),
    ],
)
def test_unfit_weights(saved: Path, change: Any, code: str) -> None:
    rewrite(change, saved / WEIGHTS_NAME)
    assert refused(saved).code == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"r": 2}, "wrong_shapes"),
        ({"peft_type": "LOHA"}, "bad_adapter"),
        ({"modules_to_save": ["lm_head"]}, "bad_adapter"),
        ({"use_dora": True}, "bad_adapter"),
        ({"bias": "all"}, "bad_adapter"),
        ({"r": "many"}, "bad_adapter"),
    ],
)
def test_unfit_settings(saved: Path, fields: dict[str, Any], code: str) -> None:
    edit_json(saved / CONFIG_NAME, **fields)
    assert refused(saved).code == code


def test_settings_cannot_import_code_or_change_the_base(saved: Path) -> None:
    edit_json(
        saved / CONFIG_NAME,
        megatron_config={"x": 1},
        megatron_core="antigravity",
        init_lora_weights="pissa",
        target_modules=".*",
    )
    bundle = toy_bundle()
    attach_adapter(bundle.model, saved)
    assert torch.equal(logits(bundle.model, 261), logits(trained(), 261))


def test_projector_of_another_model(saved: Path) -> None:
    rewrite(lambda tensors: {key: value[:-1] for key, value in tensors.items()}, saved / PROJECTOR_NAME)
    assert refused(saved).code == "wrong_shapes"


def test_pickled_and_damaged_adapters(saved: Path) -> None:
    file = saved / WEIGHTS_NAME
    file.write_bytes(struct.pack("<Q", 2**63) + file.read_bytes()[8:])
    assert refused(saved).code == "bad_safetensors"
    file.rename(saved / "adapter_model.bin")
    assert refused(saved).code == "pickle_refused"


def test_a_folder_that_is_no_adapter(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "bad_adapter"
    assert refused(tmp_path / "absent").code == "bad_adapter"


def test_two_adapters_at_once_are_refused(saved: Path) -> None:
    bundle = toy_bundle()
    attach_adapter(bundle.model, saved)
    with pytest.raises(ModelError, match="already"):
        attach_adapter(bundle.model, saved)


def test_saved_configuration_is_plain_json(saved: Path) -> None:
    config = json.loads((saved / CONFIG_NAME).read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"], config["bias"]) == ("LORA", 4, 8, "none")
