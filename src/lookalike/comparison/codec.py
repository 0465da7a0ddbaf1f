"""Serialization of sketches, which are stored beside thumbnails because they take long to make."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.sketch import Complex, Corners, Features, Sketch
from lookalike.types import Pixels

FORMAT = 2
"""Version of the bytes and of the methods that compute their content. Sketches of another version
are made again."""

_HEADER = struct.Struct("<BBBxHHHd")
"""Format, informative, views; numbers of corners, mirrored corners and features; flat."""
_MISSING = 0xFFFF
"""In place of a number: not computed."""


def completeness(sketch: Sketch) -> int:
    """The parts that were computed: 1 for corners, and 1 more for those of the mirror image, and 2
    more for features; 0 for none."""
    computed = sketch.__dict__
    if "features" not in computed and "corners" not in computed:
        return 0
    return 1 + ("mirrored_corners" in computed) + 2 * ("features" in computed)


def packed_completeness(data: bytes) -> int:
    """The same for a packed sketch; 0 if it is unusable."""
    if not data or data[0] != FORMAT:
        return 0
    mirrored, features = _HEADER.unpack_from(data)[4:6]
    return 1 + int(mirrored != _MISSING) + 2 * int(features != _MISSING)


def pack(sketch: Sketch) -> bytes:
    """The bytes of a sketch with its corners; those of the mirror image and the features only if
    they were computed."""
    rows: list[NDArray[Any]] = [np.array(sketch.views, "<u2"), sketch.squares]
    counts = []
    for corners in (sketch.corners, sketch.__dict__.get("mirrored_corners")):
        counts.append(_MISSING if corners is None else len(corners.at))
        if corners is not None:
            rows += [corners.at.astype("<c8"), corners.spread.astype("<c8"), corners.descriptors]
    counts.append(_MISSING)
    if "features" in sketch.__dict__:
        features = sketch.features
        rows += [features.at.astype("<c8"), features.spread.astype("<c8"), features.counts]
        counts[-1] = len(features.at)
    is_informative, views = sketch.is_informative, len(sketch.views)
    header = _HEADER.pack(FORMAT, is_informative, views, *counts, sketch.flat)
    return header + b"".join(row.tobytes() for row in rows)


def unpack(data: bytes, load_pixels: Callable[[], Pixels]) -> Sketch | None:
    """The sketch in these bytes; None if another version wrote them.

    Args:
        data: bytes from `pack`.
        load_pixels: returns the shrunk pixels that the sketch was made from.
    """
    if data[0] != FORMAT:
        return None
    _, is_informative, views, corners, mirrored, features, flat = _HEADER.unpack_from(data)
    at = _HEADER.size

    def take(type: str, *shape: int) -> NDArray[Any]:
        nonlocal at
        rows = np.frombuffer(data, type, int(np.prod(shape)), at).reshape(shape)
        at += rows.nbytes
        return rows

    def positions(count: int) -> Complex:
        return take("<c8", count).astype(np.complex128)

    boxes = tuple((x, y, width, height) for x, y, width, height in take("<u2", views, 4).tolist())
    sketch = Sketch(load_pixels, boxes, take("u1", 2 * views, 1024), bool(is_informative))
    computed = sketch.__dict__  # stored values take the place of computed ones
    computed["flat"] = flat
    for name, count in (("corners", corners), ("mirrored_corners", mirrored)):
        if count != _MISSING:
            computed[name] = Corners(positions(count), positions(count), take("u1", count, 32))
    if features != _MISSING:
        computed["features"] = Features(
            positions(features), positions(features), take("u1", features, 128)
        )
    return sketch
