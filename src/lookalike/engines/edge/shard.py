"""A loaded shard: what it holds survives a power cut once `commit` returns, and is counted."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import qdrant_edge as qe

from lookalike.engines.edge import ledger
from lookalike.engines.edge.journal import Journal
from lookalike.engines.edge.ledger import Ledger
from lookalike.system.files import sync_folders, sync_tree

_CHECKPOINT = 10_000
"""Points written from one checkpoint to the next. Loading a shard after a kill replays the log from
the last one, 4,000 points a second."""


class OpenShard:
    """A shard that this process has loaded, with its log and its ledger.

    Attributes:
        path: its folder.
        edge: the engine's own object.
    """

    def __init__(self, path: Path, edge: qe.EdgeShard, stored: Ledger | None) -> None:
        self.path = path
        self.edge = edge
        self._ledger = stored
        self._journal = Journal()
        self._writing = threading.Lock()
        self._uncounted = 0
        self._damage: list[str] = []

    @classmethod
    def load(cls, path: Path) -> OpenShard:
        """Loads a shard and compares it with its ledger; see `problems`."""
        before = ledger.read(path)
        missing = before.missing_files(path) if before else []  # loading may create files anew
        edge = qe.EdgeShard.load(str(path))
        stored = ledger.read(path)
        if stored and stored != before:  # its owner was still writing it
            missing = stored.missing_files(path)
        shard = cls(path, edge, stored)
        shard._damage = missing or shard._missing_points()
        return shard

    @classmethod
    def create(cls, path: Path, config: qe.EdgeConfig) -> None:
        """Creates an empty shard at a path; a kill in between leaves none."""
        draft = path.with_name(f"{path.name}.new")
        shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
        qe.EdgeShard.create(str(draft), config).close()
        sync_tree(draft)
        ledger.write(path, Ledger(0, files=ledger.files_of(draft)))
        draft.rename(path)
        sync_folders(path)

    def problems(self) -> list[str]:
        """Describes what the shard has lost since its ledger was written; empty if nothing."""
        missing = self._ledger.missing_files(self.path) if self._ledger else []
        return self._damage or missing or self._missing_points()

    def update(self, operation: qe.UpdateOperation, points: int, *, deletes: bool) -> None:
        """Applies an operation that writes some points; it can be found when this returns."""
        with self._writing:
            self._mark_written(deletes=deletes)
            self.edge.update(operation)
            self._journal.note()
            self._uncounted += points

    @property
    def is_behind(self) -> bool:
        """Whether a power cut would lose operations."""
        return self._journal.is_behind

    def commit(self) -> None:
        """Returns once all operations before it would survive a power cut."""
        self._journal.commit(self.path)
        if self._uncounted >= _CHECKPOINT:
            self.checkpoint()

    def optimize(self) -> None:
        """Builds the search graph."""
        with self._writing:
            if self._ledger:  # the files are about to be replaced
                self._write_ledger(replace(self._ledger, closed=False, files={}))
            self.edge.optimize()
            self.edge.flush()
            sync_tree(self.path)
            self._count(closed=False)

    def checkpoint(self) -> None:
        """Brings everything to the disk, and the ledger up to date."""
        with self._writing:
            self._flush()
            self._count(closed=False)

    def close(self) -> None:
        with self._writing:
            self._flush()
            if not self._damage and not (self._ledger and self._ledger.closed):
                with suppress(OSError):  # a full disk: the ledger stays as the last write left it
                    self._count(closed=True)
            self.edge.close()

    def accept(self) -> None:
        """Takes what the shard holds for all that it should hold."""
        with self._writing:
            self._damage = []
            self._flush()
            self._count(closed=False)

    def _flush(self) -> None:
        self.edge.flush()
        if self._uncounted:
            sync_folders(self.path)  # the engine creates files, but does not sync their names

    def _count(self, *, closed: bool) -> None:
        if not self._damage:
            self._write_ledger(Ledger(self._points(), closed, files=ledger.files_of(self.path)))
        self._uncounted = 0

    def _mark_written(self, *, deletes: bool) -> None:
        """Records that the number in the ledger is no longer exact, before it is not."""
        stored = self._ledger
        if stored and (stored.closed or (deletes and not stored.shrinking)):
            shrinking = deletes or stored.shrinking
            self._write_ledger(replace(stored, closed=False, shrinking=shrinking))

    def _write_ledger(self, changed: Ledger) -> None:
        ledger.write(self.path, changed)
        self._ledger = changed

    def _missing_points(self) -> list[str]:
        return self._ledger.missing_points(self._points()) if self._ledger else []

    def _points(self) -> int:
        return self.edge.count(qe.CountRequest(exact=True))
