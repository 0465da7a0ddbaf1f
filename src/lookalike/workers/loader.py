"""Loading of single images that a caller gives in any form."""

from __future__ import annotations

from lookalike.cache.store import Cache
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.errors import ImageRejected, NotFound
from lookalike.imaging.thumbnails import DECODED_SIDE, decode_thumbnail, encode_thumbnail
from lookalike.protocols import ImageDecoder
from lookalike.record import ImageRecord
from lookalike.sources import Fetch, read_image
from lookalike.types import Image, ImageInput


class Loader:
    """Reads and decodes images. See `protocols.ImageLoader`.

    Args:
        decoder: decodes them, protected from hostile files.
        fetch: reads a URL; None refuses them.
    """

    def __init__(self, decoder: ImageDecoder, fetch: Fetch | None = None) -> None:
        self._decoder = decoder
        self._fetch = fetch
        self.size = decoder.size

    def read(self, image: ImageInput) -> bytes:
        return read_image(image, self._fetch)

    def load(self, image: ImageInput, side: int) -> Image:
        return self._decoder.decode(self.read(image), side=side)

    def content_digest(self, image: ImageInput) -> str:
        return self._decoder.content_digest(self.read(image))

    def thumbnail_to_store(self, image: ImageInput) -> bytes:
        (described,) = self._decoder.describe_many(
            [read_image(image)], side=DECODED_SIDE, pixels=False, thumbnail=THUMBNAIL_SIDE
        )
        if isinstance(described, ImageRejected):
            raise described
        return described.thumbnail

    def preview(self, image: ImageInput, side: int) -> bytes:
        """A JPEG of an image, its longer side at most `side` pixels, without metadata."""
        return encode_thumbnail(self.load(image, side).pixels, side)

    def thumbnail(
        self, image: ImageRecord, cache: Cache, side: int, original: bool = True
    ) -> bytes:
        """A JPEG of an indexed image: from its cached thumbnail if there is one, else its file.

        Raises:
            NotFound: there is none, and `original` forbids to read the file.
        """
        key = image["sha256"]
        cached = cache.get_many([key]).get(key) if side <= THUMBNAIL_SIDE else None
        pixels = None if cached is None else decode_thumbnail(cached)
        if pixels is None:
            if not original:
                raise NotFound(f"No thumbnail of {image['id']!r} is kept; index its file again.")
            return self.preview(image["uri"], side)
        return encode_thumbnail(pixels, side)
