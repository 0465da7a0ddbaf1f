"""Writing of changes to the index, in an order that makes an interruption harmless."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lookalike import record
from lookalike.ingest.items import Change, Outcome
from lookalike.ingest.lookup import CopyDetector
from lookalike.protocols import Engine
from lookalike.record import decided_about, record_of
from lookalike.types import AnyOf, Decision, Missing, Not, Point


class Writer:
    """Writes changes; safe to use from several threads.

    A point is written whole, and an obsolete one is deleted only after its replacement is stored.
    A run that is cut off between the two is completed by the next.
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
        self._engine.upsert([change.point for change in changes if change.point])
        updates = [(change.id, change.payload) for change in changes if change.payload]
        if updates:
            self._engine.set_payloads(updates)
        self._engine.delete([change.obsolete_id for change in changes if change.obsolete_id])
        for change in changes:
            if change.ends_move:
                self._engine.set_payload(change.id, {record.KEY: {"moved_from": None}})
        return [*admitted, *changes]

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


def _with_record(point: Point, fields: dict[str, Any]) -> Point:
    """The point with some fields of its record set."""
    own = {**record_of(point.payload), **fields}
    return replace(point, payload={**point.payload, record.KEY: own})
