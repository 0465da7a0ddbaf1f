"""What there is to index: the sources' images, each with its metadata rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lookalike.ingest.partition import Partition, holds
from lookalike.metadata.table import MatchSummary, MetadataTable, Problem
from lookalike.protocols import Source
from lookalike.types import ImageRef


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


def _unused(summary: MatchSummary) -> Iterator[Problem]:
    """What to say of the rows that found no image."""
    if summary.unmatched:
        examples = ", ".join(summary.unmatched_examples)
        yield Problem(
            0, f"{summary.unmatched:,} rows name no image that is here, such as {examples}"
        )
