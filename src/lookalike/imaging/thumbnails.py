"""Thumbnails: small JPEGs of decoded images."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

from lookalike.types import Image, Pixels

if TYPE_CHECKING:
    pass


_NEARLY = 0.85
"""Where less is shrunk it needs no averaging, which takes ten times as long."""


_SMALL = 32_768
"""Bytes up to which a small JPEG is its own thumbnail: two of those that are made."""


def thumbnail_of(image: Image, data: bytes, side: int) -> bytes:
    """A small JPEG of a picture without metadata, its longer side about `side` pixels.

    Args:
        image: the picture.
        data: its file, which is the thumbnail where it is one: encoding costs as much as decoding.
    """
    if (
        image.format == "JPEG"
        and len(data) <= _SMALL
        and max(image.width, image.height) <= side / _NEARLY
        and _holds_only_the_picture(data)
    ):
        return data
    return encode_thumbnail(image.pixels, side)


def _holds_only_the_picture(jpeg: bytes) -> bool:
    """Whether there is nothing in a JPEG but one baseline picture, grey or in color: no metadata,
    and nothing after it. Its segments are those of ITU-T T.81, annex B."""
    at = 2
    while jpeg[at : at + 1] == b"\xff" and at + 4 <= len(jpeg):
        kind, size = jpeg[at + 1], int.from_bytes(jpeg[at + 2 : at + 4], "big")
        match kind:
            case 0xDA:  # the pixels
                return jpeg.find(b"\xff\xd9", at) == len(jpeg) - 2
            case 0xE0 if size == 16:  # JFIF, without a thumbnail of its own
                pass
            case 0xC0 if jpeg[at + 9 : at + 10] in (b"\1", b"\3"):  # a baseline frame
                pass
            case 0xDB | 0xC4 | 0xDD:  # tables
                pass
            case _:
                return False
        at += 2 + size
    return False


def encode_thumbnail(pixels: Pixels, side: int) -> bytes:
    """A small JPEG without metadata, its longer side at most `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    thumbnail = PIL.Image.fromarray(pixels)
    if _NEARLY < scale < 1:
        import cv2  # a tenth of a second, and decoding does without it

        size = max(1, round(width * scale)), max(1, round(height * scale))
        thumbnail = PIL.Image.fromarray(np.asarray(cv2.resize(pixels, size), np.uint8))
    else:
        thumbnail.thumbnail((side, side))
    encoded = BytesIO()
    thumbnail.save(encoded, "JPEG", quality=82)
    return encoded.getvalue()


def decode_thumbnail(jpeg: bytes) -> Pixels | None:
    """The pixels of what `encode_thumbnail` made; None if they are damaged."""
    try:
        with PIL.Image.open(BytesIO(jpeg), formats=["JPEG"]) as stored:
            return np.asarray(stored.convert("RGB"))
    except (OSError, ValueError):
        return None
