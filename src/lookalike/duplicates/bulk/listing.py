"""The images of a check, in files: their ids, what they are found by, and equal files among them.

Images are numbered in the order of the engine, from 0. A file stands for all images with its bytes
and has the number of the first of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.hamming import Hashes, is_informative
from lookalike.protocols import Engine
from lookalike.record import record_of
from lookalike.system.external_sort import (
    ExternalSort,
    Table,
    first_of_groups,
    read_table,
    write_table,
)
from lookalike.types import Filter, Point, PointId, point_id

StageProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the name of a stage, the work done in it, and its total."""

Numbers: TypeAlias = NDArray[np.uint64]
"""(n,) numbers of images."""

MOST_IMAGES = 2**32 - 1
_FIND_ROWS = 512  # rows of which one is in memory, to find the others by


class Listing:
    """The images of a check, as `write_listing` wrote them.

    Attributes:
        folder: of the files.
        count: number of images.
        files: number of images that stand for a file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = (folder / "offsets").stat().st_size // 8 - 1
        self.files = self.count - (folder / "twins").stat().st_size // 16
        self._first_keys: Numbers | None = None

    def ids(self, images: Sequence[int] | Numbers) -> list[str]:
        """The ids of images."""
        found = []
        with ExitStack() as stack:
            offsets, ids = (
                stack.enter_context((self.folder / name).open("rb")) for name in ("offsets", "ids")
            )
            for image in images:
                offsets.seek(8 * int(image))
                start, end = np.fromfile(offsets, np.uint64, 2).tolist()
                ids.seek(start)
                found.append(ids.read(end - start).decode("utf-8", "surrogatepass"))
        return found

    def files_within(self, start: int, stop: int) -> Numbers:
        """The files from number `start` to before `stop`."""
        images = np.arange(start, min(stop, self.count), dtype=np.uint64)
        file = self.folder / "file_of"
        tables = list(read_table(file, 1, start=start, stop=start + len(images)))
        return images[np.concatenate(tables)[:, 0] == images] if tables else images

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        """The files of points of the engine; -1 for a point that is not in the check."""
        file = self.folder / "points"
        if self._first_keys is None:
            every = [table[:, 0] for table in read_table(file, 2, 16 * _FIND_ROWS)]
            self._first_keys = np.array([keys[0] for keys in every if len(keys)], np.uint64)
        keys = np.array([_key(point) for point in points], np.uint64)
        found = np.full(len(keys), -1, np.int64)
        blocks = np.searchsorted(self._first_keys, keys, "right") - 1
        order = np.argsort(blocks, kind="stable")
        order = order[blocks[order] >= 0]
        for part in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
            if len(part):
                start = int(blocks[part[0]]) * _FIND_ROWS
                rows = min(_FIND_ROWS, self.count - start)
                (table,) = read_table(file, 2, 16 * rows, start=start, stop=start + rows)
                at = np.searchsorted(table[:, 0], keys[part])
                known = table[np.minimum(at, rows - 1), 0] == keys[part]
                found[part[known]] = table[at[known], 1]
        return found

    def twins(self) -> Iterator[Table]:
        """Rows of a file and another image with its bytes, sorted."""
        return read_table(self.folder / "twins", 2)

    def equal_hashes(self) -> Iterator[Table]:
        """Rows of a file and another file with its hash, the first of those with it."""
        return read_table(self.folder / "equal_hashes", 2)

    @property
    def hashes(self) -> int:
        """Number of different hashes of informative pictures."""
        return (self.folder / "hashes").stat().st_size // 16

    def read_hashes(self) -> Iterator[tuple[NDArray[np.int64], Hashes]]:
        """The first file of each different hash, in ascending order, and the hashes."""
        for table in read_table(self.folder / "hashes", 2):
            yield table[:, 0].astype(np.int64), table[:, 1].copy()


def write_listing(
    folder: Path, engine: Engine, where: Filter | None, memory: int, progress: StageProgress
) -> str:
    """Reads the whole index once; returns a digest of the images and their files.

    Args:
        folder: an empty one.
        memory: bytes.
    """
    digest = hashlib.blake2b(digest_size=8)
    by_digest = ExternalSort(folder, 3, memory // 2)
    total, count, end = engine.count(where), 0, 0
    with ExitStack() as stack:
        ids, offsets, facts = (
            stack.enter_context((folder / name).open("wb")) for name in ("ids", "offsets", "facts")
        )
        offsets.write(bytes(8))
        for points in engine.scroll(where):
            names, columns, digests = _columns(points)
            digest.update(b"\0".join(names))
            digest.update(digests.tobytes())
            ends = end + np.cumsum([len(name) for name in names], dtype=np.uint64)
            by_digest.add(*digests.T, np.arange(count, count + len(points)))
            ids.write(b"".join(names))
            offsets.write(ends.tobytes())
            facts.write(columns.tobytes())
            count, end = count + len(points), int(ends[-1]) if len(ends) else end
            progress("reading", count, total)
    _write_files(folder, by_digest, memory)
    return digest.hexdigest()


def _columns(points: Sequence[Point]) -> tuple[list[bytes], Table, Table]:
    """The ids; rows of hash and key of the point; and rows of the digest's two halves."""
    names = [point.id.encode("utf-8", "surrogatepass") for point in points]
    images = [record_of(point.payload) for point in points]
    hashes = [int(image["phash"], 16) for image in images]
    keys = [_key(point_id(point.id)) for point in points]
    digests = b"".join(bytes.fromhex(image["sha256"])[:16] for image in images)
    return (
        names,
        np.array([hashes, keys], np.uint64).T,
        np.frombuffer(digests, ">u8").reshape(-1, 2).astype(np.uint64),
    )


def _write_files(folder: Path, by_digest: ExternalSort, memory: int) -> None:
    """Writes the file of each image, and what is known of files."""
    twins, file_of = (ExternalSort(folder, 2, memory // 4) for _ in range(2))
    for table, firsts in first_of_groups(by_digest, 2):
        images, first = table[:, 2], firsts[:, 2]
        repeated = images != first
        twins.add(first[repeated], images[repeated])
        file_of.add(images, first)
    write_table(folder / "twins", twins)
    points, by_hash = (ExternalSort(folder, 2, memory // 4) for _ in range(2))

    def files() -> Iterator[Table]:
        for table in file_of:
            images, files = table.T
            start, stop = (int(images[0]), int(images[-1]) + 1) if len(table) else (0, 0)
            facts = list(read_table(folder / "facts", 2, start=start, stop=stop))
            hashes, keys = np.concatenate([np.empty((0, 2), np.uint64), *facts]).T
            points.add(keys, files)
            shown = (images == files) & is_informative(hashes)
            by_hash.add(hashes[shown], images[shown])
            yield files[:, None]

    write_table(folder / "file_of", files())
    write_table(folder / "points", points)
    hashes, equal = (ExternalSort(folder, 2, memory // 4) for _ in range(2))
    for table, firsts in first_of_groups(by_hash, 1):
        first = firsts[:, 1]
        is_first = table[:, 1] == first
        hashes.add(table[is_first, 1], table[is_first, 0])
        equal.add(first[~is_first], table[~is_first, 1])
    write_table(folder / "hashes", hashes)
    write_table(folder / "equal_hashes", equal)
    (folder / "facts").unlink()


def _key(point: PointId) -> int:
    """64 bits of the 122 random ones of a point's id. Two points of a hundred million share them
    once in thousands of checks; then one of them is not found as a neighbor."""
    return (point.int ^ point.int >> 61) & 0xFFFFFFFFFFFFFFFF
