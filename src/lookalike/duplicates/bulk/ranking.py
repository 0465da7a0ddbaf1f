"""The files of an index that may be in groups, the best keeper first, and the pairs among them."""

from __future__ import annotations

import heapq
import pickle
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.bulk.listing import Listing, Numbers
from lookalike.duplicates.bulk.proposals import HALF, files_of, unique_pairs
from lookalike.duplicates.check import DuplicateSearch
from lookalike.duplicates.keepers import Descending, KeeperPolicy
from lookalike.protocols import existing_points
from lookalike.system.external_sort import (
    ExternalSort,
    Table,
    attach,
    first_of_groups,
    read_table,
    write_table,
)

Places: TypeAlias = NDArray[np.int64]
"""Positions of files in the order of a policy."""

_Key: TypeAlias = tuple[Any, Descending, int, int]
"""Of an image: the policy's key, the id, the number of its file, and its own."""

_IMAGES_PER_REQUEST = 1000
_BYTES_PER_KEY = 1000  # in memory
_ROW_BYTES = 8


class RankedFiles:
    """Files in the order of a policy, on the disk, as `rank` wrote them. Made for one search."""

    def __init__(self, folder: Path, listing: Listing) -> None:
        self._listing = listing
        self._columns = {
            name: (folder / name).open("rb")
            for name in ("members", "member_starts", "neighbors", "neighbor_starts")
        }
        self._count = (folder / "member_starts").stat().st_size // _ROW_BYTES - 1

    def __len__(self) -> int:
        return self._count

    def ids(self, place: int) -> list[str]:
        """The ids of all images with the content of a file, the best keeper first."""
        return self._listing.ids(self._slice("member", place))

    def has_twins(self, place: int) -> bool:
        """True if several images have this content."""
        return len(self._slice("member", place)) > 1

    def neighbors(self, place: int) -> Places:
        """The files that are paired with a file, in ascending order."""
        return self._slice("neighbor", place).astype(np.int64)

    def close(self) -> None:
        """Closes the files."""
        for column in self._columns.values():
            column.close()

    def _slice(self, name: str, place: int) -> Numbers:
        start, stop = _numbers(self._columns[f"{name}_starts"], place, 2).tolist()
        return _numbers(self._columns[f"{name}s"], start, stop - start)


def rank(
    folder: Path,
    search: DuplicateSearch,
    listing: Listing,
    pairs: Iterable[Table],
    policy: KeeperPolicy,
    memory: int,
) -> RankedFiles:
    """Orders the files that are in a pair, or have twins.

    Args:
        folder: an empty one, for the result.
        pairs: one column, without repetitions.
        memory: bytes.
    """
    images, by_first = unique_pairs(folder, memory // 4), ExternalSort(folder, 2, memory // 4)
    for table in pairs:
        first, second = files_of(table[:, 0])
        by_first.add(first, second)
        for files in (first, second):
            images.add(files << HALF | files)
    for table in listing.twins():
        file, twin = table.T
        images.add(file << HALF | file)
        images.add(file << HALF | twin)
    keys = _keys(search, listing, images, policy)
    count = _write_members(folder, _best_first(folder, keys, memory // 4), memory // 2)
    _write_neighbors(folder, by_first, count, memory)
    return RankedFiles(folder, listing)


# --- files in order -------------------------------------------------------------------------


def _keys(
    search: DuplicateSearch, listing: Listing, images: Iterable[Table], policy: KeeperPolicy
) -> Iterator[_Key]:
    """The keys of images, given with their files; those that were deleted meanwhile have none."""
    for table in images:
        for start in range(0, len(table), _IMAGES_PER_REQUEST):
            files, numbers = files_of(table[start : start + _IMAGES_PER_REQUEST, 0])
            ids = listing.ids(numbers)
            both = zip(files.tolist(), numbers.tolist(), strict=True)
            numbered = dict(zip(ids, both, strict=True))
            for point in existing_points(search.engine, ids):
                yield policy.key(point.payload), Descending(point.id), *numbered[point.id]


def _best_first(folder: Path, keys: Iterator[_Key], memory: int) -> Iterator[_Key]:
    """The keys in descending order; sorted runs of what exceeds the memory wait in files."""
    runs: list[IO[bytes]] = []
    most = max(memory // _BYTES_PER_KEY, 64)
    while True:
        run = sorted(islice(keys, most), key=_order, reverse=True)
        if len(run) < most and not runs:
            yield from run
            return
        if run:
            runs.append(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 -- closed at the end
            for key in run:
                pickle.dump(key, runs[-1])
        if len(run) < most:
            break
    yield from heapq.merge(*map(_unpickled, runs), key=_order, reverse=True)
    for file in runs:
        file.close()


def _unpickled(file: IO[bytes]) -> Iterator[_Key]:
    size = file.tell()
    file.seek(0)
    while file.tell() < size:
        yield pickle.load(file)  # noqa: S301 -- `_best_first` wrote it


def _order(key: _Key) -> tuple[Any, Descending]:
    return key[0], key[1]


def _write_members(folder: Path, best_first: Iterable[_Key], memory: int) -> int:
    """Writes the images of each file in order, and the places of the files; returns the number of
    the files."""
    by_file = ExternalSort(folder, 3, memory // 2)
    for rank, (_, _, file, image) in enumerate(best_first):
        by_file.add(*np.array([[file], [rank], [image]], np.uint64))
    by_best = ExternalSort(folder, 4, memory // 2)
    for table, best in first_of_groups(by_file, 1):
        by_best.add(best[:, 1], table[:, 1], table[:, 2], table[:, 0])
    places = ExternalSort(folder, 2, memory // 2)
    images, files = 0, 0
    with (
        (folder / "members").open("wb") as members,
        (folder / "member_starts").open("wb") as starts,
    ):
        for table, best in first_of_groups(by_best, 1):
            new = np.flatnonzero(best[:, 1] == table[:, 1])  # the best image of each file
            members.write(table[:, 2].tobytes())
            starts.write((new + images).astype(np.uint64).tobytes())
            places.add(table[new, 3], np.arange(files, files + len(new)))
            images, files = images + len(table), files + len(new)
        starts.write(np.uint64(images).tobytes())
    write_table(folder / "places", places)
    return files


# --- pairs ----------------------------------------------------------------------------------


def _write_neighbors(folder: Path, by_first: Iterable[Table], count: int, memory: int) -> None:
    """Writes the places that each place is paired with."""
    by_second, pairs = ExternalSort(folder, 2, memory // 4), unique_pairs(folder, memory // 4)
    for table in attach(by_first, read_table(folder / "places", 2)):
        by_second.add(*table[:, 1:].T)
    for table in attach(by_second, read_table(folder / "places", 2)):
        _, one, other = table.T
        pairs.add(one << HALF | other)
        pairs.add(other << HALF | one)
    written, started = 0, 0
    with (
        (folder / "neighbors").open("wb") as neighbors,
        (folder / "neighbor_starts").open("wb") as starts,
    ):
        for table in pairs:
            if len(table):
                places, others = files_of(table[:, 0])
                neighbors.write(others.tobytes())
                begun = np.arange(started, int(places[-1]) + 1, dtype=np.uint64)
                starts.write((np.searchsorted(places, begun) + written).astype(np.uint64).tobytes())
                written, started = written + len(table), started + len(begun)
        starts.write(np.full(count + 1 - started, written, np.uint64).tobytes())


def _numbers(column: IO[bytes], start: int, count: int) -> Numbers:
    column.seek(start * _ROW_BYTES)
    return np.frombuffer(column.read(count * _ROW_BYTES), np.uint64)
