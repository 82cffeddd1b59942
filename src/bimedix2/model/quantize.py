"""The frozen language model in 4 bits, for training adapters in little memory (QLoRA, arXiv 2305.14314).

Only the linear layers inside the decoder layers are replaced: they hold 6.98 of the 8B's 8.03 billion weights. The
embeddings, the head, the projector and the vision tower stay as they are. Every block of 64 weights becomes 4-bit
NormalFloat numbers and a scale, and the scales are quantised to 8 bits themselves ("double quantisation"): 4.127 bits
a weight. The adapter that is trained on such a model is an ordinary one and goes onto the unquantised model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bimedix2.errors import ConfigError, ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

_LAYERS = re.compile(r"(?:.*\.)?language_model\.layers\.\d+\..+")
# The name that transformers and PEFT look for; PEFT then builds its adapters for 4-bit layers.
_MARK = "is_loaded_in_4bit"


def require_nf4(engine: str, device: torch.device) -> None:
    """See whether 4-bit weights can be trained on, before a model is loaded for it.

    Args:
        engine: of the recipe.
        device: where the weights will be.

    Raises:
        ConfigError: bitsandbytes is missing, fails on this device, or the engine shards weights.
    """
    if engine == "fsdp2":
        # fully_shard makes plain tensors of the library's weights. Byte storage gives the right results on two gloo
        # processes (torch 2.13, bitsandbytes 0.50), but other versions and storages failed or went wrong without an
        # error (bitsandbytes issue 1945, accelerate issue 3983), and there is little to gain.
        raise ConfigError(
            "quantize: nf4 is for engine: none and ddp; 4-bit weights are not sharded. Set engine=ddp: the 8B's take "
            "4 GB on every card, the 70B's 35 GB.",
            "خيار quantize: nf4 للمحركين none وddp، فأوزان 4 بت لا تقسم بين البطاقات. اضبط engine=ddp: تشغل أوزان 8B "
            "نحو 4 غيغابايت على كل بطاقة وأوزان 70B نحو 35 غيغابايت.",
        )
    _library()
    _try(device)


def quantize_layers(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace the linear layers of the language model's decoder layers by 4-bit ones, in place.

    Layers go to the device one at a time, so the unquantised model never has to fit there. The rest of the model stays
    where it is. Adapters are added afterwards.

    Args:
        model: LLaVA without adapters, its weights in the type that the layers shall compute in.
        device: where the 4-bit weights go.

    Returns:
        ``model``.

    Raises:
        ConfigError: bitsandbytes is missing.
        ModelError: the model carries an adapter already, or has no linear layers of that kind.
    """
    from torch import nn

    named = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    chosen = [(name, module) for name, module in named if _LAYERS.fullmatch(name)]
    if not chosen or hasattr(model, "peft_config"):
        raise ModelError(
            "Only a LLaVA-style model without an adapter can be brought to 4 bits. Load it with adapter='none'.",
            "لا يحول إلى 4 بت إلا نموذج من نوع LLaVA بلا محول. حمله مع adapter='none'.",
            code="unsupported_model",
        )
    for name, layer in chosen:
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, _four_bits(layer, device))
    setattr(model, _MARK, True)
    return model


def is_quantized(model: Any) -> bool:
    """Whether :func:`quantize_layers` was here; also inside a ``PeftModel``."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return bool(getattr(inner, _MARK, False))


def refuse_quantized(model: Any) -> None:
    """An update cannot be added to 4-bit weights without rounding it away.

    Raises:
        ModelError: ``quantized_base``.
    """
    if is_quantized(model):
        raise ModelError(
            "This model holds its weights in 4 bits; merging an adapter into them would round the update away. Load "
            "the model without quantisation and put the trained adapter on it: load_bundle(MODEL, adapter=RUN/final).",
            "أوزان هذا النموذج في 4 بت، ودمج المحول فيها يضيع التحديث بالتقريب. حمل النموذج بلا تكميم وضع عليه المحول "
            "المدرب: load_bundle(MODEL, adapter=RUN/final).",
            code="quantized_base",
        )


def _library() -> Any:
    try:
        import bitsandbytes
    except (ImportError, OSError, RuntimeError) as error:  # it loads compiled code for the device at hand
        raise ConfigError(
            f"quantize: nf4 needs bitsandbytes ({error}). Install it with pip install 'bimedix2[gpu]', or set "
            "quantize=none.",
            f"يحتاج quantize: nf4 إلى bitsandbytes ({error}). ثبته بالأمر pip install 'bimedix2[gpu]' أو اضبط "
            "quantize=none.",
        ) from error
    return bitsandbytes


def _try(device: torch.device) -> None:
    """A product and its gradient on the device: what works there depends on how the library was built."""
    import torch
    from torch import nn

    try:
        layer = _four_bits(nn.Linear(64, 64, bias=False, dtype=torch.bfloat16), device)
        given = torch.ones(2, 64, dtype=torch.bfloat16, device=device, requires_grad=True)
        layer(given).sum().backward()
        works = given.grad is not None and bool(given.grad.isfinite().all())
    except (RuntimeError, NotImplementedError, AttributeError, OSError, ValueError, AssertionError) as error:
        works, reason = False, str(error).splitlines()[0] if str(error) else type(error).__name__
    else:
        reason = "the result is wrong"
    if not works:
        raise ConfigError(
            f"bitsandbytes cannot compute with 4-bit weights on {device} here ({reason}). Set quantize=none, or use a "
            "device that it supports (CUDA with compute capability 6.0 or higher).",
            f"لا يستطيع bitsandbytes الحساب بأوزان 4 بت على {device} هنا ({reason}). اضبط quantize=none أو استخدم "
            "جهازا يدعمه (CUDA بقدرة حسابية 6.0 فأعلى).",
        )


def _four_bits(layer: nn.Linear, device: torch.device) -> nn.Linear:
    """The layer with its weight (out, in) in 4 bits on ``device``; a bias keeps its type."""
    library = _library()
    made: Any = library.nn.Linear4bit(
        layer.in_features,
        layer.out_features,
        bias=layer.bias is not None,
        compute_dtype=layer.weight.dtype,
        quant_type="nf4",
        device="meta",
    )
    # On a CPU with AVX512-BF16 the library repacks a layer at the first evaluation, and has no gradient from then on.
    made.support_avx512bf16_for_cpu = False
    stored = library.nn.Params4bit(
        layer.weight.detach(), requires_grad=False, quant_type="nf4", compress_statistics=True, module=made
    )
    made.weight = stored.to(device)  # quantises
    if layer.bias is not None:
        from torch import nn

        made.bias = nn.Parameter(layer.bias.detach().to(device), requires_grad=False)
    made.train(layer.training)
    return made  # type: ignore[no-any-return]
