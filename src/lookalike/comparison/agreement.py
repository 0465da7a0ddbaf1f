"""How well two sketches agree where one of them is laid over the other.

A matrix leads from the one's pixels to the other's; every function says in its terms what the
attribute of `copies.Evidence` with its name is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.sketch import TINY, Bytes, Floats, Sketch, soft

_CELL = 6  # pixels along the sides of a cell
_PART = 4  # the same in a square
_NOISE = 1.5  # grey levels that mean nothing
_STRONG = 12.0  # grey levels: more contrast in a cell than this does not count more
_GREY = 4.0  # mean difference of red, green and blue in what has no colors
_UNLIKE = 150.0  # grey levels: a mean difference of luma that is no agreement at all
_WINDOW = 5  # cells along the sides of a part that may not differ
_FINE = 3  # pixels along the sides of a cell whose tones are compared
_TONE = 20.0  # grey levels from which a tone is another
_DOUBTED = 12.0  # grey levels: what is farther off has little say in how the other is lit
_ROUNDS = 3

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Doubles = NDArray[np.float64]


def stretch(one: Sketch, other: Sketch, matrix: Doubles) -> float:
    """`Evidence.stretch`: the lesser of what is seen and what remains in squares of both."""
    across, down = np.hypot(*matrix[:, :2])
    (height, width), (tall, wide) = one.shades.shape[:2], other.shades.shape[:2]
    if abs(matrix[0, 0]) < abs(matrix[1, 0]):
        tall, wide = wide, tall
    ratios = across / down, (across * width / wide) / (down * height / tall)
    return float(min(max(ratio, 1 / ratio) for ratio in ratios))


def shown(one: Sketch, other: Sketch, matrix: Doubles) -> float:
    """Share of the one picture, without its border, that lies in the other."""
    left, top, width, height = one.views[-1]
    y, x = _grid()
    u, v = matrix[:, :2] @ (left + x * width, top + y * height) + matrix[:, 2:]
    left, top, width, height = other.views[-1]
    slack = 0.25
    inside = (u > left - slack) & (u < left + width + slack)
    inside &= (v > top - slack) & (v < top + height + slack)
    return float(inside.mean())


@lru_cache
def _grid() -> Doubles:
    """(2, 2304): places spread over a picture, as shares of its sides."""
    return np.asarray((np.mgrid[0:48, 0:48].reshape(2, -1) + 0.5) / 48, np.float64)


def _cells(
    one: Sketch, other: Sketch, matrix: Doubles, side: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Lays the other over the one and measures both in cells of so many pixels a side.

    Returns:
        (rows, columns, 4) means of the one's and then the other's shades, (rows, columns, 4) their
        variances, (rows, columns, 2) their covariances, (rows, columns, 1) share of the cell that
        both pictures show.
    """
    height, width = one.soft.shape[:2]
    mine, yours = _as_sharp(one.soft, one.shades, matrix), _laid(other.soft, one, matrix)
    mask = _laid(other.inside, one, matrix) * one.inside
    both = cv2.merge([*cv2.split(mine), *cv2.split(yours)]) * mask[..., None]
    columns, rows = max(1, round(width / side)), max(1, round(height / side))

    def mean(values: Floats) -> Floats:
        cells = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(cells, np.float32).reshape(rows, columns, -1)

    count = mean(mask)
    share = np.maximum(count, 1e-3)
    means = mean(both) / share
    squares = mean(both * both) / share
    products = mean(both[..., :2] * both[..., 2:]) / share
    variances = np.maximum(squares - means * means, 0)
    covariances = products - means[..., :2] * means[..., 2:]
    return _floats(means), _floats(variances), _floats(covariances), count


def _floats(values: NDArray[Any]) -> Floats:
    return values.astype(np.float32, copy=False)


def _laid(picture: Floats, one: Sketch, matrix: Doubles) -> Floats:
    """A picture half as large as the sketch that it is of, as the one lies."""
    half = matrix.copy()
    half[:, 2] = (matrix[:, 2] + matrix[:, :2].sum(axis=1) / 2 - 0.5) / 2
    size, how = one.soft.shape[1::-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, half, size, flags=how), np.float32)


def _as_sharp(own: Floats, pixels: NDArray[np.uint8], matrix: Doubles) -> Floats:
    """The one's own blurred pixels, no sharper than the other shows them."""
    scale = float(abs(np.linalg.det(matrix[:, :2]))) ** 0.5
    if scale > 0.9:
        return own
    return np.asarray(cv2.resize(soft(pixels, scale / 2), own.shape[1::-1]), np.float32)


def colors(one: Sketch, other: Sketch, matrix: Doubles) -> float:
    """`Evidence.colors`: the correlation of all red, green and blue with the other's.

    More or less light and contrast change all three alike, and that is no other color.
    """
    known = _laid(other.inside, one, matrix) * one.inside > 0.99
    if not known.any():
        return 0.0
    mine = _as_sharp(one.colors, one.pixels, matrix)[known]
    yours = _laid(other.colors, one, matrix)[known]
    if min(float(np.ptp(some, axis=1).mean()) for some in (mine, yours)) < _GREY:
        differing = abs((mine - yours) @ _LUMA).mean()
        return max(0.0, 1 - float(differing) / _UNLIKE)
    mine, yours = mine - mine.mean(), yours - yours.mean()
    spread = np.sqrt(np.square(mine).sum() * np.square(yours).sum())
    return max(0.0, float((mine * yours).sum() / max(spread, 1e-6)))


def agreement(one: Sketch, other: Sketch, matrix: Doubles) -> tuple[float, float]:
    """(correlation, weakest) of `Evidence`, by the better shade."""
    _, variances, covariances, count = _cells(one, other, matrix, _CELL)
    known = count > 0.4
    agreeing, weight = _agreeing(
        variances[..., :2] * known, variances[..., 2:] * known, covariances
    )
    total = agreeing.sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1e-6)
    better = int(total.argmax())
    plain = np.where(weight[..., better] == 0, _NOISE, 0) * known[..., 0]
    agreed, weighed, seen = (
        cv2.boxFilter(
            np.asarray(part, np.float32),
            -1,
            (_WINDOW, _WINDOW),
            normalize=False,
            borderType=cv2.BORDER_CONSTANT,
        )
        for part in (agreeing[..., better] + plain, weight[..., better] + plain, known[..., 0])
    )
    counted = seen >= 0.9 * seen.max()
    return float(total[better]), float((agreed[counted] / np.maximum(weighed[counted], 1e-6)).min())


def squares_agree(one: Bytes, other: Bytes) -> float:
    """About what `agreement` would say of two whole pictures, for a tenth of its time.

    Args:
        one, other: (2, 1024) of `Sketch.squares`, the other's pixels in the order of the one's.
    """
    a, b = (_parts(square) for square in (one, other))
    mine, yours = a.mean(axis=(1, 3)), b.mean(axis=(1, 3))
    agreeing, weight = _agreeing(
        np.maximum((a * a).mean(axis=(1, 3)) - mine * mine, 0),
        np.maximum((b * b).mean(axis=(1, 3)) - yours * yours, 0),
        (a * b).mean(axis=(1, 3)) - mine * yours,
    )
    return float((agreeing.sum(axis=(0, 1)) / np.maximum(weight.sum(axis=(0, 1)), 1e-6)).max())


def _parts(square: Bytes) -> Floats:
    """(8, 4, 8, 4, 2): parts of 4 x 4 pixels of both shades."""
    rows = square.T.reshape(TINY // _PART, _PART, TINY // _PART, _PART, 2)
    return np.asarray(rows, np.float32)


def _agreeing(mine: Floats, yours: Floats, covariances: Floats) -> tuple[Floats, Floats]:
    """(rows, columns, 2) how well cells correlate, times what they count by their contrast, and
    what they count."""
    like = covariances / np.sqrt((mine + _NOISE**2) * (yours + _NOISE**2))
    gain = mine.sum(axis=(0, 1)) / np.maximum(yours.sum(axis=(0, 1)), 1e-6)
    contrast = np.sqrt(np.maximum(mine, yours * np.clip(gain, 0.1, 10)))
    weight = np.where(contrast < _NOISE, 0, np.minimum(contrast, _STRONG))
    return _floats(weight * np.clip(like, 0, 1)), _floats(weight)


def differing(one: Sketch, other: Sketch, matrix: Doubles) -> float:
    """`Evidence.differing`: of small cells, by the better shade.

    The other's tones should be a smooth function of the one's, lighter or darker towards the
    edges. What has details that agree says which; a thing that is in one of the two only has none
    and so no say, however large it is. Fitted by least squares whose weights are found again and
    again (Geman and McClure, "Statistical methods for tomographic image reconstruction", 1987).
    """
    measured = _cells(one, other, matrix, _FINE)
    known = measured[3][..., 0] > 0.4
    if not known.any():
        return 0.0
    rows, columns = (
        axis / length for axis, length in zip(known.nonzero(), known.shape, strict=True)
    )
    y, x = 2 * rows - 1, 2 * columns - 1
    means, variances, covariances = (part[known].T for part in measured[:3])
    noisy, strong = variances + _NOISE**2, np.sqrt(variances)
    like = np.clip(covariances / np.sqrt(noisy[:2] * noisy[2:]), 0, 1)
    say = np.minimum(np.maximum(strong[:2], strong[2:]), _STRONG) * like**2 + 0.01
    mine, yours = (means[:2] - means[:2].mean(axis=1, keepdims=True)) / 64, means[2:, :, None]
    rest = np.broadcast_to([np.ones_like(x), x, y, x * x + y * y], (2, 4, len(x)))
    terms = np.concatenate([mine[:, None], mine[:, None] ** 2, rest], axis=1)  # (2, 6, cells)
    across, weight = terms.transpose(0, 2, 1), say
    for _ in range(_ROUNDS):
        weighted = terms * weight[:, None]
        ridge = 1e-3 * weight.sum(axis=1)[:, None, None] * np.eye(6)
        fitted = np.linalg.solve(weighted @ across + ridge, weighted @ yours)
        far = abs(yours - across @ fitted)[..., 0]
        weight = say / (1 + (far / _DOUBTED) ** 2) ** 2
    return float((far > _TONE).mean(axis=1).min())
