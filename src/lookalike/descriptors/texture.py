"""Texture: whether a surface is ribbed, checked, furry or plain."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._pixels import shrink, unit
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

_SCALES = 3  # each of half the size of the one before
_FLAT_WEIGHT = 0.3  # of the class of flat patches, which fill most of every picture
_DIRECTIONS = 6  # over half a turn
_FULL_TURN = 2 * _DIRECTIONS + 1  # bins over a full turn, with one for its end, 360 degrees
_STRENGTHS = (0.25, 0.5, 1.0, 2.0)  # bounds between five classes of strength, relative to the mean
_NOISE = 5  # levels by which a neighbor must be lighter; less is noise of the camera or the JPEG
_NEIGHBORS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def _rotated(pattern: int) -> int:
    """Returns the smallest of the eight rotations of an 8-bit pattern."""
    return min((pattern >> i | pattern << (8 - i)) & 255 for i in range(8))


# The 36 patterns that differ by more than a rotation, and the class of each of the 256 patterns.
_CLASSES, _CLASS = np.unique([_rotated(pattern) for pattern in range(256)], return_inverse=True)
_IS_OF_CLASS = (_CLASS[:, None] == np.arange(len(_CLASSES))).astype(np.float64)

# The part that all pictures have in common: the mean of the 36 classes over photos, in hundredths
# and the same for every scale, and an even distribution of gradients. With it, vectors lie so close
# together that int8 cannot tell them apart. Four fifths are subtracted. The last fifth keeps every
# vector off zero, and keeps a plain picture from turning into noise.
_SUBTRACTED = 0.8
_MEAN_CLASSES = (
    (14, 22, 21, 6, 28, 5, 5, 5, 22, 4, 5, 2, 5, 5, 4, 6, 12, 1),
    (5, 1, 1, 4, 3, 1, 5, 5, 4, 8, 0, 2, 1, 4, 4, 7, 9, 5),
)
_COMMON_PATTERNS = np.tile(np.array(_MEAN_CLASSES, np.float32).ravel() * _SUBTRACTED / 100, _SCALES)
_COMMON_GRADIENTS = np.float32(
    _SUBTRACTED * (_SCALES * _DIRECTIONS * (len(_STRENGTHS) + 1)) ** -0.5
)


class Texture:
    """Local binary patterns and gradients at three scales.

    Ojala, Pietikäinen and Mäenpää, "Multiresolution Gray-Scale and Rotation Invariant Texture
    Classification with Local Binary Patterns", PAMI 24 (2002): the pattern of the eight neighbors
    that are lighter than a pixel, up to rotation, in 36 classes. In addition, the strength of the
    gradients, relative to the picture's mean, and their direction, left and right averaged. All
    shares are square-rooted, and most of the part that all pictures have in common is subtracted,
    so that cosines range from 1 to below 0. Only lightness counts, so color makes no difference.
    """

    side = 128
    spec = VectorSpec(
        name="texture",
        aspect="texture",
        size=_SCALES * (len(_CLASSES) + _DIRECTIONS * (len(_STRENGTHS) + 1)),
        distance=Distance.COSINE,
        datatype="float32",
        model="texture",
        revision="2",
    )

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 198) float32, each row of length 1; no payload."""
        rows = [self._describe(image) for image in images]
        return Description(np.asarray(rows, np.float32).reshape(len(rows), self.spec.size))

    def _describe(self, image: Image) -> Vector:
        pixels, _ = shrink(image, self.side)
        gray = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        sizes, patterns, gradients = [], [], []
        for _ in range(_SCALES):
            sizes.append(gray.size)
            patterns.append(_patterns(gray))
            gradients.append(_gradients(gray))
            gray = np.asarray(cv2.pyrDown(gray), np.uint8)
        totals = np.array(sizes, np.float32)[:, None]
        pattern_part = unit(_class_shares(np.stack(patterns), totals)) - _COMMON_PATTERNS
        gradient_part = unit(_gradient_shares(np.stack(gradients), totals)) - _COMMON_GRADIENTS
        return unit(np.concatenate([pattern_part, gradient_part]))


def _patterns(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(256,) numbers of pixels with each pattern of lighter neighbors, a bit for each neighbor."""
    height, width = gray.shape
    padded = np.asarray(cv2.copyMakeBorder(gray, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.uint8)
    # All rows as one, borders included: a neighbor has the same offset from every pixel, and one
    # long row takes half the time of many short ones.
    row, flat = width + 2, padded.ravel()
    first, pixels = row + 1, flat.size - 2 * (row + 1)
    threshold = np.minimum(flat[first : first + pixels], np.uint8(255 - _NOISE)) + np.uint8(_NOISE)
    pattern = np.zeros(height * row, np.uint8)
    bits, lighter = pattern[:pixels], np.empty(pixels, np.bool_)
    for down, right in reversed(_NEIGHBORS):
        start = first + down * row + right
        bits += bits  # shifts left by one
        bits |= np.greater(flat[start : start + pixels], threshold, out=lighter).view(np.uint8)
    return _counts(pattern.reshape(height, row)[:, :width], 256)


def _class_shares(counts: NDArray[np.float32], pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """(scales, 36) square roots of the shares of the classes, given (scales, 256) counts."""
    shares = np.sqrt(counts.astype(np.float64) @ _IS_OF_CLASS / pixels)
    shares[:, 0] *= _FLAT_WEIGHT
    rows: NDArray[np.float32] = shares.astype(np.float32)
    return rows


def _gradients(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(65,) numbers of pixels with each strength and direction. Directions cover a full turn, with
    a bin for 360 degrees, which takes less time than a modulo of each pixel."""
    across, down = (np.asarray(part, np.float32) for part in cv2.spatialGradient(gray))
    strength, degrees = (
        np.asarray(part) for part in cv2.cartToPolar(across, down, angleInDegrees=True)
    )
    mean = max(float(strength.mean()), 1.0)
    bins = (degrees * np.float32(_DIRECTIONS / 180)).astype(np.uint8)
    for bound in _STRENGTHS:
        bins += (strength > np.float32(mean * bound)).view(np.uint8) * np.uint8(_FULL_TURN)
    return _counts(bins, (len(_STRENGTHS) + 1) * _FULL_TURN)


def _gradient_shares(
    counts: NDArray[np.float32], pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(scales, 30) square roots of the shares of each strength and direction, given (scales, 65)
    counts."""
    full_turn = (counts / pixels).reshape(len(counts), -1, _FULL_TURN)
    shares = full_turn[..., :_DIRECTIONS] + full_turn[..., _DIRECTIONS:-1]
    shares[..., 0] += full_turn[..., -1]
    rows: NDArray[np.float32] = np.sqrt(shares + shares[..., ::-1])
    return rows


def _counts(values: NDArray[np.uint8], bins: int) -> NDArray[np.float32]:
    """(bins,) counts of each value, in a quarter of the time of NumPy's `bincount`."""
    counted = cv2.calcHist([values], [0], None, [bins], [0, bins])
    return np.asarray(counted, np.float32).ravel()
