"""Loading: policies read from the folder, and a clear error for everything that is no model."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_checkpoints import edit_json, logits, toy_bundle, write_json

from bimedix2.errors import ModelError
from bimedix2.model import add_adapter, export_hf, load_bundle, lora_config, save_adapter
from bimedix2.model.derive import derive_manifest
from bimedix2.model.hub import ALLOWED, is_hub_id
from bimedix2.model.load import pick_device, pick_dtype, tokens_per_image


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return export_hf(toy_bundle(), tmp_path / "toy-model")


@pytest.fixture
def foreign(folder: Path) -> Path:
    """A Hugging Face folder from elsewhere, without our manifest."""
    (folder / "bimedix2.json").unlink()
    return folder


def load(path: str | Path, **options: Any) -> Any:
    return load_bundle(path, device="cpu", **{"dtype": "float32", **options})


def refused(path: str | Path, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load(path, **options)
    assert caught.value.message_ar != caught.value.message
    assert any("\u0600" <= char <= "\u06ff" for char in caught.value.message_ar)
    return caught.value


def test_manifest_is_used(folder: Path) -> None:
    bundle = load(folder)
    assert (bundle.name, bundle.template.name, bundle.tokens_per_image) == ("toy", "llama3", 4)
    assert not bundle.model.training
    assert bundle.dtype == torch.float32
    assert bundle.device.type == "cpu"


def test_a_foreign_folder_is_understood(foreign: Path) -> None:
    bundle, toy = load(foreign), toy_bundle()
    assert bundle.image_policy == toy.image_policy
    assert bundle.image_token_id == toy.image_token_id
    assert bundle.template.name == "llama3"
    assert torch.allclose(logits(bundle.model, 261), logits(toy.model, 261), atol=1e-4)


CLIP_STOCK = {
    "size": {"shortest_edge": 28},
    "crop_size": {"height": 28, "width": 28},
    "do_center_crop": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.2, 0.1],
    "resample": 3,
}


@pytest.mark.parametrize(
    ("config", "settings", "name", "fit"),
    [
        ({}, {}, "x/y", "crop"),
        ({}, {"crop_size": 28, "size": 28}, "x/y", "crop"),
        ({}, {"do_pad": True}, "x/y", "pad"),
        ({}, {"image_aspect_ratio": "pad"}, "x/y", "pad"),
        ({"image_aspect_ratio": "pad"}, {}, "x/y", "pad"),
        ({}, {}, "MBZUAI/BiMediX2-8B-hf", "pad"),
        ({}, {"do_pad": True, "do_center_crop": False}, "x/y", "pad"),
    ],
)
def test_image_policy_is_derived(foreign: Path, config: Any, settings: Any, name: str, fit: str) -> None:
    write_json(foreign / "preprocessor_config.json", {**CLIP_STOCK, **settings})
    fields = {"text_config": {"model_type": "llama"}, "image_token_index": 5, **config}
    policy = derive_manifest(foreign, fields, name).image_policy
    assert (policy.fit, policy.size, policy.mean, policy.std) == (fit, 28, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1))


def test_image_settings_nested_by_transformers_5(foreign: Path) -> None:
    (foreign / "preprocessor_config.json").unlink()
    edit_json(foreign / "processor_config.json", image_processor={**CLIP_STOCK, "do_pad": True})
    assert load(foreign).image_policy.fit == "pad"


@pytest.mark.parametrize(
    "settings",
    [
        {"crop_size": {"height": 20, "width": 20}},
        {"size": {"height": 28, "width": 30}},
        {"do_center_crop": False},
        {"resample": 2},
        {"image_mean": None},
        {"size": None},
    ],
)
def test_preparation_that_cannot_be_told(foreign: Path, settings: dict[str, Any]) -> None:
    write_json(foreign / "preprocessor_config.json", {**CLIP_STOCK, **settings})
    assert refused(foreign).code == "unsupported_model"


def test_policy_size_must_fit_the_tower(foreign: Path) -> None:
    changes = {"size": {"shortest_edge": 56}, "crop_size": {"height": 56, "width": 56}}
    write_json(foreign / "preprocessor_config.json", {**CLIP_STOCK, **changes})
    assert refused(foreign).code == "wrong_image_size"


@pytest.mark.parametrize("kind", ["qwen2", "mistral"])
def test_unknown_language_models_have_no_template(foreign: Path, kind: str) -> None:
    edit_json(foreign / "config.json", text_config={"model_type": kind})
    assert refused(foreign).code == "unsupported_model"


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    assert refused(tmp_path).code == "not_a_model"
    assert refused(tmp_path / "absent").code == "model_not_found"
    assert refused("no-such-name").code == "model_not_found"
    (tmp_path / "file.txt").write_text("x")
    assert refused(tmp_path / "file.txt").code == "model_not_found"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model_type": "llava"', "\x00"])
def test_damaged_config(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text)
    assert refused(folder).code == "bad_json"


@pytest.mark.parametrize(
    "changes", [{"format": 99}, {"image_token_id": "x"}, {"image_policy": {}}, {"image_policy": {"size": -1}}]
)
def test_damaged_manifest(folder: Path, changes: dict[str, Any]) -> None:
    edit_json(folder / "bimedix2.json", **changes)
    assert refused(folder).code in ("bad_manifest", "bad_model")


def test_other_model_types(folder: Path) -> None:
    write_json(folder / "config.json", {"model_type": "bert"})
    assert refused(folder).code == "unsupported_model"


def test_phi3_v_is_refused_with_a_way_out(folder: Path) -> None:
    auto_map = {"AutoModelForCausalLM": "modeling_phi3_v.Phi3VForCausalLM"}
    write_json(folder / "config.json", {"model_type": "phi3_v", "auto_map": auto_map})
    (folder / "modeling_phi3_v.py").write_text("raise SystemExit('code of a checkpoint was run')")
    error = refused(folder)
    assert error.code == "remote_code_refused"
    assert "MBZUAI/BiMediX2-8B-Bi" in error.message
    assert "nano" in error.message_ar


def test_transformers_has_no_class_for_phi3_v() -> None:
    """When this fails, the 4B can be loaded without remote code: support it and drop the refusal."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert "phi3_v" not in CONFIG_MAPPING_NAMES


def test_missing_and_unexpected_weights_are_listed(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["vision_tower.vision_model.surprise"] = tensors.pop("multi_modal_projector.linear_1.bias")
    save_file(tensors, file)
    error = refused(folder)
    assert error.code == "wrong_keys"
    assert "multi_modal_projector.linear_1.bias" in error.message
    assert "surprise" in error.message


def test_wrong_shapes_are_listed(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["multi_modal_projector.linear_1.bias"] = torch.zeros(7)
    save_file(tensors, file)
    error = refused(folder)
    assert (error.code, "multi_modal_projector.linear_1.bias" in error.message) == ("wrong_shapes", True)


def test_buffers_of_old_releases_are_ignored(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    tensors["language_model.model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    tensors["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(5)[None]
    save_file(tensors, file)
    assert torch.allclose(logits(load(folder).model, 261), logits(toy_bundle().model, 261), atol=1e-4)


def test_damaged_weights(folder: Path) -> None:
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    for damaged in (whole[:-10], whole[:4], struct.pack("<Q", 2**63) + whole[8:]):
        file.write_bytes(damaged)
        assert refused(folder).code == "bad_safetensors"


def test_pickled_weights_are_never_opened(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": 1}))
    assert refused(folder).code == "pickle_refused"


def test_missing_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    assert refused(folder).code == "bad_tokenizer"


def test_adapter_on_top(folder: Path, tmp_path: Path) -> None:
    bundle = toy_bundle()
    add_adapter(bundle.model, lora_config(r=2, alpha=4))
    for name, parameter in bundle.model.named_parameters():
        if ".lora_" in name:
            torch.nn.init.normal_(parameter, 0, 0.2, generator=torch.Generator().manual_seed(1))
    adapter = save_adapter(bundle.model, tmp_path / "adapter")
    wanted = logits(bundle.model.eval(), bundle.image_token_id)
    assert torch.equal(logits(load(folder, adapter=adapter).model, 261), wanted)
    base = logits(load(folder, adapter="none").model, 261)
    assert (base - wanted).abs().max() > 0.1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MBZUAI/BiMediX2-8B-hf", True),
        ("nano", False),
        ("../x/y", False),
        ("a/b/c", False),
        ("./a", False),
        ("a/..", False),
        ("/a/b", False),
    ],
)
def test_hub_ids(name: str, expected: bool) -> None:
    assert is_hub_id(name) is expected


def test_offline_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    error = refused("MBZUAI/BiMediX2-8B-hf")
    assert error.code == "hub_unreachable"
    assert "HF_HUB_OFFLINE" in error.message
    assert "nano" in error.message_ar


def test_nothing_that_can_run_is_fetched() -> None:
    from fnmatch import fnmatch

    for name in ("pytorch_model.bin", "modeling_phi3_v.py", "x.pt", "training_args.bin", "a.pkl", "x.so"):
        assert not any(fnmatch(name, pattern) for pattern in ALLOWED)


def test_device_and_number_types() -> None:
    cpu = torch.device("cpu")
    assert pick_dtype("bf16", cpu) == torch.bfloat16
    assert pick_dtype("auto", cpu) in (torch.bfloat16, torch.float32)
    for dtype in ("float99", "int8", "nn"):
        with pytest.raises(ModelError) as caught:
            pick_dtype(dtype, cpu)
        assert caught.value.code == "bad_dtype"
    with pytest.raises(ModelError) as caught:
        pick_device("abacus")
    assert caught.value.code == "bad_device"


def test_tokens_per_image_worked_values() -> None:
    from bimedix2.model import config_8b

    config = config_8b()
    assert tokens_per_image(config, 336) == 576
    config.vision_feature_select_strategy = "full"
    assert tokens_per_image(config, 336) == 577
    config.vision_config.model_type = "dinov2"
    config.vision_feature_select_strategy = "default"
    assert tokens_per_image(config, 336, 3) == 64
    with pytest.raises(ModelError):
        tokens_per_image(config, 336, 5)


def test_importing_the_room_loads_nothing_heavy() -> None:
    code = "import sys, bimedix2.model; print(sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
