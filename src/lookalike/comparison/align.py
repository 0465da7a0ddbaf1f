"""Alignments of two sketches: maps that may lay the first picture over the second.

Most copies show the whole picture, so the squares of both are compared in all eight orientations.
Pictures that were cropped, tilted or put into a screenshot are aligned by local features (SIFT:
Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60, 2004; square-rooted:
Arandjelović and Zisserman, "Three things everyone should know to improve object retrieval", CVPR
2012). A feature has a size and a direction, so each matched pair alone determines a similarity
transform, and the transform that most pairs agree with wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles, square_agreement
from lookalike.comparison.sketch import (
    FLAT,
    SQUARE_SIDE,
    Box,
    Bytes,
    Complex,
    Features,
    Floats,
    Sketch,
)

_LIKELY = 0.75  # least correlation of two squares
_LIKELY_CELLS = 0.45  # the same in cells; 0.51 in the worst of 5,726 copies, more in 1 of 4 others
_FEW_CORNERS = 40  # too few to tell anything
_CORNERS = 6  # least number of agreeing corners before features are computed
_CORNERS_FLAT = 3  # the same for drawings, which have few distinctive ones
_CORNER_RATIO = 0.9  # as `_RATIO`
_RATIO = 0.85  # greatest ratio of the distances to the nearest and the second nearest (Lowe)
_MATCHES = 5  # least number of inliers
_INLIERS = 0.6  # their least share of the matches
_TOLERANCE = 2.2  # pixels: greatest distance of an inlier from its expected position
_EXACT = 0.7  # the same for an exact inlier
_SCALES = 0.2, 5.0  # least and greatest scale of one picture in the other
_SINGLE_THREADED = 2**18  # multiplications up to which OpenBLAS stays in the calling thread

_Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Alignment:
    """A map from the pixels of one sketch to those of another.

    Attributes:
        matrix: (2, 3) affine matrix.
        matches: pairs of features that were matched; 0 if whole pictures were aligned.
        inliers: how many of them fit the matrix.
        exact: share of the inliers that fit to a fraction of a pixel; 1 without matches.
    """

    matrix: Doubles
    matches: int = 0
    inliers: int = 0
    exact: float = 1.0


def alignments(first: Sketch, second: Sketch) -> Iterator[Alignment]:
    """Plausible alignments, the cheapest to find first."""
    if first.is_informative and second.is_informative:
        yield from _whole(first, second)
        yield from _by_features(first, second)


# --- whole pictures ---------------------------------------------------------------------------


def _whole(first: Sketch, second: Sketch) -> Iterator[Alignment]:
    """The alignment of the most similar views, if they are similar enough."""
    products = _products(first.unit_squares, _all_turns(second.unit_squares))
    products = products.reshape(len(first.views), 2, 8, len(second.views), 2)
    correlations = np.maximum(products[:, 0, :, :, 0], products[:, 1, :, :, 1])  # better shade
    best = np.unravel_index(int(correlations.argmax()), correlations.shape)
    view, turn, other_view = (int(index) for index in best)
    if correlations[best] >= _LIKELY and _cells_agree(first, second, view, turn, other_view):
        yield Alignment(_view_matrix(first.views[view], second.views[other_view], turn))


def _cells_agree(first: Sketch, second: Sketch, view: int, turn: int, other_view: int) -> bool:
    """True if two views correlate in cells, too. Needs no pixels."""
    a, b = (sketch.squares.reshape(-1, 2, SQUARE_SIDE**2) for sketch in (first, second))
    return square_agreement(a[view], b[other_view][:, _turns()[turn]]) >= _LIKELY_CELLS


@lru_cache
def _turns() -> _Indices:
    """(8, 1024) the source of each pixel of a square in each of its eight orientations."""
    pixels = np.arange(SQUARE_SIDE * SQUARE_SIDE).reshape(SQUARE_SIDE, SQUARE_SIDE)
    sides = pixels, pixels[:, ::-1]
    return np.stack([np.rot90(side, quarter).ravel() for side in sides for quarter in range(4)])


def _all_turns(squares: Floats) -> Floats:
    """(8 x rows, 1024) every square in all orientations."""
    return squares[:, _turns()].transpose(1, 0, 2).reshape(-1, SQUARE_SIDE * SQUARE_SIDE)


def _view_matrix(view: Box, other_view: Box, turn: int) -> Doubles:
    """The matrix that maps the corners of a view to those of the other one, which is turned."""
    corners = _turns()[turn][[0, SQUARE_SIDE - 1, -SQUARE_SIDE]]
    ends = np.stack([corners % SQUARE_SIDE, corners // SQUARE_SIDE], axis=1) / (SQUARE_SIDE - 1)
    source = np.array([[0, 0], [1, 0], [0, 1]]) * view[2:] + view[:2] - 0.5
    target = ends * other_view[2:] + other_view[:2] - 0.5
    matrix = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
    return np.asarray(matrix, np.float64)


# --- local features ---------------------------------------------------------------------------

# A descriptor has 4 x 4 cells with 8 directions each. Mirroring the picture permutes them.
_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


def _by_features(first: Sketch, second: Sketch) -> Iterator[Alignment]:
    """The alignments with the second picture as it is and mirrored, the better one first."""
    if not _corners_agree(first, second):
        return
    features, width = second.features, second.views[0][2]
    found = [
        _features_aligned(first.features, features),
        _features_aligned(first.features, features, mirrored_in=width),
    ]
    plausible = [alignment for alignment in found if alignment is not None]
    yield from sorted(plausible, key=lambda alignment: -alignment.inliers)


def _features_aligned(
    first: Features, second: Features, mirrored_in: int | None = None
) -> Alignment | None:
    """The alignment that most matches agree with; None if they are too few.

    Args:
        mirrored_in: width of the second picture, to align its mirror image.
    """
    at, spread, descriptors = second.at, second.spread, second.descriptors
    if mirrored_in is not None:
        at, spread = (mirrored_in - 1) - at.conj(), -spread.conj()
        descriptors = descriptors[:, _MIRRORED]
    a, b = _feature_pairs(first.descriptors, descriptors)
    if len(a) < _MATCHES:
        return None
    turns = spread[b] / first.spread[a]
    turn, shift, inliers, exact = _similarity_transform(first.at[a], at[b], turns)
    if inliers < max(_MATCHES, _INLIERS * len(a)) or not _SCALES[0] < abs(turn) < _SCALES[1]:
        return None
    return Alignment(_matrix(turn, shift, mirrored_in), len(a), inliers, exact / inliers)


def _corners_agree(first: Sketch, second: Sketch) -> bool:
    """True if enough corners agree to justify computing features, which takes five times as long.

    Of 1,594 copies that need features, the worst has 8 agreeing corners, and all pass; of 1,355
    unrelated pairs 5 % do. Of drawings, 142 copies and half of the 230 unrelated pairs pass.
    """
    least = _CORNERS_FLAT if max(first.flat, second.flat) > FLAT else _CORNERS
    theirs = second.corners
    for ours in (first.corners, first.mirrored_corners):
        if min(len(ours.at), len(theirs.at)) < _FEW_CORNERS:
            return True
        a, b = _corner_pairs(ours.descriptors, theirs.descriptors)
        if len(a) < least:
            continue
        turns = theirs.spread[b] / ours.spread[a]
        if _similarity_transform(ours.at[a], theirs.at[b], turns)[2] >= least:
            return True
    return False


def _corner_pairs(first: Bytes, second: Bytes) -> tuple[_Indices, _Indices]:
    """Pairs of rows as in `_feature_pairs`, by the number of bits that differ."""
    a, b = first.view(np.uint64), second.view(np.uint64)
    distances = np.zeros((len(a), len(b)), np.int16)
    for word in range(a.shape[1]):
        distances += np.bitwise_count(a[:, word, None] ^ b[:, word])
    rows, best = np.arange(len(a)), distances.argmin(axis=1)
    mutual = distances.argmin(axis=0)[best] == rows
    nearest = distances[rows, best]
    distances[rows, best] = np.iinfo(np.int16).max
    chosen = mutual & (nearest < _CORNER_RATIO * distances.min(axis=1))
    return rows[chosen], best[chosen]


def _feature_pairs(first: Floats, second: Floats) -> tuple[_Indices, _Indices]:
    """Pairs of rows that are each other's nearest neighbor, much nearer than the second nearest."""
    if min(len(first), len(second)) < _MATCHES:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    products = _products(first, second)
    rows, best = np.arange(len(products)), products.argmax(axis=1)
    mutual = products.argmax(axis=0)[best] == rows
    nearest = products[rows, best]
    products[rows, best] = -1
    clear = 1 - nearest < _RATIO**2 * (1 - products.max(axis=1))  # half of squared distances
    chosen = mutual & clear
    return rows[chosen], best[chosen]


def _similarity_transform(
    first: Complex, second: Complex, turns: Complex
) -> tuple[complex, complex, int, int]:
    """(turn, shift, inliers, exact inliers), where turn x first + shift is near second for as many
    pairs as possible.

    Args:
        first, second: (n,) matched positions.
        turns: (n,) the turn that each match alone suggests.
    """
    shifts = second - turns * first
    distances = abs(turns[:, None] * first + shifts[:, None] - second)
    near_first = 3 * _TOLERANCE  # a single feature's direction is imprecise
    best = int((distances < near_first).sum(axis=1).argmax())
    turn, shift, near = complex(turns[best]), complex(shifts[best]), distances[best] < near_first
    for tolerance in (2 * _TOLERANCE, _TOLERANCE, _TOLERANCE):
        if near.sum() < 2:
            break
        center, target = first[near].mean(), second[near].mean()
        arms = first[near] - center
        turn = complex(np.vdot(arms, second[near] - target) / max(np.vdot(arms, arms).real, 1e-9))
        shift = complex(target - turn * center)
        near = abs(turn * first + shift - second) < tolerance
    exact = abs(turn * first + shift - second) < _EXACT * max(1.0, abs(turn))
    return turn, shift, int(near.sum()), int(exact.sum())


def _matrix(turn: complex, shift: complex, mirrored_in: int | None) -> Doubles:
    """The transform as a (2, 3) matrix, mirrored at the middle of this width if one is given."""
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    if mirrored_in is not None:
        matrix[0] *= -1
        matrix[0, 2] += mirrored_in - 1
    return matrix


def _products(a: Floats, b: Floats) -> Floats:
    """(rows of a, rows of b) dot products, computed in parts small enough for BLAS to stay in this
    thread: otherwise it starts threads that burn a core while they wait for more work."""
    rows = max(1, _SINGLE_THREADED // max(1, b.size))
    parts = [a[start : start + rows] @ b.T for start in range(0, len(a), rows)]
    return np.asarray(np.concatenate(parts), np.float32)
