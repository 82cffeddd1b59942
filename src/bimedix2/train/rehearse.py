"""A dress rehearsal: the very same recipe on a toy of the same structure, from records to a checked export."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bimedix2.cache import write_whole
from bimedix2.errors import ConfigError
from bimedix2.records.schema import ImageRef, Record

from .progress import Tell, silent
from .recipe import Recipe
from .rehearsal import examine
from .rehearsal.data import rehearsal_records, texts
from .rehearsal.report import RehearsalReport, stage_notes
from .rehearsal.shrink import differences, shrink, structure_of

if TYPE_CHECKING:
    from bimedix2.model import Bundle

MARK = "rehearsal.json"
_PARTS = ("data", "base", "straight", "resumed", "exported")


def rehearse(recipe: Recipe, out: Path, say: Tell = silent) -> RehearsalReport:
    """Run every stage of a recipe on a toy, stop and resume it, export it, read the export back, evaluate.

    Needs no download, no records and no GPU, and takes less than two minutes on two cores.

    Args:
        recipe: the recipe as it will be run.
        out: folder for the rehearsal; an older rehearsal in it is replaced. ``rehearsal.json`` holds the report.
        say: receives progress lines.

    Raises:
        ConfigError: ``out`` holds something else.
        BiMediX2Error: whatever the recipe runs into.
    """
    started = time.monotonic()
    _make_room(out)
    toy = _Toy(recipe, out)
    say(
        f"toy {toy.structure}: {len(toy.train)} records, {len(toy.held_out)} held out; training without interruption",
        f"نموذج مصغر {toy.structure}: {len(toy.train)} سجلا، و{len(toy.held_out)} محجوزا؛ تدريب دون انقطاع",
    )
    toy.run(out / "straight")
    rows = _steps(out / "straight")
    stop_at = _middle_of_last_stage(rows)
    say(
        f"{len(rows)} steps done; once more, stopped after {stop_at}",
        f"اكتملت {len(rows)} خطوة؛ مرة أخرى مع توقف بعد {stop_at}",
    )
    toy.run(out / "resumed", stop_at)
    stopped_after = len(_steps(out / "resumed"))
    say("resuming", "استئناف")
    toy.run(out / "resumed")
    say("exporting, reading back, evaluating", "تصدير ثم قراءة ثم تقييم")
    report = RehearsalReport(
        structure=toy.structure,
        records=len(toy.train),
        held_out=len(toy.held_out),
        broken=len(toy.broken),
        skipped=_count_lines(out / "straight" / "skipped.jsonl"),
        stages=stage_notes(rows),
        stopped_after=stopped_after,
        resume_gap=max(
            examine.loss_gap(rows, _steps(out / "resumed")),
            examine.weight_gap(out / "straight" / "final", out / "resumed" / "final"),
        ),
        learns_answers=any(stage.objective == "next_token" for stage in recipe.stages),
        **toy.examined(out / "straight" / "final", out / "exported"),
        seconds=round(time.monotonic() - started, 1),
        changed=differences(recipe, toy.recipe),
    )
    content = asdict(report) | {"faults": [english for english, _ in report.faults()]}
    write_whole(out / MARK, json.dumps(content, indent=1, ensure_ascii=False).encode())
    return report


def _make_room(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / MARK).is_file():
        raise ConfigError(
            f"{out} is not empty and holds no rehearsal. Choose another folder.",
            f"المجلد {out} ليس فارغا ولا يحتوي على تجربة سابقة. اختر مجلدا آخر.",
        )
    write_whole(out / MARK, b"{}")
    for part in _PARTS:
        shutil.rmtree(out / part, ignore_errors=True)


class _Toy:
    """The toy, its records and its recipe.

    Args:
        recipe: as it was written.
        out: folder of the rehearsal.
    """

    def __init__(self, recipe: Recipe, out: Path) -> None:
        from bimedix2.model.export import export_hf
        from bimedix2.model.toy import toy_bundle
        from bimedix2.text.chat.template import LLAVA_SYSTEM

        self.data, self.base = out / "data", out / "base"
        self.structure = structure_of(recipe.model)
        records, self.held_out = rehearsal_records(self.data)
        most = recipe.images_per_pack
        self.train = [record for record in records if not 0 < most < len(record.images)]
        self.broken = [_without_picture(self.train[0])] if recipe.bad_samples == "skip" else []
        words = [*texts(records), *texts(self.held_out), LLAVA_SYSTEM]
        export_hf(toy_bundle(self.structure, words * 3, seed=recipe.seed), self.base)
        self.recipe = shrink(recipe, str(self.base), self.train)

    def load(self, path: Path | None = None, adapter: Path | None = None) -> Bundle:
        """A model of the rehearsal, read from disk like any other; the untrained toy unless ``path`` is given."""
        from bimedix2.model import load_bundle

        return load_bundle(path or self.base, adapter=adapter or "none", device="cpu", dtype="float32")

    def run(self, folder: Path, stop_at: int | None = None) -> None:
        """Train in ``folder``, from its last checkpoint on, at most up to optimiser step ``stop_at``."""
        from .run import train_records

        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            return stop_at is not None and asked >= stop_at

        records = [*self.train, *self.broken]
        train_records(self.recipe, records, self.load(), self.data, folder, silent, stop)

    def examined(self, final: Path, exported: Path) -> dict[str, Any]:
        """The report's figures about the trained parts and their export."""
        from bimedix2.model import export_hf

        base, tuned = self.load(), self.load(adapter=final)
        read = self.load(export_hf(tuned, exported))
        logits = [
            [examine.forward(bundle, record, self.data)[0] for record in self.held_out]
            for bundle in (base, tuned, read)
        ]
        return {
            "adapter_change": examine.logits_gap(logits[0], logits[1]),
            "export_gap": examine.logits_gap(logits[1], logits[2]),
            "largest_logit": max(float(value.abs().max()) for value in logits[1]),
            "loss": tuple(examine.held_out_loss(bundle, self.held_out, self.data) for bundle in (base, read)),
            "exact_match": tuple(examine.exact_match(bundle, self.held_out, self.data) for bundle in (base, read)),
        }


def _without_picture(record: Record) -> Record:
    """A copy whose picture is missing."""
    import msgspec

    return msgspec.structs.replace(record, id="missing", pair_id="missing", images=(ImageRef(path="missing.png"),))


def _steps(run: Path) -> list[dict[str, Any]]:
    from .watch.log import read_log

    return read_log(run).steps


def _middle_of_last_stage(rows: Sequence[dict[str, Any]]) -> int:
    own = [row["stage_index"] for row in rows].count(rows[-1]["stage_index"])
    return max(1, len(rows) - own + own // 2)


def _count_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
