"""Exports: the names other engines read, the same logits, and processors that agree with ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from toy_checkpoints import TOKENS, logits, toy_bundle, toy_tokenizer
from transformers import AutoTokenizer, CLIPVisionModel, LlamaForCausalLM, LlavaForConditionalGeneration

from bimedix2.errors import BiMediX2Error, ModelError
from bimedix2.images import ImagePolicy
from bimedix2.model import Bundle, add_adapter, export_hf, load_bundle, lora_config, merge
from bimedix2.model.processor import jinja
from bimedix2.records.schema import Turn
from bimedix2.text.chat import encode_conversation, get_template
from tiny import tiny_bundle

GOLDEN = Path(__file__).parent / "golden_classic_keys.txt"


def reload(folder: Path) -> Any:
    model, report = LlavaForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


def test_classic_key_names_are_pinned(tmp_path: Path) -> None:
    export_hf(toy_bundle(), tmp_path / "out")
    assert sorted(load_file(tmp_path / "out" / "model.safetensors")) == GOLDEN.read_text().split()


def test_golden_names_are_those_of_the_parts_under_three_prefixes() -> None:
    """The layout that vLLM maps: each part's own parameter names below its prefix."""
    config = toy_bundle().model.config
    with torch.device("meta"):
        llama, clip = LlamaForCausalLM(config.text_config), CLIPVisionModel(config.vision_config)
    wanted = {f"language_model.{name}" for name in llama.state_dict()}
    wanted |= {f"vision_tower.vision_model.{name}" for name in clip.state_dict()}
    wanted |= {f"multi_modal_projector.linear_{i}.{leaf}" for i in (1, 2) for leaf in ("weight", "bias")}
    assert set(GOLDEN.read_text().split()) == wanted


@torch.no_grad()
def test_nanos_structure_survives(tmp_path: Path) -> None:
    """Tied embeddings, a DINOv2 tower and a pixel-shuffle projector."""
    bundle = tiny_bundle("nano")
    export_hf(bundle, tmp_path / "out")
    names = load_file(tmp_path / "out" / "model.safetensors").keys()
    assert "language_model.lm_head.weight" not in names
    assert not any("vision_model" in name for name in names)
    again = load_bundle(tmp_path / "out", device="cpu", dtype="float32")
    assert (again.pixel_shuffle, again.tokens_per_image) == (2, bundle.tokens_per_image)
    ids = torch.tensor([[3, 4, *[bundle.image_token_id] * bundle.tokens_per_image, 5, 6]])
    pixels = torch.randn(1, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    wanted = bundle.model(input_ids=ids, pixel_values=pixels).logits
    assert torch.allclose(again.model(input_ids=ids, pixel_values=pixels).logits, wanted, atol=1e-4)
    assert not (tmp_path / "out" / "processor_config.json").exists()


@pytest.mark.parametrize("style", ["classic", "current"])
def test_logits_survive(tmp_path: Path, style: Any) -> None:
    bundle = toy_bundle()
    wanted = logits(bundle.model, bundle.image_token_id)
    export_hf(bundle, tmp_path / "out", key_style=style)
    assert torch.allclose(logits(reload(tmp_path / "out"), bundle.image_token_id), wanted, atol=1e-4)
    again = load_bundle(tmp_path / "out", device="cpu", dtype="float32")
    assert torch.allclose(logits(again.model, again.image_token_id), wanted, atol=1e-4)
    assert again.manifest() == bundle.manifest()


def test_current_style_is_what_transformers_writes(tmp_path: Path) -> None:
    bundle = toy_bundle()
    bundle.model.save_pretrained(tmp_path / "theirs")
    export_hf(bundle, tmp_path / "ours", key_style="current")
    theirs, ours = (load_file(tmp_path / who / "model.safetensors") for who in ("theirs", "ours"))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def adapted() -> Bundle:
    bundle = toy_bundle()
    add_adapter(bundle.model, lora_config(r=2, alpha=4))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in bundle.model.named_parameters():
            if ".lora_B" in name:
                parameter.normal_(0, 0.5, generator=generator)
    bundle.model.eval()
    return bundle


def test_an_adapter_is_merged_into_the_export_only(tmp_path: Path) -> None:
    bundle = adapted()
    wanted = logits(bundle.model, bundle.image_token_id)
    export_hf(bundle, tmp_path / "out")
    found = logits(reload(tmp_path / "out"), bundle.image_token_id)
    assert torch.allclose(found, wanted, atol=1e-4)
    assert (found - logits(toy_bundle().model, bundle.image_token_id)).abs().max() > 0.1
    assert sorted(load_file(tmp_path / "out" / "model.safetensors")) == GOLDEN.read_text().split()
    assert torch.equal(logits(bundle.model, bundle.image_token_id), wanted)
    merged = merge(bundle.model)
    assert torch.allclose(logits(merged, bundle.image_token_id), wanted, atol=1e-4)


def test_an_untrained_adapter_is_not_exported(tmp_path: Path) -> None:
    bundle = toy_bundle()
    add_adapter(bundle.model, lora_config(r=2, alpha=4))
    with pytest.raises(ModelError) as caught:
        export_hf(bundle, tmp_path / "out")
    assert caught.value.code == "noop_adapter"
    assert not list(tmp_path.iterdir())


def test_config_speaks_to_old_readers(tmp_path: Path) -> None:
    export_hf(toy_bundle(), tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["architectures"] == ["LlavaForConditionalGeneration"]
    assert config["torch_dtype"] == config["dtype"] == "float32"
    assert config["text_config"]["rope_theta"] == 500000.0
    assert config["text_config"]["rope_scaling"]["rope_type"] == "llama3"
    loaded = reload(tmp_path / "out").config.text_config.rope_parameters
    assert dict(loaded) == dict(toy_bundle().model.config.text_config.rope_parameters)


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("shape", [(40, 60), (75, 30), (28, 28)])
def test_processor_prepares_pictures_as_the_policy_does(tmp_path: Path, fit: Any, shape: tuple[int, int]) -> None:
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    bundle = toy_bundle()
    bundle.image_policy = ImagePolicy.clip(28, fit)
    export_hf(bundle, tmp_path / "out")
    cls = LlavaImageProcessorPil if fit == "pad" else CLIPImageProcessorPil
    processor = cls.from_pretrained(tmp_path / "out")
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = processor(Image.fromarray(pixels), return_tensors="np")["pixel_values"][0]
    assert np.abs(theirs - bundle.image_policy.preprocess(pixels)).max() < 0.02


def test_processor_counts_the_image_tokens(tmp_path: Path) -> None:
    from transformers import LlavaProcessor
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    bundle = toy_bundle()
    export_hf(bundle, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "processor_config.json").read_text())
    settings.pop("processor_class")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    processor = LlavaProcessor(LlavaImageProcessorPil.from_pretrained(tmp_path / "out"), tokenizer, **settings)
    batch = processor(images=Image.new("RGB", (50, 30)), text="a<image>b", return_tensors="pt")
    assert (batch["input_ids"] == bundle.image_token_id).sum() == TOKENS


CHATS = [
    [Turn(role="user", text=" What is shown? ", language="en", images=(0, 1))],
    [
        Turn(role="system", text="Answer in Arabic.", language="en"),
        Turn(role="user", text="ماذا يظهر في الصورة؟", language="ar", images=(0,)),
        Turn(role="assistant", text="الرئة سليمة.", language="ar"),
        Turn(role="user", text='"Sure"\n\n{{ 1 + 1 }}', language="en"),
    ],
]


def as_messages(turns: list[Turn]) -> list[dict[str, Any]]:
    """The form in which servers hand a chat to a template."""
    return [
        {
            "role": turn.role,
            "content": [*({"type": "image"} for _ in turn.images), {"type": "text", "text": turn.text}]
            if turn.images
            else turn.text,
        }
        for turn in turns
    ]


@pytest.mark.parametrize("name", ["llama3", "phi3", "gemma"])
@pytest.mark.parametrize("turns", CHATS, ids=["one turn", "dialogue"])
def test_jinja_template_equals_our_encoder(name: str, turns: list[Turn]) -> None:
    template = get_template(name)
    tokenizer = toy_tokenizer(*sorted({*template.bos, *template.specials} - set(LLAMA3)), "<image>")
    image = tokenizer.convert_tokens_to_ids("<image>")
    ours = encode_conversation(
        turns, tokenizer, template, image_token_id=image, tokens_per_image=1, add_generation_prompt=True
    ).input_ids
    text = tokenizer.apply_chat_template(
        as_messages(turns),
        chat_template=jinja(template, template.bos[0], "<image>"),
        add_generation_prompt=True,
        tokenize=False,
    )
    assert tokenizer.encode(text, add_special_tokens=False) == ours


LLAMA3 = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")


def test_exported_tokenizer_carries_the_template(tmp_path: Path) -> None:
    bundle = toy_bundle()
    export_hf(bundle, tmp_path / "out")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    found = tokenizer.apply_chat_template(as_messages(CHATS[0]), add_generation_prompt=True, tokenize=False)
    assert found.startswith("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nA chat between")
    assert found.endswith("<image>\n<image>\nWhat is shown?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n")


def test_a_full_disk_leaves_nothing(tmp_path: Path, small_files: Any) -> None:
    with small_files(20_000), pytest.raises(BiMediX2Error) as caught:
        export_hf(toy_bundle(), tmp_path / "out")
    assert caught.value.code == "no_disk_space"
    assert "مساحة" in caught.value.message_ar
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("keep")
    with pytest.raises(ModelError) as caught:
        export_hf(toy_bundle(), tmp_path / "out")
    assert caught.value.code == "target_exists"
    assert (tmp_path / "out" / "mine.txt").read_text() == "keep"
