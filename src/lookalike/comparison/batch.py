"""Comparison of pictures in batches, from their thumbnails and sketches.

It knows neither files nor the index, so it can run in a child process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from lookalike.comparison import evidence
from lookalike.comparison import sketch as sketches
from lookalike.comparison.agreement import Doubles
from lookalike.comparison.codec import completeness, pack, packed_completeness, unpack
from lookalike.comparison.evidence import Evidence
from lookalike.comparison.full_size import refined_alignment, rescaled
from lookalike.comparison.marks import mark_changes, may_be_document
from lookalike.comparison.sketch import Sketch, shrunk
from lookalike.imaging.thumbnails import decode_thumbnail
from lookalike.types import Pixels

MAX_SHADE_DIFFERENCE = 2.0
"""Gray levels: greatest mean difference between two thumbnails of the same pixels, of which one may
have been shrunk by its decoder."""

_CACHED_SKETCHES = 128
"""Sketches in memory: 95 kB each while corners suffice, and 260 kB (320 kB for a square picture)
after a comparison by features and pixels."""

_CACHED_THUMBNAILS = 8
"""Decoded thumbnails in memory, 230 kB each."""


class StoredPicture(NamedTuple):
    """The packed sketch and the JPEG thumbnail of a picture.

    The sketch of a new picture is empty; both are empty if the picture cannot be read.
    """

    sketch: bytes
    thumbnail: bytes


class RelativeAlignment(NamedTuple):
    """An alignment of two pictures of any size.

    Attributes:
        matrix: the six numbers of the matrix from the first picture to the second, row by row, as
            if both were one pixel wide.
        is_refined: whether it is as exact as the thumbnails allow.
    """

    matrix: tuple[float, ...]
    is_refined: bool

    def between(self, widths: tuple[int, int]) -> Doubles:
        """The matrix between two pictures of these widths."""
        return rescaled(np.reshape(self.matrix, (2, 3)), (1, 1), widths)

    def reversed(self) -> RelativeAlignment:
        """The alignment of the second picture with the first."""
        inverse = cv2.invertAffineTransform(np.reshape(self.matrix, (2, 3)))
        return RelativeAlignment(tuple(inverse.ravel().tolist()), self.is_refined)


class Comparison(NamedTuple):
    """The result for two pictures of which one is a copy of the other.

    Attributes:
        evidence: that it is a copy.
        looks_identical: whether the thumbnails are so alike that all pixels may be the same.
        alignment: by which the contents of the originals are to be compared; None if the thumbnails
            suffice to tell that they are the same.
    """

    evidence: Evidence
    looks_identical: bool
    alignment: RelativeAlignment | None

    def reversed(self) -> Comparison:
        """The result for the same two pictures in the reverse order."""
        alignment = None if self.alignment is None else self.alignment.reversed()
        return Comparison(self.evidence.reversed(), self.looks_identical, alignment)


class BatchResult(NamedTuple):
    """The results of a batch.

    Attributes:
        comparisons: for each pair; None if neither picture is a copy of the other.
        sketches: for each picture its packed sketch; empty if nothing was added to it.
    """

    comparisons: list[Comparison | None]
    sketches: list[bytes]


def sketch(thumbnail: bytes) -> bytes:
    """The packed sketch of a query picture, with everything that each comparison needs of it; empty
    if the thumbnail is damaged."""
    made = _sketch(StoredPicture(b"", thumbnail))
    if made is None:
        return b""
    if made.is_informative:  # half of all queries need all of it, and the process would be idle now
        _ = made.features, made.mirrored_corners
    return pack(made)


def compare(pictures: Sequence[StoredPicture], pairs: Sequence[tuple[int, int]]) -> BatchResult:
    """Compares pairs of pictures, given by their positions."""
    loaded = [_sketch(picture) for picture in pictures]
    comparisons = [
        _compare(
            loaded[first],
            loaded[second],
            (pictures[first].thumbnail, pictures[second].thumbnail),
        )
        for first, second in pairs
    ]
    packed = [_extended(made, picture) for made, picture in zip(loaded, pictures, strict=True)]
    return BatchResult(comparisons, packed)


def _extended(made: Sketch | None, picture: StoredPicture) -> bytes:
    """The packed sketch, if it is more complete than the stored one; else empty."""
    if made is None or completeness(made) <= packed_completeness(picture.sketch):
        return b""
    return pack(made)


@lru_cache(maxsize=_CACHED_SKETCHES)
def _sketch(picture: StoredPicture) -> Sketch | None:
    if picture.sketch:
        unpacked = unpack(picture.sketch, lambda: shrunk(_pixels(picture.thumbnail)))
        if unpacked is not None:
            return unpacked
    pixels = decode_thumbnail(picture.thumbnail) if picture.thumbnail else None
    return None if pixels is None else sketches.sketch(pixels)


@lru_cache(maxsize=_CACHED_THUMBNAILS)
def _pixels(thumbnail: bytes) -> Pixels:
    """The pixels of a thumbnail from which a sketch was made."""
    pixels = decode_thumbnail(thumbnail)
    assert pixels is not None  # noqa: S101 -- its checksum says that it has not changed
    return pixels


def _compare(
    first: Sketch | None, second: Sketch | None, thumbnails: tuple[bytes, bytes]
) -> Comparison | None:
    if first is None or second is None:
        return None
    found = evidence.best_evidence(first, second)
    if found is None or not found[0].is_copy:
        return None
    alignment = _alignment_if_changed((first, second), thumbnails, found[1])
    return Comparison(found[0], _look_identical(first, second), alignment)


def _look_identical(first: Sketch, second: Sketch) -> bool:
    if first.shades.shape != second.shades.shape:
        return False
    difference = np.abs(first.shades.astype(np.int16) - second.shades)
    return bool(difference.mean() <= MAX_SHADE_DIFFERENCE)


def _alignment_if_changed(
    pair: tuple[Sketch, Sketch], thumbnails: tuple[bytes, bytes], matrix: Doubles
) -> RelativeAlignment | None:
    """The alignment of two copies that may have other contents; None if they have the same.

    Args:
        pair: their sketches.
        thumbnails: of the same.
        matrix: from the pixels of the first sketch to those of the second.
    """
    one, other = pictures = _pixels(thumbnails[0]), _pixels(thumbnails[1])
    widths = one.shape[1], other.shape[1]
    matrix = rescaled(matrix, (pair[0].shades.shape[1], pair[1].shades.shape[1]), widths)
    if may_be_document(one) or may_be_document(other):
        return _relative(matrix, widths, is_refined=False)
    # The coarse alignment comes first, as it is known: where it is wrong, marks seem to change.
    if mark_changes(*pictures, matrix).is_unchanged:
        return None
    refined = refined_alignment(pair, pictures)
    if refined is None or mark_changes(*pictures, refined).is_unchanged:
        return None
    return _relative(refined, widths, is_refined=True)


def _relative(matrix: Doubles, widths: tuple[int, int], *, is_refined: bool) -> RelativeAlignment:
    return RelativeAlignment(tuple(rescaled(matrix, widths, (1, 1)).ravel().tolist()), is_refined)
