"""A converted checkpoint computes what the original computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_checkpoints import RESERVED, Original, edit_json, logits, original_folder, write_json
from transformers import AutoTokenizer, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from bimedix2.errors import BiMediX2Error, ModelError
from bimedix2.model import convert_llava, load_bundle
from bimedix2.model.tensors import folder_tensors


def refused(source: Path, target: Path, **options: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        convert_llava(source, target, **options)
    assert not target.exists()
    assert not [file for file in target.parent.iterdir() if file.name.startswith(f".{target.name}")]
    assert caught.value.message_ar != caught.value.message
    return caught.value


def agree(original: Original, target: Path, **reference: Any) -> None:
    bundle = load_bundle(target, device="cpu", dtype="float32")
    wanted = original.reference_logits(**reference)
    found = logits(bundle.model, bundle.image_token_id, bundle.tokens_per_image)
    assert torch.allclose(found[..., : wanted.shape[-1]], wanted, atol=1e-4), (found - wanted).abs().max()
    assert wanted.std() > 0.1, "the reference must depend on its input for this test to mean anything"


@pytest.mark.parametrize("inside", [True, False], ids=["tower in shards", "tower beside"])
def test_logits_equal_a_hand_assembled_forward(tmp_path: Path, inside: bool) -> None:
    original = original_folder(tmp_path / "source", RESERVED, tower_inside=inside)
    agree(original, convert_llava(original.folder, tmp_path / "target"))


def test_image_token_takes_a_reserved_place(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    target = convert_llava(original.folder, tmp_path / "target")
    bundle = load_bundle(target, device="cpu", dtype="float32")
    before = original.llama.config.vocab_size
    assert bundle.model.config.text_config.vocab_size == before
    assert bundle.image_token_id == before - 1
    assert bundle.tokenizer.convert_tokens_to_ids("<image>") == bundle.image_token_id
    assert bundle.tokenizer.convert_tokens_to_ids(RESERVED) is None
    assert bundle.tokenizer.encode("a<image>b", add_special_tokens=False)[1] == bundle.image_token_id


@pytest.mark.parametrize("text", ["The left lung is clear.", "الرئة اليسرى سليمة، ١٢ مم"])
def test_other_tokens_stay_as_they_were(tmp_path: Path, text: str) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    target = convert_llava(original.folder, tmp_path / "target")
    before = PreTrainedTokenizerFast(tokenizer_file=str(original.folder / "tokenizer.json"))
    after = AutoTokenizer.from_pretrained(target)
    prompt = f"<|start_header_id|>user<|end_header_id|>\n\n{text}<|eot_id|>"
    assert before.encode(prompt) == after.encode(prompt)
    assert after.decode(after.encode(prompt)) == prompt


def test_table_grows_only_without_a_spare_token(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source")
    target = convert_llava(original.folder, tmp_path / "target")
    agree(original, target)
    bundle = load_bundle(target, device="cpu", dtype="float32")
    table = bundle.model.get_input_embeddings().weight
    assert (bundle.image_token_id, table.shape[0]) == (261, 320)
    assert torch.allclose(table[261], original.llama.get_input_embeddings().weight.mean(0), atol=1e-5)


def test_an_image_token_that_exists_is_kept(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED, "<image>")
    target = convert_llava(original.folder, tmp_path / "target")
    assert json.loads((target / "bimedix2.json").read_text())["image_token_id"] == 262
    agree(original, target)


@pytest.mark.parametrize(
    ("fields", "layer", "drop_class"),
    [({"mm_vision_select_layer": -1}, -1, True), ({"mm_vision_select_feature": "cls_patch"}, -2, False)],
)
def test_layer_and_feature_selection(tmp_path: Path, fields: dict[str, Any], layer: int, drop_class: bool) -> None:
    original = original_folder(tmp_path / "source", RESERVED, **fields)
    agree(original, convert_llava(original.folder, tmp_path / "target"), layer=layer, drop_class=drop_class)


@pytest.mark.parametrize(("aspect", "fit"), [("pad", "pad"), (None, "crop"), ("square", "crop")])
def test_image_policy(tmp_path: Path, aspect: str | None, fit: str) -> None:
    original = original_folder(tmp_path / "source", RESERVED, image_aspect_ratio=aspect)
    bundle = load_bundle(convert_llava(original.folder, tmp_path / "target"), device="cpu", dtype="float32")
    assert (bundle.image_policy.fit, bundle.image_policy.size, bundle.tokens_per_image) == (fit, 28, 4)
    assert bundle.template.name == "llama3"


def test_rope_of_llama31_survives(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    target = convert_llava(original.folder, tmp_path / "target")
    rope = json.loads((target / "config.json").read_text())["text_config"]["rope_parameters"]
    assert rope == dict(original.llama.config.rope_parameters)


def test_result_is_a_plain_hugging_face_folder(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    target = convert_llava(original.folder, tmp_path / "target")
    model, report = LlavaForConditionalGeneration.from_pretrained(target, output_loading_info=True)
    assert not any(report.values())
    assert torch.allclose(logits(model.eval(), 261), original.reference_logits(), atol=1e-4)
    assert not [name for name in folder_tensors(target) if "inv_freq" in name]


def test_loading_converts_once_into_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIMEDIX2_CACHE", str(tmp_path / "cache"))
    original = original_folder(tmp_path / "source", RESERVED)
    wanted = original.reference_logits()
    first = load_bundle(original.folder, device="cpu", dtype="float32")
    (converted,) = (tmp_path / "cache" / "converted").iterdir()
    stamp = (converted / "model.safetensors").stat().st_mtime_ns
    second = load_bundle(str(original.folder), device="cpu", dtype="float32")
    assert (converted / "model.safetensors").stat().st_mtime_ns == stamp
    for bundle in (first, second):
        assert torch.allclose(logits(bundle.model, bundle.image_token_id), wanted, atol=1e-4)
        assert bundle.name == "source"


def unmerged_folder(root: Path, base: Original) -> tuple[Path, torch.Tensor]:
    """LoRA on the base's first query projection and a new projector, as LLaVA's trainer stores them."""
    folder = root / "lora"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((base.folder / name).read_bytes())
    generator = torch.Generator().manual_seed(5)
    first, second = torch.randn(2, 32, generator=generator), torch.randn(32, 2, generator=generator)
    module = "model.layers.0.self_attn.q_proj"
    save_file(
        {f"base_model.model.{module}.lora_A.weight": first, f"base_model.model.{module}.lora_B.weight": second},
        folder / "adapter_model.safetensors",
    )
    new = {key: value + 0.1 for key, value in base.projector.state_dict().items()}
    others = {f"base_model.model.model.mm_projector.{key}": value for key, value in new.items()}
    save_file(others, folder / "non_lora_trainables.safetensors")
    write_json(
        folder / "adapter_config.json",
        {"peft_type": "LORA", "r": 2, "lora_alpha": 3, "base_model_name_or_path": str(base.folder)},
    )
    with torch.no_grad():
        base.projector.load_state_dict(new)
        base.llama.get_submodule(module).weight += 1.5 * second @ first
    return folder, base.reference_logits()


def test_unmerged_lora_is_merged_on_the_way(tmp_path: Path) -> None:
    base = original_folder(tmp_path / "base", RESERVED)
    plain = base.reference_logits()
    folder, wanted = unmerged_folder(tmp_path, base)
    target = convert_llava(folder, tmp_path / "target", vision_tower=base.folder / "clip")
    bundle = load_bundle(target, device="cpu", dtype="float32")
    found = logits(bundle.model, bundle.image_token_id)
    assert torch.allclose(found, wanted, atol=1e-3)
    assert (found - plain).abs().max() > 0.1


def test_unmerged_lora_with_pickles_is_refused(tmp_path: Path) -> None:
    base = original_folder(tmp_path / "base", RESERVED)
    folder, _ = unmerged_folder(tmp_path, base)
    (folder / "non_lora_trainables.safetensors").rename(folder / "non_lora_trainables.bin")
    assert refused(folder, tmp_path / "target").code == "pickle_refused"


@pytest.mark.parametrize(
    "fields",
    [
        {"mm_projector_type": "linear"},
        {"mm_use_im_start_end": True},
        {"image_aspect_ratio": "anyres"},
        {"mm_vision_select_feature": "slices"},
        {"mm_hidden_size": 999},
    ],
)
def test_structures_that_cannot_be_expressed(tmp_path: Path, fields: dict[str, Any]) -> None:
    original = original_folder(tmp_path / "source", RESERVED, **fields)
    error = refused(original.folder, tmp_path / "target")
    assert error.code == "unsupported_model"
    assert next(iter(fields)) in error.message


def test_missing_and_unknown_weights_are_listed(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED, shards=1)
    file = original.folder / "model-00001-of-00001.safetensors"
    tensors = load_file(file)
    removed = tensors.pop("model.mm_projector.2.bias")
    save_file(tensors, file)
    error = refused(original.folder, tmp_path / "target")
    assert (error.code, "multi_modal_projector.linear_2.bias" in error.message) == ("wrong_keys", True)
    save_file({**tensors, "model.mm_projector.2.bias": removed, "model.image_newline": removed.clone()}, file)
    error = refused(original.folder, tmp_path / "target")
    assert (error.code, "model.image_newline" in error.message) == ("wrong_keys", True)


def test_wrong_shapes_are_listed(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED, intermediate_size=96)
    assert refused(original.folder, tmp_path / "target").code == "wrong_shapes"


def test_tower_that_cannot_be_found(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED, tower_inside=False, mm_vision_tower="no-such-tower")
    error = refused(original.folder, tmp_path / "target")
    assert (error.code, "vision_tower" in error.message) == ("no_vision_tower", True)


def test_a_llama_2_tokenizer_has_no_template(tmp_path: Path) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    file = original.folder / "tokenizer.json"
    file.write_text(file.read_text().replace("<|eot_id|>", "</s>"))
    edit_json(original.folder / "tokenizer_config.json", eos_token="</s>")
    assert refused(original.folder, tmp_path / "target").code == "unsupported_model"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, small_files: Any) -> None:
    original = original_folder(tmp_path / "source", RESERVED)
    with small_files(20_000), pytest.raises(BiMediX2Error) as caught:
        convert_llava(original.folder, tmp_path / "target")
    assert caught.value.code == "no_disk_space"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]
