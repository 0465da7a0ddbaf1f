"""What is compared of a picture when copies are sought: small, and made once for each picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.types import Pixels

SIDE = 144
"""Pixels along the longer side of what is looked at."""

TINY = 32
"""Pixels along the sides of the squares that whole pictures are compared by."""

_SMALLEST = 24  # pixels: a picture with a shorter side than this says nothing
_PLAIN = 3.0  # grey levels that a picture differs from a smooth slope, below which it says nothing
_BORDER = 3.0, 40.0  # how far a border's pixels are from one color: on average, and at most
_LEVEL = 2  # grey levels that neighbors differ by at most where there is nothing to see
_FEATURES = 200
_CORNERS = 150
_BLUR = 0.8  # pixels: what a copy may lose in sharpness
_NOWHERE = np.zeros(0, np.complex128)

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Complex = NDArray[np.complex128]
Box = tuple[int, int, int, int]
"""Left, top, width, height."""


_T = TypeVar("_T")


class _lazy(Generic[_T]):  # noqa: N801 -- a decorator
    """As `functools.cached_property`, whose lock before Python 3.12 lets only one thread at a time
    make anything, whatever it is of."""

    def __init__(self, make: Callable[[Any], _T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: object, type: type | None = None) -> _T:
        made = owner.__dict__[self._name] = self._make(owner)  # where it is found from now on
        return made


@dataclass(frozen=True)
class Features:
    """Local features: one row each.

    Attributes:
        at: (n,) where they are, x + iy in pixels.
        spread: (n,) size, and as an angle the direction, of what they describe.
        counts: (n, 128) how much of the picture around them has each direction.
    """

    at: Complex
    spread: Complex
    counts: Bytes

    @_lazy
    def descriptors(self) -> Floats:
        """(n, 128) of length 1."""
        counts = self.counts.astype(np.float32)
        roots = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-6))
        return np.asarray(roots, np.float32)


@dataclass(frozen=True)
class Corners:
    """As `Features`, but found in a seventh of the time and told apart by bits, (n, 32) bytes. ORB:
    Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or SURF", 2011."""

    at: Complex
    spread: Complex
    descriptors: Bytes


@dataclass(frozen=True)
class Sketch:
    """What is compared of a picture. All but its squares is made when it is first needed.

    Attributes:
        small: gives its pixels, shrunk.
        views: the whole picture, and what a border of one color encloses where there is one.
        squares: (2 x views, 1024) both shades of each, stretched to squares.
        is_informative: False where it is too small or too plain to be told from others.
    """

    small: Callable[[], Pixels]
    views: tuple[Box, ...]
    squares: Bytes
    is_informative: bool

    @_lazy
    def pixels(self) -> Pixels:
        """(h, w, 3)."""
        return self.small()

    @_lazy
    def shades(self) -> Bytes:
        """(h, w, 2): luma, and the brightest of red, green and blue. Changes of saturation keep the
        one, shifts of hue keep the other."""
        return _shades(self.pixels)

    @_lazy
    def tiny(self) -> Floats:
        """(2 x views, 1024): the squares, of mean 0 and length 1."""
        squares = _centerd(self.squares)
        lengths = np.linalg.norm(squares, axis=1, keepdims=True)
        return np.asarray(squares / np.maximum(lengths, 1e-6), np.float32)

    @_lazy
    def features(self) -> Features:
        points, descriptors = _sift().detectAndCompute(self.shades[..., 0], None)
        if not points:
            return Features(_NOWHERE, _NOWHERE, np.zeros((0, 128), np.uint8))
        return Features(
            *_places(points), np.asarray(descriptors, np.uint8)
        )  # they are whole numbers

    @_lazy
    def corners(self) -> Corners:
        return _corners(self.shades[..., 0])

    @_lazy
    def mirrored_corners(self) -> Corners:
        return _corners(np.ascontiguousarray(self.shades[:, ::-1, 0]))

    @_lazy
    def soft(self) -> Floats:
        """(h / 2, w / 2, 2): both shades blurred."""
        return soft(self.shades, 0.5)

    @_lazy
    def colors(self) -> Floats:
        """(h / 2, w / 2, 3): red, green and blue blurred."""
        return soft(self.pixels, 0.5)

    @_lazy
    def flat(self) -> float:
        """Share of pixels that look like their neighbors: little of photos, most of drawings."""
        luma = self.shades[..., 0].astype(np.int16)
        across = abs(np.diff(luma, axis=1))[:-1]
        down = abs(np.diff(luma, axis=0))[:, :-1]
        return float((np.maximum(across, down) <= _LEVEL).mean())

    @_lazy
    def inside(self) -> Floats:
        """(h / 2, w / 2): 1 in the picture, 0 in its border."""
        mask = np.zeros(self.shades.shape[:2], np.float32)
        mask[_slices(self.views[-1])] = 1
        return np.asarray(cv2.resize(mask, self.soft.shape[1::-1], interpolation=cv2.INTER_AREA))


def _corners(grey: Bytes) -> Corners:
    points, descriptors = _orb().detectAndCompute(grey, None)
    if not points:
        return Corners(_NOWHERE, _NOWHERE, np.zeros((0, 32), np.uint8))
    return Corners(*_places(points), np.asarray(descriptors, np.uint8))


def _places(points: Sequence[cv2.KeyPoint]) -> tuple[Complex, Complex]:
    """Where they are, and their spread, as exact as they are kept."""
    x, y, size, angle = np.array([(*point.pt, point.size, point.angle) for point in points]).T
    places = x + 1j * y, size * np.exp(1j * np.deg2rad(angle))
    at, spread = (place.astype(np.complex64).astype(np.complex128) for place in places)
    return at, spread


def sketch(pixels: Pixels) -> Sketch:
    """What `compare` needs of a picture; a thumbnail will do."""
    small = shrunk(pixels)
    height, width = small.shape[:2]
    shades = _shades(small)
    whole, content = (0, 0, width, height), _content(small)
    views = (whole,) if content == whole else (whole, content)
    squares = np.concatenate([_square(shades, view) for view in views])
    large = min(pixels.shape[:2]) >= _SMALLEST
    is_informative = large and _detail(_centerd(squares[-2:])[0]) >= _PLAIN
    made = Sketch(lambda: small, views, squares, is_informative)
    made.__dict__["shades"] = shades
    return made


def shrunk(pixels: Pixels) -> Pixels:
    """As large as what is looked at."""
    height, width = pixels.shape[:2]
    factor = SIDE / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


def _shades(small: Pixels) -> Bytes:
    red, green, blue = cv2.split(small)
    brightest = cv2.max(cv2.max(red, green), blue)  # NumPy's takes twenty times as long
    return np.asarray(cv2.merge([cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), brightest]), np.uint8)


def _content(small: Pixels) -> Box:
    """What a border of one color encloses; everything where that would leave little."""
    height, width = small.shape[:2]
    lines = small.astype(np.int16)
    top, bottom = _plain(lines), height - _plain(lines[::-1])
    columns = lines[top:bottom].transpose(1, 0, 2)
    if bottom - top < 8:
        return (0, 0, width, height)
    left, right = _plain(columns), width - _plain(columns[::-1])
    if right - left < 8 or (right - left) * (bottom - top) < 0.1 * width * height:
        return (0, 0, width, height)
    return (left, top, right - left, bottom - top)


def _plain(lines: NDArray[np.int16]) -> int:
    """How many lines at the beginning have the color of the first."""
    color = np.median(lines[0], axis=0)
    mean, most = _BORDER
    count = 0
    for line in lines:
        far = abs(line - color)
        if far.mean() >= mean or far.max() >= most:
            break
        count += 1
    return min(count + 1, len(lines)) if count else 0  # its edge is blended with the picture


def _slices(box: Box) -> tuple[slice, slice]:
    left, top, width, height = box
    return slice(top, top + height), slice(left, left + width)


def _square(shades: Bytes, view: Box) -> Bytes:
    """(2, 1024): both shades of a view stretched to a square."""
    square = cv2.resize(shades[_slices(view)], (TINY, TINY), interpolation=cv2.INTER_AREA)
    return np.asarray(square, np.uint8).reshape(-1, 2).T


def _centerd(squares: Bytes) -> Floats:
    rows = squares.astype(np.float32)
    return np.asarray(rows - rows.mean(axis=1, keepdims=True), np.float32)


def _detail(square: Floats) -> float:
    """Grey levels by which a picture differs from the smooth slope that fits it best."""
    slopes = _slopes()
    fitted = (slopes * (slopes * square).sum(axis=1, keepdims=True)).sum(axis=0)
    return float((square - fitted).std())


@lru_cache
def _slopes() -> Floats:
    """(6, 1024): orthonormal polynomials up to the second degree."""
    y, x = np.mgrid[-1 : 1 : TINY * 1j, -1 : 1 : TINY * 1j].reshape(2, -1)
    terms = np.stack([np.ones_like(x), x, y, x * y, x * x, y * y], axis=1)
    return np.asarray(np.linalg.qr(terms)[0].T, np.float32)


@lru_cache
def _sift() -> cv2.Feature2D:
    make: Callable[..., cv2.Feature2D] = cv2.SIFT_create  # type: ignore[attr-defined]  # it has
    return make(nfeatures=_FEATURES, contrastThreshold=0.02)


@lru_cache
def _orb() -> cv2.ORB:
    return cv2.ORB.create(
        nfeatures=_CORNERS,
        scaleFactor=1.2,
        nlevels=6,
        edgeThreshold=15,
        patchSize=21,
        fastThreshold=10,
    )


def soft(shades: Bytes, scale: float) -> Floats:
    """Shrunk and blurred."""
    height, width = shades.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(shades, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR), np.float32)
