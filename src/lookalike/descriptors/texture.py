"""What a surface is like: ribbed, checked, furry, plain."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._pixels import shrink, unit
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

_SCALES = 3  # each half the size of the one before
_FLAT = 0.3  # weight of the class of flat patches, which every picture is full of
_DIRECTIONS = 6  # over half a turn
_AROUND = 2 * _DIRECTIONS + 1  # over a whole one, and where it ends
_STRENGTHS = (0.25, 0.5, 1.0, 2.0)  # bounds between the five steps, in shares of the mean
_NOISE = 5  # a neighbor must be lighter by this much to count: less is the camera's or the JPEG's
_ROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def _turned(pattern: int) -> int:
    """The smallest of the eight rotations of an 8-bit pattern."""
    return min((pattern >> i | pattern << (8 - i)) & 255 for i in range(8))


# The 36 patterns that differ by more than a turn, and which of them each of the 256 is.
_CLASSES, _CLASS = np.unique([_turned(pattern) for pattern in range(256)], return_inverse=True)
_IS_OF_CLASS = (_CLASS[:, None] == np.arange(len(_CLASSES))).astype(np.float64)

# What pictures have in common: the 36 classes as photos have them on the mean, in hundredths and
# at any scale, and gradients of every strength and direction alike. With all of it, vectors lie so
# close together that int8 cannot tell them apart. A fifth of it stays, so that none can become
# zero, and a picture without anything of its own does not become noise.
_TAKEN = 0.8
_USUAL_CLASSES = (
    (14, 22, 21, 6, 28, 5, 5, 5, 22, 4, 5, 2, 5, 5, 4, 6, 12, 1),
    (5, 1, 1, 4, 3, 1, 5, 5, 4, 8, 0, 2, 1, 4, 4, 7, 9, 5),
)
_COMMON_PATTERNS = np.tile(np.array(_USUAL_CLASSES, np.float32).ravel() * _TAKEN / 100, _SCALES)
_COMMON_GRADIENTS = np.float32(_TAKEN * (_SCALES * _DIRECTIONS * (len(_STRENGTHS) + 1)) ** -0.5)


class Texture:
    """Local binary patterns and gradients at three scales.

    Ojala, Pietikäinen and Mäenpää, "Multiresolution Gray-Scale and Rotation Invariant Texture
    Classification with Local Binary Patterns", PAMI 24 (2002): which of its eight neighbors are
    lighter than a pixel, up to rotation, 36 classes. Beside them how strong the gradients are and
    where they point, strength measured against the picture's mean and left and right
    averaged. All shares are square-rooted, and most of what is common to all pictures is taken
    off, so that cosines reach from 1 to below 0. Only lightness counts, so that color does not.
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
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
        sizes, patterns, gradients = [], [], []
        for _ in range(_SCALES):
            sizes.append(grey.size)
            patterns.append(_patterns(grey))
            gradients.append(_gradients(grey))
            grey = np.asarray(cv2.pyrDown(grey), np.uint8)
        pixels_each = np.array(sizes, np.float32)[:, None]
        own_patterns = unit(_shares_of_classes(np.stack(patterns), pixels_each)) - _COMMON_PATTERNS
        own_gradients = unit(_shares_of_cells(np.stack(gradients), pixels_each)) - _COMMON_GRADIENTS
        return unit(np.concatenate([own_patterns, own_gradients]))


def _patterns(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(256,) how many pixels have each pattern of lighter neighbors, a bit a neighbor."""
    height, width = grey.shape
    wide = np.asarray(cv2.copyMakeBorder(grey, 1, 1, 1, 1, cv2.BORDER_REPLICATE), np.uint8)
    # Row after row in one, border included: a neighbor is equally far from each pixel, and one
    # long row is done in half the time of many short ones.
    row, flat = width + 2, wide.ravel()
    first, pixels = row + 1, flat.size - 2 * (row + 1)
    least = np.minimum(flat[first : first + pixels], np.uint8(255 - _NOISE)) + np.uint8(_NOISE)
    pattern = np.zeros(height * row, np.uint8)
    bits, lighter = pattern[:pixels], np.empty(pixels, np.bool_)
    for down, right in reversed(_ROUND):
        at = first + down * row + right
        bits += bits  # makes room for the next
        bits |= np.greater(flat[at : at + pixels], least, out=lighter).view(np.uint8)
    return _counts(pattern.reshape(height, row)[:, :width], 256)


def _shares_of_classes(
    counts: NDArray[np.float32], pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(scales, 36) square roots of the shares of the classes."""
    shares = np.sqrt(counts.astype(np.float64) @ _IS_OF_CLASS / pixels)
    shares[:, 0] *= _FLAT
    rows: NDArray[np.float32] = shares.astype(np.float32)
    return rows


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(65,) how many pixels have each strength, and of these each direction: over a whole turn and
    its end, 360 degrees, which is cheaper than a modulo of each pixel."""
    across, down = (np.asarray(part, np.float32) for part in cv2.spatialGradient(grey))
    strength, degrees = (
        np.asarray(part) for part in cv2.cartToPolar(across, down, angleInDegrees=True)
    )
    mean = max(float(strength.mean()), 1.0)
    cell = (degrees * np.float32(_DIRECTIONS / 180)).astype(np.uint8)
    for share in _STRENGTHS:
        cell += (strength > np.float32(mean * share)).view(np.uint8) * np.uint8(_AROUND)
    return _counts(cell, (len(_STRENGTHS) + 1) * _AROUND)


def _shares_of_cells(
    counts: NDArray[np.float32], pixels: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(scales, 30) square roots of the shares of each strength and direction."""
    turn = (counts / pixels).reshape(len(counts), -1, _AROUND)
    shares = turn[..., :_DIRECTIONS] + turn[..., _DIRECTIONS:-1]
    shares[..., 0] += turn[..., -1]
    rows: NDArray[np.float32] = np.sqrt(shares + shares[..., ::-1])
    return rows


def _counts(values: NDArray[np.uint8], bins: int) -> NDArray[np.float32]:
    """(bins,) how often each value occurs; a quarter of what NumPy's count costs."""
    counted = cv2.calcHist([values], [0], None, [bins], [0, bins])
    return np.asarray(counted, np.float32).ravel()
