"""Copy a finished nano run into the package: trained parts in bfloat16, recipe, manifest and a compact log.

python tools/publish_nano.py RUN
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save_file

from bimedix2.train.watch.log import read_log

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "bimedix2" / "weights" / "nano"
LIMIT = 30_000_000
KEPT = ("stage", "step", "loss", "supervised", "tokens", "grad_norm", "seconds")


def main(run: Path) -> None:
    """Copy and check the size."""
    shutil.rmtree(TARGET, ignore_errors=True)
    shutil.copytree(run / "final", TARGET)
    for path in TARGET.glob("*.safetensors"):
        # The model computes in bfloat16; float32 only served the optimiser.
        save_file({name: tensor.bfloat16() for name, tensor in load_file(path).items()}, path)
    shutil.copy(ROOT / "recipes" / "nano.yaml", TARGET / "recipe.yaml")
    shutil.copy(run / "manifest.json", TARGET / "manifest.json")
    rows = read_log(run).steps
    lines = [json.dumps({key: row[key] for key in KEPT}) for row in rows]
    (TARGET / "log.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in TARGET.glob("*.safetensors"))
    if size > LIMIT:
        raise SystemExit(f"{size} bytes of weights are more than {LIMIT}")
    print(f"{TARGET}: {size / 1e6:.1f} MB of weights, {len(rows)} log rows")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
