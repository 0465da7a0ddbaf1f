"""The queue of background jobs: one is at work at a time, the others wait.

Jobs are in the state of the services, so each service accepts, lists and cancels them. The one that
has the lease runs them; if it dies, another one gets the lease and starts its job again. Jobs that
were waiting or running when a service stopped go on in another, or with the next start. An ingest
and a migration skip what they have already stored; a search for duplicates starts over. Standing
jobs run beside the others, and take turns with them: see `standing`. Migrations run beside all.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.errors import TooBusy
from lookalike.api.jobs import migration
from lookalike.api.jobs.context import JobContext
from lookalike.api.jobs.job import MIGRATE, Job, JobState, shortened
from lookalike.api.jobs.kinds import BUILDING, JOB_FUNCTIONS
from lookalike.api.jobs.lease import Lease
from lookalike.api.jobs.standing import STANDING_JOBS, Passes
from lookalike.api.jobs.store import LISTED_ENTRIES, JobStore
from lookalike.api.problems import problem_of
from lookalike.api.stores.groups import DuplicateGroupStore
from lookalike.errors import EngineError, LookalikeError, NotFound
from lookalike.index import Index
from lookalike.ingest.report import Canceled
from lookalike.search.calibration import LEAST
from lookalike.system import patience
from lookalike.system.locks import WriteLock
from lookalike.system.state import StateStore
from lookalike.system.times import now

MAX_FINISHED = 100
"""Finished jobs that are remembered."""
MAX_WAITING = 100
"""Jobs that may be waiting or running; the queue refuses more."""
MAX_STARTS = 3
"""Starts of a job during which the whole process died, after which the job is given up."""
MAINTENANCE_INTERVAL = 2_000
"""Uploaded images after which the search graph and the calibration are brought up to date."""
STOP_SECONDS = 1.5
"""Seconds for which a shutdown waits for the running job to notice."""
POLL_SECONDS = 1.0
"""Seconds between two looks at what other services have changed."""
_THREAD = "lookalike-jobs"
_PATIENCE = 3.0
"""Seconds to wait for a server that keeps the jobs."""

_log = logging.getLogger("lookalike.api")


class JobQueue:
    """Background jobs, and the thread that runs them.

    Attributes:
        groups: the groups of the last search for duplicates, stored beside the jobs.
    """

    def __init__(
        self, index: Index, write_lock: WriteLock, folders: AllowedFolders, state: StateStore
    ) -> None:
        """
        Args:
            index: the index that jobs work on.
            write_lock: held while a job changes the index.
            folders: the folders that an ingest may read.
            state: stores the jobs.
        """
        self.groups = DuplicateGroupStore(state)
        self._index = index
        self._write_lock = write_lock
        self._folders = folders
        self._shared = state.shared
        self._jobs = JobStore(state)
        self._lease = Lease(state, "jobs")
        self._lock = threading.Lock()
        self._running: dict[str, Job] = {}
        self._turn = WriteLock()
        self._uploaded = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Starts the thread that runs jobs."""
        self._stopping.clear()
        for target in [self._run, self._keep_in_touch] if self._shared else [self._run]:
            self._start_thread(target)

    def stop(self) -> None:
        """Interrupts the running job, which starts again elsewhere or with the service.

        A job that does not notice in time, such as the build of a search graph, is queued again
        all the same. It ends when the index is closed.
        """
        self._stopping.set()
        self._wake.set()
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(until - time.monotonic(), 0))
        with suppress(LookalikeError, TooBusy), patience.at_most(STOP_SECONDS):
            for job in list(self._running.values()):
                self._conclude(job, JobState.CANCELED)
            self._lease.release()

    def add(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Appends a job to the queue; returns its document.

        Raises:
            Forbidden, SourceError: the request names a path that may not be read or is missing.
            TooBusy: too many jobs are waiting.
            DiskFull, LookalikeError: the job cannot be stored.
        """
        named = [request.get("path"), request.get("metadata"), *request.get("paths", ())]
        for path in filter(None, [*named, request.get("queue")]):
            self._folders.resolve(path)
        if kind == MIGRATE:
            migration.allowed_options(self._folders, dict(request))
        elif request.get("fetch"):
            self._folders.require_fetch(request["path"])
        if self.unfinished >= MAX_WAITING:
            raise TooBusy("Too many jobs are waiting; try again when some have finished.")
        job = Job(secrets.token_hex(8), kind, dict(request), now("milliseconds"))
        self._jobs.add(job)
        self._wake.set()
        return job.document()

    def count_uploads(self, count: int) -> None:
        """Counts images uploaded here; queues a job to optimize the index when it is due."""
        with self._lock:
            self._uploaded += count
            if self._uploaded < (MAINTENANCE_INTERVAL if self._index.is_calibrated else LEAST):
                return
            self._uploaded = 0
        with suppress(TooBusy, LookalikeError):  # the images are stored in any case
            waiting = (job for job in self._jobs.unfinished() if job.state is JobState.QUEUED)
            if not any(job.kind == "optimize" for job in waiting):
                self.add("optimize", {})

    def get(self, id: str) -> dict[str, Any]:
        """Returns the document of a job.

        Raises:
            NotFound: the job is unknown or no longer remembered.
        """
        try:
            return self._live(_require(id, self._jobs.get(id))).document()
        except EngineError:  # while the server is away, a job that runs here can be watched
            with self._lock:
                if id not in self._running:
                    raise
                return self._running[id].document()

    def all(self) -> list[dict[str, Any]]:
        """Returns the documents of all jobs, newest first, with shorter reports than `get`."""
        return [self._live(job).document(LISTED_ENTRIES) for job in reversed(self._jobs.all())]

    def cancel(self, id: str) -> dict[str, Any]:
        """Stops a running job soon, or removes it from the queue. Work already done stays done.

        Nothing happens to a job that has finished or cannot be interrupted.

        Raises:
            NotFound: the job is unknown or no longer remembered.
        """
        with self._lock:
            running = self._running.get(id)
            if running is not None:
                _cancel(running)
        try:
            job = _require(id, self._jobs.update(id, _cancel))
        except EngineError:  # while the server is away, a job that runs here waits no longer for it
            if running is None:
                raise
            return running.document()
        if job.state is JobState.CANCELED:
            self._forget_old()
        return self.get(id)

    def cancel_all(self, kind: str) -> int:
        """Cancels the unfinished jobs of a kind; returns their number."""
        jobs = [job for job in self._jobs.unfinished() if job.kind == kind]
        for job in jobs:
            self.cancel(job.id)
        return len(jobs)

    @property
    def unfinished(self) -> int:
        """Number of jobs that are waiting or running."""
        return len(self._jobs.unfinished())

    @property
    def is_building(self) -> bool:
        """True while a job builds the search graph."""
        jobs = map(self._live, self._jobs.unfinished())
        return any(job.state is JobState.RUNNING and job.stage == BUILDING for job in jobs)

    # --- the thread that runs jobs ----------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                with patience.at_most(_PATIENCE):
                    job = self._next_job()
            except (LookalikeError, TooBusy) as error:
                _log.error("Jobs cannot be read or written: %s", error)
                self._wake.wait(POLL_SECONDS)
                continue
            if job is None:
                self._wake.wait(POLL_SECONDS if self._shared else None)
            elif not job.takes_turns:
                self._start_thread(partial(self._work, job))
            else:
                try:
                    self._work(job)
                finally:
                    self._turn.release()

    def _start_thread(self, target: Callable[[], None]) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        with patience.until(self._stopping.is_set):
            thread = threading.Thread(target=patience.carried(target), name=_THREAD, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _next_job(self) -> Job | None:
        """Marks a job as running here; returns None if none waits or another service runs them.
        A job that takes turns has the turn, which the caller gives up."""
        if not self._jobs.unfinished():
            self._lease.release()
            return None
        if not self._lease.held:
            if not self._lease.take():
                return None
            self._recover()
        unfinished = self._jobs.unfinished()
        running = [job for job in unfinished if job.state is JobState.RUNNING]
        for job in [job for job in unfinished if job.state is JobState.QUEUED]:
            if job.is_migration and any(one.is_migration for one in running):
                continue
            if not job.takes_turns:
                started = self._started(job)
            elif self._turn.acquire(0):
                try:
                    started = self._started(job)
                except BaseException:
                    self._turn.release()
                    raise
                if started is None:
                    self._turn.release()
            else:
                continue
            if started is not None:
                return started
        return None

    def _started(self, job: Job) -> Job | None:
        """Marks a job as running here; None if it waits no more."""
        started = self._jobs.update(job.id, self._start)
        return started if started is not None and started.state is JobState.RUNNING else None

    def _start(self, job: Job) -> bool:
        if job.state is not JobState.QUEUED:
            return False
        job.start(self._lease.id)
        return True

    def _recover(self) -> None:
        """Takes over the jobs of the service that had the lease before."""
        died = EngineError(
            f"The service died {MAX_STARTS} times during this job; see its log, and start the job "
            "again."
        )

        def recover(job: Job) -> bool:
            if job.state is not JobState.RUNNING:
                return False
            job.recover(MAX_STARTS, problem_of(died))
            return True

        for job in self._jobs.unfinished():
            self._jobs.update(job.id, recover)
        self.groups.discard_draft()

    def _work(self, job: Job) -> None:
        """Runs a job to its end."""
        with self._lock:
            self._running[job.id] = job
        state, problem = JobState.DONE, None
        try:
            with patience.until(partial(self._is_over, job)):
                self._call(job)
        except Canceled:
            state = JobState.CANCELED
        except Exception as error:
            if self._is_stopped(job) and isinstance(error, EngineError):  # so a wait ended
                state = JobState.CANCELED
            else:
                state, problem = JobState.FAILED, problem_of(error)
            if not isinstance(error, LookalikeError):
                _log.exception("Job %s failed.", job.id)
        while True:
            try:
                with patience.at_most(_PATIENCE):
                    self._conclude(job, state, problem)
                return
            except (LookalikeError, TooBusy) as error:
                _log.error("The end of job %s cannot be stored: %s", job.id, error)
            if self._stopping.wait(POLL_SECONDS):
                return

    def _call(self, job: Job) -> None:
        context, request = self._context(job), dict(job.request)
        if job.is_standing:
            passes = Passes(job, context, self._turn, self._end_pass)
            STANDING_JOBS[job.kind](passes, request)
        else:
            JOB_FUNCTIONS[job.kind](context, request)

    def _context(self, job: Job) -> JobContext:
        return JobContext(
            self._index,
            self._write_lock,
            self._turn,
            self._folders,
            self.groups,
            progress=partial(self._record_progress, job),
            publish=partial(self._publish, job),
        )

    def _record_progress(
        self, job: Job, stage: str, done: int = 0, total: int | None = None
    ) -> None:
        with self._lock:
            job.stage, job.done, job.total = stage, done, total
        if self._is_stopped(job) or self._has_lost_lease():
            raise Canceled

    def _is_over(self, job: Job) -> bool:
        """Tells if the waits of a job are to end."""
        if self._is_stopped(job):
            return True
        try:
            return job.is_standing and self._has_lost_lease()
        except (LookalikeError, TooBusy):  # the server is away
            return False

    def _has_lost_lease(self) -> bool:
        # While the server was away, nobody else could take the lease either.
        return not self._lease.held and not self._lease.renew()

    def _is_stopped(self, job: Job) -> bool:
        return job.canceling or self._stopping.is_set()

    def _publish(self, job: Job, report: Mapping[str, Any]) -> None:
        with self._lock:
            job.report = shortened(report)

    def _end_pass(self, job: Job) -> None:
        """Stores a standing job as it is after a pass, and lets the next job begin."""
        self._wake.set()

        def update(stored: Job) -> bool:
            if not self._is_ours(stored):
                return False
            _copy_progress(job, stored)
            return True

        try:
            with patience.at_most(_PATIENCE):
                self._jobs.update(job.id, update)
        except (LookalikeError, TooBusy) as error:
            _log.warning("A pass of job %s cannot be stored: %s", job.id, error)

    def _conclude(self, job: Job, state: JobState, problem: dict[str, Any] | None = None) -> None:
        """Stores the end of a running job, or queues it again if it was interrupted."""
        if job.id not in self._running:
            return
        is_let_go = self._stopping.is_set() or not self._lease.held
        interrupted = state is not JobState.DONE and (
            is_let_go or (state is JobState.CANCELED and not job.canceling)
        )

        def end(stored: Job) -> bool:
            if not self._is_ours(stored):
                return False
            _copy_progress(job, stored)
            if interrupted and not stored.canceling:
                stored.requeue()
            else:
                stored.finish(state, problem)
            return True

        self._jobs.update(job.id, end)
        with self._lock:
            self._running.pop(job.id, None)
        self._wake.set()
        self._forget_old()

    def _is_ours(self, stored: Job) -> bool:
        """False for a job that another service has taken over."""
        return stored.state is JobState.RUNNING and stored.runner == self._lease.id

    def _forget_old(self) -> None:
        finished = [job for job in self._jobs.all() if job.is_finished]
        finished.sort(key=lambda job: job.finished_at or "")
        self._jobs.forget(job.id for job in finished[:-MAX_FINISHED])

    # --- other services ---------------------------------------------------------------------

    def _keep_in_touch(self) -> None:
        """Renews the lease, and exchanges progress and cancellation with the other services."""
        while not self._stopping.wait(POLL_SECONDS):
            with suppress(LookalikeError, TooBusy), patience.at_most(_PATIENCE):
                self._lease.renew()
                self._exchange()

    def _exchange(self) -> None:
        for job in list(self._running.values()):
            self._exchange_one(job)

    def _exchange_one(self, job: Job) -> None:
        def update(stored: Job) -> bool:
            if not self._is_ours(stored):
                return False
            job.canceling |= stored.canceling
            before = stored.document(LISTED_ENTRIES)
            _copy_progress(job, stored)
            return before != stored.document(LISTED_ENTRIES)

        self._jobs.update(job.id, update)

    def _live(self, stored: Job) -> Job:
        """A job with the latest progress, where it runs here."""
        with self._lock:
            job = self._running.get(stored.id)
            if job is not None and stored.state is JobState.RUNNING:
                _copy_progress(job, stored)
        return stored


def _copy_progress(source: Job, target: Job) -> None:
    target.stage, target.done, target.total = source.stage, source.done, source.total
    target.report = source.report
    if source.is_standing:
        target.passes, target.next_at = source.passes, source.next_at
        target.starts, target.problem = source.starts, source.problem
    target.canceling |= source.canceling


def _cancel(job: Job) -> bool:
    if job.state is JobState.QUEUED:
        job.finish(JobState.CANCELED)
    elif job.state is JobState.RUNNING and job.can_be_canceled:
        job.canceling = True
    else:
        return False
    return True


def _require(id: str, job: Job | None) -> Job:
    if job is None:
        raise NotFound(f"Job {id:.64} does not exist or has expired; list all jobs.")
    return job
