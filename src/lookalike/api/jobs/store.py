"""The jobs that are remembered, in the state of the services."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from lookalike.api.errors import TooBusy
from lookalike.api.jobs.job import Job, shortened
from lookalike.system.state import StateRecord, StateStore

LISTED_ENTRIES = 100
"""Entries of each list in a report, such as rejects, where all jobs are listed."""
_JOB, _REPORT = "job", "job-report"
_UNFINISHED = "unfinished"
_TRIES = 20


class JobStore:
    """Jobs by id, in the order in which they came."""

    def __init__(self, state: StateStore) -> None:
        self._state = state

    def add(self, job: Job) -> None:
        """Stores a new job."""
        order = time.time_ns() // 1_000
        self._state.put(_JOB, [StateRecord(job.id, job.record(), order, (_UNFINISHED,))])

    def get(self, id: str) -> Job | None:
        """Returns a job with its whole report; None if it is not remembered."""
        jobs = self._jobs(self._state.read(_JOB, [id]))
        if jobs and jobs[0].report is not None:
            for record in self._state.read(_REPORT, [id]):
                jobs[0].report = record.value
        return jobs[0] if jobs else None

    def all(self) -> list[Job]:
        """Returns all jobs, oldest first, with the first entries of their reports."""
        return self._jobs(self._state.scan(_JOB))

    def unfinished(self) -> list[Job]:
        """Returns the jobs that are waiting or running, oldest first."""
        return self._jobs(self._state.tagged(_JOB, [_UNFINISHED]))

    def update(self, id: str, change: Callable[[Job], bool]) -> Job | None:
        """Changes a job.

        Args:
            id: the job.
            change: changes a job as it is stored, or returns False to leave it alone; called again
                if another service was faster.

        Returns:
            The job as it is stored now; None if it is not remembered.

        Raises:
            TooBusy: others change it all the time.
        """
        for _ in range(_TRIES):
            record = next(iter(self._state.read(_JOB, [id])), None)
            if record is None:
                return None
            job = Job.of(record.value)
            if not change(job):
                return job
            if self._state.replace(_JOB, record, self._record(record, job)):
                return job
        raise TooBusy("Other services are changing this job; try again in a moment.")

    def forget(self, ids: Iterable[str]) -> None:
        """Removes jobs."""
        gone = list(ids)
        self._state.delete(_JOB, gone)
        self._state.delete(_REPORT, gone)

    def _record(self, record: StateRecord, job: Job) -> StateRecord:
        """The record of a changed job; a report that is too long for it is stored beside it."""
        report = job.report and shortened(job.report, LISTED_ENTRIES)
        if report != job.report:
            self._state.put(_REPORT, [StateRecord(job.id, dict(job.report or {}))])
        tags = () if job.is_finished else (_UNFINISHED,)
        return record.changed(value=job.record() | {"report": report}, tags=tags)

    def _jobs(self, records: Iterable[StateRecord]) -> list[Job]:
        return [Job.of(record.value) for record in records]
