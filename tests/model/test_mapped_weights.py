"""Weights of the type they are loaded in stay in their files: processes of one machine share them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from bimedix2.model import export_hf
from bimedix2.model.toy import toy_bundle

CODE = """
import sys
from pathlib import Path
from bimedix2.model import load_bundle
def own():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))
folder, small, dtype = sys.argv[1:]
load_bundle(small, adapter="none", device="cpu", dtype=dtype)  # the libraries, before memory is read
before = own()
bundle = load_bundle(folder, adapter="none", device="cpu", dtype=dtype)
size = sum(parameter.numel() * parameter.element_size() for parameter in bundle.model.parameters())
print((own() - before) / size)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads /proc/self/status")
def test_a_process_holds_no_copy_unless_it_converts(tmp_path: Path) -> None:
    toy = toy_bundle("llama", ["the left lung is clear"] * 3)
    export_hf(replace(toy, model=toy.model.to(torch.bfloat16)), tmp_path / "small")
    text = toy.model.config.text_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 1024, 4096, 4
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 16, 8, 64
    large = LlavaForConditionalGeneration(toy.model.config).to(torch.bfloat16)  # 127 MB
    export_hf(replace(toy, model=large), tmp_path / "large")

    def copied(dtype: str) -> float:
        command = [sys.executable, "-c", CODE, str(tmp_path / "large"), str(tmp_path / "small"), dtype]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    assert copied("bfloat16") < 0.2
    assert copied("float32") > 0.8
