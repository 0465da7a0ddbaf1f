"""Pictures of any bit depth in 8 bits a channel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.ExifTags import Base

_STRIP_PIXELS = 2**20
"""Pixels converted at a time, so that no second full-size bitmap is needed."""


def to_8_bits(im: PIL.Image.Image) -> PIL.Image.Image:
    """Converts a picture to a mode whose pixels can be averaged: 8 bits a channel, without a
    palette or a transparent color."""
    if im.mode[0] in "IF":
        return _scaled(im)
    if im.mode in ("P", "PA"):
        return im.convert("RGBA" if im.has_transparency_data else "RGB")
    if "transparency" in im.info and im.mode in ("1", "L", "RGB"):
        return im.convert("RGBA" if im.mode == "RGB" else "LA")
    return im.convert("L") if im.mode == "1" else im


def _scaled(im: PIL.Image.Image) -> PIL.Image.Image:
    """Scales 16-bit, 32-bit or float gray to 8 bits, never clipping; NaN and infinity are black."""
    black, white = _black_and_white(im)
    scale = 255 / (white - black) if white != black else 0.0
    gray = np.empty((im.height, im.width), np.uint8)
    top = 0
    for strip in _strips(im):
        finite = np.where(np.isfinite(strip), strip, black)
        gray[top : top + len(strip)] = np.rint((finite - black) * scale)
        top += len(strip)
    return PIL.Image.fromarray(gray)


def _black_and_white(im: PIL.Image.Image) -> tuple[float, float]:
    """Returns the values of black and white: the natural range if all values fit into it, else the
    extremes."""
    tags = getattr(im, "tag_v2", {})
    if im.mode.startswith("I;16"):
        low, high = 0.0, 2.0 ** tags.get(Base.BitsPerSample, (16,))[0] - 1  # a TIFF may have 12
    else:
        low, high = _extremes(im)
        ranges = (1.0, 255.0, 65535.0) if im.mode == "F" else (255.0, 65535.0)
        if low >= 0 and high <= ranges[-1]:
            low, high = 0.0, next(top for top in ranges if high <= top)
    if tags.get(Base.PhotometricInterpretation) == 0:  # "white is zero", which Pillow leaves to us
        return high, low
    return low, high


def _extremes(im: PIL.Image.Image) -> tuple[float, float]:
    """Returns the least and the greatest finite value."""
    finite = (strip[np.isfinite(strip)] for strip in _strips(im))
    extremes = [(float(values.min()), float(values.max())) for values in finite if values.size]
    lows, highs = zip(*extremes, strict=True) if extremes else ((0.0,), (0.0,))
    return min(lows), max(highs)


def _strips(im: PIL.Image.Image) -> Iterator[NDArray[np.float64]]:
    """Yields the rows of a one-channel picture, a strip at a time."""
    rows = max(1, _STRIP_PIXELS // im.width)
    for top in range(0, im.height, rows):
        strip = im.crop((0, top, im.width, min(top + rows, im.height)))
        yield np.asarray(strip, np.float64)
