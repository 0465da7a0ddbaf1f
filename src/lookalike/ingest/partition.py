"""Partitions: the part of a listing that one of several processes takes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from lookalike.errors import InputError
from lookalike.metadata.join import as_bytes
from lookalike.protocols import Source
from lookalike.types import ImageRef

Partition: TypeAlias = tuple[int, int]
"""The number of a part of the images, from 1, and how many parts there are."""


# --- partitions -----------------------------------------------------------------------------


def parse_partition(text: str) -> Partition:
    """The partition that `3/16` means.

    Raises:
        InputError: it means none.
    """
    number, _, count = text.partition("/")
    try:
        return check_partition((int(number), int(count)))
    except ValueError:
        raise _no_partition(text) from None


def check_partition(partition: Any) -> Partition:
    """Returns it.

    Raises:
        InputError: it is no pair of integers, or its number is not among the parts there are.
    """
    match partition:
        case (int(number), int(count)) if 1 <= number <= count:
            return number, count
    raise _no_partition(partition)


def holds(partition: Partition | None, uri: str) -> bool:
    """Whether the image belongs to the partition; each belongs to exactly one, None has all.

    The address as the index keeps it decides, by its SHA-256: it is the same in every run and on
    every machine that sees the files at the same place, and by whatever source they are named.
    And an index holds nothing else of an image that is gone, so that pruning can go by it too.
    """
    if partition is None:
        return True
    number, count = partition
    digest = hashlib.sha256(as_bytes(uri)).digest()
    return int.from_bytes(digest) % count == number - 1


def share(sources: Sequence[Source], partition: Partition | None) -> list[Source]:
    """What the partition has of each source."""
    return list(sources) if partition is None else [_Share(one, partition) for one in sources]


class _Share:
    """A source as far as it belongs to a partition. See `protocols.Source`."""

    def __init__(self, source: Source, partition: Partition) -> None:
        self.root = source.root
        self._source = source
        self._partition = partition

    def refs(self) -> Iterator[ImageRef]:
        return (ref for ref in self._source.refs() if holds(self._partition, ref.uri))

    def read(self, ref: ImageRef) -> bytes:
        return self._source.read(ref)

    def covers(self, uri: str) -> bool:
        return holds(self._partition, uri) and self._source.covers(uri)

    def has(self, uri: str) -> bool:
        return holds(self._partition, uri) and self._source.has(uri)


def _no_partition(given: object) -> InputError:
    shown = "/".join(map(str, given)) if isinstance(given, tuple) else given
    return InputError(
        f"{shown} is no partition: give its number, from 1, and how many there are, such as 3/16."
    )
