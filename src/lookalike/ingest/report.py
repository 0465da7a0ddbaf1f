"""The report of an ingest run: counts while it goes on, everything at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from typing import TypeAlias, TypeVar

from lookalike.metadata.readers import MetadataWarning
from lookalike.system.display import Displayed

_T = TypeVar("_T")


class Canceled(Exception):
    """Raised by a progress callback to stop a run; the same command continues it later."""


@dataclass(frozen=True, slots=True)
class Reject:
    """An image that cannot be indexed, with the reason."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class FileNote:
    """A file that was used although something is wrong with it."""

    uri: str
    detail: str


@dataclass(frozen=True, slots=True)
class IncomingCopy:
    """A new image that is a copy of one in the index.

    Attributes:
        uri: the new image.
        of: id of the image in the index.
        verdict: the kind of copy.
        holds_more: what it holds that the image in the index does not, in words. Such a copy is
            added.
    """

    uri: str
    of: str
    verdict: str
    holds_more: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IngestCounts:
    """Counts of inputs by outcome; each input has exactly one.

    Attributes:
        moved: images whose file has another address and the same content.
        skipped: copies that were left out.
        removed: images deleted because their source or metadata no longer has them. They are not
            inputs.
        cleared: values removed from fields because the metadata no longer gives them.
        outdated: values that could not be read although the index has older ones, which stay.
        seconds: wall time.
    """

    added: int = 0
    updated: int = 0
    moved: int = 0
    unchanged: int = 0
    skipped: int = 0
    rejected: int = 0
    removed: int = 0
    cleared: int = 0
    outdated: int = 0
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """The number of inputs processed so far."""
        changed = self.added + self.updated + self.moved
        return changed + self.unchanged + self.skipped + self.rejected

    @property
    def images_per_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class IngestReport(Displayed, IngestCounts):
    """The counts of a run with their details.

    Attributes:
        model: the model that serves `semantic`.
        rejects: images that cannot be indexed, in the order of the listing.
        copies: new images that are copies, where these are skipped or linked.
        notes: files that were used although something is wrong with them, in the same order.
        warnings: metadata that was left out because it did not fit.
        interrupted: whether the run was stopped early; the same command continues it.
        excluded: images in the index that the sources now pass over; pruning removes them.
        without_row: images in the index that the metadata no longer describes; likewise.
        prune_refused: a sentence on why nothing was pruned; None if all went as asked.
        incomplete: whether a part of a bucket could not be listed, so that images may be missing.
        engine_notes: sentences on what is not as it should be, as replicas that differ.
    """

    model: str = ""
    rejects: tuple[Reject, ...] = ()
    copies: tuple[IncomingCopy, ...] = ()
    notes: tuple[FileNote, ...] = ()
    warnings: tuple[MetadataWarning, ...] = ()
    interrupted: bool = False
    excluded: int = 0
    without_row: int = 0
    prune_refused: str | None = None
    incomplete: bool = False
    engine_notes: tuple[str, ...] = ()


IngestProgress: TypeAlias = Callable[[IngestCounts, int | None], None]
"""Called after every batch with the counts so far, and the number of inputs once it is known."""


class Tally:
    """Adds up the reports of the batches of a run."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._counts = IngestCounts()
        self._incomplete = False
        self._rejects: list[tuple[int, Reject]] = []
        self._copies: list[tuple[int, IncomingCopy]] = []
        self._notes: list[tuple[int, FileNote]] = []

    def add(self, batch: IngestReport, number: int = 0) -> IngestCounts:
        """Adds the report of a batch, and returns the counts so far. Thread-safe.

        Args:
            batch: the report.
            number: place of the batch in the listing, if batches end in any order.
        """
        with self._lock:
            self._counts = replace(plus(self._counts, batch), seconds=self._seconds())
            self._incomplete |= batch.incomplete
            self._rejects += ((number, reject) for reject in batch.rejects)
            self._copies += ((number, copy) for copy in batch.copies)
            self._notes += ((number, note) for note in batch.notes)
            return self._counts

    @property
    def counts(self) -> IngestCounts:
        """The counts so far."""
        return self._counts

    def report(self, *, interrupted: bool = False) -> IngestReport:
        """The report of all batches together."""
        return IngestReport(
            **asdict(replace(self._counts, seconds=self._seconds())),
            rejects=_in_order(self._rejects),
            copies=_in_order(self._copies),
            notes=_in_order(self._notes),
            interrupted=interrupted,
            incomplete=self._incomplete,
        )

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def _in_order(entries: Iterable[tuple[int, _T]]) -> tuple[_T, ...]:
    return tuple(entry for _, entry in sorted(entries, key=lambda numbered: numbered[0]))


def plus(one: IngestCounts, other: IngestCounts) -> IngestCounts:
    """The sum of two counts."""
    return IngestCounts(
        added=one.added + other.added,
        updated=one.updated + other.updated,
        moved=one.moved + other.moved,
        unchanged=one.unchanged + other.unchanged,
        skipped=one.skipped + other.skipped,
        rejected=one.rejected + other.rejected,
        cleared=one.cleared + other.cleared,
        outdated=one.outdated + other.outdated,
    )
