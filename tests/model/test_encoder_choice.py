"""Another vision encoder in a model: its own features, its own picture preparation, and a way back from disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from toy_checkpoints import edit_json, spread, toy_bundle
from toy_encoders import KINDS, LAYERS, SIDE, WIDTH, Source, make, make_naflex
from transformers import AutoTokenizer, LlavaForConditionalGeneration, LlavaProcessor
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from bimedix2.errors import BiMediX2Error, ModelError
from bimedix2.model import (
    add_adapter,
    attach_adapter,
    choose_encoder,
    encode_images,
    export_hf,
    load_bundle,
    lora_config,
    save_adapter,
    unfreeze_blocks,
)
from bimedix2.model.encoder import trained_blocks
from tiny import tiny_bundle


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return make(request.param, tmp_path / request.param)


def pixels(side: int = SIDE) -> torch.Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(2))


@torch.no_grad()
def logits(bundle: Any) -> torch.Tensor:
    image = [bundle.image_token_id] * bundle.tokens_per_image
    ids = torch.tensor([[9, 10, *image, 11, *image, 12]])
    return bundle.model(input_ids=ids, pixel_values=pixels(bundle.image_policy.size)).logits.float()


@torch.no_grad()
def test_features_are_the_encoders_own(source: Source) -> None:
    bundle = choose_encoder(toy_bundle(), source.folder)
    wanted = source.states(pixels())
    first = 0 if "siglip" in source.folder.name else 1
    assert torch.equal(encode_images(bundle.model, pixels()), wanted[:, first:])
    assert bundle.tokens_per_image == bundle.model.config.image_seq_length == source.tokens
    assert bundle.model.model.multi_modal_projector.linear_1.in_features == WIDTH
    assert source.folder.name in bundle.name


def test_pictures_are_prepared_as_for_the_encoder(source: Source) -> None:
    """On a square picture of the right size cropping, squeezing and padding come to the same."""
    bundle = choose_encoder(toy_bundle(), source.folder)
    # DINOv2's scales to 48 before it cuts 42 out; without the cut the two agree.
    settings = {name: value for name, value in source.policy.items() if name not in ("size", "image_processor_type")}
    side = {"height": SIDE, "width": SIDE}
    cls: Any = SiglipImageProcessorPil if "siglip" in source.folder.name else CLIPImageProcessorPil
    processor = cls(**settings, size=side if cls is SiglipImageProcessorPil else {"shortest_edge": SIDE})
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    theirs = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
    assert np.abs(theirs - bundle.image_policy.preprocess(picture)).max() < 1e-5
    assert bundle.image_policy.fit == toy_bundle().image_policy.fit == "pad"


@pytest.mark.parametrize("style", ["classic", "current"])
def test_an_export_loads_back_with_equal_logits(source: Source, tmp_path: Path, style: Any) -> None:
    bundle = choose_encoder(toy_bundle(), source.folder)
    wanted = logits(bundle)
    export_hf(bundle, tmp_path / "out", key_style=style)
    again = load_bundle(tmp_path / "out", device="cpu", dtype="float32")
    assert torch.equal(logits(again), wanted)
    assert again.manifest() == bundle.manifest()
    assert again.tokens_per_image == bundle.tokens_per_image
    theirs, report = LlavaForConditionalGeneration.from_pretrained(tmp_path / "out", output_loading_info=True)
    assert not any(report.values()), report
    again.model = theirs.eval()
    assert torch.equal(logits(again), wanted)
    assert str(tmp_path) not in (tmp_path / "out" / "config.json").read_text()


def test_transformers_counts_the_same_image_tokens(source: Source, tmp_path: Path) -> None:
    bundle = choose_encoder(toy_bundle(), source.folder)
    export_hf(bundle, tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "processor_config.json").read_text())
    settings.pop("processor_class")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    processor = LlavaProcessor(LlavaImageProcessorPil.from_pretrained(tmp_path / "out"), tokenizer, **settings)
    batch = processor(images=Image.new("RGB", (50, 30)), text="a<image>b", return_tensors="pt")
    assert (batch["input_ids"] == bundle.image_token_id).sum() == source.tokens


def test_the_projector_is_new_and_seeded(tmp_path: Path) -> None:
    folder = make("siglip", tmp_path / "siglip").folder
    bundles = [toy_bundle() for _ in range(3)]
    before = torch.get_rng_state()
    chosen = [choose_encoder(bundle, folder, seed=seed) for bundle, seed in zip(bundles, (1, 1, 3), strict=True)]
    first, second, third = (bundle.model.model.multi_modal_projector.linear_1.weight for bundle in chosen)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), before)  # a trainer's own random numbers go on as they would


def test_bfloat16_stays_bfloat16(tmp_path: Path) -> None:
    bundle = toy_bundle()
    bundle.model.to(torch.bfloat16)
    bundle = choose_encoder(bundle, make("siglip", tmp_path / "siglip").folder)
    assert {parameter.dtype for parameter in bundle.model.parameters()} == {torch.bfloat16}
    assert not any(parameter.requires_grad for parameter in bundle.model.model.vision_tower.parameters())


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2"])
def test_folded_patches(kind: str, tmp_path: Path) -> None:
    """Nano's projector folds 2 x 2: three patches a side do not fold, unless the tower takes another size."""
    source, nano = make(kind, tmp_path / kind), tiny_bundle("nano")
    if kind != "dinov2":
        before = {name: value.clone() for name, value in nano.model.state_dict().items()}
        with pytest.raises(ModelError) as caught:
            choose_encoder(nano, source.folder)
        assert caught.value.code == "unsupported_encoder"
        after = nano.model.state_dict()
        assert all(torch.equal(after[name], value) for name, value in before.items())
        return
    bundle = choose_encoder(nano, source.folder)
    assert (bundle.image_policy.size, bundle.tokens_per_image) == (56, 4)
    wanted = logits(bundle)
    export_hf(bundle, tmp_path / "out")
    assert torch.equal(logits(load_bundle(tmp_path / "out", device="cpu", dtype="float32")), wanted)
    # Image embeddings start as long as text embeddings, as nano's own do.
    with torch.no_grad():
        embeds = bundle.model.model.multi_modal_projector(encode_images(bundle.model, pixels(56)))
        text = bundle.model.get_input_embeddings()(torch.arange(300))
    assert 0.5 < float(embeds.std() / text.std()) < 2


def test_an_adapter_brings_its_encoder(source: Source, tmp_path: Path) -> None:
    """Train with a chosen encoder, then load the adapter on the model as it was."""
    export_hf(toy_bundle(), tmp_path / "base")
    bundle = choose_encoder(load_bundle(tmp_path / "base", device="cpu", dtype="float32"), source.folder)
    add_adapter(bundle.model, lora_config(r=2, alpha=4))
    unfreeze_blocks(bundle.model, 1)
    for name, parameter in bundle.model.named_parameters():
        if parameter.requires_grad or "lora_" in name:
            parameter.data.add_(torch.randn(parameter.shape), alpha=0.1)
    bundle.model.eval()
    wanted = logits(bundle)
    adapter = save_adapter(bundle.model, tmp_path / "adapter")
    again = load_bundle(tmp_path / "base", adapter=adapter, device="cpu", dtype="float32")
    assert torch.equal(logits(again), wanted)
    assert trained_blocks(again.model) == [LAYERS - 2]
    assert again.image_policy == bundle.image_policy
    with pytest.raises(ModelError) as caught:  # without load_bundle nothing could set the image policy
        attach_adapter(toy_bundle().model, adapter)
    assert caught.value.code == "wrong_encoder"
    export_hf(bundle, tmp_path / "merged")
    assert torch.allclose(logits(load_bundle(tmp_path / "merged", device="cpu", dtype="float32")), wanted, atol=1e-4)
    # The encoder that an export has chosen is not put in again, so its folder may be gone.
    edit_json(adapter / "encoder.json", source="/nowhere")
    attach_adapter(load_bundle(tmp_path / "merged", device="cpu", dtype="float32").model, adapter)


def test_an_encoder_that_changed_since_is_refused(tmp_path: Path) -> None:
    source = make("clip_vision", tmp_path / "encoder")
    export_hf(toy_bundle(), tmp_path / "base")
    adapter = save_adapter(choose_encoder(toy_bundle(), source.folder).model, tmp_path / "adapter")
    spread(source.tower, 8).save_pretrained(source.folder)
    with pytest.raises(ModelError) as caught:
        load_bundle(tmp_path / "base", adapter=adapter, device="cpu", dtype="float32")
    assert caught.value.code == "wrong_encoder"
    (adapter / "encoder.json").write_text("[]")
    with pytest.raises(ModelError):
        load_bundle(tmp_path / "base", adapter=adapter, device="cpu", dtype="float32")


def refused(folder: str | Path) -> BiMediX2Error:
    bundle = toy_bundle()
    before = {name: value.clone() for name, value in bundle.model.state_dict().items()}
    with pytest.raises(BiMediX2Error) as caught:
        choose_encoder(bundle, folder)
    after = bundle.model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert caught.value.message_ar != caught.value.message
    assert any("\u0600" <= char <= "\u06ff" for char in caught.value.message_ar)
    return caught.value


@pytest.mark.parametrize(
    ("file", "fields", "code"),
    [
        ("preprocessor_config.json", {"image_mean": None}, "unsupported_encoder"),
        ("preprocessor_config.json", {"image_std": [0.5]}, "unsupported_encoder"),
        ("preprocessor_config.json", {"resample": 0}, "unsupported_encoder"),
        ("preprocessor_config.json", {"crop_size": {"height": 42, "width": 28}}, "unsupported_encoder"),
        ("preprocessor_config.json", {"crop_size": 28}, "unsupported_encoder"),
        ("config.json", {"model_type": "vit"}, "unsupported_encoder"),
        ("config.json", {"hidden_size": 48}, "unsupported_encoder"),
        ("config.json", {"num_hidden_layers": 4}, "unsupported_encoder"),
        ("config.json", {"num_hidden_layers": 2}, "unsupported_encoder"),
    ],
)
def test_unfit_folders(tmp_path: Path, file: str, fields: dict[str, Any], code: str) -> None:
    folder = make("clip_vision", tmp_path / "encoder").folder
    edit_json(folder / file, **fields)
    assert refused(folder).code == code


def test_missing_files_and_pickles(tmp_path: Path) -> None:
    folder = make("clip_vision", tmp_path / "encoder").folder
    (folder / "preprocessor_config.json").rename(tmp_path / "kept.json")
    error = refused(folder)
    assert error.code == "unsupported_encoder"
    assert "preprocessor_config.json is missing" in error.message
    (tmp_path / "kept.json").rename(folder / "preprocessor_config.json")
    (folder / "config.json").rename(tmp_path / "kept.json")
    assert refused(folder).code == "unsupported_encoder"
    (tmp_path / "kept.json").rename(folder / "config.json")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert refused(folder).code == "pickle_refused"
    assert refused(tmp_path / "absent" / "folder").code == "model_not_found"


def test_siglip2_of_many_resolutions_is_refused(tmp_path: Path) -> None:
    error = refused(make_naflex(tmp_path / "naflex"))
    assert error.code == "unsupported_encoder"
    assert "siglip2" in error.message


def test_a_hub_id_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert refused("openai/clip-vit-large-patch14-336").code == "hub_unreachable"


def test_a_hub_id_is_fetched_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make("siglip", tmp_path / "snapshot").folder
    asked: list[tuple[str, str | None]] = []

    def fetch(name: str, *, revision: str | None = None) -> Path:
        asked.append((name, revision))
        return folder

    monkeypatch.setattr("bimedix2.model.encoder_choice.fetch", fetch)
    bundle = choose_encoder(toy_bundle(), "google/siglip-base", revision="abc")
    adapter = save_adapter(bundle.model, tmp_path / "adapter")
    stored = json.loads((adapter / "encoder.json").read_text())
    assert (stored["source"], stored["revision"]) == ("google/siglip-base", "abc")
    export_hf(toy_bundle(), tmp_path / "base")
    load_bundle(tmp_path / "base", adapter=adapter, device="cpu", dtype="float32")
    assert asked == [("google/siglip-base", "abc")] * 2
