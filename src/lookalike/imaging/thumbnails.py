"""Thumbnails: small JPEGs of decoded images."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image

from lookalike.types import Image, Pixels

_AVERAGED_BELOW = 0.85
"""Scale from which on a picture is interpolated: averaging takes ten times as long, and hardly
shows where so little is shrunk."""

DECODED_SIDE = 256
"""Pixels of the shorter side to which a picture is decoded for its stored thumbnail, whatever else
it is decoded for: a thumbnail is compared, so it may depend on nothing but the file."""

_MAX_ORIGINAL_BYTES = 32_768
"""Size up to which a small JPEG serves as its own thumbnail: twice that of an encoded one."""

_START_OF_SCAN, _APP0, _BASELINE_FRAME = 0xDA, 0xE0, 0xC0
_TABLES = (0xDB, 0xC4, 0xDD)  # quantization, Huffman, restart interval
_END_OF_IMAGE = b"\xff\xd9"


def thumbnail_of(image: Image, data: bytes, side: int) -> bytes:
    """Returns a small JPEG of a picture without metadata, its longer side about `side` pixels.

    Args:
        image: the decoded picture.
        data: its file. It is returned as it is where it is such a JPEG already, as encoding costs
            as much as decoding.
        side: pixels.
    """
    if (
        image.format == "JPEG"
        and len(data) <= _MAX_ORIGINAL_BYTES
        and max(image.width, image.height) <= side / _AVERAGED_BELOW
        and _has_no_metadata(data)
    ):
        return data
    return encode_thumbnail(image.pixels, side)


def _has_no_metadata(jpeg: bytes) -> bool:
    """Tells whether a JPEG holds one baseline picture, gray or in color, and nothing else: no
    metadata, and no bytes after the picture. Segments are those of ITU-T T.81, annex B."""
    position = 2
    while jpeg[position : position + 1] == b"\xff" and position + 4 <= len(jpeg):
        kind = jpeg[position + 1]
        size = int.from_bytes(jpeg[position + 2 : position + 4], "big")
        if kind == _START_OF_SCAN:
            return jpeg.find(_END_OF_IMAGE, position) == len(jpeg) - len(_END_OF_IMAGE)
        plain_jfif = kind == _APP0 and size == 16  # without a thumbnail of its own
        one_or_three_channels = jpeg[position + 9 : position + 10] in (b"\1", b"\3")
        baseline = kind == _BASELINE_FRAME and one_or_three_channels
        if not (plain_jfif or baseline or kind in _TABLES):
            return False
        position += 2 + size
    return False


def encode_thumbnail(pixels: Pixels, side: int) -> bytes:
    """Encodes a small JPEG without metadata, its longer side at most `side` pixels."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    thumbnail = PIL.Image.fromarray(pixels)
    if _AVERAGED_BELOW < scale < 1:
        import cv2  # takes 0.1 s, and decoding does without

        size = max(1, round(width * scale)), max(1, round(height * scale))
        thumbnail = PIL.Image.fromarray(np.asarray(cv2.resize(pixels, size), np.uint8))
    else:
        thumbnail.thumbnail((side, side))
    encoded = BytesIO()
    thumbnail.save(encoded, "JPEG", quality=82)
    return encoded.getvalue()


def decode_thumbnail(jpeg: bytes) -> Pixels | None:
    """Decodes a thumbnail; returns None if it is damaged."""
    try:
        with PIL.Image.open(BytesIO(jpeg), formats=["JPEG"]) as stored:
            return np.asarray(stored.convert("RGB"))
    except (OSError, ValueError):
        return None
