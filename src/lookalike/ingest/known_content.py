"""Content that the index has described already: a file that moved, a second file with the same
bytes. Its vectors are taken over, so that no model runs for it again."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from lookalike import record
from lookalike.ingest.items import Change, IngestItem, Outcome
from lookalike.protocols import Describers, Engine
from lookalike.record import record_of
from lookalike.system.times import now
from lookalike.types import AnyOfValues, ImageRef, Point, Vector

_OF_ONE_FILE = (record.ID, record.URI, *record.LOCATION, record.COPY_OF, record.MOVED_FROM)
"""Fields of the record that another file with the same content does not share."""


class KnownContent:
    """Makes changes from stored points with the same content; safe to use from several threads.

    Args:
        engine: has the points.
        describers: name the vectors that a point must have.
    """

    def __init__(self, engine: Engine, describers: Describers) -> None:
        self._engine = engine
        self._datatypes = {
            **{name: spec.datatype for name, spec in describers.names.items()},
            **{model.spec.name: model.spec.datatype for model in describers.models},
        }
        self._lock = threading.Lock()
        self._moved: set[str] = set()  # ids of points that a file of this run has taken

    def changes(self, files: Sequence[tuple[IngestItem, str]]) -> list[list[Change]]:
        """The changes for each item and the SHA-256 of its file; none for new content."""
        known = self._points({sha256 for _, sha256 in files})
        return [
            list(self._changes(item, known[sha256])) if sha256 in known else []
            for item, sha256 in files
        ]

    def _points(self, keys: set[str]) -> dict[str, list[Point]]:
        """The points with some contents that have all vectors, by SHA-256."""
        points: dict[str, list[Point]] = {}
        if keys:
            same = AnyOfValues(record.SHA256, tuple(keys))
            for batch in self._engine.scroll(same, vectors=list(self._datatypes)):
                for point in batch:
                    if self._datatypes.keys() <= point.vectors.keys():
                        points.setdefault(record_of(point.payload)["sha256"], []).append(point)
        return points

    def _changes(self, item: IngestItem, points: Sequence[Point]) -> Iterator[Change]:
        if item.stored is None and item.obsolete_id is None:
            moved = self._take_moved(item, points)
            if moved:
                yield from (self._moved_change(item, point) for point in moved)
                return
        of_file = next((point for point in points if point.id == item.obsolete_id), None)
        outcome = Outcome.ADDED if item.is_new else Outcome.UPDATED
        owner = item if of_file is None else replace(item, stored=of_file)
        yield Change(
            outcome,
            item.id,
            point=self._point(owner, points[0]),
            obsolete_id=item.obsolete_id,
            fields=owner.field_counts,
        )

    def _take_moved(self, item: IngestItem, points: Sequence[Point]) -> list[Point]:
        """The points of a file that is gone from its address, if one is left for this item."""
        gone: dict[str, list[Point]] = {}
        for point in points:
            uri = record_of(point.payload)["uri"]
            # An id from metadata stays where it is unless the new address has no id either.
            if (item.id == item.ref.uri or point.id == uri) and not item.source.exists(uri):
                gone.setdefault(uri, []).append(point)
        name = posixpath.basename(item.ref.uri)
        with self._lock:
            for uri in sorted(gone, key=lambda uri: (posixpath.basename(uri) != name, uri)):
                if not any(point.id in self._moved for point in gone[uri]):
                    self._moved.update(point.id for point in gone[uri])
                    return gone[uri]
        return []

    def _moved_change(self, item: IngestItem, point: Point) -> Change:
        """The change that moves a point; an id that was given stays, an address changes."""
        at_new = replace(item, stored=point)
        if point.id != record_of(point.payload)["uri"]:
            fields = {**at_new.changed_fields(point), record.KEY: location(item.ref)}
            counts = at_new.field_counts
            return Change(Outcome.MOVED, point.id, payload=fields, fields=counts)
        return Change(
            Outcome.MOVED,
            item.id,
            point=self._point(at_new, point, moved_from=point.id),
            obsolete_id=point.id,
            fields=at_new.field_counts,
            ends_move=True,
        )

    def _point(self, item: IngestItem, same: Point, moved_from: str | None = None) -> Point:
        """The item's point with the vectors of another one that has the same content."""
        vectors: dict[str, Vector] = {
            name: same.vectors[name].astype(datatype) for name, datatype in self._datatypes.items()
        }
        content = {
            name: value
            for name, value in record_of(same.payload).items()
            if f"{record.KEY}.{name}" not in _OF_ONE_FILE
        }
        own: dict[str, Any] = {**content, "id": item.id, **location(item.ref)}
        if moved_from is None:
            own["indexed_at"] = now()
        else:
            own["moved_from"] = moved_from
        return Point(item.id, vectors, {**item.new_fields(), record.KEY: own})


def location(ref: ImageRef) -> Mapping[str, str]:
    """The part of an image's record that comes from the listing."""
    modified_at = {"modified_at": ref.modified_at} if ref.modified_at else {}
    return {"uri": ref.uri, "etag": ref.etag, **modified_at}
