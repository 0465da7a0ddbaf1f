"""The queue of background jobs: one runs at a time, the others wait.

Jobs outlive the service. They are stored in a file that is replaced at every change of state, and
those that were waiting or running when the service stopped start again with it. An ingest skips
what it has already stored; a search for duplicates starts over.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.errors import TooBusy
from lookalike.api.jobs.file import JobFile
from lookalike.api.jobs.job import Job, JobState, shortened
from lookalike.api.jobs.kinds import BUILDING, JOB_FUNCTIONS, JobContext
from lookalike.api.problems import problem_of
from lookalike.api.stores.disk import storing
from lookalike.api.stores.groups import DuplicateGroupStore
from lookalike.errors import EngineError, LookalikeError, NotFound
from lookalike.index import Index
from lookalike.ingest.report import Canceled
from lookalike.search.calibration import LEAST
from lookalike.system import patience
from lookalike.system.locks import WriteLock
from lookalike.system.times import now

MAX_FINISHED = 100
"""Finished jobs that are remembered."""
MAX_WAITING = 100
"""Jobs that may be waiting or running; the queue refuses more."""
LISTED_ENTRIES = 100
"""Entries of each list in a report, such as rejects, where all jobs are listed."""
MAINTENANCE_INTERVAL = 2_000
"""Uploaded images after which the search graph and the calibration are brought up to date."""
STOP_SECONDS = 1.5
"""Seconds for which a shutdown waits for the running job to notice."""

_log = logging.getLogger("lookalike.api")


class JobQueue:
    """Background jobs, and the thread that runs them.

    Attributes:
        groups: the groups of the last search for duplicates, stored beside the jobs.
    """

    def __init__(
        self, index: Index, write_lock: WriteLock, folders: AllowedFolders, file: Path
    ) -> None:
        """
        Args:
            index: the index that jobs work on.
            write_lock: held while a job changes the index.
            folders: the folders that an ingest may read.
            file: stores the jobs.
        """
        self.groups = DuplicateGroupStore(file.with_name("duplicates.jsonl"))
        self._index = index
        self._write_lock = write_lock
        self._folders = folders
        self._file = JobFile(file)
        self._jobs: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._uploaded = 0
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Loads the stored jobs and starts the thread."""
        self._stopping = False
        self._jobs = {job.id: job for job in self._file.load()}
        self._thread = threading.Thread(target=self._run, name="lookalike-jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Interrupts the running job, which starts again with the service.

        A job that does not notice in time, such as the build of a search graph, is queued again
        all the same. It ends when the index is closed.
        """
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)
        with self._changed:
            running = [job for job in self._jobs.values() if job.state is JobState.RUNNING]
            for job in running:
                self._end(job, JobState.CANCELED)
        if running:
            self._file.try_save(self._records)

    def add(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a job to the queue; returns its document.

        Raises:
            Forbidden, SourceError: the request names a path that may not be read or is missing.
            TooBusy: too many jobs are waiting.
            DiskFull, LookalikeError: the job cannot be stored.
        """
        for name in ("path", "metadata"):
            if request.get(name) is not None:
                self._folders.resolve(request[name])
        job = Job(secrets.token_hex(8), kind, dict(request), now("milliseconds"))
        document = job.document()
        with self._changed:
            if self.unfinished >= MAX_WAITING:
                raise TooBusy("Too many jobs are waiting; try again when some have finished.")
            self._jobs[job.id] = job
        try:
            with storing("The job", self._file.path):
                self._file.save(self._records)
        except LookalikeError:
            with self._changed:
                self._jobs.pop(job.id)
            raise
        with self._changed:
            self._changed.notify_all()
        return document

    def count_uploads(self, count: int) -> None:
        """Counts uploaded images; queues a job to optimize the index when it is due."""
        with self._changed:
            self._uploaded += count
            if self._uploaded < (MAINTENANCE_INTERVAL if self._index.is_calibrated else LEAST):
                return
            self._uploaded = 0
            if any(
                job.kind == "optimize" and job.state is JobState.QUEUED
                for job in self._jobs.values()
            ):
                return
        with suppress(TooBusy, LookalikeError):  # the images are stored in any case
            self.add("optimize", {})

    def get(self, id: str) -> dict[str, Any]:
        """Returns the document of a job.

        Raises:
            NotFound: the job is unknown or no longer remembered.
        """
        with self._changed:
            return self._require(id).document()

    def all(self) -> list[dict[str, Any]]:
        """Returns the documents of all jobs, newest first, with shorter reports than `get`."""
        with self._changed:
            return [job.document(LISTED_ENTRIES) for job in reversed(self._jobs.values())]

    def cancel(self, id: str) -> dict[str, Any]:
        """Stops a running job soon, or removes it from the queue. Work already done stays done.

        Nothing happens to a job that has finished or cannot be interrupted.

        Raises:
            NotFound: the job is unknown or no longer remembered.
        """
        with self._changed:
            job = self._require(id)
            if job.state is JobState.QUEUED:
                self._finish(job, JobState.CANCELED)
            elif job.state is JobState.RUNNING and job.kind != "optimize":
                job.canceling = True
            document = job.document()
        self._file.try_save(self._records)
        return document

    @property
    def unfinished(self) -> int:
        """Number of jobs that are waiting or running."""
        return sum(not job.is_finished for job in list(self._jobs.values()))

    @property
    def is_building(self) -> bool:
        """True while a job builds the search graph."""
        jobs = list(self._jobs.values())
        return any(job.state is JobState.RUNNING and job.stage == BUILDING for job in jobs)

    # --- the thread -------------------------------------------------------------------------

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            state, problem = JobState.DONE, None
            try:
                with patience.until(partial(self._is_stopped, job)):
                    JOB_FUNCTIONS[job.kind](self._context(job), dict(job.request))
            except Canceled:
                state = JobState.CANCELED
            except Exception as error:
                if self._is_stopped(job) and isinstance(error, EngineError):  # so a wait ended
                    state = JobState.CANCELED
                else:
                    state, problem = JobState.FAILED, problem_of(error)
                if not isinstance(error, LookalikeError):
                    _log.exception("Job %s failed.", job.id)
            with self._changed:
                if job.state is JobState.RUNNING:  # otherwise `stop` did not wait for it
                    self._end(job, state, problem)
            self._file.try_save(self._records)

    def _next_job(self) -> Job | None:
        """Waits for a job and marks it as running; returns None when the service stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._first_queued() is not None)
            job = None if self._stopping else self._first_queued()
            if job is None:
                return None
            job.start()
        self._file.try_save(self._records)
        return job

    def _first_queued(self) -> Job | None:
        queued = (job for job in self._jobs.values() if job.state is JobState.QUEUED)
        return next(queued, None)

    def _context(self, job: Job) -> JobContext:
        return JobContext(
            self._index,
            self._write_lock,
            self._folders,
            self.groups,
            progress=partial(self._record_progress, job),
            publish=partial(self._publish, job),
        )

    def _record_progress(
        self, job: Job, stage: str, done: int = 0, total: int | None = None
    ) -> None:
        with self._changed:
            job.stage, job.done, job.total = stage, done, total
            if self._is_stopped(job):
                raise Canceled

    def _is_stopped(self, job: Job) -> bool:
        return job.canceling or self._stopping

    def _publish(self, job: Job, report: Mapping[str, Any]) -> None:
        with self._changed:
            job.report = shortened(report)

    # --- the jobs ---------------------------------------------------------------------------

    def _require(self, id: str) -> Job:
        if id not in self._jobs:
            raise NotFound(
                f"There is no job {id:.64}, or it is no longer remembered; list all jobs."
            )
        return self._jobs[id]

    def _end(self, job: Job, state: JobState, problem: dict[str, Any] | None = None) -> None:
        """Finishes a running job, or queues it again if the service stops before it is done."""
        if state is not JobState.DONE and self._stopping and not job.canceling:
            job.requeue()
        else:
            self._finish(job, state, problem)

    def _finish(self, job: Job, state: JobState, problem: dict[str, Any] | None = None) -> None:
        job.finish(state, problem)
        finished = [job for job in self._jobs.values() if job.is_finished]
        for old in sorted(finished, key=lambda job: job.finished_at or "")[:-MAX_FINISHED]:
            del self._jobs[old.id]

    def _records(self) -> list[dict[str, Any]]:
        with self._changed:
            return [job.record() for job in self._jobs.values()]
