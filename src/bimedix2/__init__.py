"""BiMediX2, rebuilt in the open: an Arabic-English medical vision-language assistant for research.

>>> import bimedix2                                                  # doctest: +SKIP
>>> model = bimedix2.load("nano")                                    # doctest: +SKIP
>>> answer = model.ask("What imaging modality is this?", ["scan.dcm"])  # doctest: +SKIP
>>> print(answer.text)                                               # doctest: +SKIP
>>> print(answer.notice)                                             # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .notice import NOTICE_AR, NOTICE_EN, notice

if TYPE_CHECKING:
    from pathlib import Path

    from .inference.assistant import Assistant

__version__ = "0.1.0"
__all__ = ["NOTICE_AR", "NOTICE_EN", "__version__", "load", "notice"]


def load(
    name_or_path: str | Path = "nano",
    *,
    adapter: str | Path | None = None,
    device: str = "auto",
    dtype: str = "auto",
) -> Assistant:
    """Load a model and return an assistant that can ``ask``, ``stream``, ``ask_batch`` and ``chat``.

    Args:
        name_or_path: ``nano``, a folder (Hugging Face LLaVA or original LLaVA style) or a hub id.
        adapter: folder of a PEFT adapter to put on top.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:0``.
        dtype: ``auto``, ``float32`` or ``bfloat16``.

    Raises:
        ModelError: the folder is no model, a file is damaged, or the hub cannot be reached.
        AssetError: nano's parts cannot be fetched or differ from their pinned hashes.
    """
    from .inference.assistant import Assistant
    from .model import load_bundle, merge

    bundle = load_bundle(name_or_path, adapter=adapter, device=device, dtype=dtype)
    # An adapter beside the weights costs a third of the decoding speed; answers need no separate one.
    merge(bundle.model)
    return Assistant(bundle)
