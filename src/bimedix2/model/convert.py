"""Convert an original LLaVA (or LLaVA++) checkpoint into a Hugging Face one, shard by shard.

Sources are folders with a flat ``config.json`` (``mm_*`` fields) and safetensors. The CLIP tower is taken
from the shards if it was saved with them, else from a CLIP folder or hub id. A LoRA checkpoint that was never
merged (``adapter_model`` + ``non_lora_trainables``) is merged on the way if its files are safetensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import atomic_folder, cache_root
from bimedix2.errors import ModelError

from .bundle import MANIFEST_NAME, Manifest
from .derive import licences_of, template_name
from .hub import is_hub_id
from .image_token import install_image_token
from .keys import is_computed, module_to_file, original_to_classic, tower_to_classic
from .original import OriginalConfig, read_original
from .processor import write_processor
from .tensors import ShardWriter, TensorInfo, folder_tensors, iterate
from .unmerged import Updates, language_source, read_updates

if TYPE_CHECKING:
    from torch import Tensor

_EMBEDDINGS = ("language_model.model.embed_tokens.weight", "language_model.lm_head.weight")


def cached_conversion(source: Path, *, name: str) -> Path:
    """Folder in the cache that holds ``source`` converted; made on first use.

    Args:
        source: folder of the original checkpoint.
        name: what the user calls it: a path or a hub id.
    """
    target = cache_root() / "converted" / f"{Path(name).name}-{_fingerprint(source)}"
    if not (target / MANIFEST_NAME).is_file():
        convert_llava(source, target, name=name)
    return target


def _fingerprint(source: Path) -> str:
    """Changes when a file of the source does; sizes and times, because hashing 140 GB would take minutes."""
    digest = hashlib.sha256(str(source.resolve()).encode())
    for file in sorted(source.iterdir()):
        status = file.stat()
        digest.update(f"{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def convert_llava(
    source: str | Path, target: str | Path, *, vision_tower: str | Path | None = None, name: str | None = None
) -> Path:
    """Write ``target``, a Hugging Face LLaVA folder equal to the original checkpoint ``source``.

    Args:
        source: folder of the original checkpoint.
        target: folder to write; appears only when complete.
        vision_tower: CLIP folder or hub id, for a source without the tower's weights; by default the name
            that the source's configuration gives.
        name: name to record, such as the hub id; by default the source's path.

    Returns:
        ``target``.

    Raises:
        ModelError: ``wrong_keys`` or ``wrong_shapes`` (listed), ``pickle_refused``, ``unsupported_model`` …
        AssetError: no disk space; nothing is left behind.
    """
    source, target = Path(source), Path(target)
    updates = read_updates(source)
    original = read_original(source, vision_tower)
    tensors = _collect(source, original, updates)
    needed = sum(info.nbytes for info in tensors.values())
    with atomic_folder(target, int(needed * 1.05)) as scratch:
        image_token_id = install_image_token(source, scratch)
        config = original.llava_config(image_token_id)
        _check_complete(source, config, tensors)
        writer = ShardWriter(scratch)
        for key, tensor in _converted(tensors, updates):
            writer.add(key, _fit_rows(tensor, config) if key in _EMBEDDINGS else tensor)
        writer.close()
        _write_metadata(scratch, name or str(source), original, config)
    return target


def _collect(source: Path, original: OriginalConfig, updates: Updates) -> dict[str, TensorInfo]:
    """Classic names of everything that goes into the target, with where each tensor lies."""
    stored = folder_tensors(language_source(source, updates)) | updates.replacements
    renamed: dict[str, TensorInfo] = {}
    unknown = []
    for key, info in stored.items():
        name = original_to_classic(key)
        if name is not None and not is_computed(key):
            renamed[name] = info
        elif not is_computed(key):
            unknown.append(key)
    if unknown:
        raise wrong_keys(source, [], unknown)
    if not any(name.startswith("vision_tower.") for name in renamed):
        for key, info in folder_tensors(original.tower_folder()).items():
            name = tower_to_classic(key)
            if name is not None and not is_computed(key):
                renamed[name] = info
    return renamed


def wrong_keys(source: Path, missing: list[str], unexpected: list[str]) -> ModelError:
    """Error that lists weights that are missing or not known."""
    return ModelError(
        f"{source} does not hold a complete LLaVA model of a known structure. Missing ({len(missing)}): "
        f"{', '.join(sorted(missing)[:10]) or 'none'}. Unexpected ({len(unexpected)}): "
        f"{', '.join(sorted(unexpected)[:10]) or 'none'}. Download it again, or convert a "
        "supported checkpoint.",
        f"لا يحتوي {source} على نموذج LLaVA كامل معروف البنية. المفقود ({len(missing)}): "
        f"{'، '.join(sorted(missing)[:10])}. غير المتوقع ({len(unexpected)}): "
        f"{'، '.join(sorted(unexpected)[:10])}. "
        "نزله من جديد أو حول نموذجا مدعوما.",
        code="wrong_keys",
    )


def _check_complete(source: Path, config: Any, tensors: dict[str, TensorInfo]) -> None:
    """Compare with a model of this configuration on the meta device, before anything is written."""
    import torch
    from transformers import LlavaForConditionalGeneration

    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    wanted = {
        module_to_file(name, "classic", clip_tower=True): tuple(value.shape)
        for name, value in model.state_dict().items()
    }
    if config.tie_word_embeddings:
        wanted.pop(_EMBEDDINGS[1])
        tensors.pop(_EMBEDDINGS[1], None)
    missing, unexpected = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing or unexpected:
        raise wrong_keys(source, missing, unexpected)
    # Rows of the two token tables may grow for the image token; everything else must fit exactly.
    wrong = [
        f"{name} {info.shape} instead of {wanted[name]}"
        for name, info in tensors.items()
        if info.shape[name in _EMBEDDINGS :] != wanted[name][name in _EMBEDDINGS :]
    ]
    if wrong:
        raise ModelError(
            f"{source}: weights do not have the shapes that config.json asks for: {'; '.join(wrong[:5])}. "
            "The folder mixes two models; download it again.",
            f"{source}: أبعاد الأوزان تخالف config.json: {'؛ '.join(wrong[:5])}. نزل المجلد من جديد.",
            code="wrong_shapes",
        )


def _converted(tensors: dict[str, TensorInfo], updates: Updates) -> Iterator[tuple[str, Tensor]]:
    """(classic name, tensor) in the order of the source files, LoRA updates merged."""
    names = {(info.file, info.key): name for name, info in tensors.items()}
    for info, tensor in iterate(tensors.values()):
        yield names[info.file, info.key], updates.merged(info.key, tensor)


def _fit_rows(table: Tensor, config: Any) -> Tensor:
    """Grow a token table (V, D) with copies of its mean row, the neutral start for a new token."""
    import torch

    new = config.text_config.vocab_size - table.shape[0]
    if new <= 0:
        return table
    mean = table.float().mean(0, keepdim=True).to(table.dtype)
    return torch.cat([table, mean.expand(new, -1)])


def _write_metadata(folder: Path, name: str, original: OriginalConfig, config: Any) -> None:
    from tokenizers import Tokenizer

    config.architectures = ["LlavaForConditionalGeneration"]
    config.save_pretrained(folder)
    manifest = Manifest(
        chat_template=template_name(config.text_config.model_type, folder),
        image_policy=original.image_policy(),
        image_token_id=config.image_token_index,
        name=name if is_hub_id(name) else Path(name).name,
        licences=licences_of(name),
    )
    manifest.write(folder, tokens_per_image=config.image_seq_length)
    write_processor(folder, manifest, config, Tokenizer.from_file(str(folder / "tokenizer.json")))
