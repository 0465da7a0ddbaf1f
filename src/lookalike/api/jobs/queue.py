"""What takes minutes runs in the background: one job at a time, the others wait their turn.

Jobs outlive the service. They stand in a file, written anew at every change of state, and those
that were waiting or under way when it stopped begin again at the next start: what an ingest has
stored it does not do twice, and a search for duplicates starts anew.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from lookalike.api.allowed_folders import Roots
from lookalike.api.errors import TooBusy, problem_of
from lookalike.api.jobs.kinds import BUILDING, KINDS, Work
from lookalike.api.service import WriteLock
from lookalike.api.stores.groups import Found
from lookalike.errors import EngineError, LookalikeError, NotFound
from lookalike.index import Index
from lookalike.ingest.report import Stop
from lookalike.search.calibration import LEAST
from lookalike.system.files import write_atomically
from lookalike.system.times import now

REMEMBERED = 100
"""Finished jobs that can still be asked for."""
WAITING = 100
"""Jobs that may wait; more are told to come again."""
SHOWN = 1_000
"""Rejects, copies and warnings that a report names; the counts are of all."""
LISTED = 100
"""The same where all jobs are listed."""
TRIES = 3
"""Starts of a job in which the whole process died, after which it is given up."""
UPKEEP = 2_000
"""Images added by upload after which the search graph and the calibration are looked at."""
STOP_SECONDS = 10.0
"""How long a job that cannot be interrupted is waited for when the service stops."""

_log = logging.getLogger("lookalike.api")


class State(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


FINAL = frozenset({State.DONE, State.FAILED, State.CANCELED})


@dataclass(slots=True)
class Job:
    """Something that is done in the background.

    Attributes:
        kind: "ingest", "duplicates" or "optimize".
        request: what was asked for: the keywords of the kind.
        stage: what is being done, in a word or two.
        done, total: how much of the stage; None where nobody knows of how much.
        report: what came of it, as far as it went.
        problem: why it failed, as a problem document.
        created_at, started_at, finished_at: RFC 3339.
        starts: how often it was started since the service was last stopped in good order.
        canceling: whether it shall stop.
    """

    id: str
    kind: str
    request: dict[str, Any]
    created_at: str
    state: State = State.QUEUED
    stage: str = ""
    done: int = 0
    total: int | None = None
    report: dict[str, Any] | None = None
    problem: dict[str, Any] | None = None
    started_at: str | None = None
    finished_at: str | None = None
    starts: int = 0
    canceling: bool = False

    def document(self, shown: int = SHOWN) -> dict[str, Any]:
        """As clients see it, with as many rejects, copies and warnings."""
        return {
            "job": self.id,
            "kind": self.kind,
            "state": self.state.value,
            "stage": "canceling" if self.canceling and self.state not in FINAL else self.stage,
            "done": self.done,
            "total": self.total,
            "problem": self.problem,
            "report": self.report and _short(self.report, shown),
            "request": self.request,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
        }

    def record(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(slots=True)
class Jobs:
    """The queue, and the one thread that works on it.

    Attributes:
        index: that the jobs are about.
        turns: whose turn it is to change it.
        roots: folders that an ingest may read below.
        file: where the jobs stand; what duplicates were found stands beside it.
        found: the groups of the last search for duplicates.
    """

    index: Index
    turns: WriteLock
    roots: Sequence[Path]
    file: Path
    found: Found = field(init=False)
    _jobs: dict[str, Job] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _saving: threading.Lock = field(default_factory=threading.Lock)
    _added: int = 0
    _closing: bool = False
    _worker: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.found = Found(self.file.with_name("duplicates.jsonl"))

    # --- from the outside -------------------------------------------------------------------

    def start(self) -> None:
        """Takes up what a stop cut off, and begins to work."""
        self._closing = False
        self._jobs = {job.id: job for job in self._load()}
        self._worker = threading.Thread(target=self._work, name="lookalike-jobs", daemon=True)
        self._worker.start()

    def stop(self) -> None:
        """Interrupts the job that runs, which begins again at the next start."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker is not None:
            self._worker.join(STOP_SECONDS)

    def add(self, kind: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Puts a job at the end of the queue; returns its document.

        Raises:
            Forbidden, SourceError: it names a path that must not be read, or is not there.
            TooBusy: too many wait already.
            EngineError: it cannot be written down.
        """
        for name in ("path", "metadata"):
            if request.get(name) is not None:
                Roots(self.roots).find(request[name])
        job = Job(secrets.token_hex(8), kind, dict(request), _now())
        with self._changed:
            if self.queued >= WAITING:
                raise TooBusy("Too many jobs are waiting: try again when some are done.")
            self._jobs[job.id] = job
        try:
            self._save()
        except OSError as error:
            with self._changed:
                self._jobs.pop(job.id)
            raise EngineError(
                f"The job cannot be written down ({error.strerror}): make room on its disk."
            ) from error
        with self._changed:
            self._changed.notify_all()
            return job.document()

    def added(self, count: int) -> None:
        """Counts images that came in by upload; now and then the index is tidied for them."""
        with self._changed:
            self._added += count
            uncalibrated = not self.index.is_calibrated
            if self._added < (LEAST if uncalibrated else UPKEEP):
                return
            self._added = 0
            jobs = self._jobs.values()
            if any(job.kind == "optimize" and job.state is State.QUEUED for job in jobs):
                return
        with suppress(TooBusy, EngineError):  # the images are there all the same
            self.add("optimize", {})

    def get(self, id: str) -> dict[str, Any]:
        """The document of a job.

        Raises:
            NotFound: there is none, or it was too long ago.
        """
        with self._changed:
            return self._require(id).document()

    def all(self) -> list[dict[str, Any]]:
        """The documents of all jobs, the newest first, with fewer rejects."""
        with self._changed:
            return [job.document(LISTED) for job in reversed(self._jobs.values())]

    def cancel(self, id: str) -> dict[str, Any]:
        """Stops a job soon, or takes it from the queue; what is done stays done. To one that is
        over, or that cannot be interrupted, nothing happens.

        Raises:
            NotFound: there is none, or it was too long ago.
        """
        with self._changed:
            job = self._require(id)
            if job.state is State.QUEUED:
                self._finish(job, State.CANCELED)
            elif job.state is State.RUNNING and job.kind != "optimize":
                job.canceling = True
            document = job.document()
        self._try_to_save()
        return document

    @property
    def queued(self) -> int:
        """How many are waiting or under way."""
        return sum(job.state not in FINAL for job in list(self._jobs.values()))

    @property
    def building(self) -> bool:
        """Whether the search graph is being built."""
        jobs = list(self._jobs.values())
        return any(job.state is State.RUNNING and job.stage == BUILDING for job in jobs)

    # --- the thread -------------------------------------------------------------------------

    def _work(self) -> None:
        while (job := self._next()) is not None:
            state, problem = State.DONE, None
            tell = partial(self._tell, job)
            work = Work(self.index, self.turns, Roots(self.roots), self.found, tell)
            try:
                KINDS[job.kind](work, dict(job.request))
            except Stop:
                state = State.CANCELED
            except Exception as error:
                state, problem = State.FAILED, problem_of(error)
                if not isinstance(error, LookalikeError):
                    _log.exception("The job %s failed.", job.id)
            with self._changed:
                job.report = work.report and _short(work.report, SHOWN)
                if state is not State.DONE and self._closing and not job.canceling:
                    self._requeue(job)
                else:
                    self._finish(job, state, problem)
            self._try_to_save()

    def _next(self) -> Job | None:
        """Waits for a job, and begins it; None when the service stops."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._first() is not None)
            job = None if self._closing else self._first()
            if job is None:
                return None
            job.state, job.stage, job.started_at = State.RUNNING, "starting", _now()
            job.starts += 1
        self._try_to_save()
        return job

    def _first(self) -> Job | None:
        waiting = (job for job in self._jobs.values() if job.state is State.QUEUED)
        return next(waiting, None)

    def _tell(self, job: Job, stage: str, done: int = 0, total: int | None = None) -> None:
        """Remembers how far a job is.

        Raises:
            Stop: it shall go no further.
        """
        with self._changed:
            job.stage, job.done, job.total = stage, done, total
            if job.canceling or self._closing:
                raise Stop

    def _finish(self, job: Job, state: State, problem: dict[str, Any] | None = None) -> None:
        job.state, job.problem, job.finished_at = state, problem, _now()
        job.stage = ""
        over = [job for job in self._jobs.values() if job.state in FINAL]
        for old in sorted(over, key=lambda job: job.finished_at or "")[:-REMEMBERED]:
            del self._jobs[old.id]

    def _requeue(self, job: Job) -> None:
        job.state, job.stage, job.started_at, job.starts = State.QUEUED, "", None, 0
        job.done, job.total, job.report = 0, None, None

    def _require(self, id: str) -> Job:
        if id not in self._jobs:
            raise NotFound(f"There is no job {id:.64}, or it was too long ago: list all jobs.")
        return self._jobs[id]

    # --- the file ---------------------------------------------------------------------------

    def _load(self) -> list[Job]:
        """The jobs of the file; those that were cut off wait again."""
        try:
            records = json.loads(self.file.read_bytes())["jobs"]
            jobs = [Job(**{**record, "state": State(record["state"])}) for record in records]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.error("%s cannot be read (%s): what ran before is forgotten.", self.file, error)
            return []
        for job in jobs:
            if job.state is State.RUNNING and (job.canceling or job.starts >= TRIES):
                job.state, job.finished_at = State.CANCELED, _now()
                if not job.canceling:
                    job.state = State.FAILED
                    job.problem = problem_of(EngineError(
                        f"The service died {TRIES} times while it was at this: see its log, and "
                        "start the job again."
                    ))  # fmt: skip
            elif job.state is State.RUNNING:
                job.state, job.stage, job.started_at = State.QUEUED, "", None
        return jobs

    def _save(self) -> None:
        """All of it or nothing. A disk may be slow, and nobody who asks for a job waits for it."""
        with self._saving:
            with self._changed:
                text = json.dumps({"jobs": [job.record() for job in self._jobs.values()]})
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.file, text.encode())

    def _try_to_save(self) -> None:
        """For what goes on all the same: at worst a job is done again after a restart."""
        try:
            self._save()
        except OSError as error:
            _log.error("%s cannot be written: %s", self.file, error)


def _short(report: Mapping[str, Any], shown: int) -> dict[str, Any]:
    """A report with as many entries of each list."""
    return {
        name: value[:shown] if isinstance(value, list) else value for name, value in report.items()
    }


def _now() -> str:
    return now("milliseconds")
