"""Measures of how well two sketches agree when one is laid over the other.

Every function takes two sketches and the matrix that maps pixels of the first to pixels of the
second, and measures the attribute of `evidence.Evidence` with the same name.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.sketch import SQUARE_SIDE, Bytes, Floats, Sketch, blurred

_CELL = 6  # pixels along the sides of a cell
_SQUARE_CELL = 4  # the same in a square
_NOISE = 1.5  # gray levels without meaning
_HIGH_CONTRAST = 12.0  # gray levels in a cell: more does not count more
_COLORLESS = 4.0  # greatest mean difference of red, green and blue in a picture without colors
_UNRELATED = 150.0  # gray levels: mean difference of luma at which agreement is 0
_WINDOW = 5  # cells along the sides of the part that must agree
_FINE_CELL = 3  # pixels along the sides of a cell whose tones are compared
_TONE = 20.0  # gray levels from which two tones differ
_OUTLIER = 12.0  # gray levels: cells that deviate more have little weight in the fit of tones
_FIT_ROUNDS = 3

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Doubles = NDArray[np.float64]


def stretch(first: Sketch, second: Sketch, matrix: Doubles) -> float:
    """The lesser of two stretches: in the pixels of both, and with both stretched to squares."""
    across, down = np.hypot(*matrix[:, :2])
    (height, width), (tall, wide) = first.shades.shape[:2], second.shades.shape[:2]
    if abs(matrix[0, 0]) < abs(matrix[1, 0]):
        tall, wide = wide, tall
    ratios = across / down, (across * width / wide) / (down * height / tall)
    return float(min(max(ratio, 1 / ratio) for ratio in ratios))


def shown(first: Sketch, second: Sketch, matrix: Doubles) -> float:
    """Share of the first picture, without its border, that lies inside the second."""
    left, top, width, height = first.views[-1]
    y, x = _grid()
    u, v = matrix[:, :2] @ (left + x * width, top + y * height) + matrix[:, 2:]
    left, top, width, height = second.views[-1]
    slack = 0.25
    inside = (u > left - slack) & (u < left + width + slack)
    inside &= (v > top - slack) & (v < top + height + slack)
    return float(inside.mean())


@lru_cache
def _grid() -> Doubles:
    """(2, 2304) positions spread evenly over a picture, as shares of its sides."""
    return np.asarray((np.mgrid[0:48, 0:48].reshape(2, -1) + 0.5) / 48, np.float64)


def colors(first: Sketch, second: Sketch, matrix: Doubles) -> float:
    """Correlation of red, green and blue taken together.

    Brightness and contrast change all three alike, so that they do not count as other colors.
    """
    both = _warped(second.content_mask, first, matrix) * first.content_mask > 0.99
    if not both.any():
        return 0.0
    ours = _equally_sharp(first.blurred_pixels, first.pixels, matrix)[both]
    theirs = _warped(second.blurred_pixels, first, matrix)[both]
    if min(float(np.ptp(pixels, axis=1).mean()) for pixels in (ours, theirs)) < _COLORLESS:
        difference = abs((ours - theirs) @ _LUMA).mean()
        return max(0.0, 1 - float(difference) / _UNRELATED)
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    spread = np.sqrt(np.square(ours).sum() * np.square(theirs).sum())
    return max(0.0, float((ours * theirs).sum() / max(spread, 1e-6)))


def agreement(first: Sketch, second: Sketch, matrix: Doubles) -> tuple[float, float]:
    """`correlation` and `weakest`, in the shade that agrees better."""
    _, variances, covariances, overlap = _cells(first, second, matrix, _CELL)
    known = overlap > 0.4
    agreeing, weight = _weighted_correlations(
        variances[..., :2] * known, variances[..., 2:] * known, covariances
    )
    total = agreeing.sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1e-6)
    better = int(total.argmax())
    plain = np.where(weight[..., better] == 0, _NOISE, 0) * known[..., 0]
    agreed, weighed, seen = (
        cv2.boxFilter(
            np.asarray(cells, np.float32),
            -1,
            (_WINDOW, _WINDOW),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
        for cells in (agreeing[..., better] + plain, weight[..., better] + plain, known[..., 0])
    )
    full = seen >= 0.9 * seen.max()
    return float(total[better]), float((agreed[full] / np.maximum(weighed[full], 1e-6)).min())


def square_agreement(first: Bytes, second: Bytes) -> float:
    """An estimate of the `correlation` of two whole pictures, in a tenth of its time.

    Args:
        first, second: (2, 1024) rows of `Sketch.squares`, with the pixels of the second in the
            order of the first.
    """
    a, b = _square_cells(first), _square_cells(second)
    mean_a, mean_b = a.mean(axis=(1, 3)), b.mean(axis=(1, 3))
    agreeing, weight = _weighted_correlations(
        np.maximum((a * a).mean(axis=(1, 3)) - mean_a * mean_a, 0),
        np.maximum((b * b).mean(axis=(1, 3)) - mean_b * mean_b, 0),
        (a * b).mean(axis=(1, 3)) - mean_a * mean_b,
    )
    return float((agreeing.sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1e-6)).max())


def _square_cells(square: Bytes) -> Floats:
    """(8, 4, 8, 4, 2) cells of 4 x 4 pixels in both shades."""
    count = SQUARE_SIDE // _SQUARE_CELL
    rows = square.T.reshape(count, _SQUARE_CELL, count, _SQUARE_CELL, 2)
    return np.asarray(rows, np.float32)


def differing(first: Sketch, second: Sketch, matrix: Doubles) -> float:
    """Share of small cells with another tone, in the shade that agrees better.

    The tones of a copy should be a smooth function of the original's that may vary towards the
    edges. The function is fitted to cells whose details agree: an object that only one of the
    pictures shows has no such details, so it has no weight, however large it is. Least squares with
    weights that are updated in each round (Geman and McClure, "Statistical methods for tomographic
    image reconstruction", 1987).
    """
    measured = _cells(first, second, matrix, _FINE_CELL)
    known = measured[3][..., 0] > 0.4
    if not known.any():
        return 0.0
    rows, columns = (
        axis / length for axis, length in zip(known.nonzero(), known.shape, strict=True)
    )
    y, x = 2 * rows - 1, 2 * columns - 1
    means, variances, covariances = (cells[known].T for cells in measured[:3])
    noisy, contrast = variances + _NOISE**2, np.sqrt(variances)
    correlation = np.clip(covariances / np.sqrt(noisy[:2] * noisy[2:]), 0, 1)
    greatest = np.maximum(contrast[:2], contrast[2:])
    prior = np.minimum(greatest, _HIGH_CONTRAST) * correlation**2 + 0.01
    ours = (means[:2] - means[:2].mean(axis=1, keepdims=True)) / 64
    theirs = means[2:, :, None]
    position = np.broadcast_to([np.ones_like(x), x, y, x * x + y * y], (2, 4, len(x)))
    terms = np.concatenate([ours[:, None], ours[:, None] ** 2, position], axis=1)  # (2, 6, cells)
    across, weight = terms.transpose(0, 2, 1), prior
    for _ in range(_FIT_ROUNDS):
        weighted = terms * weight[:, None]
        ridge = 1e-3 * weight.sum(axis=1)[:, None, None] * np.eye(6)
        fitted = np.linalg.solve(weighted @ across + ridge, weighted @ theirs)
        deviation = abs(theirs - across @ fitted)[..., 0]
        weight = prior / (1 + (deviation / _OUTLIER) ** 2) ** 2
    return float((deviation > _TONE).mean(axis=1).min())


# --- cells ----------------------------------------------------------------------------------


def _cells(
    first: Sketch, second: Sketch, matrix: Doubles, side: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Lays the second picture over the first and measures both in cells of `side` pixels.

    Returns:
        (rows, columns, 4) means of the shades of the first, then of the second; (rows, columns, 4)
        their variances; (rows, columns, 2) their covariances; (rows, columns, 1) share of the cell
        that both pictures show.
    """
    height, width = first.blurred_shades.shape[:2]
    ours = _equally_sharp(first.blurred_shades, first.shades, matrix)
    theirs = _warped(second.blurred_shades, first, matrix)
    mask = _warped(second.content_mask, first, matrix) * first.content_mask
    both = cv2.merge([*cv2.split(ours), *cv2.split(theirs)]) * mask[..., None]
    columns, rows = max(1, round(width / side)), max(1, round(height / side))

    def mean(values: Floats) -> Floats:
        cells = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cells, np.float32).reshape(rows, columns, -1)

    overlap = mean(mask)
    share = np.maximum(overlap, 1e-3)
    means = mean(both) / share
    squares = mean(both * both) / share
    products = mean(both[..., :2] * both[..., 2:]) / share
    variances = np.maximum(squares - means * means, 0)
    covariances = products - means[..., :2] * means[..., 2:]
    return _floats(means), _floats(variances), _floats(covariances), overlap


def _weighted_correlations(
    first: Floats, second: Floats, covariances: Floats
) -> tuple[Floats, Floats]:
    """(rows, columns, 2) correlations of cells multiplied by their weights, and the weights, which
    grow with contrast.

    Args:
        first, second: (rows, columns, 2) variances.
    """
    correlation = covariances / np.sqrt((first + _NOISE**2) * (second + _NOISE**2))
    gain = first.sum(axis=(0, 1)) / np.maximum(second.sum(axis=(0, 1)), 1e-6)
    contrast = np.sqrt(np.maximum(first, second * np.clip(gain, 0.1, 10)))
    weight = np.where(contrast < _NOISE, 0, np.minimum(contrast, _HIGH_CONTRAST))
    return _floats(weight * np.clip(correlation, 0, 1)), _floats(weight)


def _floats(values: NDArray[Any]) -> Floats:
    return values.astype(np.float32, copy=False)


def _warped(picture: Floats, first: Sketch, matrix: Doubles) -> Floats:
    """A picture in half the resolution of the second sketch, in the frame of the first."""
    half = matrix.copy()
    half[:, 2] = (matrix[:, 2] + matrix[:, :2].sum(axis=1) / 2 - 0.5) / 2
    size, flags = first.blurred_shades.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, half, size, flags=flags), np.float32)


def _equally_sharp(picture: Floats, pixels: NDArray[np.uint8], matrix: Doubles) -> Floats:
    """The first picture, no sharper than the second one shows it.

    Args:
        picture: the blurred picture, in half its resolution.
        pixels: the same in full resolution.
    """
    scale = float(abs(np.linalg.det(matrix[:, :2]))) ** 0.5
    if scale > 0.9:
        return picture
    return np.asarray(cv2.resize(blurred(pixels, scale / 2), picture.shape[1::-1]), np.float32)
