"""The groups of the last search for duplicates.

Each is a record of the state of the services, so that an index of a million images may have
hundreds of thousands of groups. Members that were deleted, replaced, or decided on since the search
are left out when a group is read; a group that is obsolete by that is set aside.
"""

from __future__ import annotations

import itertools
import math
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from lookalike.duplicates.decisions import may_be_duplicates
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.index import Index
from lookalike.ingest.report import Canceled
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.system.iteration import batched
from lookalike.system.state import StateRecord, StateStore
from lookalike.types import Point

LOOKUP_GROUPS = 50
"""Groups whose images are looked up in one request."""
BATCH_SECONDS = 0.5
BATCH_GROUPS = 200
"""Groups that a search finds are written after as many seconds, or once there are as many."""

GroupRecord: TypeAlias = dict[str, Any]
"""A group: keeper, reason, and members, the keeper first. Each member has id, uri, sha256, verdict,
evidence, holds_more, and protected."""
Sets: TypeAlias = dict[str, str]
"""Names of the sets of groups: `current`, and `draft`, which a search is making. Empty for none."""

_SETS = "group-sets"
_NO_SETS: Sets = {"current": "", "draft": ""}


class DuplicateGroupStore:
    """Duplicate groups in the state of the services."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    @property
    def total(self) -> int:
        """Number of groups. An obsolete group counts until it is read for the first time."""
        return self._state.count(self._kind())

    @contextmanager
    def replacement(self) -> Iterator[Callable[[DuplicateGroup], None]]:
        """Starts a new set of groups; yields the function that appends one.

        Groups can be read soon after they are appended. They replace the former set for good only
        if the block ends without an error.
        """
        draft = secrets.token_hex(8)
        self._update_sets(lambda sets: {**sets, "draft": draft})
        batch = _Batch(self._state, _kind(draft))
        try:
            yield batch.append
            batch.write()
            self._update_sets(lambda sets: _committed(sets, draft))
        except BaseException:
            self._update_sets(lambda sets: _without(sets, draft))
            raise

    def discard_draft(self) -> None:
        """Gives up a set of groups that a search has left unfinished."""
        self._update_sets(lambda sets: _without(sets, sets["draft"]))

    def page(self, index: Index, offset: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        """Returns some of the groups that still hold, as documents, and the total."""
        shown: list[dict[str, Any]] = []
        kind = self._kind()
        for batch in batched(self._state.scan(kind, offset=offset), LOOKUP_GROUPS):
            for record, points in _looked_up(index, batch):
                document = self._document(index, kind, record, points)
                if document is not None:
                    shown.append(document)
                if len(shown) == limit:
                    return shown, self._state.count(kind)
        return shown, self._state.count(kind)

    def recheck(self, ids: Iterable[str]) -> None:
        """Considers obsolete groups again whose members include these images."""
        kind = self._kind()
        for record in self._state.tagged(kind, list(ids)):
            if record.order < 0:
                self._state.replace(kind, record, record.changed(order=-1 - record.order, tags=()))

    # --- inside -----------------------------------------------------------------------------

    def _kind(self) -> str:
        """The kind of the records of the groups that are shown."""
        record = self._sets()
        sets = record.value if record else _NO_SETS
        return _kind(sets["draft"] or sets["current"])

    def _sets(self) -> StateRecord | None:
        return next(iter(self._state.read(_SETS, [_SETS])), None)

    def _update_sets(self, change: Callable[[Sets], Sets]) -> None:
        """Changes which sets there are, and removes the groups of those that are no more."""
        while True:
            record = self._sets()
            before = record.value if record else _NO_SETS
            after = change(before)
            if after == before:
                return
            new = record.changed(value=after) if record else StateRecord(_SETS, after)
            if self._state.replace(_SETS, record, new):
                break
        for set in {*before.values()} - {*after.values(), ""}:
            self._state.clear(_kind(set))

    def _document(
        self, index: Index, kind: str, stored: StateRecord, points: Mapping[str, Point]
    ) -> dict[str, Any] | None:
        """Returns what is left of a group; sets it aside and returns None if that is less than two
        images."""
        record: GroupRecord = stored.value
        if record["keeper"] not in points:
            members = [member for member in record["members"] if member["id"] in points]
            if len(members) > 1:
                record = _regrouped(index, members)
                regrouped = stored.changed(value=record)
                self._state.replace(kind, stored, regrouped)
                stored = regrouped
        document = _document(record, points)
        if document is None:
            ids = tuple(member["id"] for member in record["members"])
            self._state.replace(kind, stored, stored.changed(order=-1 - stored.order, tags=ids))
        return document


def _document(record: GroupRecord, points: Mapping[str, Point]) -> dict[str, Any] | None:
    """Returns what is left of a group; None if that is less than two images."""
    members = [member for member in record["members"] if member["id"] in points]
    if not members or members[0]["id"] != record["keeper"]:
        return None
    keeper, *others = members
    payload = points[keeper["id"]].payload
    copies = [
        member for member in others if may_be_duplicates(payload, points[member["id"]].payload)
    ]
    if not copies:
        return None
    order = list(Verdict)
    return {
        "verdict": max((member["verdict"] for member in copies), key=order.index),
        "keeper": keeper["id"],
        "reason": record["reason"],
        "members": [_member_document(member, points[member["id"]]) for member in (keeper, *copies)],
    }


class _Batch:
    """Writes the groups of a new set: the first at once, later ones together, as each write waits
    for the disk or a server."""

    def __init__(self, state: StateStore, kind: str) -> None:
        self._state = state
        self._kind = kind
        self._records: list[StateRecord] = []
        self._number = itertools.count()
        self._written = -math.inf

    def append(self, group: DuplicateGroup) -> None:
        """Adds a group, which is written soon."""
        number = next(self._number)
        self._records.append(StateRecord(f"{number}", _group_record(group), number))
        if time.monotonic() > self._written + BATCH_SECONDS or len(self._records) >= BATCH_GROUPS:
            self.write()

    def write(self) -> None:
        """Writes what was added."""
        self._state.put(self._kind, self._records)
        self._records, self._written = [], time.monotonic()


def _kind(set: str) -> str:
    return f"group:{set}"


def _committed(sets: Sets, draft: str) -> Sets:
    if sets["draft"] != draft:
        raise Canceled  # another service has begun a search
    return {"current": draft, "draft": ""}


def _without(sets: Sets, draft: str) -> Sets:
    return {**sets, "draft": ""} if sets["draft"] == draft else sets


def _looked_up(
    index: Index, records: Sequence[StateRecord]
) -> Iterator[tuple[StateRecord, Mapping[str, Point]]]:
    """Yields groups with their images, without those that were deleted or replaced."""
    digests = {
        member["id"]: member["sha256"] for record in records for member in record.value["members"]
    }
    points = {
        point.id: point
        for point in index.get_many(list(digests))
        if record_of(point.payload)["sha256"] == digests[point.id]
    }
    for record in records:
        yield record, points


def _regrouped(index: Index, members: Sequence[GroupRecord]) -> GroupRecord:
    """Returns a group whose keeper was removed, under a new keeper.

    The other members were only compared with the old keeper, so they are compared with the new
    one, the first of them.
    """
    keeper, *others = members
    similar = any(member["verdict"] == Verdict.SIMILAR for member in others)
    found = index.duplicates_of(id=keeper["id"], similar=similar, holds_more=True)
    copies = {copy.id: copy for copy in found}
    return {
        "keeper": keeper["id"],
        "reason": "first of the rest, as the former keeper was removed",
        "members": [
            {
                **keeper,
                "verdict": Verdict.IDENTICAL.value,
                "evidence": {"why": "kept"},
                "holds_more": [],
            },
            *(_member_record(copies[member["id"]]) for member in others if member["id"] in copies),
        ],
    }


def _group_record(group: DuplicateGroup) -> GroupRecord:
    members = [_member_record(member) for member in group.members]
    return {"keeper": group.keeper, "reason": group.reason, "members": members}


def _member_record(duplicate: Duplicate) -> GroupRecord:
    return {
        **documents.of_duplicate(duplicate),
        "sha256": record_of(duplicate.payload)["sha256"],
    }


def _member_document(member: GroupRecord, point: Point) -> dict[str, Any]:
    return {
        "id": member["id"],
        "uri": record_of(point.payload)["uri"],
        "verdict": member["verdict"],
        "evidence": member["evidence"],
        "holds_more": member.get("holds_more", []),
        "protected": member.get("protected", False),
        "payload": point.payload,
    }
