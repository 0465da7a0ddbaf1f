"""The listing of an ingest: the images of the sources, each with its metadata rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from lookalike.ingest.partition import (
    DivisibleSource,
    Partition,
    SourcePart,
    belongs_to,
    is_own,
)
from lookalike.metadata.join import MatchSummary
from lookalike.metadata.readers import MetadataWarning
from lookalike.metadata.table import MetadataTable, Row
from lookalike.protocols import Source
from lookalike.system.inputs import is_url
from lookalike.system.text import count
from lookalike.types import ImageRef


class ListedImage(NamedTuple):
    """An image to index.

    Attributes:
        source, ref: where the image is.
        rows: its metadata rows; several with ids of their own make several points.
        obsolete_ids: ids of its stored points that no row has any longer; rows with new ids replace
            them.
    """

    source: Source
    ref: ImageRef
    rows: Sequence[Row]
    obsolete_ids: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a run.

    Attributes:
        sources: the whole sources.
        images: each image once, in an order that does not change between runs.
        count: returns the number of images, or None while they are being counted.
        warnings: metadata that was left out.
        claimed: returns those of some ids that rows give to images of any partition. Such a point
            may have moved to another partition, whose run updates it, or to an image that cannot
            be read.
        without_row: returns the ids of those stored points, given by id and address, that the
            metadata no longer describes; None without metadata.
        unread_rows: number of metadata rows that could not be read at all.
    """

    sources: Sequence[Source]
    images: Iterable[ListedImage]
    count: Callable[[], int | None]
    warnings: tuple[MetadataWarning, ...] = ()
    claimed: Callable[[Sequence[str]], Collection[str]] = lambda ids: ()
    without_row: Callable[[Iterable[tuple[str, str]]], Collection[str]] | None = None
    unread_rows: int = 0


class DividedImages:
    """The images of a source in ranges, so that other processes can list them.

    Attributes:
        ranges: images that follow each other; each can be pickled.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self.ranges = [ImageRange(source) for source in sources]

    def __iter__(self) -> Iterator[ListedImage]:
        return chain.from_iterable(self.ranges)


@dataclass(frozen=True, slots=True)
class ImageRange:
    """The images of a source."""

    source: Source

    def __iter__(self) -> Iterator[ListedImage]:
        return (ListedImage(self.source, ref, ()) for ref in self.source.refs())

    @property
    def incomplete(self) -> bool:
        """True if some could not be listed; known at the end."""
        return self.source.incomplete


def list_images(
    sources: Sequence[Source],
    partition: Partition | None = None,
    *,
    counted: bool = False,
    ranges: int = 0,
) -> Listing:
    """Lists images without metadata.

    Args:
        sources: the sources, from `parts_of`.
        partition: the part of the images to list; None lists all.
        counted: whether to count the images, in a second pass over the sources.
        ranges: number of ranges that are wanted, for other processes to list; 0 for none.
    """
    if ranges and len(sources) == 1 and isinstance(sources[0], DivisibleSource):
        own = sources[0].ranges(ranges)
        if len(own) > 1 and not isinstance(sources[0], SourcePart):
            return Listing(sources, DividedImages(own), lambda: None)
    images = (
        ListedImage(source, ref, ())
        for source, ref in list_refs(sources)
        if is_own(source, partition, ref.uri)
    )
    total = _count_in_background(sources, partition) if counted else lambda: None
    return Listing(sources, images, total)


def list_with_metadata(
    table: MetadataTable,
    sources: Sequence[Source],
    partition: Partition | None = None,
    *,
    named: bool = False,
) -> Listing:
    """Lists images with the metadata rows that name them.

    Rows are matched with the images of all partitions. Otherwise a name that several images have
    could look unique, and rows about other partitions' images would be reported as unmatched.

    Args:
        table: the rows.
        sources: the whole sources.
        partition: the part of the images to list; None lists all.
        named: whether to leave out images that no row names.

    Raises:
        MetadataError: no row names any of the images.
    """
    total = 0

    def refs() -> Iterator[ImageRef]:
        nonlocal total
        for _, ref in list_refs(sources):
            total += belongs_to(partition, ref.uri)
            yield ref

    summary = table.match(refs(), lambda ref: _source_of(ref, sources).root)

    def images() -> Iterator[ListedImage]:
        for ref, rows in table.matched(named=named):
            if belongs_to(partition, ref.uri):
                yield ListedImage(_source_of(ref, sources), ref, rows)

    if named:
        total = sum(belongs_to(partition, uri) for uri in table.listed(named=True))
    return Listing(
        sources,
        images(),
        lambda: total,
        (*_unmatched_rows(summary), *(_left_out(summary) if named else ()), *table.warnings),
        table.named,
        table.without_row,
        table.unread_rows,
    )


def list_refs(sources: Sequence[Source]) -> Iterator[tuple[Source, ImageRef]]:
    """Every image of the sources once, under the first source that has it."""
    for i, source in enumerate(sources):
        earlier = sources[:i]
        for ref in source.refs():
            if not earlier or not any(other.has(ref.uri) for other in earlier):
                yield source, ref


def _source_of(ref: ImageRef, sources: Sequence[Source]) -> Source:
    """The source that lists the image; a folder that cannot be listed belongs to none of them."""
    if ref.listed_in:
        return next(source for source in sources if source.root == ref.listed_in)
    owners = (s for s in sources if s.covers(ref.uri) and not s.excludes(ref.uri))
    return next(owners, sources[0])


def _unmatched_rows(summary: MatchSummary) -> Iterator[MetadataWarning]:
    if summary.unmatched:
        rows = count(summary.unmatched, "row names", "rows name")
        yield MetadataWarning(
            0, f"{rows} an image that is not listed, such as {_examples(summary)}"
        )
    if summary.partly_matched:
        rows = count(summary.partly_matched, "row also names", "rows also name")
        examples = ", ".join(summary.partly_matched_examples)
        yield MetadataWarning(0, f"{rows} images that are not listed, such as {examples}")


def _examples(summary: MatchSummary) -> str:
    names = ", ".join(summary.unmatched_examples)
    if not any(map(is_url, summary.unmatched_examples)):
        return names
    return f"{names}; --fetch downloads images by their addresses (in Python, fetch=True)"


def _left_out(summary: MatchSummary) -> Iterator[MetadataWarning]:
    if summary.without_row:
        images = count(summary.without_row, "image has no row and is", "images have no row and are")
        yield MetadataWarning(0, f"{images} left out (--prune)")


def _count_in_background(
    sources: Sequence[Source], partition: Partition | None
) -> Callable[[], int | None]:
    """Counts the images of the sources in a thread; the returned function gives the result."""
    result: list[int] = []

    def count() -> None:
        refs = ((source, ref) for source in sources for ref in source.refs())
        result.append(sum(is_own(source, partition, ref.uri) for source, ref in refs))

    threading.Thread(target=count, daemon=True).start()
    return lambda: result[0] if result else None
