"""Our GGUF files in llama.cpp itself: its tokens, and greedy text equal to transformers'.

Needs node and a folder with llama.cpp's build for it: ``npm install node-llama-cpp`` there, and name it in
``BIMEDIX2_LLAMA_CPP``.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from bimedix2.model import Bundle, config_8b
from bimedix2.model.gguf import export_gguf
from bimedix2.model.toy import toy_bundle

FOLDER = os.environ.get("BIMEDIX2_LLAMA_CPP", "")
pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="BIMEDIX2_LLAMA_CPP names no folder with node-llama-cpp"),
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]
TEXTS = ["The left lung is clear, 12 mm", "الرئة اليسرى سليمة 12 mm", "No finding. لا توجد علامات " * 5]
COUNT = 24


def bundle(rope: dict[str, object] | None) -> Bundle:
    """A Llama of four layers whose random weights make some words much likelier than others."""
    toy = toy_bundle("llama", TEXTS * 3)
    text = toy.model.config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 256, 512, 4
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 4, 2, 64
    if rope is not None:
        text.rope_parameters, text.max_position_embeddings = rope, 512
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(toy.model.config).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.08)
    return replace(toy, model=model)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "llama 3.1"])
def test_tokens_and_greedy_text_are_those_of_transformers(scaled: bool, tmp_path: Path) -> None:
    # Llama 3.1's scaling of positions, made to begin after 64 of them.
    rope = {**config_8b().text_config.rope_parameters, "original_max_position_embeddings": 64} if scaled else None
    made = bundle(rope)
    export_gguf(made, tmp_path / "gguf", dtype="f32")
    start = [made.tokenizer.convert_tokens_to_ids("<|begin_of_text|>")]
    tokens = [made.tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    prompts = [{"text": text, "ids": start + ids, "count": COUNT} for text, ids in zip(TEXTS, tokens, strict=True)]
    (tmp_path / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    script = Path(__file__).with_name("llama_cpp.mjs")
    command = ["node", str(script), FOLDER, str(tmp_path / "gguf/text.gguf"), str(tmp_path / "prompts.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for found, ids in zip(json.loads(done.stdout), tokens, strict=True):
        assert found["tokens"] == ids
        prompt = torch.tensor([start + ids])
        greedy = made.model.generate(
            input_ids=prompt, max_new_tokens=COUNT, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        assert found["next"] == greedy[0, prompt.shape[1] :].tolist()
