"""Throw damaged pictures at what takes uploads in, for as long as you like.

Every answer must be a picture or a named error, the bytes kept must show the same picture as the bytes sent, and
this process must stay small. ``nice python benchmarks/serve_fuzz.py --seconds 600 --seed 1``
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import sys
import time
import warnings
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from pydicom.data import get_testdata_files

from bimedix2.errors import ImageError
from bimedix2.images import DecodeLimits, ImageDecoder
from bimedix2.images.messages import ERRORS
from bimedix2.serve.uploads.picture import png_of, take_in

LIMITS = DecodeLimits(max_bytes=4 << 20, max_pixels=4_000_000, max_seconds=5)


def seeds() -> list[bytes]:
    """pydicom's files up to 200 KB, and small pictures of the other formats."""
    warnings.simplefilter("ignore", UserWarning)
    paths = [Path(path) for path in get_testdata_files("*.dcm")]
    found = [path.read_bytes() for path in sorted(paths) if path.is_file() and path.stat().st_size < 200_000]
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    for kind, mode in (("PNG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB")):
        stream = io.BytesIO()
        Image.fromarray(noise).convert(mode).save(stream, kind)
        found.append(stream.getvalue())
    stream = io.BytesIO()
    Image.fromarray(noise[..., 0].astype(np.uint16) * 99).save(stream, "PNG")
    return [*found, stream.getvalue()]


def mutate(random: Random, files: list[bytes]) -> bytes:
    """One file with bytes changed, cut, repeated, or crossed with another."""
    data = bytearray(random.choice(files))
    for _ in range(random.randint(1, 6)):
        at = int(len(data) * random.random() ** 2)  # most changes near the front, where the structure is
        kind = random.randrange(6)
        if kind == 0:
            data[at : at + 1] = bytes([random.randrange(256)])
        elif kind == 1:
            data[at : at + 4] = random.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\x01\0\0\0"))
        elif kind == 2:
            del data[at : at + random.randint(1, 64)]
        elif kind == 3:
            data[at:at] = data[at : at + random.randint(1, 256)] * random.randint(1, 8)
        elif kind == 4:
            data = data[: max(12, at)] if random.random() < 0.2 else data
        else:
            other = random.choice(files)
            data[at:] = other[at:]
    return bytes(data[: LIMITS.max_bytes])


def check(decoder: ImageDecoder, data: bytes) -> str:
    """``picture``, or the code of the named error; anything else is a fault."""
    try:
        taken = take_in(decoder, data)
        image = decoder.decode_bytes(taken.kept)
    except ImageError as error:
        assert error.code in ERRORS, error.code
        return error.code
    assert image.size == (taken.facts["width"], taken.facts["height"])
    assert len(png_of(image)) > 8
    return "picture"


def main() -> int:
    """Run, print counts as JSON, and say 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for files that went wrong")
    options = parser.parse_args()
    random, files, counts, faults = Random(options.seed), seeds(), Counter[str](), 0
    end, slowest = time.monotonic() + options.seconds, 0.0
    with ImageDecoder(LIMITS) as decoder:
        while time.monotonic() < end:
            data, begun = mutate(random, files), time.monotonic()
            try:
                counts[check(decoder, data)] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
                faults += 1
                print(f"fault {type(error).__name__}: {error}", file=sys.stderr)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"fault-{options.seed}-{faults}").write_bytes(data)
            slowest = max(slowest, time.monotonic() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    result = {"files": sum(counts.values()) + faults, "faults": faults, "slowest_seconds": round(slowest, 2)}
    print(json.dumps({**result, "peak_mib": peak, "answers": dict(counts.most_common())}, indent=2))
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
