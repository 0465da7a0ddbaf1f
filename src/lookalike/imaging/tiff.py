"""Directories of TIFF files and of formats built like TIFF, read within bounds."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

MAX_DIRECTORIES = 65_536
"""Directories read of one file: the pages of a long document. A hostile file has millions."""

_MAX_ENTRIES = 2**20
"""Entries read of one file. Directories may overlap, so its size is no bound."""

_MAX_VALUES = 65_536
"""Values read of one entry."""

_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Format characters of the unsigned types; 13 and 18 are offsets of directories."""

_BYTES = 1, 2, 7
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4, 16: 8, 18: 8}

SUBFILE_TYPE, SUB_DIRECTORIES = 254, 330
REDUCED, MASK = 1, 4
"""Bits of the subfile type: a smaller version of another picture, a transparency mask."""


class _Entry(NamedTuple):
    type: int
    values: int
    position: int
    """Place of the value, or of its offset where it does not fit into the entry."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One directory: the description of one picture."""

    offset: int
    entries: Mapping[int, _Entry]


class TiffReader:
    """Reads the directories of one file. Whatever is broken in it counts as absent.

    Args:
        data: content of the file. Its first two bytes tell the byte order, and the next two are
            those of BigTIFF or anything else.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._order = ">" if data[:2] == b"MM" else "<"
        self._big = data[2:4] in (b"+\0", b"\0+")
        self._offset = "Q" if self._big else "I"
        self._seen: set[int] = set()
        self._entries_left = _MAX_ENTRIES

    def pages(self) -> Iterator[Directory]:
        """Yields the chain of directories that the header points to."""
        return self._chain(self._number(self._offset, 8 if self._big else 4))

    def below(self, directory: Directory) -> Iterator[Directory]:
        """Yields the sub-directories of a directory."""
        for offset in self.integers(directory, SUB_DIRECTORIES):
            yield from self._chain(offset)

    def integers(self, directory: Directory, tag: int) -> tuple[int, ...]:
        """The values of an entry of unsigned integers; empty without such an entry."""
        entry = directory.entries.get(tag)
        if entry is None or entry.type not in _INTEGERS:
            return ()
        count = min(entry.values, _MAX_VALUES)
        content = self._content(entry, count)
        kind = f"{self._order}{count}{_INTEGERS[entry.type]}"
        return struct.unpack(kind, content) if len(content) == struct.calcsize(kind) else ()

    def content(self, directory: Directory, tag: int) -> bytes:
        """The bytes of an entry of text or bytes; empty without such an entry."""
        entry = directory.entries.get(tag)
        if entry is None or entry.type not in _BYTES:
            return b""
        return self._content(entry, min(entry.values, _MAX_VALUES))

    def with_first(self, directory: Directory) -> bytes:
        """The file with a header that points to this directory."""
        start, kind = (8, "Q") if self._big else (4, "I")
        offset = struct.pack(self._order + kind, directory.offset)
        return self._data[:start] + offset + self._data[start + len(offset) :]

    def _content(self, entry: _Entry, count: int) -> bytes:
        size = count * _SIZES[entry.type]
        inline = entry.values * _SIZES[entry.type] <= struct.calcsize(self._offset)
        start = entry.position if inline else self._number(self._offset, entry.position)
        return self._data[start : start + size]

    def _chain(self, offset: int) -> Iterator[Directory]:
        while offset and offset not in self._seen and len(self._seen) < MAX_DIRECTORIES:
            self._seen.add(offset)
            count = self._number("Q" if self._big else "H", offset)
            start = offset + (8 if self._big else 2)
            size = 20 if self._big else 12
            end = start + count * size
            self._entries_left -= count
            if not count or end > len(self._data) or self._entries_left < 0:
                return
            entry = struct.Struct(f"{self._order}HH{self._offset}{size // 2 - 2}x")
            entries = {
                tag: _Entry(type, values, position)
                for position, (tag, type, values) in zip(
                    range(start + 4 + size // 2 - 2, end, size),
                    entry.iter_unpack(memoryview(self._data)[start:end]),
                    strict=False,
                )
            }
            yield Directory(offset, entries)
            offset = self._number(self._offset, end)

    def _number(self, kind: str, position: int) -> int:
        try:
            number: int = struct.unpack_from(self._order + kind, self._data, position)[0]
        except (struct.error, OverflowError):
            return 0
        return number


def page_numbers(data: bytes) -> Sequence[int]:
    """The places in the chain of the pictures that are neither a mask nor a smaller version of
    another."""
    reader = TiffReader(data)
    numbers = [i for i, page in enumerate(reader.pages()) if is_page(reader, page)]
    return numbers or (0,)


def is_page(reader: TiffReader, directory: Directory) -> bool:
    """Tells whether a directory describes a picture of its own."""
    kind = reader.integers(directory, SUBFILE_TYPE)
    return not kind or not kind[0] & (REDUCED | MASK)


def first_page(data: bytes) -> bytes:
    """Returns a TIFF whose header points to its first page. Some begin with a smaller version of
    the picture, which itself follows in the chain or below."""
    reader = TiffReader(data)
    first = next(reader.pages(), None)
    if first is None or is_page(reader, first):
        return data
    reader = TiffReader(data)
    pages = list(reader.pages())
    below = (child for page in pages for child in reader.below(page))
    for page in chain(pages, below):
        if is_page(reader, page):
            return reader.with_first(page)
    return data
