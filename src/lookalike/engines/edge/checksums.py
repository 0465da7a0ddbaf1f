"""Checksums of a shard's files: of the whole file, and of samples that are quick to compare.

The engine's files are mostly holes: memory maps of 32 MiB with a few kilobytes in them. Both kinds
of checksum skip what is all zeros, whether it takes space or not, so a copy of a folder may fill
the holes.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

_WINDOW = 2**16
_PAGE = 4096
_SMALL = 2**16
"""Bytes up to which reading a whole file takes no longer than reading its samples."""


class Checksum(NamedTuple):
    """The checksum of a file.

    Attributes:
        size: bytes of the file.
        modified: time of its last change, in nanoseconds.
        content: CRC-32 of all that is in it.
        samples: places of some pages that are not all zeros, each with its CRC-32.
    """

    size: int
    modified: int
    content: int
    samples: Sequence[Sequence[int]]

    @classmethod
    def of(cls, path: Path | str) -> Checksum:
        """Reads a file.

        Raises:
            OSError: it cannot be read.
        """
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            status = os.fstat(file.fileno())
            content, windows = 0, []
            for place, data in _windows(file, status.st_size):
                content = zlib.crc32(data, zlib.crc32(place.to_bytes(8), content))
                windows.append(place)
            samples = [
                sample
                for place in _first_middle_last(windows)
                for sample in _samples(place, _read(file, place, _WINDOW))
            ]
        return cls(status.st_size, status.st_mtime_ns, content, samples)

    def is_unchanged(self, path: Path | str) -> bool:
        """True if a file that is never written to again has the size and time it had."""
        try:
            status = os.stat(path)  # noqa: PTH116
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == (self.size, self.modified)

    def matches(self, path: Path, *, whole: bool = False) -> bool:
        """Compares a file.

        Args:
            path: the file.
            whole: reads all of it; otherwise a change between the samples is not seen.
        """
        try:
            if path.stat().st_size != self.size:
                return False
            if whole or self.size <= _SMALL:
                return Checksum.of(path).content == self.content
            with path.open("rb", buffering=0) as file:
                return all(zlib.crc32(_read(file, at, _PAGE)) == crc for at, crc in self.samples)
        except OSError:
            return False


def _windows(file: IO[bytes], size: int) -> Iterator[tuple[int, bytes]]:
    """The parts of a file that are not all zeros, with their places."""
    zeros = bytes(_WINDOW)
    place = 0
    while place < size and (data_at := _next_data(file, place)) is not None:
        place = max(place, data_at - data_at % _WINDOW)
        data = _read(file, place, _WINDOW)
        if data != zeros[: len(data)]:
            yield place, data
        place += _WINDOW


def _next_data(file: IO[bytes], place: int) -> int | None:
    """The first place from this one on that is not in a hole; None if the rest is one."""
    if not hasattr(os, "SEEK_DATA"):
        return place
    try:
        return os.lseek(file.fileno(), place, os.SEEK_DATA)
    except OSError:
        return None


def _samples(place: int, data: bytes) -> list[tuple[int, int]]:
    zeros = bytes(_PAGE)
    pages = {
        at: page
        for at in range(0, len(data), _PAGE)
        if (page := data[at : at + _PAGE]) != zeros[: len(page)]
    }
    return [(place + at, zlib.crc32(pages[at])) for at in _first_middle_last(list(pages))]


def _first_middle_last(places: Sequence[int]) -> list[int]:
    """Up to three of some places in ascending order."""
    chosen = {0, len(places) // 2, len(places) - 1} if places else set()
    return [places[i] for i in sorted(chosen)]


def _read(file: IO[bytes], place: int, size: int) -> bytes:
    file.seek(place)
    return file.read(size)
