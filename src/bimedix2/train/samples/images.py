"""Training images at training resolution: decoded once, augmented on the fly."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from bimedix2.cache import require_space, write_whole
from bimedix2.errors import ImageError
from bimedix2.images import ImagePolicy
from bimedix2.train.progress import Tell, silent

from .decode import Decoded, decode_all
from .files import ImageItem
from .journal import GrowingFolder, load_column, load_flat, save_column, sole_builder, writing

Pixels = NDArray[np.uint8]
ImageFormat = Literal["raw", "jpeg"]
FORMAT = 1
JPEG_QUALITY = 95
_CHUNK = 128
_ELSEWHERE = (
    "use a run folder on another disk, or store the images as JPEG",
    "استخدم مجلد تشغيل على قرص آخر، أو احفظ الصور بصيغة JPEG",
)


class ImageStore:
    """(N, S, S, 3) uint8 pixels after the checkpoint's fit and before its normalisation; safe to share by threads.

    ``raw`` maps an array into memory (S = 336: 339 KB an image). ``jpeg`` keeps quality 95 without chroma
    subsampling, a tenth of that or less, and decodes at each reading.

    Args:
        folder: what :meth:`build` made.

    Attributes:
        policy: how the checkpoint wants its images.
        name: of the folder; it changes with policy, format and pictures.
        format: ``raw`` or ``jpeg``.
        broken: place -> error of the pictures that could not be decoded.
    """

    def __init__(self, folder: Path) -> None:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_bytes())
        self.folder, self.name = folder, folder.name
        self.policy = ImagePolicy.from_dict(meta["policy"])
        self.format: ImageFormat = meta["format"]
        self.broken = {
            int(place): ImageError(error["message"], error["message_ar"], code=error["code"])
            for place, error in meta["broken"].items()
        }
        self._count: int = meta["count"]
        if self.format == "raw":
            self._pixels: Pixels = load_column(folder / "pixels.npy")
        else:
            self._blob: Pixels = load_flat(folder / "pixels.jpegs", np.uint8)
            self._starts: NDArray[np.int64] = load_column(folder / "starts.npy")

    @classmethod
    def build(
        cls,
        folder: Path,
        items: Sequence[ImageItem],
        policy: ImagePolicy,
        *,
        format: ImageFormat = "raw",  # noqa: A002 - the word for it
        workers: int = 0,
        say: Tell = silent,
    ) -> ImageStore:
        """Open the store of these pictures, after making what is not there of it yet.

        Args:
            folder: where stores are kept.
            items: distinct pictures; the place is the index.
            policy: how the checkpoint wants its images.
            format: how pixels are kept.
            workers: images decoded at a time; 0 takes the number of processors, 8 at most.
            say: receives progress lines.

        Raises:
            AssetError: the disk is full or not writable.
            ImageError: nothing can be decoded here, such as ``dicom_support_missing``; a single broken image is
                noted instead.
        """
        target = folder / store_name(items, policy, format)
        if not target.is_dir():
            with sole_builder(target):
                if not target.is_dir():
                    _Builder(target, items, policy, format).run(workers, say)
        return cls(target)

    def __len__(self) -> int:
        return self._count

    @property
    def pixels(self) -> Pixels:
        """(N, S, S, 3), memory-mapped; broken pictures are black.

        Raises:
            ValueError: the store holds JPEG, so there is no such array.
        """
        if self.format != "raw":
            raise ValueError("a JPEG store has no array of pixels; call get_uint8")
        return self._pixels

    def get_uint8(self, index: int, augment_key: str | None) -> Pixels:
        """(S, S, 3) pixels of one image, in memory of their own.

        Args:
            index: place of the image.
            augment_key: seeds the augmentation; ``None`` for the picture as it is.

        Raises:
            ImageError: the image is broken.
        """
        if index in self.broken:
            raise self.broken[index]
        pixels = self._read(index)
        return pixels if augment_key is None else augmented(pixels, augment_key, self.policy)

    def _read(self, index: int) -> Pixels:
        if self.format == "raw":
            # Copied, so that the disk is read here, in the caller's thread, and not when the pixels are used.
            return np.array(self._pixels[index])
        from PIL import Image

        data = self._blob[self._starts[index] : self._starts[index + 1]].tobytes()
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            return np.array(picture, dtype=np.uint8)


def store_name(items: Sequence[ImageItem], policy: ImagePolicy, format: ImageFormat) -> str:  # noqa: A002
    """Name of the store of these pictures: a hash of policy, format and content."""
    if format not in get_args(ImageFormat):
        raise ValueError(f"image format must be raw or jpeg, not {format!r}")
    digest = hashlib.sha256(repr((FORMAT, format, policy.to_dict())).encode())
    for item in items:
        digest.update(repr(item.content()).encode())
    return f"images-{digest.hexdigest()[:16]}"


class _Builder:
    """Writes pictures in order and in chunks; after a kill it goes on after the last whole chunk."""

    def __init__(self, target: Path, items: Sequence[ImageItem], policy: ImagePolicy, format: ImageFormat) -> None:  # noqa: A002
        self.items, self.policy, self.format = items, policy, format
        self.out = GrowingFolder(target, ("pixels.npy",) if format == "raw" else ("pixels.jpegs", "ends.bin"))
        self.done: int = self.out.state.get("done", 0)
        self.broken: dict[str, dict[str, str]] = self.out.state.get("broken", {})
        self.end: int = self.out.state.get("end", 0)

    def run(self, workers: int, say: Tell) -> None:
        try:
            self._make_room()
            self._start()
            pack = _as_bytes if self.format == "raw" else _as_jpeg
            rest = self.items[self.done :]
            for chunk in decode_all(rest, self.policy, pack, workers=workers, chunk=_CHUNK):
                for decoded in chunk:
                    self._append(decoded)
                self.out.commit({"done": self.done, "broken": self.broken, "end": self.end})
                total = len(self.items)
                say(f"images decoded: {self.done} of {total}", f"الصور المفكوكة: {self.done} من {total}")
            self._finish()
        finally:
            self.out.close()

    def _make_room(self) -> None:
        # A JPEG of quality 95 takes 0.3 to 0.8 bits a value; the raw size is exact.
        share = 1.0 if self.format == "raw" else 0.1
        left = len(self.items) - self.done
        require_space(self.out.folder, round(left * self.policy.size**2 * 3 * share), _ELSEWHERE)

    def _start(self) -> None:
        if self.format == "raw" and self.done == 0 and not self.out.state:
            shape = (len(self.items), self.policy.size, self.policy.size, 3)
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
            self.out.append("pixels.npy", header.getvalue())

    def _append(self, decoded: Decoded) -> None:
        if isinstance(decoded, ImageError):
            note = {"code": decoded.code, "message": decoded.message, "message_ar": decoded.message_ar}
            self.broken[str(self.done)] = note
            decoded = bytes(self.policy.size**2 * 3) if self.format == "raw" else b""
        # Written and not mapped: a full disk is then an error, where a mapped page would kill the process.
        self.out.append("pixels.npy" if self.format == "raw" else "pixels.jpegs", decoded)
        self.end += len(decoded)
        if self.format == "jpeg":
            self.out.append("ends.bin", np.int64(self.end).tobytes())
        self.done += 1

    def _finish(self) -> None:
        self.out.commit({"done": self.done, "broken": self.broken, "end": self.end})
        folder = self.out.folder
        if self.format == "jpeg":
            ends = load_flat(folder / "ends.bin", np.int64)
            save_column(folder / "starts.npy", np.concatenate([[0], ends]).astype(np.int64))
        meta = {"format": self.format, "policy": self.policy.to_dict(), "count": self.done, "broken": self.broken}
        with writing(folder):
            write_whole(folder / "meta.json", json.dumps(meta, indent=1, ensure_ascii=False).encode())
        self.out.finish(remove=("ends.bin",) if self.format == "jpeg" else ())


def _as_bytes(pixels: Pixels) -> bytes:
    return pixels.tobytes()


def _as_jpeg(pixels: Pixels) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()


def augmented(pixels: Pixels, key: str, policy: ImagePolicy) -> Pixels:
    """A slightly moved, scaled, turned and re-lit copy; never mirrored, for left is not right.

    Args:
        pixels: (S, S, 3).
        key: the same key gives the same copy.
        policy: its mean colour fills what moves in from outside.
    """
    from PIL import Image, ImageEnhance

    generator = np.random.default_rng(list(hashlib.sha256(key.encode()).digest()[:8]))
    angle, scale = np.deg2rad(generator.uniform(-6, 6)), generator.uniform(0.88, 1.12)
    shift_x, shift_y = generator.uniform(-0.05, 0.05, 2) * pixels.shape[0]
    cos, sin, centre = np.cos(angle) / scale, np.sin(angle) / scale, pixels.shape[0] / 2
    matrix = (
        cos, sin, centre - cos * (centre + shift_x) - sin * (centre + shift_y),
        -sin, cos, centre + sin * (centre + shift_x) - cos * (centre + shift_y),
    )  # fmt: skip
    fill = tuple(round(value * 255) for value in policy.mean)
    image = Image.fromarray(pixels).transform(
        (pixels.shape[1], pixels.shape[0]),
        Image.Transform.AFFINE,
        matrix,
        Image.Resampling.BILINEAR,
        fillcolor=fill,
    )
    image = ImageEnhance.Brightness(image).enhance(generator.uniform(0.85, 1.15))
    return np.asarray(ImageEnhance.Contrast(image).enhance(generator.uniform(0.85, 1.15)), dtype=np.uint8)
