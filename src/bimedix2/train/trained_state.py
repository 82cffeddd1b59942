"""The tensors of a checkpoint: whole parameters out of sharded ones and back, and the optimiser's state.

The optimiser's state goes through PyTorch's distributed checkpoint in its safetensors form, so every process writes
and reads its own part and a run can go on with another number of processes or another engine. (The default form of
that library keeps its index in a pickle.)
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException

from bimedix2.errors import ModelError
from bimedix2.model.adapter_files import WEIGHTS_NAME
from bimedix2.model.adapters import PROJECTOR_NAME
from bimedix2.model.encoder import encoder_blocks, trained_blocks
from bimedix2.model.encoder_files import ENCODER_NAME, load_encoder, read_encoder
from bimedix2.model.tensors import load_tensors

# AdamW counts updates in a tensor without dimensions, which a slice of a safetensors file cannot be: stored as (1,).
_COUNTER = "step"


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that train, by name; under FSDP2 they are ``DTensor``s.

    Args:
        model: the LLaVA model itself, not the module that an engine wraps around it.
    """
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def gather_sharded(model: nn.Module, *, keep: bool) -> dict[str, Tensor]:
    """Whole values, on the CPU, of the sharded parameters that an adapter folder holds. Collective.

    Args:
        model: as for :func:`trained_parameters`.
        keep: whether this process wants them; the others only take part, one tensor at a time.
    """
    from torch.distributed.tensor import DTensor

    _reshard(model)
    whole = {}
    for name, parameter in model.named_parameters():
        belongs = parameter.requires_grad or "lora_" in name or "multi_modal_projector" in name
        part = parameter.detach()
        if belongs and isinstance(part, DTensor):
            value = part.full_tensor()
            if keep:
                whole[name] = value.cpu()
    return whole


def _reshard(model: nn.Module) -> None:
    """A validation pass without a backward pass may leave FSDP2's units with whole parameters in place."""
    from torch.distributed.fsdp import FSDPModule

    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def load_parameters(adapter: Path, model: nn.Module, *, complete: bool) -> None:
    """Put an adapter folder's tensors into a model that already has its adapters and shards, bit for bit.

    Args:
        adapter: folder.
        model: as for :func:`trained_parameters`.
        complete: whether the folder must hold everything that trains now.

    Raises:
        ModelError: ``resume_mismatch`` if they are not the model's, ``bad_safetensors`` if a file is damaged.
    """
    _reshard(model)
    parameters = dict(model.named_parameters())
    stored = _by_parameter(adapter, parameters)
    wrong = [name for name in stored if name not in parameters or parameters[name].shape != stored[name].shape]
    if complete:
        wrong += [name for name in trained_parameters(model) if "vision_tower" not in name and name not in stored]
    if wrong:
        raise _mismatch(adapter, sorted(wrong))
    with torch.no_grad():
        for name, tensor in stored.items():
            _assign(parameters[name], tensor)
        if (adapter / ENCODER_NAME).is_file():
            _restore_encoder(adapter, model)


def _by_parameter(adapter: Path, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """Stored LoRA and projector tensors by the names that the model has for them."""
    named = next((name for name in parameters if "multi_modal_projector." in name), "multi_modal_projector.")
    prefix = named.partition("multi_modal_projector.")[0] + "multi_modal_projector."
    stored = {prefix + name: tensor for name, tensor in load_tensors(adapter / PROJECTOR_NAME).items()}
    if (adapter / WEIGHTS_NAME).is_file():
        for name, tensor in load_tensors(adapter / WEIGHTS_NAME).items():
            # PEFT leaves the adapter's name out of its files.
            inside = re.sub(r"\.(lora_[AB])\.weight$", r".\1.default.weight", name)
            stored[inside.removeprefix("base_model.model.")] = tensor
    return stored


def _assign(parameter: nn.Parameter, tensor: Tensor) -> None:
    from torch.distributed.tensor import DTensor, distribute_tensor

    tensor = tensor.to(parameter.device)
    if isinstance(parameter, DTensor):
        # Every process has read the whole tensor, so each cuts out its own part.
        mesh, placements = parameter.device_mesh, parameter.placements
        parameter.copy_(distribute_tensor(tensor, mesh, placements, src_data_rank=None))
    elif parameter.dtype == tensor.dtype:
        parameter.copy_(tensor)
    else:  # trained in an earlier stage: it stays in float32 where its neighbours are bf16
        parameter.data = tensor


def _restore_encoder(adapter: Path, model: nn.Module) -> None:
    tensors = read_encoder(model, adapter)
    load_encoder(model, tensors)
    for index in trained_blocks(model):
        encoder_blocks(model)[index].float()
    load_encoder(model, tensors)  # again, now that blocks which do not train any more are in float32 too


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as ``{"<parameter>.exp_avg": tensor, ...}``; what was never updated is absent."""
    return {
        f"{name}.{kind}": value.reshape(1) if kind == _COUNTER else value
        for name, parameter in trained_parameters(model).items()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def save_optimizer(folder: Path, tensors: dict[str, Tensor], *, alone: bool) -> None:
    """Write :func:`optimizer_tensors`, every process its own part. Collective, errors included.

    Args:
        folder: must not exist; all processes see the same one.
        tensors: of this process.
        alone: this is the only process.

    Raises:
        OSError: some process could not write.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    with _plain_errors():
        save(tensors, storage_writer=writer, no_dist=alone)


def restore_optimizer(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Read what :func:`save_optimizer` wrote, whatever the number of processes was then. Collective.

    Raises:
        ModelError: ``resume_mismatch`` if it belongs to other parameters.
    """
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    stored = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    parameters, targets = trained_parameters(model), dict[str, Tensor]()
    for key, info in stored.items():
        name, _, kind = key.rpartition(".")
        size: Any = info.size  # type: ignore[union-attr]
        if name not in parameters or (kind != _COUNTER and size != parameters[name].shape):
            raise _mismatch(folder, [key])
        targets[key] = torch.zeros(1) if kind == _COUNTER else torch.zeros_like(parameters[name])
    if targets:
        with _plain_errors():
            alone = not (torch.distributed.is_initialized() and torch.distributed.get_world_size() > 1)
            load(targets, storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=alone)
    _hand_over(targets, parameters, optimizer)


def _hand_over(
    tensors: dict[str, Tensor], parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """Through ``load_state_dict``, which knows where the optimiser wants its counters."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    ordered = [names[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for index, name in enumerate(ordered):
        kinds = {key.rpartition(".")[2]: value for key, value in tensors.items() if key.rpartition(".")[0] == name}
        if kinds:
            state[index] = {kind: value.reshape(()) if kind == _COUNTER else value for kind, value in kinds.items()}
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The library's errors come from any process and are no ``Exception``; its warning about one process is noise."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            yield
    except CheckpointException as error:
        causes = [failure[0] for failure in error.failures.values()]
        first = next((cause for cause in causes if isinstance(cause, OSError)), None)
        if first is None:
            raise RuntimeError(str(error)) from error
        raise first from error


def _mismatch(where: Path, names: list[str]) -> ModelError:
    return ModelError(
        f"{where} does not belong to what this stage trains: {', '.join(names[:3])}. Choose another --out folder, or "
        "delete this one to start over.",
        f"لا يناسب {where} ما يدرب في هذه المرحلة: {'، '.join(names[:3])}. اختر مجلدا آخر بالخيار --out أو احذف هذا "
        "المجلد لتبدأ من جديد.",
        code="resume_mismatch",
    )
