"""A background job and its state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lookalike.sources.web.feeds import feed_name
from lookalike.system.inputs import is_url
from lookalike.system.times import now

MIGRATE = "migrate"
MIGRATION_ENDS = frozenset({"finish-migration", "cancel-migration"})
"""Kinds of jobs that end a migration."""

REPORT_ENTRIES = 1_000
"""Entries of each list in a report, such as rejects. The counts in a report cover all."""


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


FINISHED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELED})


@dataclass(slots=True)
class Job:
    """Work done in the background.

    Attributes:
        kind: "ingest", "watch", "duplicates", "optimize", `MIGRATE`, or one of `MIGRATION_ENDS`.
        request: the parameters of the job.
        stage: current activity, in a word or two.
        done, total: progress within the stage; total is None where it is not known.
        report: results so far.
        problem: the problem document of a failed job, or of the last pass of a standing one.
        created_at, started_at, finished_at: RFC 3339.
        starts: number of starts since the service was last shut down cleanly, or a pass was done.
        canceling: whether the job was told to stop.
        runner: the service that runs it, or did last.
        passes: passes of a standing job that are done.
        next_at: time of its next pass, RFC 3339, where it is known.
    """

    id: str
    kind: str
    request: dict[str, Any]
    created_at: str
    state: JobState = JobState.QUEUED
    stage: str = ""
    done: int = 0
    total: int | None = None
    report: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    started_at: str | None = None
    finished_at: str | None = None
    starts: int = 0
    canceling: bool = False
    runner: str = ""
    passes: int = 0
    next_at: str | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Job:
        """Reads what `record` returned, in this version or a later one."""
        known = {name: record[name] for name in cls.__slots__ if name in record}
        return cls(**{**known, "state": JobState(record["state"])})

    @property
    def is_standing(self) -> bool:
        """True for a job that goes on, pass after pass, until it is canceled."""
        return self.kind == "watch" or "every" in self.request

    @property
    def is_migration(self) -> bool:
        """True for a job of a migration, of which one is at work at a time."""
        return self.kind == MIGRATE or self.kind in MIGRATION_ENDS

    @property
    def takes_turns(self) -> bool:
        """True for a job that no other of its sort runs beside."""
        return not (self.is_standing or self.is_migration)

    @property
    def can_be_canceled(self) -> bool:
        """True for a job that stops when it is told to."""
        return self.kind != "optimize" and self.kind not in MIGRATION_ENDS

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED

    def start(self, runner: str) -> None:
        """Marks the job as running in a service."""
        self.state, self.stage, self.started_at = JobState.RUNNING, "starting", now("milliseconds")
        self.runner = runner
        self.starts += 1

    def finish(self, state: JobState, problem: dict[str, Any] | None = None) -> None:
        """Marks the job as finished."""
        self.state, self.problem, self.finished_at = state, problem, now("milliseconds")
        self.stage, self.next_at = "", None

    def requeue(self) -> None:
        """Puts an interrupted job back into the queue."""
        self.state, self.stage, self.started_at, self.starts = JobState.QUEUED, "", None, 0
        if not self.is_standing:
            self.done, self.total, self.report = 0, None, None

    def recover(self, starts: int, problem: dict[str, Any]) -> None:
        """Decides what becomes of a running job whose service died: one that was being canceled is
        canceled, one that was started too often has failed, any other waits again.

        Args:
            starts: number of starts after which it is given up.
            problem: the problem document of a job that is given up.
        """
        if self.canceling:
            self.finish(JobState.CANCELED)
        elif self.starts >= starts:
            self.finish(JobState.FAILED, problem)
        else:
            self.state, self.stage, self.started_at = JobState.QUEUED, "", None

    def document(self, entries: int = REPORT_ENTRIES) -> dict[str, Any]:
        """Returns the job as clients see it.

        Args:
            entries: entries of each list in the report.
        """
        return {
            "job": self.id,
            "kind": self.kind,
            "state": self.state.value,
            "stage": "canceling" if self.canceling and not self.is_finished else self.stage,
            "done": self.done,
            "total": self.total,
            "problem": self.problem,
            "report": self.report and shortened(self.report, entries),
            "request": _shown(self.request),
            "passes": self.passes,
            "next_at": self.next_at,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
        }

    def record(self) -> dict[str, Any]:
        """Returns the job as it is stored."""
        return {name: getattr(self, name) for name in self.__slots__}


def _shown(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request without the keys that the address of a feed may hold."""
    path = request.get("path")
    return {**request, "path": feed_name(path)} if path and is_url(path) else dict(request)


def shortened(report: Mapping[str, Any], entries: int = REPORT_ENTRIES) -> dict[str, Any]:
    """Returns a report with at most `entries` entries of each list."""
    return {
        name: value[:entries] if isinstance(value, list) else value
        for name, value in report.items()
    }
