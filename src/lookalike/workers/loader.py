"""Loading of single images that a caller names by path or passes as bytes."""

from __future__ import annotations

from lookalike.protocols import ImageDecoder
from lookalike.sources import read_image
from lookalike.types import Image, ImageInput


class Loader:
    """Reads and decodes images. See `protocols.ImageLoader`.

    Args:
        decoder: decodes them, protected from hostile files.
    """

    def __init__(self, decoder: ImageDecoder) -> None:
        self._decoder = decoder
        self.size = decoder.size

    def load(self, image: ImageInput, side: int) -> Image:
        return self._decoder.decode(read_image(image), side=side)
