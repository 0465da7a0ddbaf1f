"""Real resolution of two copies of one picture: which of them holds finer detail.

The number of pixels does not tell, because a copy may be enlarged, blurred or surrounded by bars.
So tiles of what both show are laid over each other on the finer of their two grids, and their
spectra are compared in bands below the limit of the coarser grid (its Nyquist frequency):

- A blurred picture has less energy in these bands, and what is left of it no longer agrees with the
  other one. A sharpened picture has more, but agrees: it holds no more than the other.
- An enlarged picture is a little weaker near the limit, and next to nothing is above it, or only
  what interpolation makes of the small picture. A picture of that many real pixels is stronger near
  the limit, since shrinking softens, and has energy above it that the small one cannot predict.
- Noise is as strong in the smoothest tiles as in those with the most structure; detail is not.

In 32 edits of 32 photos: strength near the limit is -3.9 to -0.4 dB for enlarged pictures and 0.3
to 5 dB for originals of copies shrunk by four methods; prediction above it agrees by 0.2 to 0.9 for
enlarged pictures (0.03 at JPEG quality 75), and by 0.01 to 0.24 for originals. A blur with a sigma
of 0.7 pixels costs 3.1 to 7 dB; JPEG at quality 85 to 95 less than 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from math import hypot, log2, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles

Luma = NDArray[np.uint8]
_Floats = NDArray[np.float32]
_Spectra = NDArray[np.complex64]
_Band = NDArray[np.bool_]

_TILE = 64  # pixels
_TILES = 10  # of each row and column
_MIN_TILES = 4
_MIN_CONTRAST = 4.0  # gray levels: standard deviation in a tile
_SAME_GRID = 1.06  # ratio of the scales up to which two grids count as one
_MAX_RATIO = 3.0  # of the scales; a larger picture is shrunk first
_SHRUNK_RATIO = 2.5
_ABOVE = 1.35  # least ratio with room for a band above the coarser grid's limit

_BLURRED = 2.0, 2.5, 4.5  # dB that a blurred picture lacks, in each of the bands below
_LOST = 0.5  # agreement in the last band below which detail is lost
_SHARPENED = 0.9  # the same from which more energy is only sharpening
_DAMAGED = 0.9  # agreement in the middle band below which compression has cost detail
_ALTERED = (
    0.95  # the same in the last band, where nothing is blurred: JPEG 40 up to 0.94, 85 from 0.9
)
_NEAR_LIMIT = 0.3  # dB
_SHARPER = 0.6  # dB in the coarsest band, which shrinking leaves alone and sharpening does not
_ENLARGED = 0.4  # agreement above the limit from which a picture is called enlarged
_REAL = 0.25  # agreement above the limit up to which detail is called real
_NOISE = 0.75  # strength in the smoothest tiles, as a share of that in the others


class Finer(Enum):
    """The picture that holds finer detail."""

    FIRST = auto()
    SECOND = auto()
    NEITHER = auto()
    DAMAGED = auto()  # one has lost detail by compression, and pixels do not tell which
    UNSURE = auto()


def finer(first: Luma, second: Luma, matrix: Doubles) -> Finer:
    """Compares the resolution of what two pictures both show.

    Args:
        first, second: brightness in full size.
        matrix: from pixels of the first to those of the second.
    """
    scale = _scale(matrix)
    if scale > 1:
        inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
        answer = _compare(second, first, inverse, scale)
        swapped = {Finer.FIRST: Finer.SECOND, Finer.SECOND: Finer.FIRST}
        return swapped.get(answer, answer)
    return _compare(first, second, matrix, 1 / scale)


def _scale(matrix: Doubles) -> float:
    return sqrt(abs(np.linalg.det(matrix[:, :2])))


def _compare(fine: Luma, coarse: Luma, matrix: Doubles, ratio: float) -> Finer:
    """Compares a picture on the finer grid (called the first) with one on the coarser grid."""
    if ratio > _MAX_RATIO:
        by = _SHRUNK_RATIO / ratio
        size = max(1, round(fine.shape[1] * by)), max(1, round(fine.shape[0] * by))
        fine = np.asarray(cv2.resize(fine, size, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = _for_shrunk(matrix, by)
        ratio = _SHRUNK_RATIO
    spectra = _spectra(fine, coarse, matrix, ratio)
    if spectra is None:
        return Finer.NEITHER if ratio <= _SAME_GRID else Finer.UNSURE
    return _same_grid(spectra) if ratio <= _SAME_GRID else _other_grid(spectra)


def _for_shrunk(matrix: Doubles, by: float) -> Doubles:
    """The matrix once its source is shrunk; positions are those of pixel centers."""
    shift = matrix[:, :2] @ np.full(2, 0.5 / by - 0.5) + matrix[:, 2]
    return np.column_stack([matrix[:, :2] / by, shift])


def _same_grid(spectra: _SpectralPair) -> Finer:
    for sign, answer in ((1, Finer.FIRST), (-1, Finer.SECOND)):
        if spectra.has_blurred(sign):
            agreement = spectra.agreement(spectra.below[-1])
            if agreement >= _SHARPENED:
                return Finer.NEITHER
            if agreement < _LOST:
                is_noise = spectra.noise(spectra.below[-1]) >= _NOISE
                return Finer.UNSURE if is_noise else answer
            break
    else:
        is_altered = spectra.agreement(spectra.below[-1]) < _ALTERED
        return Finer.DAMAGED if spectra.is_damaged or is_altered else Finer.NEITHER
    return Finer.DAMAGED if spectra.is_damaged else Finer.UNSURE


def _other_grid(spectra: _SpectralPair) -> Finer:
    coarsest, _, near_limit = (spectra.gain(band) for band in spectra.below)
    is_noise = spectra.noise(spectra.below[-1]) >= _NOISE
    if spectra.agreement(spectra.below[-1]) < _LOST:
        if spectra.has_blurred(-1):
            return Finer.SECOND  # too weak for its grid: blurred, then enlarged
        if spectra.has_blurred(1) and not is_noise:
            return Finer.FIRST
    if spectra.above is None:
        if abs(near_limit) < _NEAR_LIMIT or abs(coarsest) > _SHARPER or is_noise:
            return Finer.UNSURE
        return Finer.FIRST if near_limit > 0 else Finer.SECOND
    predicted, strength = spectra.predicted(), spectra.strength_above()
    little = -9 - 7.5 * (log2(spectra.ratio) - log2(1.5))  # dB: what interpolation leaves
    is_weaker = near_limit <= -_NEAR_LIMIT and abs(coarsest) <= 1
    if predicted >= _ENLARGED or (is_weaker and strength <= little):
        return Finer.SECOND
    is_stronger = near_limit >= _NEAR_LIMIT and strength >= little - 2
    is_level = near_limit > -_NEAR_LIMIT  # less just below the limit speaks of interpolation
    has_much = is_level and strength >= little + 4 and predicted < _REAL / 2
    sharper = _SHARPER if predicted >= _REAL / 2 else 1.0
    is_real = (is_stronger or has_much) and coarsest <= sharper
    if predicted < _REAL and is_real and spectra.noise_above() < _NOISE:
        return Finer.FIRST
    return Finer.UNSURE


# --- spectra --------------------------------------------------------------------------------


_WINDOW = np.outer(np.hanning(_TILE + 2)[1:-1], np.hanning(_TILE + 2)[1:-1]).astype(np.float32)
_FREQUENCY = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None])


@dataclass(frozen=True, slots=True)
class _SpectralPair:
    """Spectra of the same tiles in two pictures, (n, frequencies) on the finer grid.

    Attributes:
        ratio: of the scales.
        fine, coarse: of the tiles with structure; their coarse structure is equally strong.
        stepped: as `coarse`, enlarged without smoothing.
        smooth: `fine` of the tiles with the least structure.
        smooth_coarse: `coarse` of the same.
    """

    ratio: float
    fine: _Spectra
    coarse: _Spectra
    stepped: _Spectra
    smooth: _Spectra
    smooth_coarse: _Spectra

    @property
    def below(self) -> tuple[_Band, _Band, _Band]:
        """Bands below the limit of the coarser grid."""
        limit = 0.5 / self.ratio
        low, middle, high = ((0.3, 0.5), (0.5, 0.7), (0.7, 0.9))
        return _band(limit, low), _band(limit, middle), _band(limit, high)

    @property
    def above(self) -> _Band | None:
        """The band above that limit; None where there is no room for one."""
        limit = 0.5 / self.ratio
        return None if self.ratio < _ABOVE else _band(1.0, (1.15 * limit, 0.47))

    def has_blurred(self, sign: int) -> bool:
        """True if the coarse picture lacks energy that the fine one has; -1 for the reverse."""
        limits = zip(self.below, _BLURRED, strict=True)
        return any(sign * self.gain(band) >= limit for band, limit in limits)

    @property
    def is_damaged(self) -> bool:
        return self.agreement(self.below[1]) < _DAMAGED

    def gain(self, band: _Band) -> float:
        """Decibels by which the fine picture is stronger in a band."""
        return _decibels(_power(self.fine, band), _power(self.coarse, band))

    def agreement(self, band: _Band) -> float:
        return _agreement(self.fine, self.coarse, band)

    def noise(self, band: _Band) -> float:
        """Strength of the difference in smooth tiles, as a share of that in the others."""
        here = np.median(_power(self.fine, band) - _power(self.coarse, band))
        there = np.median(_power(self.smooth, band) - _power(self.smooth_coarse, band))
        return float(there / here) if here else 0.0

    def predicted(self) -> float:
        """Agreement above the limit with what interpolation makes of the coarse picture."""
        assert self.above is not None  # noqa: S101 -- for the type checker
        return max(_agreement(self.fine, made, self.above) for made in (self.coarse, self.stepped))

    def strength_above(self) -> float:
        """Decibels of the fine picture above the limit, relative to those just below it."""
        assert self.above is not None  # noqa: S101 -- for the type checker
        return _decibels(_power(self.fine, self.above), _power(self.fine, self.below[-1]))

    def noise_above(self) -> float:
        assert self.above is not None  # noqa: S101 -- for the type checker
        here = np.median(_power(self.fine, self.above))
        return float(np.median(_power(self.smooth, self.above)) / here) if here else 0.0


def _band(limit: float, edges: tuple[float, float]) -> _Band:
    return np.asarray((edges[0] * limit < _FREQUENCY) & (edges[1] * limit > _FREQUENCY))


def _spectra(fine: Luma, coarse: Luma, matrix: Doubles, ratio: float) -> _SpectralPair | None:
    """The spectra of the shared tiles; None if there are too few."""
    tiles = list(_tiles(fine, coarse, matrix, ratio))
    if len(tiles) < _MIN_TILES:
        return None
    pictures = np.array(tiles, np.float32)  # (n, 3, tile, tile)
    pictures -= pictures.mean((2, 3), keepdims=True)
    spectra = np.fft.rfft2(pictures * _WINDOW).astype(np.complex64)
    structure = _band(1.0, (0.5 / _TILE, max(0.1 / ratio, 2.5 / _TILE)))
    power = _power(spectra[:, 0], structure)
    order = np.argsort(power)
    rough, smooth = order[len(order) // 2 :], order[: max(2, len(order) // 4)]
    equal = np.median(power[rough] / (_power(spectra[rough, 1], structure) + 1e-9)) ** 0.5
    spectra[:, 1:] *= equal
    return _SpectralPair(
        ratio,
        fine=spectra[rough, 0],
        coarse=spectra[rough, 1],
        stepped=spectra[rough, 2],
        smooth=spectra[smooth, 0],
        smooth_coarse=spectra[smooth, 1],
    )


def _tiles(
    fine: Luma, coarse: Luma, matrix: Doubles, ratio: float
) -> Iterator[tuple[_Floats, _Floats, _Floats]]:
    """Tiles of the fine picture, with those of the coarse one enlarged smoothly and in steps."""
    height, width = fine.shape
    if min(height, width) < _TILE:
        return
    for top in _starts(height):
        for left in _starts(width):
            tile = fine[top : top + _TILE, left : left + _TILE].astype(np.float32)
            if tile.std() < _MIN_CONTRAST:
                continue
            here = np.column_stack([matrix[:, :2], matrix @ (left, top, 1)])
            if not _is_inside(here, coarse):
                continue
            shift = _shift(tile, _warped(coarse, here, cv2.INTER_LANCZOS4), ratio)
            if hypot(*shift) > 4 * ratio:
                continue
            here[:, 2] -= matrix[:, :2] @ shift
            smooth = _warped(coarse, here, cv2.INTER_LANCZOS4)
            yield tile, smooth, _warped(coarse, here, cv2.INTER_NEAREST)


def _starts(side: int) -> list[int]:
    """Positions of tiles along a side, overlapping by at most a half."""
    number = max(1, min(_TILES, (side - _TILE) // (_TILE // 2) + 1))
    return [int(start) for start in np.linspace(0, side - _TILE, number)]


def _is_inside(matrix: Doubles, picture: Luma) -> bool:
    last = _TILE - 1
    corners = matrix @ np.array([[0, last, 0, last], [0, 0, last, last], [1, 1, 1, 1]])
    size = np.array(picture.shape[::-1])[:, None]
    return bool((corners >= -1).all() and (corners <= size).all())


def _warped(picture: Luma, matrix: Doubles, kernel: int) -> _Floats:
    flags = kernel | cv2.WARP_INVERSE_MAP
    tile = (_TILE, _TILE)
    warped = cv2.warpAffine(picture, matrix, tile, flags=flags, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(warped, np.float32)


def _shift(tile: _Floats, other: _Floats, ratio: float) -> tuple[float, float]:
    """The remaining shift between two tiles, (0, 0) if it is too small to matter."""
    sigma = 0.8 * ratio
    one, two = (cv2.GaussianBlur(picture, (0, 0), sigma) for picture in (other, tile))
    (x, y), _ = cv2.phaseCorrelate(one, two, _WINDOW)
    return (x, y) if hypot(x, y) > 0.05 else (0.0, 0.0)


def _power(spectra: _Spectra, band: _Band) -> _Floats:
    return np.asarray((abs(spectra[:, band]) ** 2).mean(1), np.float32)


def _decibels(power: _Floats, other: _Floats) -> float:
    return float(10 * np.log10(np.median(power / (other + 1e-9)) + 1e-9))


def _agreement(one: _Spectra, other: _Spectra, band: _Band) -> float:
    """Coherence of a band, 0 to 1: the median of the tiles, so that captions do not count."""
    a, b = one[:, band], other[:, band]
    cross = abs((a * b.conj()).sum(1)) ** 2
    return float(np.median(cross / ((abs(a) ** 2).sum(1) * (abs(b) ** 2).sum(1) + 1e-9)))
