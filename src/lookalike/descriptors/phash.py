"""A 64-bit perceptual hash for finding copies of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lookalike.types import Description, Distance, Image, Vector, VectorSpec

_BITS = 8  # along each side of the hash
_SIDE = 32  # pixels along each side of what the transform sees
_REACH = 3  # pixels of the 32 to each side
_PARTS = 4  # of the 32 pixels, each made of a part of the picture
_LONG = 512  # pixels: what is longer is scaled by Pillow itself
_ONE = 2**22  # of Pillow's fixed point


class Phash:
    """Signs of the lowest frequencies of a cosine transform against their median.

    Bit for bit the `phash` of the `imagehash` package, which follows
    https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html. Hamming distance
    between two hashes is the Manhattan distance between their vectors.
    """

    # Up to twice this a picture comes unshrunk, and its bits are those of the file.
    side = 256
    spec = VectorSpec(
        name="phash",
        aspect=None,
        size=_BITS * _BITS,
        distance=Distance.MANHATTAN,
        datatype="uint8",
        model="phash",
        revision="1",
    )

    def __init__(self) -> None:
        frequency, place = np.arange(_BITS)[:, None], np.arange(_SIDE)
        self._cosines = 2 * np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE))

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 64) float32 of 0 and 1; payload `{"phash": 16 hexadecimal digits}`."""
        rows = [self._describe(image) for image in images]
        payload = [{"phash": np.packbits(row.astype(np.uint8)).tobytes().hex()} for row in rows]
        return Description(np.asarray(rows, np.float32).reshape(len(rows), self.spec.size), payload)

    def _describe(self, image: Image) -> Vector:
        # Pillow's luma and Lanczos filter are part of the hash: another library's differ in bits.
        small = scaled(PIL.Image.fromarray(image.pixels).convert("L"))
        # Rounding makes the zeros of flat and symmetric pictures exact, as a fast transform's are.
        low = (self._cosines @ small @ self._cosines.T).round(6)
        half = low.size // 2
        # NumPy's median gives the same, and imports masked arrays first.
        median = np.partition(low, (half - 1, half), axis=None)[half - 1 : half + 1].mean()
        bits: Vector = (low > median).ravel().astype(np.float32)
        return bits


def scaled(grey: PIL.Image.Image) -> NDArray[np.float64]:
    """(32, 32): to the bit what Pillow's Lanczos filter makes of a picture.

    Pillow filters rows and then columns, with weights in fixed point, and rounds after each. As
    matrix products that takes a quarter of the time; all numbers are whole and below 2^53, so they
    are exact. What is narrow is left to Pillow, which may filter columns first.
    """
    width, height = grey.size
    if not (2 * _SIDE <= width <= _LONG and height <= min(_LONG, 1.5 * width)):
        small = grey.resize((_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS)
        return np.asarray(small, np.float64)
    # In rows again: the transform's last bits depend on it.
    return np.ascontiguousarray(_shortened(_shortened(np.asarray(grey, np.float64)).T).T)


def _shortened(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) to (n, 32)."""
    sums = np.empty((len(rows), _SIDE))
    parts = np.split(sums, _PARTS, axis=1)
    for part, (start, weights) in zip(parts, _weights(rows.shape[1]), strict=True):
        np.matmul(rows[:, start : start + len(weights)], weights, out=part)
    rounded: NDArray[np.float64] = np.floor(sums / _ONE + 0.5).clip(0, 255)
    return rounded


@lru_cache(maxsize=256)  # at most 60 KB each
def _weights(size: int) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """For each part of the 32 pixels: the first of the `size` pixels that it is made of, and the
    weight of each of them in each, as Pillow has them: Lanczos' window over three of the larger
    pixels to each side, cut off at the ends, 1 in all and then in fixed point."""
    scale = size / _SIDE
    middles = (np.arange(_SIDE) + 0.5) * scale
    pixels = np.arange(size)[:, None] + 0.5
    away = (pixels - middles) / max(scale, 1)
    near = abs(away) < _REACH
    window = np.zeros((size, _SIDE))
    window[near] = np.sinc(away[near]) * np.sinc(away[near] / _REACH)
    whole = np.rint(window / window.sum(axis=0) * _ONE)
    parts = []
    for weights in np.split(whole, _PARTS, axis=1):
        used = np.flatnonzero(weights.any(axis=1))
        start, end = int(used[0]), int(used[-1]) + 1
        parts.append((start, np.ascontiguousarray(weights[start:end])))
    return tuple(parts)
