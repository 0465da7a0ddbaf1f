"""Evidence that one picture is an edited copy of another, and the decision on it.

Two thumbnails are aligned (`align`), and small cells of both are correlated (`agreement`). Pictures
that only look alike correlate in some places; a copy correlates everywhere but where something was
put over it. Two photographs of one scene correlate almost as well, but the camera moved: near
objects shift against far ones, so that their matches do not fit one alignment exactly, while those
of a copy do.

Another object on the same background, such as the next garment on one floor, may be too smooth to
lower that correlation. So the tones are compared, too: `differing` is the share of the picture that
has other tones, and together with the share of matches that are not exact it must stay small. A
caption also differs, but leaves the other matches exact. Effect of these limits on 36 photos in 38
edits, with the three pairs of different objects on one background among 39,503 candidate pairs,
from which the limits were chosen; at 0.45, 24 other photos lost none of 886 copies:

    differing  doubt |   mild    hard  of the 3
          1      2   | 0.9958  1.0000      3
          0.3    0.6 | 0.9958  1.0000      2
          0.3    0.5 | 0.9958  1.0000      1
          0.3   0.45 | 0.9958  1.0000      0   in use
          0.3    0.4 | 0.9958  0.9944      0
          0.3   0.35 | 0.9941  0.9944      0
          0.2   0.45 | 0.9933  1.0000      0

This does not detect small differences (two hands of a metronome, the heads on two bank notes), nor
objects that a computer put on one background, where all matches are exact. It also rejects one pair
of a drawing in two colors, whose hands differ, too.

Pictures that are flat in most places, such as logos, icons, charts and products drawn on one
template, correlate with others of the same outline. They must meet stricter limits: a higher
correlation, no stretching, and the same colors, so that one shape in two colors is two pictures.
This loses some of their copies: recolored ones, and those with much text on them. Without these
limits 513 of the 4,560 pairs of 96 flat drawings were called copies, and with them 17; among pairs
of drawn products of one kind, 8 % and 0.8 %.

Effect of the limits below, on 36 photos in 37 edits (32 mild ones, 5 larger crops and tilts) and
1,700 pairs of other photos, 800 of them the most alike of 3,879 (most of these show one shelf,
photographed twice); in the last column a third of the picture is replaced by part of another photo:

    correlation  whole  exact  weakest |  mild   hard   others  replaced
           0.60   0.80   0.75     0.40 | 0.999  1.000        3      0.08   in use
           0.50   0.80   0.75     0.40 | 0.999  1.000        3      0.08
           0.70   0.80   0.75     0.40 | 0.996  0.978        3      0.06
           0.80   0.80   0.75     0.40 | 0.969  0.922        1      0.00
           0.60   0.70   0.75     0.40 | 1.000  1.000        6      0.08
           0.60   0.90   0.75     0.40 | 0.939  0.972        3      0.08
           0.60   0.80   0.00     0.40 | 1.000  1.000       52      0.08
           0.60   0.80   0.60     0.40 | 1.000  1.000        7      0.08
           0.60   0.80   0.90     0.40 | 0.995  0.961        2      0.08
           0.60   0.80   0.75     0.00 | 0.999  1.000       18      0.81
           0.60   0.80   0.75     0.20 | 0.999  1.000       14      0.53
           0.60   0.80   0.75     0.50 | 0.994  0.994        2      0.03
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from lookalike.comparison import agreement
from lookalike.comparison.agreement import Doubles
from lookalike.comparison.align import Alignment, alignments
from lookalike.comparison.sketch import FLAT, Sketch

# Limits for every copy.
CORRELATION = 0.6
CORRELATION_WHOLE = 0.8  # without matches, which tell photographs of one scene apart
WEAKEST = 0.4
EXACT = 0.75
SHOWN = 0.6, 0.12  # for the picture that is shown more completely, and for the other
DIFFERING = 0.3
DOUBT = 0.45  # for the sum of `differing` and the share of matches that are not exact

# Stricter limits for flat pictures.
CORRELATION_FLAT = 0.9
COLORS = 0.96
STRETCH = 1.04

# Near the limit of flat pictures: few exact matches need the same colors beside them, so that a
# drawing with a caption on white is not a copy of that drawing on another background color.
NEARLY_FLAT = 0.48
INEXACT = 0.15

# Near the limit of what is shown: a small part with other tones is another object of one outline,
# such as a sign and its drawing.
SMALL = 0.2
DIFFERING_SMALL = 0.1

# Near the limit of what differs: many matches must be exact, too, where whole pictures agree, so
# that one bank note is no copy of another. Of 1,712 copies of 60 photos that agree as wholes,
# none is lost, and 1 if 20 matches are many.
DIFFERING_WHOLE = 0.1
MANY = 40


@dataclass(frozen=True, slots=True)
class Evidence:
    """An alignment of two pictures, and how well they agree.

    Attributes:
        matches: pairs of local features that were matched; 0 if none were needed.
        inliers: how many of them fit the alignment.
        exact: share of the inliers that fit to a fraction of a pixel; 1 if none were needed. Low
            for two photographs of one scene, because the camera moved.
        correlation: of cells, weighted by their contrast; 0 to 1.
        weakest: the same in the part that agrees least, about a sixth of the picture.
        shown: share of the first picture that the second shows, and of the second that the first
            shows.
        flat: share of flat pixels in the picture that has fewer of them, because the other one may
            be surrounded by a screen.
        colors: agreement of the colors under the same light, or of the luma as it is if one of the
            pictures is gray; 0 to 1, and 1 if neither picture is flat, when it is not measured.
        differing: share of the overlap that has other tones in the second picture than in the
            first, although the details agree: another object on the same background. 0 if the
            other measures rule out a copy.
        stretch: how much more one side is stretched than the other, at least 1; 1 if the whole
            picture is stretched.
        scale: scale of the first picture in the second, with their longer sides equal.
        rotation: degrees clockwise from the first picture to the second.
        mirrored: whether the first picture is mirrored, left to right, before it is rotated.
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
        """True if all limits are met."""
        return (
            self.correlation >= (CORRELATION if self.matches else CORRELATION_WHOLE)
            and self.exact >= EXACT
            and self.weakest >= WEAKEST
            and max(self.shown) >= SHOWN[0]
            and min(self.shown) >= SHOWN[1]
            and self.differing <= (DIFFERING if min(self.shown) >= SMALL else DIFFERING_SMALL)
            and self.differing + self._inexact <= DOUBT
            and (self.flat <= FLAT or self._is_copy_of_flat)
            and (not self._is_nearly_flat or self._inexact <= INEXACT or self.colors >= COLORS)
        )

    def reversed(self) -> Evidence:
        """The evidence about the same two pictures in the reverse order."""
        one, other = self.shown
        rotation = self.rotation if self.mirrored else -self.rotation
        return replace(self, shown=(other, one), scale=1 / self.scale, rotation=rotation)

    @property
    def needs_matches(self) -> bool:
        """True if whole pictures agree, but so much differs that matches have to confirm it."""
        return not self.matches and self.differing > DIFFERING_WHOLE

    @property
    def _is_nearly_flat(self) -> bool:
        return self.matches > 0 and self.flat > NEARLY_FLAT

    @property
    def _inexact(self) -> float:
        """Share of the matches that are not exact. An overlay leaves the other matches exact."""
        return 1 - self.exact * self.inliers / self.matches if self.matches else 0.0

    @property
    def _is_copy_of_flat(self) -> bool:
        return (
            self.correlation >= CORRELATION_FLAT
            and self.colors >= COLORS
            and self.stretch <= STRETCH
        )


def compare(first: Sketch, second: Sketch) -> Evidence | None:
    """The best evidence that one picture is a copy of the other; None if they cannot be aligned."""
    best = best_evidence(first, second)
    return None if best is None else best[0]


def best_evidence(first: Sketch, second: Sketch) -> tuple[Evidence, Doubles] | None:
    """The best evidence, and the matrix from the first sketch to the second behind it."""
    best: tuple[Evidence, Doubles] | None = None
    for found in every_evidence(first, second):
        evidence = found[0]
        if best is not None and best[0].is_copy:  # and needs a second measure
            is_refuted = evidence.matches >= MANY and evidence.exact < EXACT
            return found if is_refuted else best
        if evidence.is_copy and not evidence.needs_matches:
            return found
        if best is None or evidence.is_copy or evidence.correlation > best[0].correlation:
            best = found
    return best


def comes_first(first: Sketch, second: Sketch) -> bool:
    """True if the first picture is the one that the other is laid over, in whatever order they are
    given."""
    return first.squares.tobytes() <= second.squares.tobytes()


def every_evidence(first: Sketch, second: Sketch) -> Iterator[tuple[Evidence, Doubles]]:
    """The evidence of each plausible alignment with its matrix, the cheapest to find first.

    Aligning rounds and breaks ties in favor of one picture. So the same one is always laid over the
    other, and the order of the two does not matter.
    """
    if comes_first(first, second):
        for alignment in alignments(first, second):
            yield _measured(first, second, alignment), alignment.matrix
    else:
        for alignment in alignments(second, first):
            evidence, matrix = _measured(second, first, alignment), alignment.matrix
            yield evidence.reversed(), np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _measured(first: Sketch, second: Sketch, alignment: Alignment) -> Evidence:
    matrix = alignment.matrix
    inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
    shown = (
        agreement.shown(first, second, matrix),
        agreement.shown(second, first, inverse),
    )
    aligned = (first, second, matrix) if shown[0] >= shown[1] else (second, first, inverse)
    correlation, weakest = agreement.agreement(*aligned)
    flat = min(first.flat, second.flat)
    area = float(np.linalg.det(matrix[:, :2]))
    x, y = matrix[:, 0] if area > 0 else -matrix[:, 0]
    evidence = Evidence(
        matches=alignment.matches,
        inliers=alignment.inliers,
        exact=alignment.exact,
        correlation=correlation,
        weakest=weakest,
        shown=shown,
        flat=flat,
        colors=agreement.colors(*aligned) if flat > NEARLY_FLAT else 1.0,
        differing=0.0,
        stretch=agreement.stretch(first, second, matrix),
        scale=abs(area) ** 0.5,
        rotation=float(np.rad2deg(np.arctan2(y, x))),
        mirrored=area < 0,
    )
    if not evidence.is_copy:
        return evidence
    return replace(evidence, differing=agreement.differing(*aligned))
