"""Alignment of two copies in full size, refined from the alignment of their sketches."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import cv2
import numpy as np

from lookalike.comparison.agreement import Doubles
from lookalike.comparison.evidence import Evidence, comes_first, every_evidence
from lookalike.comparison.sketch import Bytes, Sketch, sketch
from lookalike.types import Pixels

_SMOOTHINGS = 9, 5  # pixels, odd: the coarse alignment first
_ROUNDS = 40


def full_size_alignment(
    first: Pixels, second: Pixels, widths: tuple[int, int] | None = None
) -> Doubles | None:
    """The matrix from pixels of the first picture to those of the second; None if they cannot be
    aligned.

    Args:
        first, second: the pictures.
        widths: of the pictures in full size, for a matrix between these.
    """
    matrix = refined_alignment((sketch(first), sketch(second)), (first, second))
    if matrix is None:
        return None
    shown = first.shape[1], second.shape[1]
    return rescaled(matrix, shown, widths or shown)


def refined_alignment(
    sketches: tuple[Sketch, Sketch], pictures: tuple[Pixels, Pixels]
) -> Doubles | None:
    """The matrix between the pixels of two pictures with these sketches, as exact as they allow;
    None if they cannot be aligned. It takes 50 ms for pictures of 320 pixels."""
    found = _best(every_evidence(*sketches))
    if found is None:
        return None
    best, matrix = found
    first, second = pictures
    widths = sketches[0].shades.shape[1], sketches[1].shades.shape[1]
    matrix = rescaled(matrix, widths, (first.shape[1], second.shape[1]))
    more = best.shown[0] - best.shown[1]
    is_forward = more > 0 if more else comes_first(*sketches)
    for forward in (is_forward, not is_forward):  # from one side it may not converge
        if forward:
            refined = _refined(first, second, matrix)
        else:
            refined = _refined(second, first, _inverse(matrix))
        if refined is not None:
            return refined if forward else _inverse(refined)
    return matrix


def rescaled(matrix: Doubles, widths: tuple[int, int], wanted: tuple[int, int]) -> Doubles:
    """The matrix between two pictures of the wanted widths for one between those of others."""
    down = widths[0] / wanted[0]
    up = wanted[1] / widths[1]
    turn = matrix[:, :2] * (down * up)
    # Positions are those of pixel centers, and half a pixel is another length in each picture.
    shift = up * (matrix[:, :2] @ np.full(2, down / 2 - 0.5) + matrix[:, 2] + 0.5) - 0.5
    return np.column_stack([turn, shift])


def _best(found: Iterable[tuple[Evidence, Doubles]]) -> tuple[Evidence, Doubles] | None:
    return max(found, key=lambda one: (one[0].is_copy, one[0].correlation), default=None)


def _refined(first: Pixels, second: Pixels, matrix: Doubles) -> Doubles | None:
    """The affine matrix near another with which the pictures correlate best; None if none was found
    that is as good.

    A sketch is aligned to about one of its pixels, and where a border was taken for a part of the
    picture, or a part for a border, only to a few percent (Evangelidis and Psarakis, "Parametric
    image alignment using enhanced correlation coefficient maximization", 2008).

    Args:
        first: the picture that the other shows more completely.
    """
    ours, theirs = (
        np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8) for pixels in (first, second)
    )
    refined = None
    for smoothing in _SMOOTHINGS:
        criteria = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ROUNDS, 1e-5
        mask = np.full_like(theirs, 255)
        start = (matrix if refined is None else refined).astype(np.float32)
        with suppress(cv2.error):  # it does not converge
            _, found = cv2.findTransformECC(
                ours, theirs, start, cv2.MOTION_AFFINE, criteria, mask, smoothing
            )
            refined = np.asarray(found, np.float64)
    if refined is None or _likeness(ours, theirs, refined) < _likeness(ours, theirs, matrix):
        return None
    return refined


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
