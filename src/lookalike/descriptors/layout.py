"""Where edges of which direction lie: likeness of shape without a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._pixels import Bins, Weights, color_bins, foreground, shrink, unit
from lookalike.types import Description, Distance, Image, Pixels, Vector, VectorSpec

_SIDE = 48  # pixels along each side of the square that every picture is brought to
_CELLS = 6  # along each side of the grid
_DIRECTIONS = 8  # over half a turn
_CHANNELS = np.array((1, 2, 2), np.float32)  # OpenCV's L* spans twice the range of its a* and b*
_COLORS = 8 * 8 * 4  # a*, b*, L*
_COLOR_PART = 0.3  # length of the colours' part, where each grid of edges has 1


class Layout:
    """Histograms of gradient direction on a grid: of the picture, and of its foreground's outline.

    After Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection", CVPR 2005.
    The second grid is taken over the map of what is foreground, which shows the outline without
    prints and floorboards. Left and right are averaged, so that a mirrored copy has the same
    vector. A faint histogram of the foreground's colours tells apart what has one shape, such
    as fruit.
    """

    side = 64
    spec = VectorSpec(
        name="layout",
        aspect="semantic",
        size=2 * _CELLS * _CELLS * _DIRECTIONS + _COLORS,
        distance=Distance.COSINE,
        datatype="float32",
        model="layout",
        revision="1",
    )

    def __init__(self) -> None:
        angles = np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS
        self._directions = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
        self._mirrored = -np.arange(_DIRECTIONS) % _DIRECTIONS
        # A pixel is shared between the two nearest cells, so that a small shift changes little.
        places = (np.arange(_SIDE) + 0.5) / _SIDE * _CELLS - 0.5
        near = np.maximum(0, 1 - abs(places - np.arange(_CELLS)[:, None]))
        self._cells = (near / near.sum(axis=1, keepdims=True)).astype(np.float32)

    def describe(self, images: Sequence[Image]) -> Description:
        """(n, 832) float32, each row of length 1; no payload."""
        rows = [self._describe(image) for image in images]
        return Description(np.asarray(rows, np.float32).reshape(len(rows), self.spec.size))

    def _describe(self, image: Image) -> Vector:
        pixels, opacity = shrink(image, self.side)
        lab = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB), np.uint8)
        bins = color_bins(lab)
        shown = foreground(bins, opacity)
        outline = np.asarray(cv2.GaussianBlur(_square(shown), (0, 0), 1), np.float32)
        parts = (
            self._edges(_square(lab) * _CHANNELS),
            self._edges(outline[..., None]),
            _COLOR_PART * _colors(bins, shown),
        )
        return unit(np.concatenate(parts))

    def _edges(self, picture: NDArray[np.float32]) -> Vector:
        """Gradient energy by cell and direction, of the channel with the strongest gradient."""
        across, down = (
            np.asarray(cv2.Sobel(picture, cv2.CV_32F, *order)).reshape(_SIDE * _SIDE, -1)
            for order in ((1, 0), (0, 1))
        )
        energy = across**2 + down**2
        strongest = np.arange(_SIDE * _SIDE), energy.argmax(axis=1)
        gradient = np.stack((across[strongest], down[strongest]))
        strength = np.sqrt(energy[strongest])
        # The sixteenth power of the cosine is a smooth bin about a sixteenth of a turn wide.
        cosines = self._directions @ (gradient / (strength + 1e-6))
        maps = np.square(np.square(np.square(np.square(cosines)))) * strength
        cells = self._cells @ maps.reshape(_DIRECTIONS, _SIDE, _SIDE) @ self._cells.T
        return unit(np.sqrt(cells + cells[self._mirrored, :, ::-1]))


def _square(picture: Pixels | Weights) -> NDArray[np.float32]:
    square = cv2.resize(picture, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.float32)


def _colors(bins: Bins, shown: Weights) -> Vector:
    """Square-rooted histogram of the foreground's colours."""
    coarse = ((bins >> 11) << 5) | (((bins >> 6) & 7) << 2) | ((bins >> 2) & 3)
    # The background counts a little, so that there is something where nothing stands out.
    counts = np.bincount(coarse.ravel(), shown.ravel() + 0.02, _COLORS)
    return unit(np.sqrt(counts).astype(np.float32))
