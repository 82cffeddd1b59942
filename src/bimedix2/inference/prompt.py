"""From images and token ids to embeddings, with an LRU of encoded images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bimedix2.model.encoder import encode_images

if TYPE_CHECKING:
    from bimedix2.images import DecodedImage
    from bimedix2.model import Bundle


class ImageEncoder:
    """Encodes images to language-model embeddings and remembers the last ones by their pixels.

    Args:
        bundle: model and image policy.
        capacity: images kept (nano: 64 x 640 values each; 8B: 576 x 4096).
    """

    def __init__(self, bundle: Bundle, capacity: int = 32) -> None:
        self.bundle, self.capacity = bundle, capacity
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        self.encoded = 0

    @torch.inference_mode()
    def encode(self, image: DecodedImage) -> Tensor:
        """Embeddings (tokens_per_image, D) of one image."""
        if (known := self._known.get(image.sha256)) is not None:
            self._known.move_to_end(image.sha256)
            return known
        model = self.bundle.model
        weight = model.get_input_embeddings().weight
        pixels = torch.from_numpy(self.bundle.image_policy.preprocess(image.pixels))[None]
        patches, projector = encode_images(model, pixels.to(weight.device)), model.model.multi_modal_projector
        projected: Tensor = projector(patches.to(next(projector.parameters()).dtype))
        features = projected.reshape(-1, weight.shape[1]).to(weight.dtype)
        self.encoded += 1
        self._known[image.sha256] = features
        while len(self._known) > self.capacity:
            self._known.popitem(last=False)
        return features


@torch.inference_mode()
def embed_prompt(encoder: ImageEncoder, ids: Sequence[int], images: Sequence[DecodedImage]) -> Tensor:
    """Embeddings (1, T, D) of a prompt whose image tokens stand for ``images`` in order.

    Raises:
        ValueError: the number of image tokens does not fit the images.
    """
    embedding = encoder.bundle.model.get_input_embeddings()
    tokens = torch.tensor([list(ids)], device=embedding.weight.device)
    embeds: Tensor = embedding(tokens)
    places = tokens[0] == encoder.bundle.image_token_id
    expected = len(images) * encoder.bundle.tokens_per_image
    if int(places.sum()) != expected:
        raise ValueError(f"{int(places.sum())} image tokens for {len(images)} images of {expected} tokens in all")
    if images:
        embeds[0, places] = torch.cat([encoder.encode(image) for image in images]).to(embeds.dtype)
    return embeds
