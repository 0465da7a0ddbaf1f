"""Writing of changes to the index, in an order that makes an interruption harmless."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from lookalike import record
from lookalike.ingest.items import Change, Outcome, is_same, users_fields
from lookalike.ingest.lookup import CopyDetector
from lookalike.protocols import Engine
from lookalike.record import decided_about, record_of
from lookalike.types import AnyOf, Decision, Missing, Not, Payload, Point


class Writer:
    """Writes changes; safe to use from several threads.

    A new point is written whole. Of one that is stored, vectors and record are replaced, and only
    those of the user's fields that the run changes, as another process may have changed the others
    or made a decision since it was read. An obsolete point is deleted only after its replacement is
    stored. A run that is cut off in between is completed by the next.
    """

    def __init__(self, engine: Engine, detector: CopyDetector | None) -> None:
        self._engine = engine
        self._detector = detector
        self._admission = threading.Lock()
        self._decisions = _StoredDecisions(engine)

    def write(self, changes: Sequence[Change]) -> list[Change]:
        """Writes changes, and returns them with the copies among new images marked or skipped."""
        changes = self._decisions.apply(changes)
        admitted: list[Change] = []
        if self._detector is not None:
            new = [change for change in changes if change.outcome is Outcome.ADDED]
            changes = [change for change in changes if change.outcome is not Outcome.ADDED]
            admitted = self._admit(new, self._detector)
        self._write_points([change for change in changes if change.point])
        updates = [
            (change.id, change.payload) for change in changes if change.payload and not change.point
        ]
        updates += self._changed_meanwhile([change for change in changes if change.replaced])
        if updates:
            self._engine.set_payloads(updates)
        self._engine.delete([change.obsolete_id for change in changes if change.obsolete_id])
        for change in changes:
            if change.ends_move:
                self._engine.set_payload(change.id, {record.KEY: {"moved_from": None}})
        return [*admitted, *changes]

    def _write_points(self, changes: Sequence[Change]) -> None:
        known = [change.id for change in changes if change.payload is not None]
        stored = {point.id: point for point in self._engine.retrieve(known)} if known else {}
        new = [change.point for change in changes if change.point and change.id not in stored]
        self._engine.upsert(new)
        amended = [_amendment(change, stored) for change in changes if change.id in stored]
        if amended:
            self._engine.amend(amended)

    def _changed_meanwhile(self, changes: Sequence[Change]) -> list[tuple[str, Payload]]:
        """The updates of new points by what was changed in those that they replace, since those
        were read."""
        if not changes:
            return []
        old_ids = [change.replaced.id for change in changes if change.replaced]
        present = {point.id: point for point in self._engine.retrieve(old_ids)}
        updates: list[tuple[str, Payload]] = []
        for change in changes:
            assert change.replaced is not None  # noqa: S101 -- for the type checker
            assert change.point is not None  # noqa: S101 -- for the type checker
            now = present.get(change.replaced.id)
            update = {} if now is None else _difference(change.replaced, now, change.point)
            if update:
                updates.append((change.id, update))
        return updates

    def _admit(self, changes: Sequence[Change], detector: CopyDetector) -> list[Change]:
        """Adds new images one by one, as each may be a copy of the one before."""
        if not changes:
            return []
        with self._admission:
            return [self._admit_one(change, detector) for change in changes]

    def _admit_one(self, change: Change, detector: CopyDetector) -> Change:
        assert change.point is not None  # noqa: S101 -- for the type checker
        point = change.point
        copy = detector.copy_of(point, change.thumbnail)
        if copy is not None:
            if not (detector.links or copy.holds_more):
                return Change(Outcome.SKIPPED, copy=copy)
            if detector.links:
                point = _with_record(point, {"copy_of": copy.of})
        self._engine.upsert([point])
        return replace(change, point=point, copy=copy)


class _StoredDecisions:
    """The decisions about duplicates in the index, applied to new points with the same contents.

    A file that is moved or indexed again so keeps its decisions. They are read once a run, and
    only if there is a new point.
    """

    _ANY = AnyOf(tuple(Not(Missing(f"image.{decision}")) for decision in Decision))

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._by_sha256: dict[str, dict[str, Any]] | None = None

    def apply(self, changes: Sequence[Change]) -> Sequence[Change]:
        """The changes, with the decisions about contents in the points."""
        if not any(change.point for change in changes):
            return changes
        with self._lock:
            if self._by_sha256 is None:
                self._by_sha256 = self._read()
        return [self._apply_to(change, self._by_sha256) for change in changes]

    def _apply_to(self, change: Change, by_sha256: dict[str, dict[str, Any]]) -> Change:
        if change.point is None:
            return change
        decisions = by_sha256.get(record_of(change.point.payload)["sha256"], {})
        return replace(change, point=_with_record(change.point, decisions))

    def _read(self) -> dict[str, dict[str, Any]]:
        by_sha256: dict[str, dict[str, Any]] = {}
        for points in self._engine.scroll(self._ANY):
            for point in points:
                decisions = {
                    decision.value: contents
                    for decision in Decision
                    if (contents := decided_about(point.payload, decision))
                }
                by_sha256.setdefault(record_of(point.payload)["sha256"], {}).update(decisions)
        return by_sha256


def _amendment(change: Change, stored: Mapping[str, Point]) -> Point:
    """What to write of a point that is stored. The decisions about its content are left alone, as
    those in the index are the latest."""
    assert change.point is not None  # noqa: S101 -- for the type checker
    old, new = record_of(stored[change.id].payload), record_of(change.point.payload)
    own: dict[str, Any] = {name: None for name in old if name not in new}
    own.update(new)
    if old["sha256"] == new["sha256"]:
        own = {name: value for name, value in own.items() if name not in list(Decision)}
    return replace(change.point, payload={**(change.payload or {}), record.KEY: own})


def _difference(before: Point, after: Point, point: Point) -> dict[str, Any]:
    """The update of a point by what was changed in the one that it was made from. Fields that the
    run itself changes stay as they are."""
    old, now, new = users_fields(before), users_fields(after), users_fields(point)
    update = {
        name: now.get(name)
        for name in old.keys() | now.keys()
        if not is_same(old.get(name), now.get(name)) and is_same(old.get(name), new.get(name))
    }
    lists: dict[str, Any] = {}
    for decision in Decision:
        latest = decided_about(after.payload, decision)
        if set(latest) != set(decided_about(point.payload, decision)):
            lists[decision.value] = list(latest) or None
    return {**update, record.KEY: lists} if lists else update


def _with_record(point: Point, fields: dict[str, Any]) -> Point:
    """The point with some fields of its record set."""
    own = {**record_of(point.payload), **fields}
    return replace(point, payload={**point.payload, record.KEY: own})
