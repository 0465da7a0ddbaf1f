"""Sorting and joining of numbers that exceed memory, in files.

A row is one or more unsigned 64-bit numbers, and rows are ordered by the first, then the second.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.system.files import Draft, sync

Table: TypeAlias = NDArray[np.uint64]
"""Shape (rows, columns)."""

BLOCK_BYTES = 1 << 20
"""Bytes that are read from a file at a time."""

_MOST_RUNS = 48  # files that are merged at once
_COPIES = 4  # times that the rows in memory are held while they are sorted


class ExternalSort:
    """Sorts rows within a memory given; sorted runs of what exceeds it wait in files.

    The result depends neither on the memory nor on the order in which rows are added.
    """

    def __init__(
        self,
        folder: Path,
        columns: int,
        memory: int,
        *,
        group: Callable[[Table], NDArray[np.uint64]] | None = None,
        most: int = 0,
    ) -> None:
        """
        Args:
            folder: holds the runs, in files without names, which a killed process does not leave.
            columns: numbers in a row.
            memory: bytes.
            group: returns for each row of a sorted table the group that it belongs to; the rows of
                a group follow each other.
            most: the first rows of each group that are kept.
        """
        self._folder = folder
        self._columns = columns
        self._memory = memory
        self._rows = np.empty((max(memory // (8 * columns * _COPIES), 64), columns), np.uint64)
        self._filled = 0
        self._runs: list[IO[bytes]] = []
        self._group = group
        self._most = most

    def add(self, *columns: NDArray[np.integer]) -> None:
        """Adds rows, given by their columns."""
        start, count = 0, len(columns[0])
        while start < count:
            taken = min(count - start, len(self._rows) - self._filled)
            for at, column in enumerate(columns):
                self._rows[self._filled : self._filled + taken, at] = column[start : start + taken]
            self._filled += taken
            start += taken
            if self._filled == len(self._rows):
                self._spill(iter([self._sorted_rows()]))

    def __iter__(self) -> Iterator[Table]:
        """Yields all rows in order, in tables of any length; can be used once."""
        if not self._runs:
            yield self._sorted_rows()
            return
        if self._filled:
            self._spill(iter([self._sorted_rows()]))
        self._rows = np.empty((0, self._columns), np.uint64)
        yield from self._merged()

    def _sorted_rows(self) -> Table:
        rows = self._rows[: self._filled]
        self._filled = 0
        (kept,) = self._limited(iter([_sorted(rows)]))
        return kept

    def _spill(self, tables: Iterator[Table]) -> None:
        run = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 -- closed once it is read
        for table in tables:
            run.write(np.ascontiguousarray(table).data)
        run.flush()
        self._runs.append(run)
        if len(self._runs) == _MOST_RUNS:
            self._spill(self._merged())

    def _merged(self) -> Iterator[Table]:
        runs, self._runs = self._runs, []
        bytes_each = min(max(self._memory // (_COPIES * len(runs)), 4096), BLOCK_BYTES)
        for run in runs:
            run.seek(0)
        yield from self._limited(_merge([_read(run, self._columns, bytes_each) for run in runs]))
        for run in runs:
            run.close()

    def _limited(self, tables: Iterator[Table]) -> Iterator[Table]:
        """The first rows of each group, of which one may go on in the next table."""
        if self._group is None:
            yield from tables
            return
        last, earlier = np.uint64(0), 0
        for table in tables:
            if not len(table):
                yield table
                continue
            groups = self._group(table)
            starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
            lengths = np.diff(np.append(starts, len(groups)))
            rank = np.arange(len(groups)) - np.repeat(starts, lengths)
            if groups[0] == last:
                rank[: lengths[0]] += earlier
            yield table[rank < self._most]
            last, earlier = groups[-1], int(rank[-1]) + 1


def _sorted(rows: Table) -> Table:
    if rows.shape[1] == 1:
        return np.sort(rows, axis=0)
    return rows[np.lexsort(rows.T[::-1])]


def _merge(runs: list[Iterator[Table]]) -> Iterator[Table]:
    """Merges sorted tables. What is at most the least of the last rows in memory is complete."""
    waiting = [(table, run) for run in runs if (table := next(run, None)) is not None]
    while waiting:
        bound = min(table[-1].tolist() for table, _ in waiting)
        ends = [_count_through(table, bound) for table, _ in waiting]
        parts = [table[:end] for (table, _), end in zip(waiting, ends, strict=True)]
        yield _sorted(np.concatenate(parts))
        rest: list[tuple[Table, Iterator[Table]]] = []
        for (table, run), end in zip(waiting, ends, strict=True):
            following = table[end:] if end < len(table) else next(run, None)
            if following is not None:
                rest.append((following, run))
        waiting = rest


def _count_through(table: Table, bound: list[int]) -> int:
    """Number of rows of a sorted table that are at most `bound`."""
    low, high = 0, len(table)
    for column, value in enumerate(bound):
        part = table[low:high, column]
        number = np.uint64(value)
        low, high = (low + int(np.searchsorted(part, number, side)) for side in ("left", "right"))
    return high


class Division:
    """Rows divided into parts, in a file without a name. Each part is taken once, by any thread."""

    def __init__(self, folder: Path, columns: int, parts: int) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 -- closed with the last part
        self._columns = columns
        self._parts = parts
        self._left = parts
        self._rows = 0
        self._bounds: list[NDArray[np.int64]] = []  # of the parts of each table, in rows
        self._lock = threading.Lock()

    def add(self, table: Table, part: NDArray[np.uint64]) -> None:
        """Adds rows, given the part of each."""
        order = np.argsort(part, kind="stable")
        bounds = np.searchsorted(part[order], np.arange(self._parts + 1, dtype=np.uint64))
        self._file.write(table[order].data)
        self._bounds.append(bounds.astype(np.int64) + self._rows)
        self._rows += len(table)

    def take(self, part: int) -> Table:
        """The rows of a part, in the order in which they were added."""
        width = 8 * self._columns
        with self._lock:
            read = []
            for bounds in self._bounds:
                start, stop = bounds[part : part + 2].tolist()
                self._file.seek(start * width)
                read.append(self._file.read((stop - start) * width))
            self._left -= 1
            if not self._left:
                self._file.close()
        return np.frombuffer(b"".join(read), np.uint64).reshape(-1, self._columns)


# --- files ----------------------------------------------------------------------------------


def _read(file: IO[bytes], columns: int, bytes_each: int) -> Iterator[Table]:
    rows = max(bytes_each // (8 * columns), 1)
    while len(table := np.fromfile(file, np.uint64, rows * columns)):
        yield table.reshape(-1, columns)


def read_table(
    file: Path, columns: int, bytes_each: int = BLOCK_BYTES, *, start: int = 0, stop: int = -1
) -> Iterator[Table]:
    """Yields the rows of a file from `start` to before `stop`, by default all of them."""
    width = 8 * columns
    left = file.stat().st_size // width - start if stop < 0 else stop - start
    with file.open("rb") as opened:
        opened.seek(start * width)
        while left > 0:
            rows = min(max(bytes_each // width, 1), left)
            yield np.fromfile(opened, np.uint64, rows * columns).reshape(-1, columns)
            left -= rows


def write_table(file: Path, tables: Iterable[Table]) -> int:
    """Writes rows to a file, which appears as a whole; returns their number."""
    draft, count = Draft(file), 0
    with draft.path.open("wb") as opened:
        for table in tables:
            opened.write(np.ascontiguousarray(table).data)
            count += len(table)
        sync(opened)
    draft.commit()
    return count


def attach(rows: Iterable[Table], table: Iterable[Table]) -> Iterator[Table]:
    """Looks up the first number of each row in a table, and yields the rows that it has.

    Args:
        rows: sorted by their first number, which need not be unique.
        table: two columns, sorted by the first, which is unique.

    Yields:
        the rows in their order, with the second number from the table as another column.
    """
    blocks = iter(table)
    block = np.empty((0, 2), np.uint64)
    for wanted in rows:
        start = 0
        while start < len(wanted):
            while not len(block) or block[-1, 0] < wanted[start, 0]:
                following = next(blocks, None)
                if following is None:
                    return
                block = following
            stop = start + int(np.searchsorted(wanted[start:, 0], block[-1, 0], "right"))
            part = wanted[start:stop]
            at = np.searchsorted(block[:, 0], part[:, 0])
            found = block[at, 0] == part[:, 0]
            yield np.column_stack([part, block[at, 1]])[found]
            start = stop


def first_of_groups(tables: Iterable[Table], columns: int) -> Iterator[tuple[Table, Table]]:
    """Yields sorted tables, and for each row the first row that agrees in the first `columns`."""
    last = np.empty((0, 0), np.uint64)
    for table in tables:
        if not len(table):
            continue
        keys = table[:, :columns]
        starts = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1)))
        first = table[starts]
        if len(last) and (keys[0] == last[0, :columns]).all():
            first[0] = last[0]
        of_each = np.repeat(first, np.diff(np.append(starts, len(table))), axis=0)
        last = of_each[-1:]
        yield table, of_each


def absent(rows: Iterable[Table], others: Iterable[Table]) -> Iterator[Table]:
    """Yields the rows of one column, sorted, that are not in `others`, sorted as well."""
    blocks = iter(others)
    block = next(blocks, None)
    for wanted in rows:
        kept = np.ones(len(wanted), bool)
        while block is not None and len(wanted):
            kept &= ~np.isin(wanted[:, 0], block[:, 0])
            if len(block) and block[-1, 0] >= wanted[-1, 0]:
                break
            block = next(blocks, None)
        yield wanted[kept]
