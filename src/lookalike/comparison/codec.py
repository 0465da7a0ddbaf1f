"""Sketches as bytes, to be kept beside thumbnails: what of them takes long to make."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.sketch import Complex, Corners, Features, Sketch
from lookalike.types import Pixels

FORMAT = 2
"""Of the bytes, and of how what is in them is found: others are made anew."""

EVERYTHING = 2
"""What `parts` says of a sketch of which there is nothing more to keep."""

_HEAD = struct.Struct("<BBBxHHHd")  # format, says something, views, then how many of each, flat
_NONE = 0xFFFF  # of what was not needed yet


def parts(sketch: Sketch) -> int:
    """How much there is to keep: 0, 1 for its corners, 2 for its features and corners."""
    made = sketch.__dict__
    return EVERYTHING if "features" in made else 1 if "corners" in made else 0


def parts_of(data: bytes) -> int:
    """The same of bytes; 0 of those of which nothing can be used."""
    if not data or data[0] != FORMAT:
        return 0
    return 1 if _HEAD.unpack_from(data)[5] == _NONE else EVERYTHING


def pack(sketch: Sketch, *, mirrored: bool = False) -> bytes:
    """A sketch with its corners, and with its features if they were needed.

    Args:
        mirrored: whether to add the corners of its mirror image, which only one of two needs.
    """
    rows: list[NDArray[Any]] = [np.array(sketch.views, "<u2"), sketch.squares]
    counts = []
    for corners in (sketch.corners, sketch.mirrored_corners if mirrored else None):
        counts.append(_NONE if corners is None else len(corners.at))
        if corners is not None:
            rows += [corners.at.astype("<c8"), corners.spread.astype("<c8"), corners.descriptors]
    counts.append(_NONE)
    if parts(sketch) == EVERYTHING:
        features = sketch.features
        rows += [features.at.astype("<c8"), features.spread.astype("<c8"), features.counts]
        counts[-1] = len(features.at)
    head = _HEAD.pack(FORMAT, sketch.is_informative, len(sketch.views), *counts, sketch.flat)
    return head + b"".join(row.tobytes() for row in rows)


def unpack(data: bytes, small: Callable[[], Pixels]) -> Sketch | None:
    """The sketch; None of bytes that another version made.

    Args:
        data: what `pack` returned.
        small: gives the pixels that it was made of, shrunk.
    """
    if data[0] != FORMAT:
        return None
    _, is_informative, views, corners, mirrored, features, flat = _HEAD.unpack_from(data)
    at = _HEAD.size

    def take(type: str, *shape: int) -> NDArray[Any]:
        nonlocal at
        rows = np.frombuffer(data, type, int(np.prod(shape)), at).reshape(shape)
        at += rows.nbytes
        return rows

    def places(count: int) -> Complex:
        return take("<c8", count).astype(np.complex128)

    boxes = tuple((x, y, width, height) for x, y, width, height in take("<u2", views, 4).tolist())
    sketch = Sketch(small, boxes, take("u1", 2 * views, 1024), bool(is_informative))
    made = sketch.__dict__  # as if it had been made
    made["flat"] = flat
    for name, count in (("corners", corners), ("mirrored_corners", mirrored)):
        if count != _NONE:
            made[name] = Corners(places(count), places(count), take("u1", count, 32))
    if features != _NONE:
        made["features"] = Features(places(features), places(features), take("u1", features, 128))
    return sketch
