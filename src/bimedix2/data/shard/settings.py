"""What sharding is asked for, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Tell = Callable[[str, str], None]
Phi = Literal["refuse", "skip", "allow"]


@dataclass(frozen=True)
class ShardSettings:
    """How to shard.

    Attributes:
        mix: ``.jsonl`` or ``.parquet``.
        data: folder that image paths start from.
        out: folder of the shards.
        records_per_shard: records of a Parquet file.
        shard_bytes: most bytes of an image tar file, unless a single image has more.
        skip_missing: leave out records whose images are not there, into ``OUT/quarantine.jsonl``, instead of refusing.
        phi: images that the privacy scan marks, or cannot read: ``refuse``; ``skip`` leaves their records out, into
            the same file; ``allow`` does not look.
        force: replace shards of another mix in ``out``.
    """

    mix: Path
    data: Path
    out: Path
    records_per_shard: int = 10_000
    shard_bytes: int = 256 << 20
    skip_missing: bool = False
    phi: Phi = "refuse"
    force: bool = False


@dataclass(frozen=True)
class ShardReport:
    """What came out.

    Attributes:
        out: folder of the shards.
        manifest: ``OUT/manifest.json``.
        records, images, image_bytes: in the shards; every image once.
        reused: an earlier run had done the same already.
        content: the manifest.
    """

    out: Path
    manifest: Path
    records: int
    images: int
    image_bytes: int
    reused: bool
    content: Mapping[str, Any]
