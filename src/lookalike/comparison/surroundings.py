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
_TILTED = 0.02  # shear, or rotation that is not a multiple of 90 degrees, as a share


class Surroundings(Enum):
    """What a picture shows around the part that it shares with another."""

    PICTURE = auto()
    FRAME = auto()
    UNSURE = auto()


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
    seams = [_seam(*side) for side in outside]
    if len(seams) > 1 and min(seams) >= _SEAM[0]:
        return Surroundings.FRAME
    if not seams or min(seams) > _SEAM[1] or all(_is_plain(*side) for side in outside):
        return Surroundings.UNSURE
    return Surroundings.PICTURE


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


def _is_plain(picture: _Floats, edge: float, start: float, end: float) -> bool:
    """True if everything above the edge has one color."""
    above = picture[: max(1, round(edge - _MARGIN)), max(0, round(start)) : round(end) + 1]
    return bool(above.std() <= _PLAIN)
