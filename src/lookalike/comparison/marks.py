"""Marks of two aligned pictures: letters, lines, prints and other structure, cell by cell.

Documents on one template, memes with other text and products with another print agree in all but
a small part, and so do a picture and its copy with a caption. What differs tells them apart: a
caption covers what the other picture shows there, mostly weaker structure or none, while of two
texts each has strong marks where the other has other ones, or has them in another place.

In 40 photos in 38 edits, marks conflict in up to 53 % of the changed cells of captions, and in
63 % of those of logos, but in at most 5 % and 4 % of all marked cells. In memes and captions with
other words they do in 62 to 100 % of the changed cells, and in 4 to 40 % of all. In re-encoded,
resized, cropped, tilted, blurred and recolored copies next to no cell changes. In drawings and
documents even one number counts, so the limits are other ones.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles
from lookalike.comparison.sketch import FLAT, Bytes, Floats
from lookalike.types import Pixels

SIDE = 1024
"""Pixels of the longer side at which pictures are compared: letters of 28 pixels on a page of 1,754
are still 16 pixels high."""

_CELL = 12  # pixels along the sides of a cell; cells overlap by half
_MARGIN = 6  # pixels along the edges of the shared part that are not compared
_BLUR = 1.0  # pixels: sharpness that a copy may lose
_NOISE = 9.0  # squared gray levels without meaning
_MARKED = 15.0  # gray levels: standard deviation in a cell with marks
_COMPARABLE = 0.4  # of the stronger marks: weaker ones are covered, not other ones
_OTHER = 0.4  # correlation below which marks are other ones
_FLAT_STEP = 2  # gray levels, as in sketches
_GROUND = 0.3  # share of pixels in about one gray level in pictures that may be documents
_UNCHANGED = 0.003  # share of the marked cells up to which nothing changed

_CONFLICTING = 0.6  # least share of the changed cells whose marks conflict in other pictures
_CONFLICTING_SHARE = 0.041  # and of all marked cells
_REPLACED = 0.4  # the same with cells in which only one has marks, as where prints differ
_REPLACED_SHARE = 0.11  # and of all marked cells; logos reach 0.085, prints start at 0.154
_CONFLICTING_FLAT = 0.45  # of the changed cells, with cells in which only one has marks
_FEW = 6  # cells
_SAME_SCALE = 1e-3  # scales nearer to 1 count as 1

_Indices = NDArray[np.intp]


class MarkChanges(NamedTuple):
    """The changes of marks between two pictures.

    Attributes:
        marked: cells in which either picture has marks.
        changed: those whose marks do not correlate.
        conflicting: those of the changed in which both have strong marks.
        exchanged: those of the others that are in balance: each picture alone has marks in half.
        is_flat: whether most pixels of both pictures look like their neighbors.
    """

    marked: int
    changed: int
    conflicting: int
    exchanged: int
    is_flat: bool

    @property
    def is_unchanged(self) -> bool:
        return self.changed <= _UNCHANGED * self.marked

    @property
    def is_negligible(self) -> bool:
        """True if too few cells have changed for other content, whatever they show."""
        return self.changed < _FEW

    @property
    def is_other_content(self) -> bool:
        """True if the pictures have other text, prints or parts in the same places."""
        if self.conflicting < _FEW and self.exchanged < _FEW:
            return False
        if self.is_flat:
            if self.conflicting >= max(_FEW, _CONFLICTING_FLAT * self.changed):
                return True
            moved = self.conflicting + self.exchanged
            return not self.is_unchanged and moved >= _CONFLICTING_FLAT * self.changed
        conflict = (
            self.conflicting >= _CONFLICTING * self.changed
            and self.conflicting >= _CONFLICTING_SHARE * self.marked
        )
        both = self.conflicting + self.exchanged
        replaced = (
            both >= _REPLACED * self.changed
            and both >= _REPLACED_SHARE * self.marked
            and self.conflicting >= _REPLACED_SHARE / 4 * self.marked
        )
        return conflict or replaced


def may_be_document(pixels: Pixels) -> bool:
    """True if much of a picture has one tone, as the paper of a document has."""
    counts = np.bincount(_gray(pixels).ravel() // 8, minlength=32)
    return bool(np.convolve(counts, (1, 1, 1)).max() >= _GROUND * counts.sum())


def fitted(pixels: Pixels, side: int = SIDE) -> Pixels:
    """The picture, shrunk if its longer side is longer than `side` pixels."""
    height, width = pixels.shape[:2]
    by = side / max(height, width)
    if by >= 1:
        return pixels
    size = max(1, round(width * by)), max(1, round(height * by))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def mark_changes(first: Pixels, second: Pixels, matrix: Doubles) -> MarkChanges:
    """Compares the marks of two pictures, whose order does not matter.

    Args:
        first, second: the pictures, fitted to `SIDE`.
        matrix: from pixels of the first to those of the second. Where it is not exact, marks seem
            to have changed.
    """
    coarse, fine = _gray(first), _gray(second)
    scale = abs(float(np.linalg.det(matrix[:, :2]))) ** 0.5
    is_same_scale = abs(scale - 1) < _SAME_SCALE
    if coarse.tobytes() > fine.tobytes() if is_same_scale else scale < 1:
        coarse, fine, scale = fine, coarse, 1 / scale
        matrix = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    is_flat = min(_flat(coarse), _flat(fine)) > FLAT
    return _counted(*_overlaid(coarse, fine, matrix, scale), is_flat=is_flat)


def _gray(pixels: Pixels) -> Bytes:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)


def _flat(gray: Bytes) -> float:
    """Share of pixels that look like their neighbors."""
    luma = gray.astype(np.int16)
    across, down = abs(np.diff(luma, axis=1))[:-1], abs(np.diff(luma, axis=0))[:, :-1]
    return float((np.maximum(across, down) <= _FLAT_STEP).mean())


def _overlaid(
    coarse: Bytes, fine: Bytes, matrix: Doubles, scale: float
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Both pictures on the coarser grid, and the part that both show."""
    size, flags = coarse.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    sharp = fine.astype(np.float32)
    if scale > 1 + _SAME_SCALE:
        sharp = np.asarray(cv2.GaussianBlur(sharp, (0, 0), scale / 2), np.float32)
    overlay = cv2.warpAffine(sharp, matrix, size, flags=flags)
    covered = cv2.warpAffine(np.ones_like(sharp), matrix, size, flags=flags)
    around = np.ones((_CELL + _MARGIN, _CELL + _MARGIN), np.uint8)
    shared = cv2.erode(covered, around, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0.99
    ours, theirs = (
        np.asarray(cv2.GaussianBlur(picture, (0, 0), _BLUR), np.float32)
        for picture in (coarse.astype(np.float32), overlay)
    )
    return ours, theirs, np.asarray(shared)


def _counted(
    ours: Floats, theirs: Floats, shared: NDArray[np.bool_], *, is_flat: bool
) -> MarkChanges:
    moments, other_moments = _moments(ours), _moments(theirs)
    at = _centers(shared)
    own, other = np.sqrt(moments[1][at]), np.sqrt(other_moments[1][at])
    marked = np.maximum(own, other) > _MARKED
    at, own, other = (at[0][marked], at[1][marked]), own[marked], other[marked]
    product = cv2.blur(ours * theirs, (_CELL, _CELL))[at]
    mean, other_mean = moments[0][at], other_moments[0][at]
    changed = _correlation(product - mean * other_mean, own**2, other**2) < _OTHER
    at, own, other = (at[0][changed], at[1][changed]), own[changed], other[changed]
    shifted = _is_shifted(ours, theirs, at)
    own, other = own[~shifted], other[~shifted]
    stronger, weaker = np.maximum(own, other), np.minimum(own, other)
    conflicting = (weaker > _MARKED) & (weaker > _COMPARABLE * stronger)
    alone = ~conflicting
    balance = 2 * min(int((alone & (own > other)).sum()), int((alone & (own < other)).sum()))
    return MarkChanges(
        int(marked.sum()), int((~shifted).sum()), int(conflicting.sum()), balance, is_flat
    )


def _centers(shared: NDArray[np.bool_]) -> tuple[_Indices, _Indices]:
    """Rows and columns of the centers of cells in the shared part."""
    half = _CELL // 2
    rows, columns = shared[half::half, half::half].nonzero()
    return half * (rows + 1), half * (columns + 1)


def _is_shifted(ours: Floats, theirs: Floats, at: tuple[_Indices, _Indices]) -> NDArray[np.bool_]:
    """(n,) whether cells correlate if one picture is shifted by a pixel, because the alignment is
    not exact to a pixel.

    Args:
        at: rows and columns of the centers of cells that do not correlate as they are.
    """
    rows, columns = at[0] - _CELL // 2, at[1] - _CELL // 2
    cells = _deviations(sliding_window_view(ours, (_CELL, _CELL))[rows, columns])
    around = sliding_window_view(theirs, (_CELL + 2, _CELL + 2))[rows - 1, columns - 1]
    shifted = np.zeros(len(rows), np.bool_)
    for down in range(3):
        for right in range(3):
            others = _deviations(around[:, down : down + _CELL, right : right + _CELL])
            product, own, other = (
                np.einsum("nij,nij->n", one, two) / _CELL**2
                for one, two in ((cells, others), (cells, cells), (others, others))
            )
            shifted |= _correlation(product, own, other) >= _OTHER
    return shifted


def _deviations(cells: Floats) -> Floats:
    return np.asarray(cells - cells.mean(axis=(1, 2), keepdims=True), np.float32)


def _correlation(product: Floats, variance: Floats, other_variance: Floats) -> Floats:
    noisy = (variance + _NOISE) * (other_variance + _NOISE)
    return np.asarray(product / np.sqrt(noisy), np.float32)


def _moments(picture: Floats) -> tuple[Floats, Floats]:
    """Mean and variance around each pixel."""
    mean = np.asarray(cv2.blur(picture, (_CELL, _CELL)), np.float32)
    square = np.asarray(cv2.blur(picture * picture, (_CELL, _CELL)), np.float32)
    return mean, np.maximum(square - mean * mean, 0)
