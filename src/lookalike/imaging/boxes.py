"""Boxes of ISO-BMFF: the containers of AVIF, HEIF, Canon's CR3 and MP4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

_MAX_BOXES = 10_000
"""Boxes read of one container. A hostile file consists of millions."""


class Box(NamedTuple):
    """A box: its type, and where its content begins and ends. The end may lie beyond the file."""

    kind: bytes
    start: int
    end: int


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yields the boxes between two positions, up to the first that is broken or unlimited."""
    end = len(data) if end is None else min(end, len(data))
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size = int.from_bytes(data[start : start + 4], "big")
        kind, header = data[start + 4 : start + 8], 8
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        if size < header:  # 0: this box runs to the end of the file
            return
        yield Box(kind, start + header, start + size)
        start += size


def find_boxes(data: bytes, *path: bytes) -> Iterator[Box]:
    """Yields the boxes of a path of types, such as `meta`, `iprp`, `ipco`, `av1C`."""
    found = list(boxes(data))
    for depth, kind in enumerate(path):
        found = [box for box in found if box.kind == kind]
        if depth < len(path) - 1:
            found = [
                inner
                for box in found
                for inner in boxes(data, box.start + (4 if kind == b"meta" else 0), box.end)
            ]
    yield from found
