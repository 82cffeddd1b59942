"""How pixels become the input of a vision tower. One policy, stored in the checkpoint (``bimedix2.json``)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bimedix2.errors import ModelError

Fit = Literal["pad", "crop"]
Triple = tuple[float, float, float]

# Means and deviations of the pictures that CLIP and, for DINOv2, ImageNet models were trained on.
CLIP_MEAN: Triple = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD: Triple = (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
MAX_PADDED_SIDE = 4096
MAX_CROPPED_ASPECT = 32


@dataclass(frozen=True, slots=True)
class ImagePolicy:
    """Pixels (H, W, 3) uint8 to normalised (3, S, S) float32.

    Attributes:
        size: S, the side of the square that the tower takes, in pixels.
        fit: ``"pad"`` keeps the whole picture on a square of the mean colour; ``"crop"`` scales the
            shorter side to S and keeps the middle, which cuts the edges of a chest film.
        mean, std: per channel, for values scaled to 0…1.
    """

    size: int
    fit: Fit = "pad"
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def __post_init__(self) -> None:
        if type(self.size) is not int or not 1 <= self.size <= 4096:
            _bad("size", "must be a whole number from 1 to 4096", "يجب أن يكون عددا صحيحا من 1 إلى 4096")
        if self.fit not in get_args(Fit):
            _bad("fit", "must be pad or crop", "يجب أن يكون pad أو crop")
        for name, low in (("mean", -math.inf), ("std", 0.0)):
            triple = getattr(self, name)
            if len(triple) != 3 or not all(math.isfinite(value) and value > low for value in triple):
                _bad(
                    name,
                    "must be three finite numbers, and std above 0",
                    "يجب أن يتكون من ثلاثة أعداد محدودة",
                )

    @classmethod
    def clip(cls, size: int = 336, fit: Fit = "pad") -> ImagePolicy:
        """Constants of CLIP towers."""
        return cls(size, fit, CLIP_MEAN, CLIP_STD)

    @classmethod
    def dinov2(cls, size: int = 448, fit: Fit = "pad") -> ImagePolicy:
        """Constants of DINOv2 and other ImageNet towers."""
        return cls(size, fit, IMAGENET_MEAN, IMAGENET_STD)

    @property
    def pad_colour(self) -> tuple[int, int, int]:
        """RGB of the padding: the mean colour in 0…255, rounded down, so that it normalises to about 0."""
        red, green, blue = (int(value * 255) for value in self.mean)
        return red, green, blue

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` reads them back."""
        return {**asdict(self), "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImagePolicy:
        """Read what ``to_dict`` wrote.

        Raises:
            ModelError: where a field is missing, unknown or out of range.
        """
        try:
            known = {**values, "mean": _triple(values["mean"]), "std": _triple(values["std"])}
            return cls(**known)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(
                "The image policy of this model is not readable; write size, fit, mean and std into "
                "bimedix2.json under image_policy.",
                "تعذرت قراءة سياسة الصور لهذا النموذج؛ اكتب size وfit وmean وstd في ملف bimedix2.json تحت "
                "image_policy.",
            ) from error

    def preprocess(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """``normalise(to_uint8(pixels))``: (H, W, 3) uint8 to (3, S, S) float32."""
        return self.normalise(self.to_uint8(pixels))

    def to_uint8(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Fit (H, W, 3) uint8 to (S, S, 3) uint8 with Pillow's bicubic filter; fit for caching.

        Raises:
            ValueError: on another shape or type.
        """
        if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
            raise ValueError(f"pixels must be (H, W, 3) uint8, not {pixels.shape} {pixels.dtype}")
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        square = self._pad(picture) if self.fit == "pad" else self._crop(picture)
        return np.array(square, dtype=np.uint8)

    def normalise(self, square: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(…, S, S, 3) uint8 to (…, 3, S, S) float32: value / 255, minus mean, over deviation."""
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = (square.astype(np.float32) / np.float32(255) - mean) / std
        return np.ascontiguousarray(np.moveaxis(values, -1, -3))

    def _pad(self, picture: Image.Image) -> Image.Image:
        factor = -(-max(picture.size) // MAX_PADDED_SIDE)
        if factor > 1:
            picture = picture.reduce(factor)  # bounds the padded square to 50 MB
        width, height = picture.size
        side = max(width, height)
        square = Image.new("RGB", (side, side), self.pad_colour)
        square.paste(picture, ((side - width) // 2, (side - height) // 2))
        return square.resize((self.size, self.size), Image.Resampling.BICUBIC)

    def _crop(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        short = min(width, height)
        if max(width, height) > MAX_CROPPED_ASPECT * short:
            # The ends of a strip are cut off anyway; scaling them first would cost gigabytes.
            half = MAX_CROPPED_ASPECT * short // 2
            x, y = width // 2, height // 2
            picture = picture.crop((max(0, x - half), max(0, y - half), min(width, x + half), min(height, y + half)))
            width, height = picture.size
        # The longer side and the margin are rounded down, as CLIP's own preparation does.
        scaled = (self.size * width // short, self.size * height // short)
        left, top = (scaled[0] - self.size) // 2, (scaled[1] - self.size) // 2
        resized = picture.resize(scaled, Image.Resampling.BICUBIC)
        return resized.crop((left, top, left + self.size, top + self.size))


def _triple(values: Any) -> Triple:
    first, second, third = (float(value) for value in values)
    return first, second, third


def _bad(field: str, problem: str, problem_ar: str) -> None:
    raise ModelError(f"Image policy: {field} {problem}.", f"سياسة الصور: {field} {problem_ar}.")
