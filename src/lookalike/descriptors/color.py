"""Color: a histogram of the foreground, and the names of its dominant colors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._pixels import COLOR_BINS, color_bins, foreground_or_middle, shrink, unit
from lookalike.imaging.color_terms import terms_of
from lookalike.imaging.palette import dominant_colors, rgb_of
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

# Positions of the dimensions in OpenCV's 8-bit CIELAB, closer together near gray, as are the colors
# of most clothes and household goods.
_HUES = (64, 108, 128, 148, 192)
_LIGHTS = (16, 72, 128, 184, 240)
# Standard deviation of one color under the light on an object, along a*, b* and L*.
_SPREAD = (5, 5, 20)


class Color:
    """Joint histogram of the foreground's colors in CIELAB, square-rooted.

    The dot product of two vectors is the Bhattacharyya coefficient of their histograms. A color is
    divided between the eight nearest dimensions by linear interpolation, so that a small change of
    light is a small change of the vector. Background and transparent pixels do not count.
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

        The payload holds `{"colors": [{"name": basic term, "hex": "#rrggbb", "share": 0..1,
        "terms": names of fashion}]}`, the dominant colors of the foreground, the largest first; see
        `palette.dominant_colors` and `color_terms`.
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
        """Returns the vector of an object with these ((red, green, blue), share), lit and shaded.

        Raises:
            ValueError: no color has a share above zero.
        """
        if not any(share > 0 for _, share in colors):
            raise ValueError("no color has a share above zero: give at least one")
        histogram = np.zeros(COLOR_BINS)
        for rgb, share in colors:
            lab = cv2.cvtColor(np.array([[rgb]], np.uint8), cv2.COLOR_RGB2LAB)
            light, a, b = lab[0, 0].tolist()
            axes = (
                _gaussian(center, spread, bins)
                for center, spread, bins in zip((a, b, light), _SPREAD, COLOR_BINS, strict=True)
            )
            histogram += max(share, 0) * np.einsum("a,b,l->abl", *axes)
        return self._vector(histogram.astype(np.float32))

    def _describe(self, image: Image) -> tuple[Vector, list[dict[str, Any]]]:
        pixels, opacity = shrink(image, self.side)
        lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.uint8)
        bins = color_bins(lab)
        weights = foreground_or_middle(bins, opacity)
        sums = np.bincount(bins.ravel(), weights.ravel(), math.prod(COLOR_BINS))
        counts = sums.astype(np.float32)
        colors = dominant_colors(lab, bins, weights, counts)
        for color in colors:
            color["terms"] = terms_of(rgb_of(color["hex"][1:]))
        return self._vector(counts.reshape(COLOR_BINS)), colors

    def _vector(self, histogram: NDArray[np.float32]) -> Vector:
        """Reduces a (32, 32, 16) histogram to the dimensions of the vector, axis by axis."""
        lights = histogram @ self._light_shares
        b = self._hue_shares.T @ lights
        a = self._hue_shares.T @ b.reshape(len(b), -1)
        return unit(np.sqrt(a))


def _centers(bins: int) -> NDArray[np.float64]:
    """Returns the center of each bin in the 8-bit scale."""
    return (np.arange(bins) + 0.5) * 256 / bins


def _shares(dimensions: Sequence[int], bins: int) -> NDArray[np.float32]:
    """(bins, dimensions): the share of each bin that its two nearest dimensions get."""
    columns = [np.interp(_centers(bins), dimensions, one) for one in np.eye(len(dimensions))]
    return np.stack(columns, axis=1).astype(np.float32)


def _gaussian(center: float, spread: float, bins: int) -> NDArray[np.float64]:
    """Returns the shares of the bins in a Gaussian around `center`, which add up to 1."""
    density = np.exp(-((_centers(bins) - center) ** 2) / (2 * spread**2))
    shares: NDArray[np.float64] = density / density.sum()
    return shares
