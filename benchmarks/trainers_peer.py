"""HF Trainer and TRL's SFTTrainer on the samples of `trainers_model.py`; runs in the peers' own environment.

    PEER/bin/python benchmarks/trainers_peer.py --work WORK --trainer hf|trl [--micro 0|1|2|…]

WORK also holds ``plan.json``: the settings, and the sample ids of every optimiser step. One JSON object goes to
standard output. Only what every user of these trainers has to write is written here: the collator of HF Trainer,
the optimiser with two learning rates, and the given order.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

START = time.perf_counter()


def usage(kind: str = "all") -> float:
    """CPU seconds of this process and its finished children: ``all``, or only those of the ``system``."""
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_stime + (part.ru_utime if kind == "all" else 0.0) for part in found)


def peak_mb() -> float:
    """Peak resident memory so far in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class Clock:
    """Wall and CPU seconds between two points."""

    def __init__(self) -> None:
        self.wall, self.cpu, self.system = time.perf_counter(), usage(), usage("system")

    def read(self) -> dict[str, float]:
        """Seconds since the clock was made."""
        system = usage("system") - self.system
        return {"wall": time.perf_counter() - self.wall, "cpu": usage() - self.cpu, "system": system}


def read_samples(work: Path) -> list[dict[str, Any]]:
    """Conversations, with absolute paths of their pictures."""
    lines = (work / "samples.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    for sample in samples:
        sample["images"] = [str(work / name) for name in sample["images"]]
    return samples


def load_model(work: Path, plan: dict[str, Any]) -> Any:
    """The model with fresh LoRA layers on its language part and a projector that trains, as PEFT documents it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import load_file
    from transformers import LlavaForConditionalGeneration

    base = LlavaForConditionalGeneration.from_pretrained(work / "model", dtype=torch.float32)
    config = LoraConfig(
        r=plan["lora"]["r"],
        lora_alpha=plan["lora"]["alpha"],
        lora_dropout=0.0,
        target_modules=r".*language_model\.layers\.\d+\..*_proj",
        modules_to_save=["multi_modal_projector"],
    )
    model = get_peft_model(base, config)
    start = load_file(work / "lora_start.safetensors")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_A." in name or ".lora_B." in name:
                parameter.copy_(start.pop(name.removeprefix("base_model.model.")))
    assert not start, sorted(start)
    return model


def optimiser(model: Any, plan: dict[str, Any]) -> tuple[Any, Any]:
    """Fused AdamW with a rate for the adapters and one for the projector, and the plan's schedule."""
    import torch

    trained = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for name, p in trained if ("projector" in name) == projector], "lr": plan[rate]}
        for projector, rate in ((False, "lr"), (True, "projector_lr"))
    ]
    adamw = torch.optim.AdamW(
        groups, betas=tuple(plan["betas"]), eps=plan["eps"], weight_decay=plan["weight_decay"], fused=True
    )
    return adamw, torch.optim.lr_scheduler.LambdaLR(
        adamw, lambda step: plan["factors"][min(step, len(plan["steps"]) - 1)]
    )


def chunks(rows: list[int], size: int) -> list[list[int]]:
    """``rows`` in micro-batches; 0 keeps them together."""
    return [rows[start : start + size] for start in range(0, len(rows), size)] if size else [rows]


class MicroBatches:
    """Collates the samples of one optimiser step, in micro-batches of ``size``.

    Both trainers take a constant number of micro-batches a step, but the plan's steps differ in their number of
    samples. So a step is one batch of the loader, and :func:`with_micro_batches` adds up its gradients.
    """

    def __init__(self, collate: Any, size: int) -> None:
        self.collate, self.size = collate, size

    def __call__(self, examples: list[Any]) -> dict[str, Any]:
        """``labels`` of the step, from which both trainers count supervised tokens, and its micro-batches."""
        import torch

        parts = [dict(self.collate(part)) for part in chunks(examples, self.size)]
        return {"labels": torch.cat([part["labels"].flatten() for part in parts]), "parts": parts}


def with_micro_batches(trainer_class: Any, steps: list[list[int]]) -> Any:
    """The trainer with the given order of samples, which notes the loss of every optimiser step."""
    from torch.utils.data import DataLoader

    class Given(trainer_class):  # type: ignore[misc]
        def get_train_dataloader(self) -> Any:
            """One batch for each optimiser step, in the plan's order."""
            return DataLoader(self.train_dataset, batch_sampler=steps, collate_fn=self.data_collator)

        def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Any:
            """Gradients of the step's micro-batches, each divided by the supervised tokens of the whole step."""
            assert num_items_in_batch is not None
            loss = sum(super(Given, self).training_step(model, part, num_items_in_batch) for part in inputs["parts"])
            self.step_losses.append((float(loss), int(num_items_in_batch)))
            return loss

    return Given


class Collator:
    """A good collator for HF Trainer: texts come tokenised, pictures are opened and processed here, no dummy image."""

    def __init__(self, processor: Any) -> None:
        self.processor, self.pad = processor, processor.tokenizer.pad_token_id

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Right-padded ids, mask and labels, and the pixels of the pictures, if there are any."""
        import torch
        from PIL import Image
        from torch.nn.utils.rnn import pad_sequence

        ids = [torch.tensor(example["input_ids"]) for example in examples]
        labels = [torch.tensor(example["labels"]) for example in examples]
        batch = {
            "input_ids": pad_sequence(ids, batch_first=True, padding_value=self.pad),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], batch_first=True),
            "labels": pad_sequence(labels, batch_first=True, padding_value=-100),
        }
        pictures = [Image.open(path).convert("RGB") for example in examples for path in example["images"]]
        if pictures:
            batch["pixel_values"] = self.processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
        return batch


def tokenise(samples: list[dict[str, Any]], processor: Any, template: str) -> list[dict[str, Any]]:
    """Ids with the place of every picture feature, and labels where the template marks an answer."""
    image_id = processor.tokenizer.convert_tokens_to_ids(processor.image_token)
    rows = []
    for sample in samples:
        shown = [{"type": "image"} for _ in sample["images"]]
        first, *others = sample["messages"]
        messages = [{**first, "content": [*shown, {"type": "text", "text": first["content"]}]}, *others]
        found = processor.tokenizer.apply_chat_template(
            messages, chat_template=template, return_dict=True, return_assistant_tokens_mask=True
        )
        ids, labels = [], []
        for token, answer in zip(found["input_ids"], found["assistant_masks"], strict=True):
            times = 576 if token == image_id else 1
            ids += [token] * times
            labels += [token if answer else -100] * times
        rows.append({"input_ids": ids, "labels": labels, "images": sample["images"]})
    return rows


def settings(out: Path, plan: dict[str, Any]) -> dict[str, Any]:
    """Arguments of both trainers: float32, one epoch, nothing written, a log line every ten steps (TRL's default)."""
    return {
        "output_dir": str(out),
        "use_cpu": True,
        "bf16": False,
        "num_train_epochs": plan["epochs"],
        "per_device_train_batch_size": max(map(len, plan["steps"])),
        "max_grad_norm": plan["max_grad_norm"],
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "report_to": "none",
        "logging_steps": 10,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "seed": plan["seed"],
    }


def make_hf(work: Path, plan: dict[str, Any], micro: int, steps: list[list[int]]) -> Any:
    """`transformers.Trainer` with :class:`Collator`."""
    from transformers import AutoProcessor, Trainer, TrainingArguments

    processor = AutoProcessor.from_pretrained(work / "model")
    template = (work / "template.jinja").read_text(encoding="utf-8")
    rows = tokenise(read_samples(work), processor, template)
    model = load_model(work, plan)
    return with_micro_batches(Trainer, steps)(
        model=model,
        args=TrainingArguments(**settings(work / "hf", plan)),
        train_dataset=rows,
        data_collator=MicroBatches(Collator(processor), micro),
        optimizers=optimiser(model, plan),
    )


def make_trl(work: Path, plan: dict[str, Any], micro: int, steps: list[list[int]]) -> Any:
    """`trl.SFTTrainer` with `assistant_only_loss`, its own collator and a template with generation markers."""
    from datasets import Dataset, Image, List
    from transformers import AutoProcessor
    from trl import SFTConfig, SFTTrainer

    processor = AutoProcessor.from_pretrained(work / "model")
    columns = [{key: sample[key] for key in ("messages", "images")} for sample in read_samples(work)]
    dataset = Dataset.from_list(columns).cast_column("images", List(Image()))
    model = load_model(work, plan)
    trainer = with_micro_batches(SFTTrainer, steps)(
        model=model,
        args=SFTConfig(
            **settings(work / "trl", plan),
            assistant_only_loss=True,
            chat_template_path=str(work / "template.jinja"),
            max_length=None,  # the default of 1024 would cut long samples
        ),
        train_dataset=dataset,
        processing_class=processor,
        optimizers=optimiser(model, plan),
    )
    trainer.data_collator = MicroBatches(trainer.data_collator, micro)
    return trainer


def main() -> None:
    """Train once and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--trainer", choices=("hf", "trl"), required=True)
    parser.add_argument("--micro", type=int, default=0, help="Samples of a micro-batch; 0 takes a step as one batch.")
    options = parser.parse_args()
    os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    plan = json.loads((options.work / "plan.json").read_text(encoding="utf-8"))
    torch.set_num_threads(plan["threads"])
    from peft import get_peft_model  # noqa: F401

    if options.trainer == "trl":
        from trl import SFTTrainer  # noqa: F401
    else:
        from transformers import Trainer  # noqa: F401
    imported = {"wall": time.perf_counter() - START, "cpu": usage()}
    after_import, clock = peak_mb(), Clock()
    rows = {sample["id"]: row for row, sample in enumerate(read_samples(options.work))}
    steps = [[rows[name] for name in step] for step in plan["steps"]]
    make = make_trl if options.trainer == "trl" else make_hf
    trainer = make(options.work, plan, options.micro, steps)
    trainer.step_losses = []
    prepared, clock = clock.read(), Clock()
    trainer.train()
    trained = clock.read()
    assert math.isfinite(trainer.step_losses[-1][0])
    names = ["torch", "transformers", "peft", "accelerate", *(["trl", "datasets"] if options.trainer == "trl" else [])]
    versions = {name: version(name) for name in names}
    report = {
        "import": imported,
        "prepare": prepared,
        "train": trained,
        "peak_mb": peak_mb(),
        "after_import_mb": after_import,
        "losses": [loss for loss, _ in trainer.step_losses],
        "supervised": [count for _, count in trainer.step_losses],
        "versions": {**versions, "python": sys.version.split()[0]},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
