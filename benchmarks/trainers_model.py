"""The model and the samples that `trainers.py` gives to every trainer, written to a folder.

    python benchmarks/trainers_model.py --work WORK [--samples 64] [--per-image 3] [--vocab 4096]

WORK then holds ``model/`` (a `LlavaForConditionalGeneration` with random weights, its tokenizer and processor),
``images/`` (1024 px grey radiograph-like pictures, JPEG and PNG in turn), ``records.jsonl`` (for this package),
``samples.jsonl`` (the same conversations as `messages` and `images`, as TRL wants them), ``template.jinja`` and
``setting.json``. The same arguments always give the same files.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

SPECIALS = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<image>"]
# Llama 3's pre-tokeniser: the tokenizer of the 8B model splits text like this before byte pairs are merged.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
LETTERS = {"en": ("bcdfghklmnprstvw", "aeiou"), "ar": ("بتجحدرسشصعفقكلمنهي", "اوي")}
# Median and log-standard deviation of a conversation's words. Questions about images are short; texts stand for
# the long answers of instruction data. Together 27 % of the tokens are answers.
WORDS = {"image": {"user": (13, 0.4), "assistant": (50, 0.7)}, "text": {"user": (45, 0.6), "assistant": (185, 0.6)}}
TEXT_TOKENS = 4096  # entries of the tokenizer; a larger vocabulary of the model is only embedding rows and head


@dataclass(frozen=True)
class Setting:
    """What makes one data set and model.

    Attributes:
        samples: conversations, half of them about an image.
        per_image: conversations about each image, English and Arabic in turn.
        vocab: rows of the embedding and of the head.
        seed: of weights, texts and pictures.
        side: width and height of a picture in pixels.
    """

    samples: int = 64
    per_image: int = 3
    vocab: int = 4096
    seed: int = 0
    side: int = 1024


def words(language: str, count: int, random: np.random.Generator) -> list[str]:
    """``count`` different made-up words of one to four syllables; short words come first, as in real texts."""
    consonants, vowels = LETTERS[language]
    found: dict[str, None] = {}
    while len(found) < count:
        length = 1 + len(found) * 3 // count + int(random.integers(2))
        found["".join(random.choice(list(consonants)) + random.choice(list(vowels)) for _ in range(length))] = None
    return list(found)


class Writer:
    """Made-up sentences whose words follow Zipf's law."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.words = {language: words(language, 2000, self.random) for language in LETTERS}
        rank = np.arange(1, 2001)
        self.weights = (1 / rank) / (1 / rank).sum()

    def text(self, language: str, count: int) -> str:
        """``count`` words."""
        return " ".join(self.random.choice(self.words[language], size=count, p=self.weights)) + "."

    def length(self, kind: str, role: str) -> int:
        """Words of a turn: log-normal, at least two."""
        median, spread = WORDS[kind][role]
        return int(np.clip(self.random.lognormal(np.log(median), spread), 2, 6 * median))


def picture(side: int, number: int, seed: int) -> Any:
    """A grey picture with the frequencies of a radiograph: soft shapes, a few edges, fine noise."""
    from PIL import Image

    random = np.random.default_rng([seed, number])
    soft = Image.fromarray(random.integers(0, 255, (12, 12), dtype=np.uint8)).resize((side, side), Image.BICUBIC)
    fine = Image.fromarray(random.integers(0, 255, (64, 64), dtype=np.uint8)).resize((side, side), Image.BILINEAR)
    x, y = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    ribs = 14 * (np.sin(18 * (y + x * x * random.uniform(0.1, 0.6))) > 0.4)
    grey = 0.7 * np.asarray(soft, float) + 0.2 * np.asarray(fine, float) + ribs + random.normal(0, 3, (side, side))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def write_images(folder: Path, setting: Setting) -> list[str]:
    """Pictures for half of the samples; names relative to the work folder."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for number in range(-(-(setting.samples // 2) // setting.per_image)):
        name = f"{number:03}.{'png' if number % 2 else 'jpg'}"
        picture(setting.side, number, setting.seed).save(folder / name, **({} if number % 2 else {"quality": 90}))
        names.append(f"{folder.name}/{name}")
    return names


def conversations(setting: Setting, images: Sequence[str]) -> list[dict[str, Any]]:
    """Samples in the form that TRL documents for pictures: ``messages`` and ``images``."""
    writer = Writer(setting.seed)
    samples = []
    for number in range(setting.samples):
        shown = number < setting.samples // 2
        kind, language = ("image" if shown else "text"), ("en", "ar")[number % 2]
        messages = [
            {"role": role, "content": writer.text(language, writer.length(kind, role))}
            for role in ("user", "assistant")
        ]
        own = [images[number // setting.per_image]] if shown else []
        samples.append({"id": f"s{number:04}", "language": language, "messages": messages, "images": own})
    return samples


def build_tokenizer(seed: int) -> Any:
    """A byte-level BPE over both languages with Llama 3's pre-tokeniser and special tokens."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from bimedix2.text.chat.template import LLAVA_SYSTEM

    writer = Writer(seed)
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TEXT_TOKENS - len(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [writer.text(language, 200) for language in ("en", "ar") for _ in range(200)]
    fixed = f"system user assistant {LLAVA_SYSTEM}"
    tokenizer.train_from_iterator([*texts, *([fixed] * 50)], trainer)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=SPECIALS[0], eos_token="<|eot_id|>", pad_token="<|end_of_text|>"
    )


def build_model(setting: Setting, tokenizer: Any) -> Any:
    """CLIP 4 x 128 at 336 px (576 tokens, layer -2) and Llama 6 x 384 with grouped queries, random weights."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    torch.manual_seed(setting.seed)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=128, intermediate_size=512, num_hidden_layers=4, num_attention_heads=4, image_size=336,
            patch_size=14, projection_dim=128,
        ),
        text_config=LlamaConfig(
            vocab_size=setting.vocab, hidden_size=384, intermediate_size=1024, num_hidden_layers=6,
            num_attention_heads=6, num_key_value_heads=2, max_position_embeddings=8192, rope_theta=500000.0,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=576,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    # At the usual 0.02 a random model hardly depends on its input, and equal losses would show little.
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1 and "lm_head" not in name:
                parameter.normal_(0, 1.0 if "embed_tokens" in name else 1.2 * parameter[0].numel() ** -0.5)
    return model.eval()


def training_template(template: str) -> str:
    """The chat template with TRL's generation markers around the answer and the token that closes it."""
    plain = "{{- content_text(turn['content']) + \"<|eot_id|>\" -}}"
    assert plain in template
    # Answers have no blanks at their ends; the markers must not trim what stands around them.
    marked = (
        "{%- if turn['role'] == 'assistant' -%}{%- generation -%}" + plain + "{%- endgeneration -%}"
        "{%- else -%}" + plain + "{%- endif -%}"
    )
    return template.replace(plain, marked)


def write_model(folder: Path, setting: Setting) -> dict[str, int]:
    """Weights, tokenizer, processor and the manifest of this package."""
    from bimedix2.images import ImagePolicy
    from bimedix2.model.bundle import Bundle
    from bimedix2.model.export import export_hf
    from bimedix2.text.chat import get_template

    tokenizer = build_tokenizer(setting.seed)
    model = build_model(setting, tokenizer)
    bundle = Bundle(
        model=model,
        tokenizer=tokenizer,
        template=get_template("llama3"),
        image_policy=ImagePolicy.clip(336, fit="crop"),  # what `CLIPImageProcessor` does
        image_token_id=model.config.image_token_index,
        tokens_per_image=576,
        name="trainers-benchmark",
    )
    export_hf(bundle, folder, key_style="current")
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "vision_parameters": sum(parameter.numel() for parameter in model.model.vision_tower.parameters()),
    }


def to_record(sample: dict[str, Any]) -> Any:
    """A sample as this package's record."""
    from bimedix2.records.schema import ImageRef, Record, Turn

    shown = bool(sample["images"])
    turns = [
        Turn(role=turn["role"], text=turn["content"], language=sample["language"], images=(0,) * (shown and not place))
        for place, turn in enumerate(sample["messages"])
    ]
    return Record(
        id=sample["id"], turns=tuple(turns), images=tuple(ImageRef(path=name) for name in sample["images"]),
        task="vqa" if shown else "qa", modality="xray" if shown else "text", source="made-up", licence="CC0-1.0",
    )  # fmt: skip


def write_work(work: Path, setting: Setting) -> dict[str, Any]:
    """Write everything; what is already there for this setting is kept."""
    from bimedix2.records.jsonl import write_jsonl

    done = work / "setting.json"
    if done.is_file():
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        assert found["setting"] == asdict(setting), f"{work} holds another setting"
        return found
    facts = write_model(work / "model", setting)
    template = (work / "model" / "chat_template.jinja").read_text(encoding="utf-8")
    (work / "template.jinja").write_text(training_template(template), encoding="utf-8")
    samples = conversations(setting, write_images(work / "images", setting))
    lines = "".join(json.dumps(sample, ensure_ascii=False) + "\n" for sample in samples)
    (work / "samples.jsonl").write_text(lines, encoding="utf-8")
    write_jsonl(work / "records.jsonl", map(to_record, samples))
    report = {"setting": asdict(setting), "model": facts}
    done.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    for name in ("samples", "per_image", "vocab", "seed", "side"):
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(flag, type=int, default=getattr(Setting, name), dest=name)
    options = vars(parser.parse_args())
    work = options.pop("work")
    print(json.dumps(write_work(work, Setting(**options))))


if __name__ == "__main__":
    main()
