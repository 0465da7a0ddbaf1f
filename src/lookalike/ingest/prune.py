"""Removal of images that their sources, or the metadata, no longer have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.ingest.listing import ListedImage, Listing
from lookalike.ingest.partition import Partition, belongs_to, is_own
from lookalike.ingest.schema import Pause
from lookalike.protocols import Engine, Source
from lookalike.record import ImageRecord, record_of
from lookalike.system.iteration import batched
from lookalike.types import AnyOfValues, Point

LARGEST_SHARE = 1 / 5
"""The share of the sources' images that may be removed without being confirmed."""

BATCH_SIZE = 1000
"""Images that are removed together."""


@dataclass(frozen=True, slots=True)
class MissingImages:
    """The images of an index that their sources or the metadata no longer have.

    Attributes:
        ids: the images that their sources no longer have, as addresses by id.
        without_row: other images, which the metadata no longer describes, likewise.
        known: number of images that the index has from these sources.
        lost: number of missing images by folder, for folders that are empty or gone themselves,
            as where a disk is not mounted.
        excluded: number of missing images that the sources pass over.
        unread_rows: number of metadata rows that could not be read.
        incomplete: whether a part of a source could not be listed.
    """

    ids: Mapping[str, str]
    without_row: Mapping[str, str]
    known: int
    lost: Mapping[str, int]
    excluded: int
    unread_rows: int
    incomplete: bool

    @property
    def doubt(self) -> str | None:
        """A sentence on why they should not be removed unless confirmed; None without a doubt."""
        total = len(self.ids) + len(self.without_row)
        if self.lost:
            folder, number = max(self.lost.items(), key=lambda item: item[1])
            others = f" (and {len(self.lost) - 1:,} more folders)" if len(self.lost) > 1 else ""
            why = f"{folder}{others}, which had {number:,} of them, is empty or gone"
            check = "check that its disk is mounted"
        elif self.incomplete:
            why, check = "a part of the bucket could not be listed", "see the rejects"
        elif self.without_row and self.unread_rows:
            why = f"{self.unread_rows:,} rows of the metadata that may be theirs could not be read"
            check = "mend these rows"
        elif total > LARGEST_SHARE * self.known:
            why, check = "that is more than a fifth", "check the paths and exclusions"
            if self.without_row:
                why += f" ({len(self.without_row):,} have no row in the metadata)"
                check = "check the metadata file"
        else:
            return None
        return (
            f"Nothing was pruned: {total:,} of the {self.known:,} images that the index "
            f"has from these paths would go, and {why}; {check}, and to remove them run the same "
            "command with --yes (in Python, yes=True)."
        )


def find_missing(
    engine: Engine,
    listing: Listing,
    partition: Partition | None,
    rejected: Collection[str],
    pause: Pause,
) -> MissingImages:
    """Finds the images that belonged to one of the sources and are gone from it or from the
    metadata.

    Args:
        engine: has the points.
        listing: the images of the run with their rows, and its sources.
        partition: the part of the images to look at; None for all.
        rejected: addresses of images that could not be read, and that keep their points: a row with
            a new id could not replace them.
        pause: called after every page, so that others may write.
    """
    sources = listing.sources
    ids: dict[str, str] = {}
    without_row: dict[str, str] = {}
    known = excluded = 0
    lost: Counter[str] = Counter()
    for points in engine.scroll(payload=(record.URI, record.LISTED_IN)):
        records = {point.id: record_of(point.payload) for point in points}
        uris = {
            id: own["uri"] for id, own in records.items() if _is_theirs(own, sources, partition)
        }
        known += len(uris)
        gone = [id for id, uri in uris.items() if _is_gone(uri, sources)]
        kept = listing.claimed(gone)
        for id in gone:
            if id in kept:
                continue
            if "listed_in" in records[id]:
                without_row[id] = uris[id]
            else:
                ids[id] = uris[id]
                lost.update(filter(None, [_lost_folder(uris[id], sources)]))
                excluded += any(source.excludes(uris[id]) for source in sources)
        if listing.without_row is not None:
            left = uris.keys() - set(gone)
            unnamed = listing.without_row((id, uris[id]) for id in left)
            without_row |= {
                id: uri for id, uri in uris.items() if id in unnamed and uri not in rejected
            }
        pause()
    incomplete = any(source.incomplete for source in sources)
    unread = listing.unread_rows
    return MissingImages(ids, without_row, known, lost, excluded, unread, incomplete)


def remove_missing(engine: Engine, missing: MissingImages, thumbnails: Cache) -> int:
    """Removes missing images, but no others that have taken their ids since; returns their
    number."""
    uris, removed = {**missing.ids, **missing.without_row}, 0
    for ids in batched(uris, BATCH_SIZE):
        stored = engine.retrieve(ids)
        points = [point for point in stored if record_of(point.payload)["uri"] == uris[point.id]]
        remove(engine, points, thumbnails)
        removed += len(points)
    return removed


def remove(engine: Engine, points: Sequence[Point], thumbnails: Cache) -> None:
    """Removes points, and the thumbnails that no other point uses."""
    if not points:
        return
    engine.delete([point.id for point in points])
    keys = {record_of(point.payload)["sha256"] for point in points}
    for others in engine.scroll(AnyOfValues(record.SHA256, tuple(keys))):
        keys -= {record_of(other.payload)["sha256"] for other in others}
        if not keys:
            break
    thumbnails.forget(keys)


def with_obsolete_ids(engine: Engine, listing: Listing) -> Iterator[ListedImage]:
    """The images of a listing with the ids of their points that no row has any longer. Rows with
    new ids replace these points, so that a changed id loses neither vectors nor decisions."""
    assert listing.without_row is not None  # noqa: S101 -- for the type checker
    for images in batched(listing.images, BATCH_SIZE):
        uris = tuple(image.ref.uri for image in images if image.rows)
        by_uri: dict[str, list[str]] = {}
        for points in (
            engine.scroll(AnyOfValues(record.URI, uris), payload=(record.URI,)) if uris else ()
        ):
            stored = {point.id: record_of(point.payload)["uri"] for point in points}
            for id in sorted(listing.without_row(stored.items())):
                by_uri.setdefault(stored[id], []).append(id)
        for image in images:
            yield image._replace(obsolete_ids=by_uri.get(image.ref.uri, ()))


def _is_theirs(own: ImageRecord, sources: Sequence[Source], partition: Partition | None) -> bool:
    """True if an image in the index belongs to one of the sources, and to the partition; one that a
    list names belongs to the list, wherever it is."""
    uri, listed_in = own["uri"], own.get("listed_in")
    if listed_in is not None:
        is_named = any(source.root == listed_in for source in sources)
        return is_named and belongs_to(partition, uri)
    return any(is_own(source, partition, uri) for source in _covering(uri, sources))


def _covering(uri: str, sources: Iterable[Source]) -> list[Source]:
    return [source for source in sources if source.covers(uri)]


def _is_gone(uri: str, sources: Sequence[Source]) -> bool:
    return not any(source.has(uri) for source in sources)


def _lost_folder(uri: str, sources: Sequence[Source]) -> str | None:
    return _covering(uri, sources)[0].lost_folder(uri)
