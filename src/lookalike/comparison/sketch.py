"""Sketches: compact descriptions of pictures for pairwise comparison, computed once per picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.types import Pixels

THUMBNAIL_SIDE = 320
"""Pixels along the longer side of the thumbnails that sketches are made from."""

SIDE = 144
"""Pixels along the longer side of the picture in a sketch."""

SQUARE_SIDE = 32
"""Pixels along the sides of the squares by which whole pictures are compared."""

FLAT = 0.54
"""Share of flat pixels above which a picture counts as a drawing."""

_MIN_SIDE = 24  # pixels: a picture with a shorter side is uninformative
_MIN_DETAIL = 3.0  # gray levels: deviation from a smooth slope below which it is uninformative
_BORDER = 3.0, 40.0  # mean and greatest deviation of a border's pixels from one color
_FLAT_STEP = 2  # gray levels: greatest difference between neighbors where nothing is visible
_MAX_FEATURES = 200
_MAX_CORNERS = 150
_BLUR = 0.8  # pixels: sharpness that a copy may lose
_NO_POSITIONS = np.zeros(0, np.complex128)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Complex = NDArray[np.complex128]
Box = tuple[int, int, int, int]
"""Left, top, width, height."""


_T = TypeVar("_T")


class _lazy(Generic[_T]):  # noqa: N801 -- a decorator
    """Like `functools.cached_property`, which before Python 3.12 holds one lock for all instances
    while it computes a value."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: object, type: type | None = None) -> _T:
        value = owner.__dict__[self._name] = self._compute(owner)  # found first from now on
        return value


@dataclass(frozen=True)
class Features:
    """SIFT features, one per row.

    Attributes:
        at: (n,) positions as x + iy in pixels.
        spread: (n,) complex numbers: their size, and as an angle their direction.
        counts: (n, 128) histograms of gradient directions around them.
    """

    at: Complex
    spread: Complex
    counts: Bytes

    @_lazy
    def descriptors(self) -> Floats:
        """(n, 128) square-rooted histograms of length 1."""
        counts = self.counts.astype(np.float32)
        roots = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-6))
        return np.asarray(roots, np.float32)


@dataclass(frozen=True)
class Corners:
    """ORB features, one per row: found in a seventh of the time of SIFT's, and told apart by bits.

    Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", 2011.

    Attributes:
        at, spread: as in `Features`.
        descriptors: (n, 32) bytes.
    """

    at: Complex
    spread: Complex
    descriptors: Bytes


@dataclass(frozen=True)
class Sketch:
    """A description of one picture. All but the squares is computed on first use.

    Attributes:
        load_pixels: returns the shrunk pixels.
        views: the whole picture, and the content of its plain border if it has one.
        squares: (2 x views, 1024) both shades of each view, stretched to squares.
        is_informative: False if the picture is too small or too plain to be recognized.
    """

    load_pixels: Callable[[], Pixels]
    views: tuple[Box, ...]
    squares: Bytes
    is_informative: bool

    @_lazy
    def pixels(self) -> Pixels:
        """(h, w, 3) shrunk pixels."""
        return self.load_pixels()

    @_lazy
    def shades(self) -> Bytes:
        """(h, w, 2) luma, and the greatest of red, green and blue. A change of saturation preserves
        the latter, a shift of hue the former."""
        return _shades(self.pixels)

    @_lazy
    def unit_squares(self) -> Floats:
        """(2 x views, 1024) the squares with mean 0 and length 1."""
        squares = _centered(self.squares)
        lengths = np.linalg.norm(squares, axis=1, keepdims=True)
        return np.asarray(squares / np.maximum(lengths, 1e-6), np.float32)

    @_lazy
    def features(self) -> Features:
        """SIFT features of the luma."""
        points, descriptors = _sift().detectAndCompute(self.shades[..., 0], None)
        if not points:
            return Features(_NO_POSITIONS, _NO_POSITIONS, np.zeros((0, 128), np.uint8))
        counts = np.asarray(descriptors, np.uint8)  # they are whole numbers
        return Features(*_positions(points), counts)

    @_lazy
    def corners(self) -> Corners:
        """ORB features of the luma."""
        return _corners(self.shades[..., 0])

    @_lazy
    def mirrored_corners(self) -> Corners:
        """ORB features of the mirrored luma."""
        return _corners(np.ascontiguousarray(self.shades[:, ::-1, 0]))

    @_lazy
    def blurred_shades(self) -> Floats:
        """(h / 2, w / 2, 2) both shades, shrunk and blurred."""
        return blurred(self.shades, 0.5)

    @_lazy
    def blurred_pixels(self) -> Floats:
        """(h / 2, w / 2, 3) red, green and blue, shrunk and blurred."""
        return blurred(self.pixels, 0.5)

    @_lazy
    def flat(self) -> float:
        """Share of pixels that look like their neighbors: small in photos, most of a drawing."""
        luma = self.shades[..., 0].astype(np.int16)
        across = abs(np.diff(luma, axis=1))[:-1]
        down = abs(np.diff(luma, axis=0))[:, :-1]
        return float((np.maximum(across, down) <= _FLAT_STEP).mean())

    @_lazy
    def content_mask(self) -> Floats:
        """(h / 2, w / 2) 1 inside the picture, 0 in its border."""
        mask = np.zeros(self.shades.shape[:2], np.float32)
        mask[_slices(self.views[-1])] = 1
        size = self.blurred_shades.shape[1::-1]
        return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA))


def sketch(pixels: Pixels) -> Sketch:
    """The sketch of a picture; its thumbnail is enough."""
    small = shrunk(pixels)
    height, width = small.shape[:2]
    shades = _shades(small)
    whole, content = (0, 0, width, height), _content(small)
    views = (whole,) if content == whole else (whole, content)
    squares = np.concatenate([_square(shades, view) for view in views])
    is_large = min(pixels.shape[:2]) >= _MIN_SIDE
    is_informative = is_large and _detail(_centered(squares[-2:])[0]) >= _MIN_DETAIL
    made = Sketch(lambda: small, views, squares, is_informative)
    made.__dict__["shades"] = shades
    return made


def shrunk(pixels: Pixels) -> Pixels:
    """The picture resized so that its longer side has `SIDE` pixels."""
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=interpolation), np.uint8)


def blurred(picture: Bytes, scale: float) -> Floats:
    """The picture shrunk and blurred."""
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR), np.float32)


def _shades(small: Pixels) -> Bytes:
    red, green, blue = cv2.split(small)
    greatest = cv2.max(cv2.max(red, green), blue)  # NumPy's takes twenty times as long
    return np.asarray(cv2.merge([cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), greatest]), np.uint8)


# --- borders --------------------------------------------------------------------------------


def _content(small: Pixels) -> Box:
    """The part enclosed by a border of one color; the whole picture if that part is small."""
    height, width = small.shape[:2]
    lines = small.astype(np.int16)
    top, bottom = _border(lines), height - _border(lines[::-1])
    columns = lines[top:bottom].transpose(1, 0, 2)
    if bottom - top < 8:
        return (0, 0, width, height)
    left, right = _border(columns), width - _border(columns[::-1])
    if right - left < 8 or (right - left) * (bottom - top) < 0.1 * width * height:
        return (0, 0, width, height)
    return (left, top, right - left, bottom - top)


def _border(lines: NDArray[np.int16]) -> int:
    """Number of leading lines that have the color of the first."""
    color = np.median(lines[0], axis=0)
    mean, greatest = _BORDER
    count = 0
    for line in lines:
        deviation = abs(line - color)
        if deviation.mean() >= mean or deviation.max() >= greatest:
            break
        count += 1
    return min(count + 1, len(lines)) if count else 0  # the next one is blended with the picture


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return slice(top, top + height), slice(left, left + width)


# --- squares --------------------------------------------------------------------------------


def _square(shades: Bytes, view: Box) -> Bytes:
    """(2, 1024) both shades of a view, stretched to a square."""
    size = SQUARE_SIDE, SQUARE_SIDE
    square = cv2.resize(shades[_slices(view)], size, interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.uint8).reshape(-1, 2).T


def _centered(squares: Bytes) -> Floats:
    rows = squares.astype(np.float32)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True), np.float32)


def _detail(square: Floats) -> float:
    """Standard deviation, in gray levels, from the smooth slope that fits the picture best."""
    slopes = _slopes()
    fitted = (slopes * (slopes * square).sum(axis=1, keepdims=True)).sum(axis=0)
    return float((square - fitted).std())


@lru_cache
def _slopes() -> Floats:
    """(6, 1024) orthonormal polynomials up to the second degree."""
    y, x = np.mgrid[-1 : 1 : SQUARE_SIDE * 1j, -1 : 1 : SQUARE_SIDE * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    return np.asarray(np.linalg.qr(terms)[0].T, np.float32)


# --- local features -------------------------------------------------------------------------


def _corners(luma: Bytes) -> Corners:
    points, descriptors = _orb().detectAndCompute(luma, None)
    if not points:
        return Corners(_NO_POSITIONS, _NO_POSITIONS, np.zeros((0, 32), np.uint8))
    return Corners(*_positions(points), np.asarray(descriptors, np.uint8))


def _positions(points: Sequence[cv2.KeyPoint]) -> tuple[Complex, Complex]:
    """Position and spread of features, in the precision in which they are stored."""
    x, y, size, angle = np.array([(*point.pt, point.size, point.angle) for point in points]).T
    exact = x + 1j * y, size * np.exp(1j * np.deg2rad(angle))
    at, spread = (values.astype(np.complex64).astype(np.complex128) for values in exact)
    return at, spread


@lru_cache
def _sift() -> cv2.Feature2D:
    create: Callable[..., cv2.Feature2D] = cv2.SIFT_create  # type: ignore[attr-defined]  # it has
    return create(nfeatures=_MAX_FEATURES, contrastThreshold=0.02)


@lru_cache
def _orb() -> cv2.ORB:
    return cv2.ORB.create(
        nfeatures=_MAX_CORNERS,
        scaleFactor=1.2,
        nlevels=6,
        edgeThreshold=15,
        patchSize=21,
        fastThreshold=10,
    )
