"""A loaded shard: what it holds survives a power cut once `commit` returns, and is counted."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import qdrant_edge as qe

from lookalike.engines.edge import generations, ledger
from lookalike.engines.edge.journal import Journal
from lookalike.engines.edge.ledger import Ledger
from lookalike.system.files import sync_folders, sync_tree

_CHECKPOINT = 10_000
"""Points written from one checkpoint to the next. Loading a shard after a kill replays the log from
the last one, 4,000 points a second."""

PAYLOAD_SHARE = 0.3
"""Share of that time in which the log of an update of a payload is replayed."""


class OpenShard:
    """A shard that this process has loaded, with its log and its ledger.

    Attributes:
        path: its folder.
        edge: the engine's own object.
        damage: descriptions of what it had lost when it was loaded.
    """

    def __init__(
        self, path: Path, edge: qe.EdgeShard, stored: Ledger | None, damage: Sequence[str] = ()
    ) -> None:
        self.path = path
        self.edge = edge
        self._ledger = stored
        self._journal = Journal()
        self._writing = threading.Lock()
        self._uncounted: float = 0
        self._is_optimized = False
        self.damage: list[str] = list(damage)

    @classmethod
    def load(cls, path: Path, damage: Sequence[str] = ()) -> OpenShard:
        """Loads a shard and compares its number of points with its ledger; see `problems`.

        Args:
            path: its folder.
            damage: the result of `damage_of`. Loading may create files anew.
        """
        edge = qe.EdgeShard.load(str(path))
        shard = cls(path, edge, ledger.read(path), damage)
        shard.damage = shard.damage or shard._missing_points()
        return shard

    @staticmethod
    def damage_of(path: Path, *, whole: bool = False) -> list[str]:
        """Compares a shard's files with its ledger, without loading it.

        Args:
            path: its folder.
            whole: reads the files to their ends; otherwise some changes are not seen.
        """
        while stored := ledger.read(path):
            damage = stored.missing_files(path) or stored.changed_files(path, whole=whole)
            if not damage or ledger.read(path) == stored:
                return damage
            # Its owner has written to it meanwhile, and marked the ledger before.
        return []

    @classmethod
    def create(cls, path: Path, config: qe.EdgeConfig) -> None:
        """Creates an empty shard at a path; a kill in between leaves none."""
        draft = generations.draft(path)
        shutil.rmtree(draft, ignore_errors=True)  # left by a process that was killed
        qe.EdgeShard.create(str(draft), config).close()
        sync_tree(draft)
        ledger.write(path, Ledger(0, files=ledger.files_of(draft)))
        draft.rename(path)
        sync_folders(path)

    def problems(self, *, whole: bool = False) -> list[str]:
        """Describes what the shard has lost since its ledger was written; empty if nothing.

        Args:
            whole: reads the files to their ends; otherwise it is known that they are there.
        """
        with self._writing:
            damage = self.damage
            if self._ledger and not damage:
                damage = self._ledger.missing_files(self.path)
            if self._ledger and not damage and whole:
                damage = self._ledger.changed_files(self.path, whole=True)
            return damage + [one for one in self._missing_points() if one not in damage]

    def update(self, operation: qe.UpdateOperation, points: float, *, deletes: bool) -> None:
        """Applies an operation that writes some points, or `PAYLOAD_SHARE` of one; it can be found
        when this returns."""
        with self._writing:
            self._mark_written(deletes=deletes)
            self._is_optimized = False
            self.edge.update(operation)
            self._journal.note()
            self._uncounted += points

    @property
    def is_behind(self) -> bool:
        """True if a power cut would lose operations."""
        return self._journal.is_behind

    def commit(self) -> None:
        """Returns once all operations before it would survive a power cut."""
        self._journal.commit(self.path)
        if self._uncounted >= _CHECKPOINT:
            self.checkpoint()

    def optimize(self) -> None:
        """Builds the search graph. Where nothing was written since, this takes no time: to sync
        hundreds of files takes longer than to compare thousands of images."""
        with self._writing:
            if self._is_optimized:
                return
            before = self._ledger
            if before:  # the files are about to be replaced
                self._write_ledger(replace(before, closed=False, files={}, checksums={}))
            if self.edge.optimize() or self._uncounted:
                self.edge.flush()
                sync_tree(self.path)
                self._count(closed=False)
            elif before:
                self._write_ledger(before)
            self._is_optimized = True

    def checkpoint(self) -> None:
        """Brings everything to the disk, and the ledger up to date."""
        with self._writing:
            self._flush()
            self._count(closed=False)

    def close(self) -> None:
        with self._writing:
            self._flush()
            if not self.damage and not (self._ledger and self._ledger.closed):
                with suppress(OSError):  # a full disk: the ledger stays as the last write left it
                    self._count(closed=True)
            self.edge.close()

    def accept(self) -> None:
        """Takes what the shard holds for all that it should hold."""
        with self._writing:
            self.damage = []
            self._flush()
            self._count(closed=False)

    def _flush(self) -> None:
        self.edge.flush()
        if self._uncounted:
            sync_folders(self.path)  # the engine creates files, but does not sync their names

    def _count(self, *, closed: bool) -> None:
        if not self.damage:
            before = self._ledger.written().checksums if self._ledger else {}
            checksums = ledger.checksums_of(self.path, before) if closed else before
            files = ledger.files_of(self.path)
            self._write_ledger(Ledger(self.count(), closed, files=files, checksums=checksums))
        self._uncounted = 0

    def _mark_written(self, *, deletes: bool) -> None:
        """Records that the number in the ledger is no longer exact, before it is not."""
        stored = self._ledger
        if stored and (stored.closed or (deletes and not stored.shrinking)):
            self._write_ledger(stored.written(deletes=deletes))

    def _write_ledger(self, changed: Ledger) -> None:
        ledger.write(self.path, changed)
        self._ledger = changed

    def _missing_points(self) -> list[str]:
        return self._ledger.missing_points(self.count()) if self._ledger else []

    def count(self) -> int:
        """Number of points."""
        return self.edge.count(qe.CountRequest(exact=True))
