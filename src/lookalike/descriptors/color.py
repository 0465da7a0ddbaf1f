"""Which colors a thing has: a histogram of its foreground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._pixels import COLOR_BINS, color_bins, foreground_or_middle, shrink, unit
from lookalike.imaging.palette import dominant_colors
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

# Where the dimensions lie in OpenCV's 8-bit CIELAB: closer together near grey, where most of what
# people wear and own is.
_HUES = (64, 108, 128, 148, 192)
_LIGHTS = (16, 72, 128, 184, 240)
# How far the light on a thing spreads one color, along a*, b* and L*.
_SPREAD = (5, 5, 20)


class Color:
    """Joint histogram of the foreground's colors in CIELAB, square-rooted.

    The dot product of two vectors is the Bhattacharyya coefficient of their histograms. A color
    is shared between the eight nearest dimensions by its distance, so that a little more light
    changes the vector a little. Background and transparent pixels do not count.
    """

    side = 64
    spec = VectorSpec(
        name="color",
        aspect="color",
        size=len(_HUES) ** 2 * len(_LIGHTS),
        distance=Distance.COSINE,
        datatype="float32",
        model="color",
        revision="1",
    )

    def __init__(self) -> None:
        self._hue_shares = _shares(_HUES, COLOR_BINS[0])
        self._light_shares = _shares(_LIGHTS, COLOR_BINS[2])

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 125) float32, each row of length 1.

        The payload holds `{"colors": [{"name": basic term, "hex": "#rrggbb", "share": 0..1}]}`,
        the dominant colors of the foreground with the largest first; see `palette.dominant_colors`.
        """
        vectors, payload = [], []
        for image in images:
            vector, colors = self._describe(image)
            vectors.append(vector)
            payload.append({"colors": colors})
        return Description(
            np.asarray(vectors, np.float32).reshape(len(vectors), self.spec.size), payload
        )

    def describe_color(self, colors: Sequence[tuple[tuple[int, int, int], float]]) -> Vector:
        """The vector of a thing of these ((red, green, blue), share), shaded as things are.

        Raises:
            ValueError: no color has a share above zero.
        """
        if not any(share > 0 for _, share in colors):
            raise ValueError("no color has a share above zero: give at least one that has")
        histogram = np.zeros(COLOR_BINS)
        for rgb, share in colors:
            light, a, b = cv2.cvtColor(np.array([[rgb]], np.uint8), cv2.COLOR_RGB2LAB)[
                0, 0
            ].tolist()
            along = (
                _bell(center, spread, bins)
                for center, spread, bins in zip((a, b, light), _SPREAD, COLOR_BINS, strict=True)
            )
            histogram += max(share, 0) * np.einsum("a,b,l->abl", *along)
        return self._vector(histogram.astype(np.float32))

    def _describe(self, image: Image) -> tuple[Vector, list[dict[str, Any]]]:
        pixels, opacity = shrink(image, self.side)
        lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.uint8)
        bins = color_bins(lab)
        weights = foreground_or_middle(bins, opacity)
        counts = np.bincount(bins.ravel(), weights.ravel(), math.prod(COLOR_BINS)).astype(
            np.float32
        )
        colors = dominant_colors(lab, bins, weights, counts)
        return self._vector(counts.reshape(COLOR_BINS)), colors

    def _vector(self, histogram: NDArray[np.float32]) -> Vector:
        """Moves a (32, 32, 16) histogram to the fewer dimensions, one axis after the other."""
        lights = histogram @ self._light_shares
        b = self._hue_shares.T @ lights
        a = self._hue_shares.T @ b.reshape(len(b), -1)
        return unit(np.sqrt(a))


def _centers(bins: int) -> NDArray[np.float64]:
    """Middle of each bin in the 8-bit scale."""
    return (np.arange(bins) + 0.5) * 256 / bins


def _shares(knots: Sequence[int], bins: int) -> NDArray[np.float32]:
    """(bins, knots): how a bin is shared between the two nearest knots."""
    hats = [np.interp(_centers(bins), knots, hat) for hat in np.eye(len(knots))]
    return np.stack(hats, axis=1).astype(np.float32)


def _bell(center: float, spread: float, bins: int) -> NDArray[np.float64]:
    """Shares of the bins in a bell curve around `center`, 1 in all."""
    bell = np.exp(-((_centers(bins) - center) ** 2) / (2 * spread**2))
    shares: NDArray[np.float64] = bell / bell.sum()
    return shares
