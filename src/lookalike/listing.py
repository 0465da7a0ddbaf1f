"""What there is to index: the sources' images, each with its metadata rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence

from lookalike.errors import InputError, SourceError
from lookalike.metadata import MatchSummary, MetadataTable, Problem
from lookalike.protocols import Source
from lookalike.sources import open_source
from lookalike.types import FieldType, ImageRef


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


def match(table: MetadataTable, sources: Sequence[Source]) -> tuple[int, list[Problem]]:
    """Finds the image of every row; returns how many images there are, and what is left out.

    Raises:
        MetadataError: no row is about any of the images.
    """
    summary = table.match(
        (ref for _, ref in refs(sources)), lambda ref: source_of(ref, sources).root
    )
    return summary.images, [*table.problems, *_unused(summary)]


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
