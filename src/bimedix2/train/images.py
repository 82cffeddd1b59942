"""Training images at training resolution: decoded once, augmented on the fly."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bimedix2.images import ImagePolicy, load_images

Pixels = NDArray[np.uint8]


class ImageStore:
    """A memory-mapped (N, S, S, 3) array of uint8 pixels, after the checkpoint's fit but before its normalisation.

    Args:
        folder: where ``images-<hash>.npy`` is kept; the hash covers the paths and the policy.
        paths: absolute path of each image; its place is the image's index.
        policy: how the checkpoint wants its images.
        say: receives progress lines.
    """

    def __init__(
        self,
        folder: Path,
        paths: Sequence[Path],
        policy: ImagePolicy,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.policy = policy
        key = repr((policy.to_dict(), [(str(path), path.stat().st_size) for path in paths]))
        self.name = f"images-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        target = folder / f"{self.name}.npy"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._build(target, paths, say)
        self.pixels: Pixels = np.load(target, mmap_mode="r")

    def _build(self, target: Path, paths: Sequence[Path], say: Callable[[str], None]) -> None:
        scratch = target.with_suffix(".partial")
        shape = (len(paths), self.policy.size, self.policy.size, 3)
        array = np.lib.format.open_memmap(scratch, mode="w+", dtype=np.uint8, shape=shape)
        for start in range(0, len(paths), 100):
            say(f"decoding image {start + 1} of {len(paths)}")
            for offset, image in enumerate(load_images(list(paths[start : start + 100]))):
                array[start + offset] = self.policy.to_uint8(image.pixels)
        array.flush()
        scratch.rename(target)

    def get(self, index: int, augment_key: str | None) -> NDArray[np.float32]:
        """Normalised pixels (3, S, S) of one image.

        Args:
            index: place of the image.
            augment_key: seeds the augmentation; ``None`` for the picture as it is.
        """
        pixels: Pixels = np.asarray(self.pixels[index])
        if augment_key is not None:
            pixels = augmented(pixels, augment_key, self.policy)
        return self.policy.normalise(pixels)


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
