"""A picture of the differences between two pictures of which one is a copy of the other."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.full_size import full_size_alignment
from lookalike.comparison.sketch import Floats
from lookalike.types import Pixels

_INVISIBLE, _FULL = 12.0, 60.0  # gray levels shown as no difference, and as a full one


def difference(keeper: Pixels, copy: Pixels) -> Pixels | None:
    """The keeper in gray at its own size, red where the copy laid over it differs, and dark where
    the copy shows nothing. None if the two cannot be aligned."""
    matrix = full_size_alignment(keeper, copy)
    if matrix is None:
        return None
    gray, gray_copy = (
        np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) for pixels in (keeper, copy)
    )
    size, flags = gray.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    overlay = cv2.warpAffine(gray_copy, matrix, size, flags=flags)
    shown = cv2.warpAffine(np.ones_like(gray_copy), matrix, size, flags=flags)
    covered = np.asarray(cv2.erode(shown, np.ones((7, 7), np.uint8)) > 0)  # edges are blurred
    ours, theirs = (
        cv2.GaussianBlur(picture, (0, 0), 2).astype(np.float32) for picture in (gray, overlay)
    )
    deviation = np.where(covered, abs(ours - _equally_lit(theirs, ours, covered)), 0)
    red = np.clip((deviation - _INVISIBLE) / (_FULL - _INVISIBLE), 0, 1)
    faint = (0.55 * gray + 90) * np.where(covered, 1.0, 0.35)
    rest = faint * (1 - red)
    return np.dstack([rest + 225 * red, rest + 30 * red, rest + 40 * red]).astype(np.uint8)


def _equally_lit(picture: Floats, model: Floats, where: NDArray[np.bool_]) -> Floats:
    """The picture with the brightness and contrast of the model, since a change of these over the
    whole picture is not a difference."""
    fitting, lit = where, picture
    for _ in range(4):  # leave out the parts that differ
        if fitting.sum() < 2:
            break
        source, target = picture[fitting], model[fitting]
        covariance = ((source - source.mean()) * (target - target.mean())).mean()
        lit = (picture - source.mean()) * (covariance / max(source.var(), 1.0)) + target.mean()
        deviation = abs(model - lit)
        fitting = where & (deviation <= np.percentile(deviation[where], 75))
    return lit
