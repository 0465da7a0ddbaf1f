"""What several descriptors need of a picture: a small copy, its colors in bins, its foreground."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.types import Image, Pixels, Vector

COLOR_BINS = (32, 32, 16)
"""How many steps of a*, b* and L* (CIELAB in OpenCV's 8-bit scale) the color bins have."""

_BORDER = 0.08  # width of the frame that shows the background, as a share of each side
_MIDDLE = 0.2  # spread of the middle, as a share of each side
_LEAST = 0.03  # a foreground smaller than this share of the picture is not believed

Bins = NDArray[np.intp]
"""(height, width): each pixel's color bin, an index into a flat array of `COLOR_BINS`."""

Weights = NDArray[np.float32]
"""(height, width), 0 to 1: how much a pixel counts."""


def shrink(image: Image, side: int) -> tuple[Pixels, Weights]:
    """A small copy, its shorter side from `side` up to twice that, and its opacity (0 to 1).

    Halved as often as it can be: means of 2 x 2 pixels cost a tenth of other scales. A picture
    smaller than that stays as it is. What is halved is kept for the next descriptor.
    """
    pixels, alpha = image.pixels, image.alpha
    times = 0
    while min(pixels.shape[:2]) >= 2 * side:
        times += 1
        if times not in image.halved:
            image.halved[times] = _halve(pixels), None if alpha is None else _halve(alpha)
        pixels, alpha = image.halved[times]
    if alpha is None:
        return pixels, np.ones(pixels.shape[:2], np.float32)
    return pixels, (alpha / np.float32(255)).astype(np.float32)


def color_bins(lab: Pixels) -> Bins:
    """The color bin of each pixel of an 8-bit CIELAB picture."""
    light, a, b = (np.asarray(channel, np.uint8) for channel in cv2.split(lab))
    bins = (a & np.uint8(0xF8)).astype(np.uint16) << np.uint16(6)  # a* >> 3 << 9
    bins |= (b & np.uint8(0xF8)).astype(np.uint16) << np.uint16(1)  # b* >> 3 << 4
    bins |= light >> np.uint8(4)
    wide: Bins = bins.astype(np.intp)
    return wide


def foreground(bins: Bins, opacity: Weights) -> Weights:
    """How likely each pixel is to belong to the thing shown, by its color alone.

    A color more frequent along the border than around the middle is background: the ratio
    histogram of Swain and Ballard, "Color Indexing", IJCV 7 (1991), with the border in place of
    their other objects. Lightness counts in four steps only, so that a shadow on the floor stays
    floor. Transparent pixels are background, and where most of the border is transparent
    nothing else is.
    """
    bins = bins >> 2
    frame = _frame(bins.shape)
    shown = opacity.ravel().take(frame)
    if shown.mean() < 0.5:
        return opacity
    inside = _shares(bins, _middle(bins.shape) * opacity)
    border = _shares(bins.ravel().take(frame), shown)
    likely: Weights = (inside / (inside + border + 1e-9)).take(bins) * opacity
    return likely


def foreground_or_middle(bins: Bins, opacity: Weights) -> Weights:
    """The opacity in the foreground, 0 outside; mostly the middle where no foreground stands out.

    A background-colored patch that the background does not reach, such as a white print on a
    shirt before a white wall, is foreground.
    """
    behind = (foreground(bins, opacity) < 0.5).astype(np.uint8)
    parts = cv2.connectedComponents(behind, connectivity=4)[1]
    reached = np.zeros(int(parts.max()) + 1, np.bool_)
    for edge in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        reached[edge] = True
    reached[0] = False  # part 0 is all that is not behind
    weights: Weights = opacity * (~reached).astype(np.float32)[parts]
    if weights.sum() >= _LEAST * opacity.sum() > 0:
        return weights
    middle = _middle(bins.shape)
    return middle * opacity if opacity.any() else middle


def unit(vector: NDArray[np.float32]) -> Vector:
    """Flat and of length 1; all dimensions alike where it was zero."""
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
    """Distance of each pixel from the center, down and across, as a share of each side."""
    height, width = shape
    down = abs((np.arange(height, dtype=np.float32) + 0.5) / height - 0.5)
    across = abs((np.arange(width, dtype=np.float32) + 0.5) / width - 0.5)
    return down[:, None].astype(np.float32), across[None].astype(np.float32)


@lru_cache(maxsize=64)
def _frame(shape: tuple[int, ...]) -> NDArray[np.intp]:
    """Where the border is in a flat array: at least the outermost pixels, which is all that a tiny
    picture has."""
    frame = np.maximum(*_off_center(shape)) > 0.5 - _BORDER
    frame[[0, -1]] = frame[:, [0, -1]] = True
    places = np.flatnonzero(frame)
    places.flags.writeable = False
    return places


@lru_cache(maxsize=64)
def _middle(shape: tuple[int, ...]) -> Weights:
    """1 in the center, falling off as a Gaussian."""
    down, across = (np.exp(-(far**2) / (2 * _MIDDLE**2)) for far in _off_center(shape))
    middle: Weights = down * across
    middle.flags.writeable = False
    return middle


def _shares(bins: Bins, weights: Weights) -> NDArray[np.float32]:
    """Share of each color (a*, b*, lightness in four steps), blurred over neighboring hues."""
    counts = np.bincount(bins.ravel(), weights.ravel(), 32 * 32 * 4).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(counts.reshape(32, 32, 4), (3, 3), 0), np.float32).ravel()
    shares: NDArray[np.float32] = smooth / np.float32(max(float(smooth.sum()), 1e-9))
    return shares
