"""Images that a caller passes as a path or as bytes."""

from __future__ import annotations

import os

from lookalike.errors import QueryError
from lookalike.protocols import ImageDecoder
from lookalike.sources import open_source
from lookalike.types import Image, ImageInput


def read(image: ImageInput) -> bytes:
    """The bytes of a file.

    Raises:
        SourceError: there is no such file.
        QueryError: the path names more than one file.
        ImageRejected: it cannot be read.
    """
    if isinstance(image, bytes):
        return image
    path = os.fspath(image)
    source = open_source(path)
    refs = list(source.refs())
    if len(refs) != 1:
        raise QueryError(f"{path} is not one image: give a file.")
    return source.read(refs[0])


class Loader:
    """Loads images that a caller passed: reads files, decodes bytes.

    Args:
        decoder: decodes them, safe from what they hold.
    """

    def __init__(self, decoder: ImageDecoder) -> None:
        self._decoder = decoder
        self.size = decoder.size

    def load(self, image: ImageInput, side: int) -> Image:
        """The decoded image; raises what `read` raises."""
        return self._decoder.decode(read(image), side=side)
