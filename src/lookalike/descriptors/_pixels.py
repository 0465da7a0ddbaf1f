"""Pixels as several descriptors need them: a small copy, color bins, the foreground."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.types import Image, Pixels, Vector

COLOR_BINS = (32, 32, 16)
"""Number of color bins along a*, b* and L* (CIELAB in OpenCV's 8-bit scale)."""

_BORDER = 0.08  # width of the border that shows the background, as a share of each side
_MIDDLE_SPREAD = 0.2  # standard deviation of the middle's weights, as a share of each side
_MIN_FOREGROUND = 0.03  # share of the picture; a smaller foreground is taken for an error

Bins = NDArray[np.intp]
"""(height, width): the color bin of each pixel, an index into a flat array of `COLOR_BINS`."""

Weights = NDArray[np.float32]
"""(height, width): the weight of each pixel, 0 to 1."""


def shrink(image: Image, side: int) -> tuple[Pixels, Weights]:
    """Returns a small copy of the picture, and its opacity (0 to 1).

    The picture is halved until its shorter side is in [side, 2 x side); a smaller one stays as it
    is. Means of 2 x 2 pixels take a tenth of the time of other scales. The halves are kept in the
    image for the next descriptor.
    """
    pixels, alpha = image.pixels, image.alpha
    halvings = 0
    while min(pixels.shape[:2]) >= 2 * side:
        halvings += 1
        if halvings not in image.halved:
            image.halved[halvings] = _halve(pixels), None if alpha is None else _halve(alpha)
        pixels, alpha = image.halved[halvings]
    if alpha is None:
        return pixels, np.ones(pixels.shape[:2], np.float32)
    return pixels, (alpha / np.float32(255)).astype(np.float32)


def color_bins(lab: Pixels) -> Bins:
    """Returns the color bin of each pixel of an 8-bit CIELAB picture."""
    light, a, b = (np.asarray(channel, np.uint8) for channel in cv2.split(lab))
    bins = (a & np.uint8(0xF8)).astype(np.uint16) << np.uint16(6)  # a* >> 3 << 9
    bins |= (b & np.uint8(0xF8)).astype(np.uint16) << np.uint16(1)  # b* >> 3 << 4
    bins |= light >> np.uint8(4)
    wide: Bins = bins.astype(np.intp)
    return wide


def foreground(bins: Bins, opacity: Weights) -> Weights:
    """Returns the probability that each pixel belongs to the object, by its color alone.

    A color more frequent along the border than around the middle is background: the ratio
    histogram of Swain and Ballard, "Color Indexing", IJCV 7 (1991), with the border in place of
    their other objects. Lightness counts in four steps only, so that a shadow on the floor is
    still floor. Transparent pixels are background. If most of the border is transparent, all other
    pixels are foreground.
    """
    bins = bins >> 2
    border = _border(bins.shape)
    border_opacity = opacity.ravel().take(border)
    if border_opacity.mean() < 0.5:
        return opacity
    middle_shares = _shares(bins, _middle(bins.shape) * opacity)
    border_shares = _shares(bins.ravel().take(border), border_opacity)
    ratio = middle_shares / (middle_shares + border_shares + 1e-9)
    probability: Weights = ratio.take(bins) * opacity
    return probability


def foreground_or_middle(bins: Bins, opacity: Weights) -> Weights:
    """Returns the opacity in the foreground and 0 outside. Without a clear foreground, weights fall
    off from the center.

    A patch of background color that is not connected to the edge, such as a white print on a
    shirt in front of a white wall, is foreground.
    """
    background = (foreground(bins, opacity) < 0.5).astype(np.uint8)
    components = cv2.connectedComponents(background, connectivity=4)[1]
    touches_edge = np.zeros(int(components.max()) + 1, np.bool_)
    for edge in (components[0], components[-1], components[:, 0], components[:, -1]):
        touches_edge[edge] = True
    touches_edge[0] = False  # component 0 is the foreground
    weights: Weights = opacity * (~touches_edge).astype(np.float32)[components]
    if weights.sum() >= _MIN_FOREGROUND * opacity.sum() > 0:
        return weights
    middle = _middle(bins.shape)
    return middle * opacity if opacity.any() else middle


def unit(vector: NDArray[np.float32]) -> Vector:
    """Returns the vector flat and of length 1; a zero vector becomes one with equal elements."""
    flat = vector.ravel()
    length = np.linalg.norm(flat)
    if length < 1e-9:
        return np.full(flat.size, flat.size**-0.5, np.float32)
    return (flat / length).astype(np.float32)


def _halve(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _off_center(shape: tuple[int, ...]) -> tuple[Weights, Weights]:
    """Returns the distance of each row and column from the center, as a share of each side."""
    height, width = shape
    down = abs((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)
    across = abs((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)
    return down[:, None].astype(np.float32), across[None].astype(np.float32)


@lru_cache(maxsize=64)
def _border(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Returns the indices of the border in a flat array. It includes at least the outermost pixels,
    for pictures that are only a few pixels wide."""
    border = np.maximum(*_off_center(shape)) > 0.5 - _BORDER
    border[[0, -1]] = border[:, [0, -1]] = True
    indices = np.flatnonzero(border)
    indices.flags.writeable = False
    return indices


@lru_cache(maxsize=64)
def _middle(shape: tuple[int, ...]) -> Weights:
    """Returns weights that fall off from the center as a Gaussian."""
    down, across = (
        np.exp(-(distance**2) / (2 * _MIDDLE_SPREAD**2)) for distance in _off_center(shape)
    )
    middle: Weights = down * across
    middle.flags.writeable = False
    return middle


def _shares(bins: Bins, weights: Weights) -> NDArray[np.float32]:
    """Returns the share of each color (a*, b*, lightness in four steps), blurred over neighboring
    hues."""
    counts = np.bincount(bins.ravel(), weights.ravel(), 32 * 32 * 4).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(counts.reshape(32, 32, 4), (3, 3), 0), np.float32).ravel()
    shares: NDArray[np.float32] = smooth / np.float32(max(float(smooth.sum()), 1e-9))
    return shares
