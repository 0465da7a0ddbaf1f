"""The surroundings of a shared part: more of the picture, or a frame such as a screen's bars.

A picture goes on smoothly across the edge of a part that was cut out of it. Bars, borders and
screens meet it in a seam: one line across which the pixels change more than in the lines beside it,
along the whole side.
"""

from __future__ import annotations

from enum import Enum, auto

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles

_Luma = NDArray[np.uint8]
_Floats = NDArray[np.float32]

_SIDE = 640  # pixels of the longer side, to which the picture is shrunk
_SEARCHED = 6  # lines on each side of the edge, as the alignment is not exact
_MARGIN = 6.0  # lines: what lies outside within it is an error of the alignment
_SEAM = 3.0, 1.6  # greatest change between lines, relative to the others: surely a seam, surely not
_PLAIN = 4.0  # gray levels: standard deviation of surroundings in one color
_NEAR = 3  # lines from the edge
_OTHER = 12.0  # gray levels: deviation from that color
_CUT_OFF = 0.3  # share of the pixels below the edge that deviate where something was cut off
_CONTINUED = 0.5  # least correlation of the lines above and below an edge
_TILTED = 0.02  # shear, or rotation that is not a multiple of 90 degrees, as a share


class Surroundings(Enum):
    """Kinds of surroundings of the part that a picture shares with another."""

    PICTURE = auto()
    FRAME = auto()
    UNSURE = auto()


def shown_shares(
    size: tuple[int, int], other_size: tuple[int, int], matrix: Doubles
) -> tuple[float, float]:
    """Share of the area of a picture that another shows, and the reverse.

    Args:
        size, other_size: width and height of the pictures.
        matrix: from pixels of the first to those of the second.
    """
    ours = matrix @ np.vstack([_frame(size), np.ones(4)])
    theirs = _frame(other_size)
    one, other = (np.asarray(corners.T, np.float32) for corners in (ours, theirs))
    shared, _ = cv2.intersectConvexConvex(one, other)
    area = size[0] * size[1] * abs(float(np.linalg.det(matrix[:, :2])))
    return min(1.0, shared / area), min(1.0, shared / (other_size[0] * other_size[1]))


def _frame(size: tuple[int, int]) -> Doubles:
    """(2, 4) corners of a picture; positions are those of pixel centers."""
    right, bottom = size[0] - 0.5, size[1] - 0.5
    return np.array([[-0.5, right, right, -0.5], [-0.5, -0.5, bottom, bottom]])


def surroundings(picture: _Luma, part_size: tuple[int, int], matrix: Doubles) -> Surroundings:
    """Tells what surrounds the shared part of a picture.

    Args:
        picture: brightness of the larger picture.
        part_size: width and height of the other picture.
        matrix: from pixels of the other picture to those of this one.
    """
    by = min(1.0, _SIDE / max(picture.shape))
    size = max(1, round(picture.shape[1] * by)), max(1, round(picture.shape[0] * by))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.float32)
    turn = abs(matrix[:, :2])
    if max(turn[0].min(), turn[1].min()) > _TILTED * turn.max():
        return Surroundings.UNSURE
    width, height = part_size
    corners = by * (matrix @ np.array([[0, width - 1], [0, height - 1], [1, 1]]))
    (left, top), (right, bottom) = corners.min(1), corners.max(1)
    rows, columns = small.shape
    sides = (
        (small, top, left, right),
        (small[::-1], rows - 1 - bottom, left, right),
        (small.T, left, top, bottom),
        (small.T[::-1], columns - 1 - right, top, bottom),
    )
    outside = [side for side in sides if side[1] > _MARGIN]
    ends = [_seam(*side) >= _SEAM[0] or _stops(*side) for side in outside]
    if len(ends) > 1 and all(ends):
        return Surroundings.FRAME
    if any(_seam(*side) <= _SEAM[1] and _goes_on(*side) for side in outside):
        return Surroundings.PICTURE
    return Surroundings.UNSURE


def _seam(picture: _Floats, edge: float, start: float, end: float) -> float:
    """The greatest change between two lines near the upper edge of a part, relative to the others.

    Args:
        picture: turned so that this edge of the part is the upper one.
        edge: line at which the part begins.
        start, end: columns of the part.
    """
    row = round(edge)
    first, last = max(0, row - _SEARCHED), row + _SEARCHED + 2
    lines = picture[first:last, max(0, round(start)) : round(end) + 1]
    if lines.shape[0] < 4 or lines.shape[1] < 2:
        return 0.0
    changes = abs(np.diff(cv2.blur(lines, (3, 1)), axis=0)).mean(1)
    return float(changes.max() / (np.median(changes) + 0.5))


def _stops(picture: _Floats, edge: float, start: float, end: float) -> bool:
    """True if everything above the edge has one color, and much of what is below it has not."""
    columns = slice(max(0, round(start)), round(end) + 1)
    above = picture[: max(1, round(edge - _MARGIN)), columns]
    if above.size == 0 or above.std() > _PLAIN:
        return False
    below = picture[round(edge) + _NEAR : round(edge) + 2 * _NEAR + 1, columns]
    return below.size > 0 and float((abs(below - above.mean()) > _OTHER).mean()) >= _CUT_OFF


def _goes_on(picture: _Floats, edge: float, start: float, end: float) -> bool:
    """True if the lines above and below an edge show the same structure."""
    columns = slice(max(0, round(start)), round(end) + 1)
    above, below = (
        cv2.blur(picture[max(0, row - 1) : row + 2, columns], (_NEAR, 3)).mean(0)
        for row in (round(edge) - _NEAR, round(edge) + _NEAR)
    )
    if min(above.std(), below.std()) <= _PLAIN:
        return False
    return float(np.corrcoef(above, below)[0, 1]) >= _CONTINUED
