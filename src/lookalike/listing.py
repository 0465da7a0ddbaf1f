"""What there is to index: the sources' images, each with its metadata rows."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from lookalike.errors import InputError, SourceError
from lookalike.matching import as_bytes
from lookalike.metadata import MatchSummary, MetadataTable, Problem
from lookalike.protocols import Source
from lookalike.sources import open_source
from lookalike.types import FieldType, ImageRef

Partition: TypeAlias = tuple[int, int]
"""The number of a part of the images, from 1, and how many parts there are."""


def open_sources(named: Sequence[str | os.PathLike[str]]) -> list[Source]:
    """The sources of these names, which must hold something.

    Raises:
        SourceError: one does not exist, or there is nothing in any.
    """
    opened = [open_source(os.fspath(source)) for source in named]
    if next(refs(opened), None) is None:
        names = ", ".join(os.fspath(source) for source in named)
        raise SourceError(f"There is nothing to index in {names}.")
    return opened


def refs(sources: Sequence[Source]) -> Iterator[tuple[Source, ImageRef]]:
    """Every image of the sources once: what an earlier source has is not listed again."""
    for i, source in enumerate(sources):
        for ref in source.refs():
            if not any(earlier.has(ref.uri) for earlier in sources[:i]):
                yield source, ref


def source_of(ref: ImageRef, sources: Sequence[Source]) -> Source:
    """The source that lists the image."""
    return next(source for source in sources if source.covers(ref.uri))


def match(
    table: MetadataTable, sources: Sequence[Source], partition: Partition | None = None
) -> tuple[int, list[Problem]]:
    """Finds the image of every row; returns how many images there are, and what is left out.

    Rows are matched with all images, whatever the partition: only so is a name that fits several
    seen to, and a row of another partition's image is not left out.

    Args:
        table: the rows.
        sources: the whole sources.
        partition: the images that are counted; None counts all.

    Raises:
        MetadataError: no row is about any of the images.
    """
    images = 0

    def listed() -> Iterator[ImageRef]:
        nonlocal images
        for _, ref in refs(sources):
            images += holds(partition, ref.uri)
            yield ref

    summary = table.match(listed(), lambda ref: source_of(ref, sources).root)
    return images, [*table.problems, *_unused(summary)]


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


# --- metadata -------------------------------------------------------------------------------


def declared_types(
    types: Mapping[str, FieldType | str], known: Mapping[str, FieldType]
) -> dict[str, FieldType]:
    """The types that the user sets, which must not contradict those the index has.

    Raises:
        InputError: there is no such type, or the field has another.
    """
    for name, type in types.items():
        if type not in list(FieldType):
            raise InputError(f"{type!r} is no type for {name}; there are {', '.join(FieldType)}.")
        if known.get(name, type) != type:
            raise InputError(
                f"{name} is a {known[name]} in this index and stays one: index into a new folder "
                f"to make it a {type}."
            )
    return {name: FieldType(type) for name, type in types.items()}


def _unused(summary: MatchSummary) -> Iterator[Problem]:
    """What to say of the rows that found no image."""
    if summary.unmatched:
        examples = ", ".join(summary.unmatched_examples)
        yield Problem(
            0, f"{summary.unmatched:,} rows name no image that is here, such as {examples}"
        )
