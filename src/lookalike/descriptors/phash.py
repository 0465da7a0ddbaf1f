"""A 64-bit perceptual hash for finding copies of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import PIL.Image

from lookalike.types import Description, Distance, Image, Vector, VectorSpec

_BITS = 8  # along each side of the hash
_SIDE = 32  # pixels along each side of what the transform sees


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
        grey = PIL.Image.fromarray(image.pixels).convert("L")
        small = np.asarray(grey.resize((_SIDE, _SIDE), PIL.Image.Resampling.LANCZOS), np.float64)
        # Rounding makes the zeros of flat and symmetric pictures exact, as a fast transform's are.
        low = (self._cosines @ small @ self._cosines.T).round(6)
        bits: Vector = (low > np.median(low)).ravel().astype(np.float32)
        return bits
