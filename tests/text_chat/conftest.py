"""Tiny tokenizers of the families we serve, trained here so that nothing is downloaded."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

CORPUS = [
    "What does this chest X-ray show? No acute cardiopulmonary process. The heart size is normal.",
    "Findings:\n\n1. Effusion\n2. Nodule\n\nImpression: stable left lung, right lung and brain MRI",
    "ماذا تظهر هذه الصورة الشعاعية للصدر؟ لا توجد علامات حادة في القلب أو الرئتين. الرئة اليسرى سليمة",
    "النتائج: انصباب وعقدة في الرئة اليمنى. نعم لا user model system assistant <div> start of turn image",
    # GPT-2's splitting keeps two line breaks together only at the end of a string.
    "normal\n\n",
] * 3
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPECIALS = [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|image|>",
]
PHI3_SPECIALS = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
SAMPLE_MERGES = 300


def _byte_level(split: object, specials: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + SAMPLE_MERGES, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in specials])
    return tokenizer


def _learnt_merges(texts: list[str], pre_tokenizer: object | None) -> list[tuple[str, str]]:
    """Merges of a character-level BPE in the order learnt."""
    import json

    tokenizer = Tokenizer(models.BPE())
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=500, show_progress=False))
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


def _byte_fallback(names: list[str], merges: list[tuple[str, str]]) -> models.BPE:
    pieces = [*names, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += sorted({char for pair in merges for part in pair for char in part})
    pieces += [left + right for left, right in merges]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)


@pytest.fixture(scope="session")
def llama3_tokenizer() -> Tokenizer:
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    return _byte_level(split, LLAMA3_SPECIALS)


@pytest.fixture(scope="session")
def gpt2_tokenizer() -> Tokenizer:
    """Llama 3's special tokens on GPT-2's pre-tokeniser, where segment-wise is not exact."""
    return _byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False), LLAMA3_SPECIALS)


@pytest.fixture(scope="session")
def gemma_tokenizer() -> Tokenizer:
    """Gemma's shape as a converter leaves it.

    ``<start_of_turn>`` and ``<unused1>`` are plain vocabulary that merges can build, ``[multimodal]`` is an
    added token that is not special, and so are runs of line breaks.
    """
    names = ["<pad>", "<eos>", "<bos>", "<unk>", "[multimodal]", "<unused0>", "\n", "\n\n", "<end_of_turn>"]
    spaced = [text.replace(" ", "▁") for text in CORPUS]
    control = ("<start_of_turn>", "<unused1>", "<0x0A>")
    merges = [(name[:i], name[i]) for name in control for i in range(1, len(name))]
    merges += _learnt_merges(spaced, pre_tokenizers.Split("▁", "merged_with_previous"))
    merges = list(dict.fromkeys(merges))
    tokenizer = Tokenizer(_byte_fallback(names, merges))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    special = ["<pad>", "<eos>", "<bos>", "<unk>", "<unused0>", "<end_of_turn>"]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in special])
    plain = ["[multimodal]", "\n", "\n\n"]
    tokenizer.add_tokens([AddedToken(name, normalized=False, special=False) for name in plain])
    return tokenizer


@pytest.fixture(scope="session")
def clean_gemma_tokenizer(gemma_tokenizer: Tokenizer) -> Tokenizer:
    """The same with ``<start_of_turn>`` registered, as in the original."""
    tokenizer = Tokenizer.from_str(gemma_tokenizer.to_str())
    tokenizer.add_special_tokens([AddedToken("<start_of_turn>", normalized=False, special=True)])
    return tokenizer


@pytest.fixture(scope="session")
def phi3_tokenizer() -> Tokenizer:
    """Phi-3's shape: a space before each stretch of text, role tokens that swallow white space."""
    merges = _learnt_merges(["▁" + text.replace(" ", "▁") for text in CORPUS], None)
    tokenizer = Tokenizer(_byte_fallback(["<unk>", "<s>", "</s>"], merges))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens([AddedToken(n, normalized=False, special=True) for n in ("<unk>", "<s>", "</s>")])
    roles = [AddedToken(name, normalized=False, rstrip=True, special=True) for name in PHI3_SPECIALS]
    tokenizer.add_special_tokens(roles)
    return tokenizer
