"""A picture of the differences between two pictures of which one is a copy of the other."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles
from lookalike.comparison.evidence import Evidence, best_evidence, every_evidence
from lookalike.comparison.sketch import Bytes, Floats, sketch
from lookalike.types import Pixels

_INVISIBLE, _FULL = 12.0, 60.0  # gray levels shown as no difference, and as a full one
_SMOOTHINGS = 9, 5  # pixels, odd: the coarse alignment first
_ROUNDS = 40


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


def full_size_alignment(
    first: Pixels,
    second: Pixels,
    widths: tuple[int, int] | None = None,
    *,
    refine: bool = True,
) -> Doubles | None:
    """The matrix from pixels of the first picture to those of the second; None if they cannot be
    aligned.

    Args:
        first, second: the pictures.
        widths: of the pictures in full size, for a matrix between these.
        refine: align as exactly as the pictures allow, which takes most of the time; otherwise to
            about a pixel of their sketches, by the first alignment that makes them copies.
    """
    sketches = sketch(first), sketch(second)
    found = _best(every_evidence(*sketches)) if refine else best_evidence(*sketches)
    if found is None:
        return None
    best, matrix = found
    scales = tuple(made.shades.shape[1] for made in sketches)
    shown = first.shape[1], second.shape[1]
    matrix = _rescaled(matrix, scales, shown)
    if not refine:
        pass
    elif best.shown[0] >= best.shown[1]:
        matrix = _refined(first, second, matrix)
    else:
        matrix = _inverse(_refined(second, first, _inverse(matrix)))
    return _rescaled(matrix, shown, widths or shown)


def _best(found: Iterable[tuple[Evidence, Doubles]]) -> tuple[Evidence, Doubles] | None:
    return max(found, key=lambda one: (one[0].is_copy, one[0].correlation), default=None)


def _refined(first: Pixels, second: Pixels, matrix: Doubles) -> Doubles:
    """The affine matrix near another with which the pictures correlate best.

    A sketch is aligned to about one of its pixels, and where a border was taken for a part of the
    picture, or a part for a border, only to a few percent (Evangelidis and Psarakis, "Parametric
    image alignment using enhanced correlation coefficient maximization", 2008).

    Args:
        first: the picture that the other shows more completely.
    """
    ours, theirs = (
        np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) for pixels in (first, second)
    )
    refined = matrix
    for smoothing in _SMOOTHINGS:
        criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ROUNDS, 1e-5
        mask = np.full_like(theirs, 255)
        start = refined.astype(np.float32)
        with suppress(cv2.error):  # it does not converge
            _, found = cv2.findTransformECC(
                ours, theirs, start, cv2.MOTION_AFFINE, criteria, mask, smoothing
            )
            refined = np.asarray(found, np.float64)
    return (
        refined if _likeness(ours, theirs, refined) >= _likeness(ours, theirs, matrix) else matrix
    )


def _likeness(first: Bytes, second: Bytes, matrix: Doubles) -> float:
    """Correlation of the first picture with the second laid over it."""
    size, flags = first.shape[::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    overlay = cv2.warpAffine(second, matrix, size, flags=flags)
    covered = cv2.warpAffine(np.ones_like(second), matrix, size, flags=flags) > 0
    if covered.sum() < 2:
        return 0.0
    ours, theirs = first[covered].astype(np.float64), overlay[covered].astype(np.float64)
    spread = ours.std() * theirs.std()
    return float(((ours - ours.mean()) * (theirs - theirs.mean())).mean() / max(spread, 1e-6))


def _inverse(matrix: Doubles) -> Doubles:
    return np.asarray(cv2.invertAffineTransform(matrix), np.float64)


def _rescaled(matrix: Doubles, widths: tuple[int, ...], wanted: tuple[int, ...]) -> Doubles:
    """The matrix between two pictures of the wanted widths for one between those of others."""
    down = widths[0] / wanted[0]
    up = wanted[1] / widths[1]
    turn = matrix[:, :2] * (down * up)
    # Positions are those of pixel centers, and half a pixel is another length in each picture.
    shift = up * (matrix[:, :2] @ np.full(2, down / 2 - 0.5) + matrix[:, 2] + 0.5) - 0.5
    return np.column_stack([turn, shift])
