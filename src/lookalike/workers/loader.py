"""Loading of single images that a caller names by path or passes as bytes."""

from __future__ import annotations

from lookalike.imaging.thumbnails import decode_thumbnail, encode_thumbnail
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

    def read(self, image: ImageInput) -> bytes:
        return read_image(image)

    def load(self, image: ImageInput, side: int) -> Image:
        return self._decoder.decode(read_image(image), side=side)

    def preview(self, image: ImageInput, side: int) -> bytes:
        """A JPEG of an image, its longer side at most `side` pixels, without metadata."""
        return encode_thumbnail(self.load(image, side).pixels, side)

    def thumbnail(self, cached: bytes | None, uri: str, side: int) -> bytes:
        """A JPEG of an indexed image: from its cached thumbnail if that decodes, else its file."""
        pixels = None if cached is None else decode_thumbnail(cached)
        return self.preview(uri, side) if pixels is None else encode_thumbnail(pixels, side)
