"""What `trainers_levers.py` measures: every lever of the trainer with and without it, on one model and its samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

Measured = Callable[[], float]
"""Does the work once and returns the sum of losses (or a checksum), equal for on and off."""
BATCH = 8
DENSE_HEAD = 128_256  # Llama 3.1's vocabulary


@dataclass
class Rows:
    """Samples in memory, as the forward pass reads them."""

    table: Any
    rows: list[tuple[Any, Any]]

    def ids(self, row: int) -> Any:
        """Token ids."""
        return self.rows[row][0]

    def supervised(self, row: int) -> Any:
        """Mask."""
        return self.rows[row][1]


class Bench:
    """The model with adapters, ready to train, and its samples.

    Args:
        work: folder of `trainers_model.py`.
        folder: for the stores.
    """

    def __init__(self, work: Path, folder: Path) -> None:
        import torch

        from bimedix2.model import add_adapter, load_bundle, lora_config
        from bimedix2.records.jsonl import read_jsonl
        from bimedix2.train.forward.vlm import PackModel
        from bimedix2.train.optim import select_trained
        from bimedix2.train.recipe import StageRecipe
        from bimedix2.train.samples.prepare import prepare

        self.work, self.torch = work, torch
        self.bundle = load_bundle(work / "model", device="cpu", dtype="float32", adapter="none")
        self.records = list(read_jsonl(work / "records.jsonl"))
        self.prepared = prepare(self.records, work, self.bundle, folder, max_tokens=4096)
        torch.manual_seed(0)
        add_adapter(self.bundle.model, lora_config(8, 16, 0.0))
        parts = select_trained(self.bundle.model, StageRecipe("both"))
        self.trained = [parameter for found in parts.values() for parameter in found]
        with torch.no_grad():  # at its start an adapter changes nothing, and its first factor has no gradient
            for parameter in self.trained:
                parameter.add_(torch.randn_like(parameter) * 0.01)
        self.model = PackModel(self.bundle.model, self.bundle.image_token_id, self.bundle.image_policy)
        store = self.prepared.store
        self.stored = Rows(store.table, [(store.ids(row), store.supervised(row)) for row in range(len(store))])
        self.order = np.random.default_rng(0).permutation(len(store)).tolist()

    def pixels(self, index: int) -> Any:
        """(S, S, 3) uint8 from the store."""
        return self.prepared.images.get_uint8(index, None)

    def alone(self) -> Rows:
        """The samples without a shared prefix, each with an image of its own: how other trainers see them."""
        return Rows(replace(self.stored.table, prefix=np.zeros_like(self.stored.table.prefix)), self.stored.rows)

    def packs(self, tokens: Rows, budget: int) -> list[Any]:
        """Packs of one epoch; a budget of 0 puts every sample into a row of its own."""
        from bimedix2.train.plan.packs import Block, Pack, pack_epoch

        table, rows = tokens.table, np.arange(len(tokens.rows))
        if budget:
            # Without a prefix nothing is shared, whatever the key says.
            table = replace(table, prefix_key=np.where(table.prefix > 0, table.prefix_key, 0).astype(np.uint64))
            return list(pack_epoch(table, rows, np.ones_like(rows), budget=budget, images=0, seed=0, epoch=0))
        return [Pack((Block((row,), int(table.length[row]), len(table.images(row))),)) for row in self.order]

    def batches(self, tokens: Rows, budget: int) -> list[Any]:
        """Batches of :meth:`packs`."""
        from bimedix2.train.forward.batch import build_batch

        return [build_batch(pack, tokens, self.pixels, 336) for pack in self.packs(tokens, budget)]

    def each_its_image(self, batch: Any) -> Any:
        """A batch in which an image is encoded as often as it is shown."""
        return replace(batch, pixels=batch.pixels[batch.shown], shown=self.torch.arange(len(batch.shown)))

    def train(self, batches: Sequence[Any], loss: Callable[[Any], Any]) -> float:
        """Gradients over all batches; returns the summed loss."""
        total = 0.0
        for batch in batches:
            value = loss(batch)
            value.backward()
            total += float(value.detach())
        for parameter in self.trained:
            parameter.grad = None
        return total

    def packed(self, batches: Sequence[Any]) -> float:
        """The trainer's own forward pass."""
        return self.train(batches, lambda batch: self.model(batch)[0])

    def hidden(self, embeds: Any, **arguments: Any) -> Any:
        """Last hidden states of the language model with ordinary attention."""
        inner = self.bundle.model.model.language_model
        name = inner.config._attn_implementation
        inner.config._attn_implementation = "sdpa"
        try:
            return inner(inputs_embeds=embeds, use_cache=False, **arguments).last_hidden_state
        finally:
            inner.config._attn_implementation = name

    def embeds(self, batch: Any) -> Any:
        """(1, T, D) with image features in their places."""
        from bimedix2.model.encoder import encode_images

        features = encode_images(self.bundle.model, self.model._normalised(batch.pixels))
        return self.model._insert(self.bundle.model.get_input_embeddings()(batch.input_ids), features, batch)


def packing(bench: Bench) -> dict[str, Measured]:
    """Full rows with a loop over their conversations; padded rows; one by one; full rows with a dense mask."""
    from bimedix2.train.forward.loss import token_losses

    torch, tokens = bench.torch, bench.alone()
    full = [bench.each_its_image(batch) for batch in bench.batches(tokens, 1024)]
    single = bench.batches(tokens, 0)
    groups = [single[start : start + BATCH] for start in range(0, len(single), BATCH)]
    head = bench.bundle.model.lm_head.weight

    def padded(group: Sequence[Any]) -> Any:
        rows = [bench.embeds(batch)[0] for batch in group]
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.long) for row in rows], True)
        hidden = bench.hidden(torch.nn.utils.rnn.pad_sequence(rows, True), attention_mask=mask)
        targets = torch.nn.utils.rnn.pad_sequence([batch.targets for batch in group], True, -100)
        return token_losses(hidden.flatten(0, 1), head, targets.flatten()).sum()

    def dense(batch: Any) -> Any:
        length = batch.input_ids.shape[1]
        mask = torch.zeros(length, length, dtype=torch.bool)
        end = 0
        for size in batch.spans.sizes:
            start, end = end, end + size
            mask[start:end, start:end] = torch.ones(size, size, dtype=torch.bool).tril()
        hidden = bench.hidden(bench.embeds(batch), attention_mask=mask[None, None], position_ids=batch.position_ids)
        return token_losses(hidden[0], head, batch.targets).sum()

    return {
        "on": lambda: bench.packed(full),
        "off": lambda: bench.train(groups, padded),
        "one sample at a time": lambda: bench.packed(single),
        "packed, dense mask": lambda: bench.train(full, dense),
    }


def sharing(bench: Bench) -> dict[str, Measured]:
    """Conversations about an image share its tokens and its encoding, or each has its own."""
    shared = bench.batches(bench.stored, 1024)
    own = [bench.each_its_image(batch) for batch in bench.batches(bench.alone(), 1024)]
    return {"on": lambda: bench.packed(shared), "off": lambda: bench.packed(own)}


def dummy(bench: Bench) -> dict[str, Measured]:
    """Text alone costs no image, or has a blank one appended as LLaMA-Factory does; one sample at a time."""
    torch, length = bench.torch, bench.bundle.tokens_per_image
    plain = bench.batches(bench.alone(), 0)

    def with_image(batch: Any) -> Any:
        if len(batch.shown):
            return batch
        size = batch.input_ids.shape[1]
        extra = torch.full((1, length), bench.bundle.image_token_id)
        return replace(
            batch,
            input_ids=torch.cat([batch.input_ids, extra], 1),
            position_ids=torch.arange(size + length)[None],
            targets=torch.cat([batch.targets, torch.full((length,), -100)]),
            spans=type(batch.spans).of([size + length], [-1]),
            pixels=torch.full((1, 336, 336, 3), 255, dtype=torch.uint8),
            shown=torch.zeros(1, dtype=torch.long),
        )

    blank = [with_image(batch) for batch in plain]
    return {"on": lambda: bench.packed(plain), "off": lambda: bench.packed(blank)}


def head(bench: Bench) -> dict[str, Measured]:
    """Logits of supervised positions in chunks, or of every position at once."""
    batches = bench.batches(bench.stored, 1024)
    inner = bench.bundle.model

    def every(batch: Any) -> Any:
        arguments = {"position_ids": batch.position_ids, "spans": batch.spans, "use_cache": False}
        hidden = inner.model.language_model(inputs_embeds=bench.embeds(batch), **arguments).last_hidden_state[0]
        logits = inner.lm_head(hidden).float()
        return bench.torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum")

    return {"on": lambda: bench.packed(batches), "off": lambda: bench.train(batches, every)}


def large_head(bench: Bench) -> dict[str, Measured]:
    """The head alone at Llama 3.1's vocabulary: one pack's hidden states of 384, a frozen weight."""
    from bimedix2.train.forward.loss import token_losses

    torch = bench.torch
    batch = max(bench.batches(bench.stored, 1024), key=lambda item: item.input_ids.shape[1])
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(DENSE_HEAD, 384, generator=generator) * 0.05
    hidden = torch.randn(len(batch.targets), 384, generator=generator).requires_grad_()

    def run(loss: Callable[[], Any]) -> float:
        value = loss()
        value.backward()
        hidden.grad = None
        return float(value.detach())

    cross_entropy = torch.nn.functional.cross_entropy
    return {
        "on": lambda: run(lambda: token_losses(hidden, weight, batch.targets).sum()),
        "off": lambda: run(lambda: cross_entropy((hidden @ weight.T).float(), batch.targets, reduction="sum")),
    }


def pictures(bench: Bench) -> dict[str, Measured]:
    """Pixels for every conversation from the store, or from the files through transformers' CLIP processor."""
    from PIL import Image
    from transformers import AutoImageProcessor

    processor = AutoImageProcessor.from_pretrained(bench.work / "model")
    table = bench.stored.table
    shown = [(row, int(image)) for row in bench.order for image in table.images(row)]
    store = bench.prepared.store
    paths = [bench.work / bench.records[int(store.record[row])].images[0].path for row, _ in shown]

    def stored() -> float:
        stacks = (bench.torch.from_numpy(bench.pixels(image)[None].copy()) for _, image in shown)
        return sum(float(bench.model._normalised(stack).mean()) for stack in stacks)

    def decoded() -> float:
        opened = (Image.open(path).convert("RGB") for path in paths)
        return sum(float(processor([picture], return_tensors="pt")["pixel_values"].mean()) for picture in opened)

    return {"on": stored, "off": decoded}


def tokenising(bench: Bench) -> dict[str, Measured]:
    """Ids and mask of every conversation from the store; or from the text by our encoder, or by a chat template."""
    from transformers import AutoProcessor

    from bimedix2.train.samples.encode import SampleEncoder
    from bimedix2.train.samples.store import TokenStore

    store = TokenStore(bench.prepared.store.folder)
    encoder = SampleEncoder(bench.bundle, 4096)
    tokenizer = AutoProcessor.from_pretrained(bench.work / "model").tokenizer
    template = (bench.work / "template.jinja").read_text(encoding="utf-8")
    texts = [[{"role": turn.role, "content": turn.text} for turn in record.turns] for record in bench.records]

    def read(row: int) -> Any:
        store.ids(row).copy()  # from the mapped file into memory
        return store.supervised(row)

    def templated() -> float:
        options = {"chat_template": template, "return_dict": True, "return_assistant_tokens_mask": True}
        return sum(sum(tokenizer.apply_chat_template(text, **options)["assistant_masks"]) for text in texts)

    return {
        "on": lambda: float(sum(read(row).sum() for row in range(len(store)))),
        "off": templated,
        "our encoder every time": lambda: float(
            sum(encoder.encode(record, [0] * len(record.images)).supervised.sum() for record in bench.records)
        ),
    }


LEVERS: dict[str, tuple[Callable[[Bench], dict[str, Measured]], str, str]] = {
    "packing": (packing, "full rows, loop over conversations", f"padded batches of {BATCH}"),
    "sharing": (sharing, "an image is read once for its conversations", "once for each"),
    "dummy": (dummy, "no image for text", "a blank image for text (one sample at a time)"),
    "head": (head, "logits where supervised (vocabulary 4,096)", "logits everywhere"),
    "large_head": (large_head, "logits where supervised (head alone, 128,256)", "logits everywhere"),
    "pictures": (pictures, "stored pixels", "decoded every time (CLIP processor)"),
    "tokenising": (tokenising, "tokens and mask stored", "template and mask every time (transformers)"),
}
