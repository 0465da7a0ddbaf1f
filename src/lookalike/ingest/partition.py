"""Partitions: the parts into which several processes divide a listing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from lookalike.errors import InputError
from lookalike.protocols import Source
from lookalike.system.parts import is_of_part

Partition: TypeAlias = tuple[int, int]
"""The number of a part of the images, from 1, and the number of parts."""


def parse_partition(text: str) -> Partition:
    """Reads a partition such as `3/16`.

    Raises:
        InputError: the text is not a valid partition.
    """
    number, _, count = text.partition("/")
    try:
        return check_partition((int(number), int(count)))
    except ValueError:
        raise _invalid(text) from None


def check_partition(partition: Any) -> Partition:
    """Returns a valid partition unchanged.

    Raises:
        InputError: it is not a pair of integers, or its number is out of range.
    """
    match partition:
        case (int(number), int(count)) if 1 <= number <= count:
            return number, count
    raise _invalid(partition)


def belongs_to(partition: Partition | None, uri: str) -> bool:
    """True if an image belongs to a partition; each image belongs to exactly one of them.

    The SHA-256 of the address decides. The address is the same in every run, on every machine that
    sees the files at the same place, and for every source that names the image. Pruning can rely
    on it too: the address is all that an index still has of an image that is gone.

    Args:
        partition: None stands for all images.
        uri: the image's address, as the index stores it.
    """
    return partition is None or is_of_part(uri, partition)


@runtime_checkable
class DivisibleSource(Protocol):
    """A source that lists parts of itself, so that no process has to list all of it."""

    def part(self, number: int, count: int) -> Source:
        """The source of one of several parts, with the attribute `partition`. Each image belongs to
        one of them, wherever that is asked at about the same time."""
        ...

    def ranges(self, count: int) -> Sequence[Source]:
        """Sources that together list what this one lists, at most so many; they can be pickled."""
        ...


@runtime_checkable
class SourcePart(Protocol):
    """A source that has the images of one part alone."""

    partition: Partition


def parts_of(sources: Sequence[Source], partition: Partition | None) -> Sequence[Source]:
    """The sources of a partition: parts of those that can be divided, and the others whole."""
    if partition is None:
        return sources
    return [
        source.part(*partition) if isinstance(source, DivisibleSource) else source
        for source in sources
    ]


def is_own(source: Source, partition: Partition | None, uri: str) -> bool:
    """True if an image that a source from `parts_of` has belongs to the partition."""
    return isinstance(source, SourcePart) or belongs_to(partition, uri)


def _invalid(partition: object) -> InputError:
    shown = "/".join(map(str, partition)) if isinstance(partition, tuple) else partition
    return InputError(
        f"{shown} is not a valid partition: give its number, from 1, and the number of partitions, "
        "such as 3/16."
    )
