"""The file that jobs are stored in."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.api.jobs.job import Job, JobState
from lookalike.api.problems import problem_of
from lookalike.errors import EngineError
from lookalike.system.files import write_atomically

MAX_STARTS = 3
"""Starts of a job during which the whole process died, after which the job is given up."""

Records: TypeAlias = Callable[[], Sequence[Mapping[str, Any]]]
"""Returns the records of all jobs. Called once it is the caller's turn to write: a disk may be
slow, and readers of the jobs do not wait for it."""

_log = logging.getLogger("lookalike.api")


class JobFile:
    """Stores all jobs in one JSON file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def load(self) -> list[Job]:
        """Returns the stored jobs; those that were running are queued again.

        A job that was running in each of the last three crashes is marked as failed, and one that
        was being canceled as canceled. An unreadable file is set aside.
        """
        try:
            records = json.loads(self.path.read_bytes())["jobs"]
            jobs = [Job(**{**record, "state": JobState(record["state"])}) for record in records]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._set_aside(error)
            return []
        for job in jobs:
            if job.state is JobState.RUNNING:
                _recover(job)
        return jobs

    def _set_aside(self, error: Exception) -> None:
        """Renames an unreadable file, so that the next save does not overwrite it."""
        aside = self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}")
        try:
            self.path.rename(aside)
        except OSError as again:
            _log.error("%s cannot be read (%s) nor set aside (%s).", self.path, error, again)
        else:
            _log.error(
                "%s cannot be read (%s) and is now %s; start its jobs again.",
                self.path,
                error,
                aside,
            )

    def save(self, records: Records) -> None:
        """Replaces the file atomically.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            text = json.dumps({"jobs": records()})
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, text.encode())

    def try_save(self, records: Records) -> None:
        """Like `save`, but only logs an error: at worst a job runs again after a restart."""
        try:
            self.save(records)
        except OSError as error:
            _log.error("%s cannot be written: %s", self.path, error)


def _recover(job: Job) -> None:
    """Decides what to do about a job that was running when the process died."""
    if job.canceling:
        job.finish(JobState.CANCELED)
    elif job.starts >= MAX_STARTS:
        died = EngineError(
            f"The service died {MAX_STARTS} times during this job; see its log, and start the job "
            "again."
        )
        job.finish(JobState.FAILED, problem_of(died))
    else:
        job.state, job.stage, job.started_at = JobState.QUEUED, "", None
