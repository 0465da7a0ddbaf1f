"""Content that the index has described already: a file that moved, a second file with the same
bytes. Its vectors are taken over, so that no model runs for it again."""

from __future__ import annotations

import posixpath
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from lookalike import record
from lookalike.ingest.items import Change, IngestItem, Outcome
from lookalike.protocols import Describers, Engine, Source
from lookalike.record import record_of
from lookalike.system.times import now
from lookalike.types import AnyOfValues, ImageRef, Point, Vector

_OF_ONE_FILE = (record.ID, *record.LOCATION, record.COPY_OF, record.MOVED_FROM)
"""Fields of the record that another file with the same content does not share."""


REMEMBERED = 1_024
"""Contents whose stored points are remembered: a folder of equal files asks again and again."""


class _Content:
    """The stored points that have one content.

    Args:
        points: the points, without vectors.
        same: one of them, with all vectors, which the others share.
        source: tells which of their files are gone.
    """

    def __init__(self, points: Sequence[Point], same: Point, source: Source) -> None:
        self.points = {point.id: point for point in points}
        self.same = same
        self.source = source
        self._gone: dict[str, list[Point]] = {}
        self._gone_by_name: dict[str, list[str]] = {}
        for point in sorted(points, key=lambda point: record_of(point.payload)["uri"]):
            uri = record_of(point.payload)["uri"]
            if uri in self._gone or not source.exists(uri):
                if uri not in self._gone:
                    self._gone_by_name.setdefault(posixpath.basename(uri), []).append(uri)
                self._gone.setdefault(uri, []).append(point)

    def take_moved(self, item: IngestItem, taken: set[str]) -> list[Point]:
        """The points of one file that is gone, by preference of the item's name; each once."""
        name = posixpath.basename(item.ref.uri)
        for uri in chain(self._gone_by_name.get(name, ()), self._gone):
            # An id from metadata stays where it is unless the new address has no id either.
            points = [
                point
                for point in self._gone.get(uri, ())
                if item.id == item.ref.uri or point.id == uri
            ]
            if points and not any(point.id in taken for point in points):
                taken.update(point.id for point in points)
                del self._gone[uri]
                return points
        return []


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
        self._contents: OrderedDict[str, _Content] = OrderedDict()
        self._taken: set[str] = set()  # ids of points that a file of this run has taken

    def changes(self, files: Sequence[tuple[IngestItem, str]]) -> list[list[Change]]:
        """The changes for each item and the SHA-256 of its file; none for new content."""
        with self._lock:
            known = self._known({sha256: item.source for item, sha256 in files})
            return [
                list(self._changes(item, known[sha256])) if sha256 in known else []
                for item, sha256 in files
            ]

    def _known(self, sources: Mapping[str, Source]) -> dict[str, _Content]:
        """The contents that the index has, by SHA-256."""
        contents = self._contents
        missing = {
            sha256: source
            for sha256, source in sources.items()
            if sha256 not in contents or contents[sha256].source is not source
        }
        contents.update(self._read(missing))
        known = {sha256: contents[sha256] for sha256 in sources if sha256 in contents}
        for sha256 in known:
            contents.move_to_end(sha256)
        while len(contents) > REMEMBERED:
            contents.popitem(last=False)
        return known

    def _read(self, sources: Mapping[str, Source]) -> Iterator[tuple[str, _Content]]:
        """Reads the points with some contents, and the vectors of one point for each."""
        if not sources:
            return
        points: dict[str, list[Point]] = {}
        for batch in self._engine.scroll(AnyOfValues(record.SHA256, tuple(sources))):
            for point in batch:
                points.setdefault(record_of(point.payload)["sha256"], []).append(point)
        if not points:
            return
        first = [several[0].id for several in points.values()]
        for same in self._engine.retrieve(first, vectors=list(self._datatypes)):
            if self._datatypes.keys() <= same.vectors.keys():
                sha256 = record_of(same.payload)["sha256"]
                yield sha256, _Content(points[sha256], same, sources[sha256])

    def _changes(self, item: IngestItem, content: _Content) -> Iterator[Change]:
        if item.stored is None and item.obsolete_id is None:
            moved = content.take_moved(item, self._taken)
            if moved:
                yield from (self._moved_change(item, point, content.same) for point in moved)
                return
        of_file = None if item.obsolete_id is None else content.points.get(item.obsolete_id)
        outcome = Outcome.ADDED if item.is_new else Outcome.UPDATED
        owner = item if of_file is None else replace(item, stored=of_file)
        yield Change(
            outcome,
            item.id,
            point=self._point(owner, content.same),
            payload=item.changed_fields(item.stored) if item.stored else None,
            replaced=of_file,
            obsolete_id=item.obsolete_id,
            fields=owner.field_counts,
        )

    def _moved_change(self, item: IngestItem, point: Point, same: Point) -> Change:
        """The change that moves a point; an id that was given stays, an address changes."""
        at_new = replace(item, stored=point)
        if point.id != record_of(point.payload)["uri"]:
            fields = {**at_new.changed_fields(point), record.KEY: location(item.ref)}
            counts = at_new.field_counts
            return Change(Outcome.MOVED, point.id, payload=fields, fields=counts)
        return Change(
            Outcome.MOVED,
            item.id,
            point=self._point(at_new, replace(point, vectors=same.vectors), moved_from=point.id),
            replaced=point,
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
    optional = {"modified_at": ref.modified_at, "listed_in": ref.listed_in}
    known = {name: value for name, value in optional.items() if value}
    return {"uri": ref.uri, "etag": ref.etag, **known}
