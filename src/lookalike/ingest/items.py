"""The points that an ingest makes or keeps, and the changes to write for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lookalike import record
from lookalike.ingest.report import IncomingCopy, IngestReport, Reject
from lookalike.protocols import Source
from lookalike.record import record_of
from lookalike.types import ImageRef, Payload, Point


@dataclass(frozen=True, slots=True)
class IngestItem:
    """An image to index under one id.

    Attributes:
        source, ref: where the image is.
        id: id of its point.
        fields: the user's fields from the metadata; None without a metadata row.
        stored: the point that the index has under this id, if any.
        obsolete_id: id of a stored point that this one replaces, if any.
    """

    source: Source
    ref: ImageRef
    id: str
    fields: Payload | None
    stored: Point | None
    obsolete_id: str | None

    @property
    def is_new(self) -> bool:
        return self.stored is None and self.obsolete_id is None

    def changed_fields(self, stored: Point) -> dict[str, Any]:
        """The user's fields whose value differs from the stored point's."""
        old = stored.payload
        return {name: v for name, v in (self.fields or {}).items() if old.get(name) != v}

    def new_fields(self) -> dict[str, Any]:
        """The user's fields of the point that replaces the stored one."""
        old = {} if self.stored is None else dict(self.stored.payload)
        old.pop(record.KEY, None)
        return {**old, **(self.fields or {})}

    @property
    def ends_move(self) -> bool:
        """True if an earlier run was cut off between the two steps of a move to this point."""
        return self.stored is not None and "moved_from" in record_of(self.stored.payload)


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
        payload: what to merge into the payload of the stored point.
        obsolete_id: id of a point to delete once the rest is written.
        thumbnail: JPEG of the point's image; empty where none was made.
        reject: the reason, for a rejected image.
        copy: the original, for a new image that is a copy.
        ends_move: whether `image.moved_from` is removed last of all.
    """

    outcome: Outcome
    id: str = ""
    point: Point | None = None
    payload: Payload | None = None
    obsolete_id: str | None = None
    thumbnail: bytes = b""
    reject: Reject | None = None
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
        rejects=tuple(change.reject for change in changes if change.reject),
        copies=tuple(change.copy for change in changes if change.copy),
    )
