"""A 64-bit perceptual hash that finds copies of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lookalike.types import Description, Distance, Image, Vector, VectorSpec

_BITS = 8  # along each side of the hash
_SIDE = 32  # pixels along each side of the scaled picture, which is transformed
_LANCZOS_RADIUS = 3  # in pixels of the scaled picture
_GROUPS = 4  # of the 32 scaled pixels; each group depends on a part of the picture only
_MAX_SIDE = 512  # pixels; larger pictures are scaled by Pillow itself
_FIXED_POINT_ONE = 2**22  # the number 1 in Pillow's fixed-point weights


class Phash:
    """Lowest frequencies of a cosine transform, compared with their median.

    Bit for bit the `phash` of the `imagehash` package, which follows
    https://www.hackerfactor.com/blog/index.php?/archives/432-Looks-Like-It.html. The Hamming
    distance between two hashes is the Manhattan distance between their vectors.
    """

    # Pictures of less than twice this side are not shrunk, so their bits are those of the file.
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
        frequency, position = np.arange(_BITS)[:, None], np.arange(_SIDE)
        self._cosines = 2 * np.cos(np.pi * frequency * (2 * position + 1) / (2 * _SIDE))

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 64) float32 of 0 and 1; payload `{"phash": 16 hexadecimal digits}`."""
        rows = [self._describe(image) for image in images]
        payload = [{"phash": np.packbits(row.astype(np.uint8)).tobytes().hex()} for row in rows]
        return Description(np.asarray(rows, np.float32).reshape(len(rows), self.spec.size), payload)

    def _describe(self, image: Image) -> Vector:
        # Pillow's luma and Lanczos filter are part of the hash: other libraries' would change bits.
        small = scale(PIL.Image.fromarray(image.pixels).convert("L"))
        # Rounding makes the zeros of flat and symmetric pictures exact, as a fast transform does.
        frequencies = (self._cosines @ small @ self._cosines.T).round(6)
        half = frequencies.size // 2
        # As `np.median`, which would import masked arrays first.
        middle = np.partition(frequencies, (half - 1, half), axis=None)[half - 1 : half + 1]
        bits: Vector = (frequencies > middle.mean()).ravel().astype(np.float32)
        return bits


def scale(gray: PIL.Image.Image) -> NDArray[np.float64]:
    """Scales a picture to (32, 32), with the same result to the bit as Pillow's Lanczos filter.

    Pillow filters rows and then columns, with weights in fixed point, and rounds after each step.
    Matrix products take a quarter of its time. They are exact, as all numbers are integers below
    2^53. Narrow pictures are left to Pillow, which may filter their columns first.
    """
    width, height = gray.size
    if not (2 * _SIDE <= width <= _MAX_SIDE and height <= min(_MAX_SIDE, 1.5 * width)):
        small = gray.resize((_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS)
        return np.asarray(small, np.float64)
    # In row-major order again, on which the last bits of the transform depend.
    return np.ascontiguousarray(_scale_rows(_scale_rows(np.asarray(gray, np.float64)).T).T)


def _scale_rows(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales (n, m) to (n, 32)."""
    sums = np.empty((len(rows), _SIDE))
    groups = np.split(sums, _GROUPS, axis=1)
    for group, (start, weights) in zip(groups, _weights(rows.shape[1]), strict=True):
        np.matmul(rows[:, start : start + len(weights)], weights, out=group)
    rounded: NDArray[np.float64] = np.floor(sums / _FIXED_POINT_ONE + 0.5).clip(0, 255)
    return rounded


@lru_cache(maxsize=256)  # at most 60 KB each
def _weights(size: int) -> tuple[tuple[int, NDArray[np.float64]], ...]:
    """Returns, for each group of the 32 scaled pixels, the first of the `size` pixels that it
    depends on, and the weights of these in each scaled pixel.

    They are Pillow's: a Lanczos window of three scaled pixels to each side, cut off at the edges,
    normalized to a sum of 1, and then in fixed point.
    """
    factor = size / _SIDE
    centers = (np.arange(_SIDE) + 0.5) * factor
    pixels = np.arange(size)[:, None] + 0.5
    distance = (pixels - centers) / max(factor, 1)
    near = abs(distance) < _LANCZOS_RADIUS
    window = np.zeros((size, _SIDE))
    window[near] = np.sinc(distance[near]) * np.sinc(distance[near] / _LANCZOS_RADIUS)
    fixed_point = np.rint(window / window.sum(axis=0) * _FIXED_POINT_ONE)
    groups = []
    for weights in np.split(fixed_point, _GROUPS, axis=1):
        used = np.flatnonzero(weights.any(axis=1))
        start, end = int(used[0]), int(used[-1]) + 1
        groups.append((start, np.ascontiguousarray(weights[start:end])))
    return tuple(groups)
