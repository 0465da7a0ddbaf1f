"""The points that an ingest makes or keeps, and the changes to write for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from lookalike import record
from lookalike.ingest.report import FileNote, IncomingCopy, IngestReport, Reject
from lookalike.metadata.table import Row
from lookalike.protocols import Source
from lookalike.record import record_of
from lookalike.types import ImageRef, Payload, Point, Vector


class FieldCounts(NamedTuple):
    """Counts of the fields of an image: see `report.IngestCounts`."""

    cleared: int = 0
    outdated: int = 0


@dataclass(frozen=True, slots=True)
class IngestItem:
    """An image to index under one id.

    Attributes:
        source, ref: where the image is.
        id: id of its point.
        row: its metadata row; None without one, which leaves its fields alone.
        stored: the point that the index has under this id, if any.
        obsolete_id: id of a stored point that this one replaces, if any.
    """

    source: Source
    ref: ImageRef
    id: str
    row: Row | None
    stored: Point | None
    obsolete_id: str | None

    @property
    def own_vectors(self) -> Mapping[str, Vector]:
        """Vectors of the caller's, by name."""
        return {} if self.row is None else self.row.vectors

    @property
    def is_new(self) -> bool:
        return self.stored is None and self.obsolete_id is None

    def changed_fields(self, stored: Point | None) -> dict[str, Any]:
        """The changes that the row makes to the user's fields of a point; None clears a field."""
        if self.row is None:
            return {}
        old, wanted, unread = users_fields(stored), self.row.fields, self.row.unread
        changed = {
            name: value
            for name, value in wanted.items()
            if not is_same(old.get(name), value) and name not in unread
        }
        if self.row.complete:
            gone = (name for name in old if name not in wanted and name not in unread)
            changed.update((name, None) for name in gone if old[name] is not None)
        return changed

    def new_fields(self) -> dict[str, Any]:
        """The user's fields of the point that replaces the stored one."""
        fields = {**users_fields(self.stored), **self.changed_fields(self.stored)}
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def ends_move(self) -> bool:
        """True if an earlier run was cut off between the two steps of a move to this point."""
        return self.stored is not None and "moved_from" in record_of(self.stored.payload)

    @property
    def field_counts(self) -> FieldCounts:
        """The counts of fields that the row does not just set."""
        return self.counts_of(self.changed_fields(self.stored))

    def counts_of(self, changed: Mapping[str, Any]) -> FieldCounts:
        """The same where the `changed_fields` of the stored point are known."""
        if self.row is None:
            return FieldCounts()
        unread = self.row.unread
        old = users_fields(self.stored) if unread else {}
        return FieldCounts(
            cleared=list(changed.values()).count(None), outdated=sum(map(old.__contains__, unread))
        )


def users_fields(point: Point | None) -> dict[str, Any]:
    """The user's fields in the payload of a point."""
    payload = {} if point is None else point.payload
    return {name: value for name, value in payload.items() if name != record.KEY}


def is_same(one: Any, other: Any) -> bool:
    """True if two values are equal, where true is not 1."""
    return bool(one == other) and (type(one) is bool) is (type(other) is bool)


class Outcome(StrEnum):
    """The result for one input, as the report counts it."""

    ADDED = "added"
    UPDATED = "updated"
    MOVED = "moved"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome for one item, and what must be written for it.

    Attributes:
        id: id of the item's point; empty where nothing is written.
        point: the point to write.
        payload: what to merge into the payload of the stored point, which may have been changed
            since it was read; with a `point`, the user's fields.
        replaced: the point with `obsolete_id` as it was read, if `point` has its fields.
        obsolete_id: id of a point to delete once the rest is written.
        fields: counts of its fields.
        thumbnail: JPEG of the point's image; empty where none was made.
        reject: the reason, for a rejected image.
        note: what is wrong with a file that was used nevertheless.
        copy: the original, for a new image that is a copy.
        ends_move: whether `image.moved_from` is removed last of all.
    """

    outcome: Outcome
    id: str = ""
    point: Point | None = None
    payload: Payload | None = None
    replaced: Point | None = None
    obsolete_id: str | None = None
    fields: FieldCounts = field(default_factory=FieldCounts)
    thumbnail: bytes = b""
    reject: Reject | None = None
    note: FileNote | None = None
    copy: IncomingCopy | None = None
    ends_move: bool = False


def rejected(uri: str, reason: str, detail: str) -> Change:
    return Change(Outcome.REJECTED, reject=Reject(uri, reason, detail))


def report_of(changes: Sequence[Change]) -> IngestReport:
    """Counts changes that have been written."""
    counts = Counter(change.outcome for change in changes)
    return IngestReport(
        added=counts[Outcome.ADDED],
        updated=counts[Outcome.UPDATED],
        moved=counts[Outcome.MOVED],
        unchanged=counts[Outcome.UNCHANGED],
        skipped=counts[Outcome.SKIPPED],
        rejected=counts[Outcome.REJECTED],
        cleared=sum(change.fields.cleared for change in changes),
        outdated=sum(change.fields.outdated for change in changes),
        rejects=tuple(change.reject for change in changes if change.reject),
        copies=tuple(change.copy for change in changes if change.copy),
        notes=tuple(change.note for change in changes if change.note),
    )
