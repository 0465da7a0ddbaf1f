"""Comparison of a listing with the index: finds what can be settled without reading a file."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple, Protocol

from lookalike import record
from lookalike.errors import Reason
from lookalike.fields import is_unicode
from lookalike.ingest.items import Change, IngestItem, Outcome, rejected
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.report import IncomingCopy
from lookalike.protocols import Engine, Source
from lookalike.record import record_of
from lookalike.system import patience
from lookalike.system.iteration import batched
from lookalike.types import ANY_ETAG, AnyOf, AnyOfValues, HasId, ImageRef, Point


class _Stored(NamedTuple):
    """Points that the index has.

    Attributes:
        by_id, by_uri: the points.
        whole: whether with their whole payloads; otherwise with what settles an image that has no
            row in metadata and has not changed.
    """

    by_id: Mapping[str, Point]
    by_uri: Mapping[str, Sequence[Point]]
    whole: bool


SETTLING = (*record.LOCATION, record.MOVED_FROM)
"""Fields by which an image without a row is found unchanged: two thirds of the time of reading all,
and a fraction of what a server sends."""

BATCH_SIZE = 512
"""Images whose points are looked up in one request."""


class CopyDetector(Protocol):
    """Detects new images that are copies of one in the index; see `duplicates.gate`."""

    @property
    def links(self) -> bool:
        """True if copies are added with the original's id in `image.copy_of`; else they are
        skipped."""
        ...

    def skipped(self, refs: Sequence[ImageRef]) -> Mapping[str, IncomingCopy]:
        """The images, by address, that an earlier run skipped and that have not changed since."""
        ...

    def copy_of(self, point: Point, thumbnail: bytes) -> IncomingCopy | None:
        """Returns the image as a copy, or None if it is not one; remembers a copy to skip."""
        ...


def compare(
    engine: Engine, images: Iterable[ListedImage], detector: CopyDetector | None
) -> Generator[tuple[list[IngestItem], list[Change]], None, None]:
    """Yields, for each batch of images, the items to read and the changes that need no reading."""
    for batch, stored in _looked_up(engine, batched(images, BATCH_SIZE)):
        readable = [image for image in batch if is_unicode(image.ref.uri)]
        settled = [_not_utf8(image.ref) for image in batch if not is_unicode(image.ref.uri)]
        skipped = detector.skipped([image.ref for image in readable]) if detector else {}
        to_read = []
        for item in _items(readable, stored):
            change = _settle(item, skipped)
            if change is None:
                to_read.append(item)
            else:
                settled.append(change)
        yield to_read if stored.whole else _completed(engine, to_read), settled


def _looked_up(
    engine: Engine, batches: Iterable[list[ListedImage]]
) -> Iterator[tuple[list[ListedImage], _Stored]]:
    """The batches, each with the points that the index has of it; the engine looks for those of
    the next batch while the last is being settled."""
    pool = ThreadPoolExecutor(1, thread_name_prefix="lookalike-lookup")
    waiting: deque[tuple[list[ListedImage], Future[_Stored]]] = deque()
    look_up = patience.carried(_stored_points)
    try:
        for batch in batches:
            waiting.append((batch, pool.submit(look_up, engine, batch)))
            if len(waiting) > 1:
                first, stored = waiting.popleft()
                yield first, stored.result()
        for last, stored in waiting:
            yield last, stored.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _completed(engine: Engine, items: Sequence[IngestItem]) -> list[IngestItem]:
    """The items with the whole payloads of their points."""
    ids = [item.id for item in items if item.stored is not None]
    whole = {point.id: point for point in engine.retrieve(ids)} if ids else {}
    return [replace(item, stored=whole.get(item.id)) for item in items]


def _not_utf8(ref: ImageRef) -> Change:
    name = ref.uri.encode("utf-8", "backslashreplace").decode()
    return rejected(name, Reason.UNREADABLE, "its name is not UTF-8: rename it")


def _settle(item: IngestItem, skipped: Mapping[str, IncomingCopy]) -> Change | None:
    """The change for an item whose file need not be read; None if it must be read."""
    stored, ref = item.stored, item.ref
    if stored is None:
        copy = skipped.get(ref.uri)
        return Change(Outcome.SKIPPED, copy=copy) if copy else None
    own = record_of(stored.payload)
    is_current = ref.etag in (own["etag"], ANY_ETAG) and own["uri"] == ref.uri
    if not is_current or item.own_vectors:
        return None
    fields = item.changed_fields(stored)
    counts = item.counts_of(fields)
    if ref.listed_in and own.get("listed_in") != ref.listed_in:
        fields[record.KEY] = {"listed_in": ref.listed_in}
    outcome = Outcome.UPDATED if fields else Outcome.UNCHANGED
    return Change(
        outcome,
        item.id,
        payload=fields or None,
        obsolete_id=item.obsolete_id,
        ends_move=item.ends_move,
        fields=counts,
    )


def _items(images: Sequence[ListedImage], stored_points: _Stored) -> Iterator[IngestItem]:
    """The points to make or keep for the images, each with what the index has of it."""
    by_id, by_uri, _ = stored_points
    for source, ref, rows, obsolete_ids in images:
        with_ids = [row for row in rows if row.id is not None]
        replaceable = iter(obsolete_ids)
        for row in with_ids:
            assert row.id is not None  # noqa: S101 -- for the type checker
            # A point under the address dates from before the metadata gave the image an id.
            obsolete = ref.uri if row.id != ref.uri and ref.uri in by_id else None
            stored = by_id.get(row.id)
            obsolete = obsolete or _moved_from(stored, source)
            if stored is None and obsolete is None:
                obsolete = next(replaceable, None)
            yield IngestItem(source, ref, row.id, row, stored, obsolete)
        if not with_ids:
            only = rows[0] if rows else None
            here = by_uri.get(ref.uri, [])
            for point in here:
                obsolete = _moved_from(point, source)
                yield IngestItem(source, ref, point.id, only, point, obsolete)
            if not here:
                yield IngestItem(source, ref, ref.uri, only, None, None)


def _moved_from(stored: Point | None, source: Source) -> str | None:
    """Id of the point that a stored one still has to replace, as its move was cut off."""
    address = None if stored is None else record_of(stored.payload).get("moved_from")
    return None if address is None or source.exists(address) else address


def _stored_points(engine: Engine, images: Sequence[ListedImage]) -> _Stored:
    """The points that the index has of some images."""
    by_id: dict[str, Point] = {}
    by_uri: dict[str, list[Point]] = {}
    uris = tuple(image.ref.uri for image in images if is_unicode(image.ref.uri))
    if not uris:
        return _Stored(by_id, by_uri, whole=True)
    ids = tuple(row.id for image in images for row in image.rows if row.id is not None)
    theirs = AnyOfValues(record.URI, uris)
    has_rows = any(image.rows for image in images)
    for points in engine.scroll(
        AnyOf((theirs, HasId(ids))) if ids else theirs, payload=has_rows or SETTLING
    ):
        for point in points:
            by_id[point.id] = point
            by_uri.setdefault(record_of(point.payload)["uri"], []).append(point)
    return _Stored(by_id, by_uri, whole=has_rows)
