"""The report of an ingest run."""

from __future__ import annotations

from dataclasses import dataclass, field

from lookalike.ingest.describe import (
    Batch,
    Copied,
    Reject,
)
from lookalike.metadata.table import Problem


class Stop(Exception):
    """A progress callback raises it to end a run in good order; the same command goes on."""


@dataclass(slots=True)
class IngestReport:
    """What became of every input. The counts add up to the number of inputs.

    Attributes:
        skipped: copies of what is in the index, left out.
        copies: what is a copy of what, where incoming copies are skipped or linked.
        seconds: wall time.
        model: what serves `semantic`.
        rejects: what was refused, in the order of the listing.
        warnings: metadata that did not fit and was left out.
        interrupted: whether it was stopped before the end; the same command goes on.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    model: str = ""
    rejects: list[Reject] = field(default_factory=list)
    copies: list[Copied] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    interrupted: bool = False

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    @property
    def done(self) -> int:
        """Inputs dealt with so far."""
        return self.added + self.updated + self.unchanged + self.skipped + self.rejected

    @property
    def images_per_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def include(self, part: IngestReport | Batch) -> None:
        """Counts what became of some of the inputs."""
        self.added += part.added
        self.updated += part.updated
        self.unchanged += part.unchanged
        self.skipped += part.skipped
        self.copies.extend(part.copies)
        self.rejects.extend(part.rejects)
