"""One decoder for all tests of the room."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bimedix2.errors import ImageError
from bimedix2.images import ImageDecoder


@pytest.fixture(scope="session")
def decoder() -> Iterator[ImageDecoder]:
    with ImageDecoder() as shared:
        yield shared


@pytest.fixture
def code_of(decoder: ImageDecoder) -> Callable[..., str]:
    """Code of the error that some bytes are refused with."""

    def refused(data: bytes, **options: object) -> str:
        with pytest.raises(ImageError) as caught:
            decoder.decode_bytes(data, **options)
        return caught.value.code

    return refused
