"""Is one picture an edited copy of the other? Asked of two thumbnails.

First the two are laid over one another. Most copies show the whole picture, so tiny squares of
both are compared in all eight orientations. What was cropped, tilted or put into a screenshot is
aligned by local features (SIFT: Lowe, "Distinctive image features from scale-invariant
keypoints", IJCV 60, 2004; square-rooted: Arandjelović and Zisserman, "Three things everyone should
know to improve object retrieval", CVPR 2012). A feature knows its own size and direction, so each
matched pair alone says how the pictures lie, and the alignment that most pairs agree with wins.

Then it is measured, in small cells, how well the one correlates with the other. Pictures that only
look alike correlate in some places; a copy does everywhere but where something was put over it. Two
photographs of one scene correlate nearly as well, but the camera moved: what is near is shifted
against what is far, so that their matches fit no alignment exactly, and a copy's do.

Another thing on the same ground, such as the next garment on one floor, is too smooth to lower
that correlation much. So the tones of what agrees in its details are fitted, and what differs from
them is a share of the picture that, with the share of the matches that do not lie exactly, may not
be large. A caption differs too, but leaves the other matches exact. What it does on 36 photos in
38 edits, with the three pairs of other things on one ground among 39,503 candidate pairs, from
which it was chosen; at 0.45, 24 other photos lost none of 886 copies:

    differing  doubt |   mild    hard  of the 3
          1      2   | 0.9958  1.0000      3
          0.3    0.6 | 0.9958  1.0000      2
          0.3    0.5 | 0.9958  1.0000      1
          0.3   0.45 | 0.9958  1.0000      0   as it is
          0.3    0.4 | 0.9958  0.9944      0
          0.3   0.35 | 0.9941  0.9944      0
          0.2   0.45 | 0.9933  1.0000      0

It does not tell what differs in little (two hands of a metronome, the heads on two bank notes, a
sign and its drawing), nor things put on one ground by a computer, where all matches are exact. It
also refuses one pair of a drawing in other colors, whose hands are others too.

What is flat in most places, such as a logo, an icon, a chart or a product drawn on one template,
correlates with others of its outline. More is asked of such pictures: that they correlate better,
that neither is stretched, and that their colors agree, so that two colors of one shape are two
pictures. It costs some of their copies: recolored ones, and those with much written on them.
Without this, 513 of the 4,560 pairs of 96 flat drawings were called copies, and 17 are with it;
of pairs of drawn products of one kind, 8 % and 0.8 %.

What the limits below do, on 36 photos in 37 edits (32 mild ones, 5 larger crops and tilts) and
1,700 pairs of other photos, 800 of them the most alike of 3,879 (most: one shelf, photographed
twice); the last column has a third of the picture exchanged for another photo's:

    correlation  whole  exact  weakest |  mild   hard   others  exchanged
           0.60   0.80   0.75     0.40 | 0.999  1.000        3       0.08   as it is
           0.50   0.80   0.75     0.40 | 0.999  1.000        3       0.08
           0.70   0.80   0.75     0.40 | 0.996  0.978        3       0.06
           0.80   0.80   0.75     0.40 | 0.969  0.922        1       0.00
           0.60   0.70   0.75     0.40 | 1.000  1.000        6       0.08
           0.60   0.90   0.75     0.40 | 0.939  0.972        3       0.08
           0.60   0.80   0.00     0.40 | 1.000  1.000       52       0.08
           0.60   0.80   0.60     0.40 | 1.000  1.000        7       0.08
           0.60   0.80   0.90     0.40 | 0.995  0.961        2       0.08
           0.60   0.80   0.75     0.00 | 0.999  1.000       18       0.81
           0.60   0.80   0.75     0.20 | 0.999  1.000       14       0.53
           0.60   0.80   0.75     0.50 | 0.994  0.994        2       0.03
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison import agreement
from lookalike.comparison.agreement import Doubles
from lookalike.comparison.sketch import TINY, Box, Bytes, Complex, Floats, Sketch, sketch
from lookalike.types import Pixels

__all__ = ["THUMBNAIL_SIDE", "Evidence", "Sketch", "compare", "difference", "sketch"]

THUMBNAIL_SIDE = 320
"""Pixels along a thumbnail's longer side."""

# What a copy must reach.
CORRELATION = 0.6
CORRELATION_WHOLE = 0.8  # without matches, which tell photographs of one scene apart
WEAKEST = 0.4
EXACT = 0.75
SHOWN = 0.6, 0.12  # the picture that is shown more of, and the other
DIFFERING = 0.3
DOUBT = 0.45  # the same and the share of matches that are not exact, together

# What it must reach besides where it is flat in more places than this.
FLAT = 0.54
CORRELATION_FLAT = 0.9
COLORS = 0.96
STRETCH = 1.04

_LIKELY = 0.75  # correlation of two squares from which the pictures are laid over one another
_PARTS = 0.45  # the same of their parts; 0.51 in the least of 5,726 copies, more in 1 stranger of 4
_FEW_CORNERS = 40  # of fewer nothing can be told
_CORNERS = 6  # least number that must agree before features are looked at
_CORNERS_FLAT = 3  # the same of drawings, which have few that mean anything
_CORNER_RATIO = 0.9  # as _RATIO
_RATIO = 0.85  # a match is this much nearer than the next best (Lowe's ratio)
_MATCHES = 5  # least number that must agree
_AGREED = 0.6  # least share of them
_TOLERANCE = 2.2  # pixels between where a match is and where it should be
_EXACT = 0.7  # the same for a match that is exact
_SCALES = 0.2, 5.0  # how much smaller or larger the one may show the other
_ALONE = 2**18  # multiplications up to which OpenBLAS stays in the thread that calls it
_SAME, _OTHER = 12.0, 60.0  # grey levels that are shown as no difference, and as a whole one

_Indices = NDArray[np.intp]
_Fit = tuple[int, int, float]  # matches, inliers, share of exact ones among them


@dataclass(frozen=True, slots=True)
class Evidence:
    """How two pictures lie over one another, and how well they agree.

    Attributes:
        matches: pairs of local features that were matched; 0 where none were needed.
        inliers: how many of them lie where the alignment puts them.
        exact: share of the inliers that do so to a part of a pixel; 1 where none were needed. Two
            photographs of one scene differ in it, for the camera moved.
        correlation: of cells, weighted by their contrast; 0 to 1.
        weakest: the same in the part that agrees least, about a sixth of the picture.
        shown: share of the one picture that the other shows, and of the other that the one shows.
        flat: share of a picture in which there is nothing to see, of the one that has less of it,
            for around the other may be a screen.
        colors: how well the colors agree once both are lit alike, or the luma as it is where one
            of them is grey; 0 to 1, and 1 where it was not asked, of what is not flat.
        differing: share of what both show that has other tones in the one than in the other, though
            its details agree: another thing on the same ground; 0 where the rest says no copy.
        stretch: how much more one side is stretched than the other, 1 or more; 1 where the whole
            picture is.
        scale: how large the other shows the one, with both pictures' longer sides alike.
        rotation: degrees clockwise that the one is turned by to lie like the other.
        mirrored: whether it is first mirrored, left to right.
    """

    matches: int
    inliers: int
    exact: float
    correlation: float
    weakest: float
    shown: tuple[float, float]
    flat: float
    colors: float
    differing: float
    stretch: float
    scale: float
    rotation: float
    mirrored: bool

    @property
    def is_copy(self) -> bool:
        return (
            self.correlation >= (CORRELATION if self.matches else CORRELATION_WHOLE)
            and self.exact >= EXACT
            and self.weakest >= WEAKEST
            and max(self.shown) >= SHOWN[0]
            and min(self.shown) >= SHOWN[1]
            and self.differing <= DIFFERING
            and self.differing + self._inexact <= DOUBT
            and (self.flat <= FLAT or self._is_copy_of_flat)
        )

    @property
    def _inexact(self) -> float:
        """What is put over a copy leaves the other matches where they are."""
        return 1 - self.exact * self.inliers / self.matches if self.matches else 0.0

    @property
    def _is_copy_of_flat(self) -> bool:
        return (
            self.correlation >= CORRELATION_FLAT
            and self.colors >= COLORS
            and self.stretch <= STRETCH
        )


def compare(one: Sketch, other: Sketch) -> Evidence | None:
    """The best evidence that one is a copy of the other; None where nothing speaks for it."""
    found = _best(one, other)
    return None if found is None else found[0]


def difference(one: Pixels, other: Pixels) -> Pixels | None:
    """The one in grey, as large as it is, with red where the other, laid over it, is another; what
    the other does not show is dark. None where they cannot be laid over one another."""
    a, b = sketch(one), sketch(other)
    found = _best(a, b)
    if found is None:
        return None
    grey, laid = (np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) for pixels in (one, other))
    matrix = _larger(found[1], a, b, one, other)
    size, how = grey.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    over = cv2.warpAffine(laid, matrix, size, flags=how)
    shown = cv2.warpAffine(np.ones_like(laid), matrix, size, flags=how)
    whole = np.asarray(cv2.erode(shown, np.ones((7, 7), np.uint8)) > 0)  # edges are blurred
    mine, yours = (cv2.GaussianBlur(some, (0, 0), 2).astype(np.float32) for some in (grey, over))
    differing = np.where(whole, abs(mine - _lit_alike(yours, mine, whole)), 0)
    red = np.clip((differing - _SAME) / (_OTHER - _SAME), 0, 1)
    faint = (0.55 * grey + 90) * np.where(whole, 1.0, 0.35)
    rest = faint * (1 - red)
    return np.dstack([rest + 225 * red, rest + 30 * red, rest + 40 * red]).astype(np.uint8)


def _lit_alike(picture: Floats, like: Floats, where: NDArray[np.bool_]) -> Floats:
    """Made lighter and flatter as a whole: then it is no other, and differs nowhere."""
    fitting, lit = where, picture
    for _ in range(4):  # what was put over it has no say
        if fitting.sum() < 2:
            break
        some, target = picture[fitting], like[fitting]
        covariance = ((some - some.mean()) * (target - target.mean())).mean()
        lit = (picture - some.mean()) * (covariance / max(some.var(), 1.0)) + target.mean()
        far = abs(like - lit)
        fitting = where & (far <= np.percentile(far[where], 75))
    return lit


def _best(one: Sketch, other: Sketch) -> tuple[Evidence, Doubles] | None:
    """The best evidence, and the matrix from one's pixels to the other's that it is of."""
    best: tuple[Evidence, Doubles] | None = None
    for matrix, fit in _alignments(one, other):
        evidence = _evidence(one, other, matrix, fit)
        if evidence.is_copy:
            return evidence, matrix
        if best is None or evidence.correlation > best[0].correlation:
            best = evidence, matrix
    return best


def _larger(matrix: Doubles, one: Sketch, other: Sketch, mine: Pixels, yours: Pixels) -> Doubles:
    """The matrix between the pixels of two larger pictures of what the sketches are of."""
    down, up = one.shades.shape[1] / mine.shape[1], yours.shape[1] / other.shades.shape[1]
    turn = matrix[:, :2] * (down * up)
    # Places are of the middles of pixels: half a pixel is another length in each picture.
    shift = up * (matrix[:, :2] @ np.full(2, down / 2 - 0.5) + matrix[:, 2] + 0.5) - 0.5
    return np.column_stack([turn, shift])


def _products(a: Floats, b: Floats) -> Floats:
    """(rows of a, rows of b) dot products, in parts of which BLAS makes each in this thread: with
    more it starts others, which then wait for more work and burn a core meanwhile."""
    rows = max(1, _ALONE // max(1, b.size))
    parts = [a[first : first + rows] @ b.T for first in range(0, len(a), rows)]
    return np.asarray(np.concatenate(parts), np.float32)


def _alignments(one: Sketch, other: Sketch) -> Iterator[tuple[Doubles, _Fit]]:
    """(matrix from one's pixels to the other's, how well matches fit), the cheapest first."""
    if not (one.is_informative and other.is_informative):
        return
    like = _products(one.tiny, _turned(other.tiny))
    like = like.reshape(len(one.views), 2, 8, len(other.views), 2)
    likely = np.maximum(like[:, 0, :, :, 0], like[:, 1, :, :, 1])
    mine, turn, yours = np.unravel_index(int(likely.argmax()), likely.shape)
    if likely[mine, turn, yours] >= _LIKELY and _in_parts(one, other, mine, turn, yours) >= _PARTS:
        yield _stretched(one.views[mine], other.views[yours], int(turn)), (0, 0, 1.0)
    yield from _by_features(one, other)


# --- whole pictures ---------------------------------------------------------------------------


def _in_parts(one: Sketch, other: Sketch, mine: np.intp, turn: np.intp, yours: np.intp) -> float:
    """How well two views correlate part by part, before anything is made of their pixels."""
    a, b = (sketch.squares.reshape(-1, 2, TINY * TINY) for sketch in (one, other))
    return agreement.squares_agree(a[mine], b[yours][:, _turns()[turn]])


@lru_cache
def _turns() -> _Indices:
    """(8, 1024): where each pixel of a square comes from in each of its eight orientations."""
    pixels = np.arange(TINY * TINY).reshape(TINY, TINY)
    sides = pixels, pixels[:, ::-1]
    return np.stack([np.rot90(side, quarter).ravel() for side in sides for quarter in range(4)])


def _turned(tiny: Floats) -> Floats:
    """(8 x rows, 1024): every square in all orientations."""
    return tiny[:, _turns()].transpose(1, 0, 2).reshape(-1, TINY * TINY)


def _stretched(mine: Box, yours: Box, turn: int) -> Doubles:
    """Lays my view over your turned one, corner on corner."""
    corners = _turns()[turn][[0, TINY - 1, -TINY]]
    ends = np.stack([corners % TINY, corners // TINY], axis=1) / (TINY - 1)
    source = np.array([[0, 0], [1, 0], [0, 1]]) * mine[2:] + mine[:2] - 0.5
    target = ends * yours[2:] + yours[:2] - 0.5
    matrix = cv2.getAffineTransform(source.astype(np.float32), target.astype(np.float32))
    return np.asarray(matrix, np.float64)


# --- local features ---------------------------------------------------------------------------

# A descriptor has 4 x 4 places with 8 directions each: of a mirrored picture it is the same
# numbers, in another order.
_MIRRORED = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


def _by_features(one: Sketch, other: Sketch) -> Iterator[tuple[Doubles, _Fit]]:
    """As `_alignments`: the other as it is and mirrored, the one with more inliers first."""
    if not _may_fit(one, other):
        return
    found = []
    width = other.views[0][2]
    mine, yours = one.features, other.features
    for mirrored in (False, True):
        at, spread, descriptors = yours.at, yours.spread, yours.descriptors
        if mirrored:
            at, spread = (width - 1) - at.conj(), -spread.conj()
            descriptors = descriptors[:, _MIRRORED]
        a, b = _matched(mine.descriptors, descriptors)
        if len(a) < _MATCHES:
            continue
        turn, shift, inliers, exact = _similarity(mine.at[a], at[b], spread[b] / mine.spread[a])
        if inliers >= max(_MATCHES, _AGREED * len(a)) and _SCALES[0] < abs(turn) < _SCALES[1]:
            matrix = _matrix(turn, shift, width if mirrored else None)
            found.append((matrix, (len(a), inliers, exact / inliers)))
    yield from sorted(found, key=lambda way: -way[1][1])


def _may_fit(one: Sketch, other: Sketch) -> bool:
    """Whether enough corners agree that it is worth looking at features, which take five times as
    long. Of 1,594 copies that need features 8 corners agree in the one with fewest, and all pass;
    of 1,355 strangers 5 % do. Of drawings, 142 copies and half of the 230 strangers pass."""
    least = _CORNERS_FLAT if max(one.flat, other.flat) > FLAT else _CORNERS
    corners = other.corners
    for mine in (one.corners, one.mirrored_corners):
        if min(len(mine.at), len(corners.at)) < _FEW_CORNERS:
            return True  # there is nothing to go by
        a, b = _corner_pairs(mine.descriptors, corners.descriptors)
        if len(a) < least:
            continue
        turns = corners.spread[b] / mine.spread[a]
        if _similarity(mine.at[a], corners.at[b], turns)[2] >= least:
            return True
    return False


def _corner_pairs(mine: Bytes, yours: Bytes) -> tuple[_Indices, _Indices]:
    """As `_matched`, by the bits that differ."""
    a, b = mine.view(np.uint64), yours.view(np.uint64)
    apart = np.zeros((len(a), len(b)), np.int16)
    for word in range(a.shape[1]):
        apart += np.bitwise_count(a[:, word, None] ^ b[:, word])
    rows, best = np.arange(len(a)), apart.argmin(axis=1)
    mutual = apart.argmin(axis=0)[best] == rows
    first = apart[rows, best]
    apart[rows, best] = np.iinfo(np.int16).max
    chosen = mutual & (first < _CORNER_RATIO * apart.min(axis=1))
    return rows[chosen], best[chosen]


def _matched(mine: Floats, yours: Floats) -> tuple[_Indices, _Indices]:
    """Pairs of rows that are each other's nearest, and nearer by far than the second nearest."""
    if min(len(mine), len(yours)) < _MATCHES:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    like = _products(mine, yours)
    rows, best = np.arange(len(like)), like.argmax(axis=1)
    mutual = like.argmax(axis=0)[best] == rows
    first = like[rows, best]
    like[rows, best] = -1
    clear = 1 - first < _RATIO**2 * (1 - like.max(axis=1))  # half of the squared distances
    chosen = mutual & clear
    return rows[chosen], best[chosen]


def _similarity(mine: Complex, yours: Complex, turns: Complex) -> tuple[complex, complex, int, int]:
    """(turn, shift, inliers, exact ones) with turn x mine + shift near yours for as many as can be.

    Args:
        mine, yours: (n,) matched places.
        turns: (n,) what turn each match alone proposes.
    """
    shifts = yours - turns * mine
    far = abs(turns[:, None] * mine + shifts[:, None] - yours)
    best = int((far < 3 * _TOLERANCE).sum(axis=1).argmax())  # a feature's own direction is rough
    turn, shift, near = complex(turns[best]), complex(shifts[best]), far[best] < 3 * _TOLERANCE
    for tolerance in (2 * _TOLERANCE, _TOLERANCE, _TOLERANCE):
        if near.sum() < 2:
            break
        middle, target = mine[near].mean(), yours[near].mean()
        arms = mine[near] - middle
        turn = complex(np.vdot(arms, yours[near] - target) / max(np.vdot(arms, arms).real, 1e-9))
        shift = complex(target - turn * middle)
        near = abs(turn * mine + shift - yours) < tolerance
    exact = abs(turn * mine + shift - yours) < _EXACT * max(1.0, abs(turn))
    return turn, shift, int(near.sum()), int(exact.sum())


def _matrix(turn: complex, shift: complex, mirrored: int | None) -> Doubles:
    """The same as (2, 3); into the picture of this width of which `yours` was the mirror image."""
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    if mirrored is not None:
        matrix[0] *= -1
        matrix[0, 2] += mirrored - 1
    return matrix


# --- one laid over the other ------------------------------------------------------------------


def _evidence(one: Sketch, other: Sketch, matrix: Doubles, fit: _Fit) -> Evidence:
    back = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    shown = agreement.shown(one, other, matrix), agreement.shown(other, one, back)
    laid = (one, other, matrix) if shown[0] >= shown[1] else (other, one, back)
    correlation, weakest = agreement.agreement(*laid)
    flat = min(one.flat, other.flat)
    area = float(np.linalg.det(matrix[:, :2]))
    x, y = matrix[:, 0] if area > 0 else -matrix[:, 0]
    evidence = Evidence(
        matches=fit[0],
        inliers=fit[1],
        exact=fit[2],
        correlation=correlation,
        weakest=weakest,
        shown=shown,
        flat=flat,
        colors=agreement.colors(*laid) if flat > FLAT else 1.0,
        differing=0.0,
        stretch=agreement.stretch(one, other, matrix),
        scale=abs(area) ** 0.5,
        rotation=float(np.rad2deg(np.arctan2(y, x))),
        mirrored=area < 0,
    )
    if not evidence.is_copy:
        return evidence
    return replace(evidence, differing=agreement.differing(*laid))
