"""Pictures compared by what is kept of them: the part of a `Comparer` that may run in another
process. It knows neither files nor the index."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lookalike.comparison import evidence
from lookalike.comparison.codec import pack, parts, parts_of, unpack
from lookalike.comparison.evidence import Evidence, Sketch
from lookalike.comparison.sketch import shrunk
from lookalike.imaging.thumbnails import decode_thumbnail
from lookalike.types import Pixels

__all__ = ["Compared", "Found", "Kept", "compare", "sketch"]

SAME_SHADES = 2.0
"""Of 256: the mean by which two thumbnails of the same pixels may differ, for one may have been
shrunk by its decoder and the other not."""

_SKETCHES = 128
"""Sketches at hand: 95 kB each as long as corners tell pictures apart, and 260 kB (of a square
picture 320 kB) once they were compared by features and laid over one another."""


class Kept(NamedTuple):
    """What there is of a picture: its packed sketch, and its thumbnail, a JPEG. Of a new picture
    the sketch is empty, of one that cannot be read both are."""

    sketch: bytes
    thumbnail: bytes


class Found(NamedTuple):
    """The evidence that one picture is the other's copy, and whether they look the same, so that
    it is worth comparing all their pixels."""

    evidence: Evidence
    look_the_same: bool


class Compared(NamedTuple):
    """What was found of each pair, None where the two are no copies; and of each picture its
    sketch with what had to be made of it, empty where there is nothing to add."""

    found: list[Found | None]
    grown: list[bytes]


def sketch(thumbnail: bytes) -> bytes:
    """The packed sketch of the one picture that is asked about, with what every comparison needs
    of it; empty where its thumbnail is damaged."""
    made = _sketch(Kept(b"", thumbnail))
    if made is None:
        return b""
    if made.is_informative:
        _ = made.features  # needed half of the time, and now there is nothing else to do
    return pack(made, mirrored=made.is_informative)


def compare(pictures: Sequence[Kept], pairs: Sequence[tuple[int, int]]) -> Compared:
    """Compares pairs of pictures, given by their places."""
    sketches = [_sketch(picture) for picture in pictures]
    found = [_compared(sketches[one], sketches[other]) for one, other in pairs]
    grown = [
        pack(made) if made is not None and parts(made) > parts_of(picture.sketch) else b""
        for picture, made in zip(pictures, sketches, strict=True)
    ]
    return Compared(found, grown)


@lru_cache(maxsize=_SKETCHES)
def _sketch(picture: Kept) -> Sketch | None:
    if picture.sketch:
        unpacked = unpack(picture.sketch, lambda: shrunk(_pixels(picture.thumbnail)))
        if unpacked is not None:
            return unpacked
    pixels = decode_thumbnail(picture.thumbnail) if picture.thumbnail else None
    return None if pixels is None else evidence.sketch(pixels)


def _pixels(thumbnail: bytes) -> Pixels:
    """Of a thumbnail that a sketch was made of."""
    pixels = decode_thumbnail(thumbnail)
    assert pixels is not None  # noqa: S101 -- its checksum says that it is as it was
    return pixels


def _compared(one: Sketch | None, other: Sketch | None) -> Found | None:
    if one is None or other is None:
        return None
    found = evidence.compare(one, other)
    if found is None or not found.is_copy:
        return None
    return Found(found, _look_the_same(one, other))


def _look_the_same(one: Sketch, other: Sketch) -> bool:
    if one.shades.shape != other.shades.shape:
        return False
    differing = np.abs(one.shades.astype(np.int16) - other.shades)
    return bool(differing.mean() <= SAME_SHADES)
