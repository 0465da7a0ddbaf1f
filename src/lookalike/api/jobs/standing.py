"""Standing jobs: a watch, and an ingest that is repeated. They go on until they are canceled.

Each has a thread, in the service that runs the jobs. It waits most of the time; its passes take
turns with the other jobs. Where a service takes the jobs over, a watch begins with everything, and
an ingest waits for its time. A first pass that cannot work fails the job, as its request is wrong;
later ones are tried again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import Any, TypeAlias

from lookalike.api.jobs.context import JobContext
from lookalike.api.jobs.job import Job
from lookalike.api.jobs.kinds import add_images, run_ingest
from lookalike.api.problems import problem_of
from lookalike.engines import is_server
from lookalike.errors import InputError, LookalikeError, SourceError
from lookalike.facade.watching.changes import Change, WatchOptions
from lookalike.facade.watching.opening import open_watch
from lookalike.ingest.report import Canceled, IngestReport
from lookalike.output import documents
from lookalike.system.locks import WriteLock
from lookalike.system.times import format_datetime, parse_datetime
from lookalike.types import SourceOptions

RETRY = 30.0
"""Seconds after which a pass that failed is tried again; each further failure doubles them."""
LOOK = 0.2
"""Seconds between two looks at whether a pass is due or the job is to end."""
_LONGEST_RETRY = 3600.0
_WAITING = "waiting"

_log = logging.getLogger("lookalike.api")


@dataclass(slots=True)
class Passes:
    """The passes of a standing job.

    Attributes:
        job: the job.
        context: what it works with.
        turn: held by whatever job is at work.
        ended: called after each pass, without the turn.
        failures: passes that have failed since the last one that was done.
    """

    job: Job
    context: JobContext
    turn: WriteLock
    ended: Callable[[Job], None]
    failures: int = 0

    def run(self, work: Callable[[], object], *, every: float | None = None) -> bool:
        """Does a pass once no other job is at work; returns False if it failed and is to be tried
        again, after `wait`.

        Args:
            work: the pass.
            every: seconds after which the next one follows; None if a change decides.

        Raises:
            Canceled: the job is to end.
            InputError: it cannot work at all.
        """
        due = datetime.now(UTC)
        self.job.next_at = None
        while not self.turn.acquire(LOOK):
            self.context.progress(_WAITING)
        try:
            work()
        except LookalikeError as error:
            self.fail(error)
            return False
        finally:
            self.turn.release()
        self.job.passes, self.job.starts, self.job.problem = self.job.passes + 1, 0, None
        self.failures = 0
        self._plan(None if every is None else due + timedelta(seconds=every))
        return True

    def fail(self, error: LookalikeError) -> None:
        """Records what is wrong, and when to try again; raises it if that cannot help."""
        if isinstance(error, InputError) and not self.job.passes:
            raise error
        _log.warning("Job %s: %s", self.job.id, error)
        pause = min(RETRY * 2 ** min(self.failures, 16), _LONGEST_RETRY)
        self.failures += 1
        self.job.problem = problem_of(error)
        self._plan(datetime.now(UTC) + timedelta(seconds=pause))

    def wait(self) -> None:
        """Waits for the time of the next pass.

        Raises:
            Canceled: the job is to end.
        """
        while self.job.next_at and parse_datetime(self.job.next_at) > datetime.now(UTC):
            self.context.progress(_WAITING)
            time.sleep(LOOK)

    def _plan(self, moment: datetime | None) -> None:
        self.job.next_at = None if moment is None else format_datetime(moment, "milliseconds")
        self.ended(self.job)
        self.context.progress(_WAITING)


def repeat_ingest(passes: Passes, request: dict[str, Any]) -> None:
    """Runs an ingest again and again."""
    every = request.pop("every") * 60
    while True:
        passes.wait()
        passes.run(lambda: run_ingest(passes.context, dict(request)), every=every)


def watch(passes: Passes, request: dict[str, Any]) -> None:
    """Follows the changes of folders or buckets."""
    while True:
        try:
            _follow(passes, request)
        except LookalikeError as error:
            passes.fail(error)
        passes.wait()


def _follow(passes: Passes, request: dict[str, Any]) -> None:
    """Follows changes until one of them fails. The next watch then begins with everything.

    Raises:
        Canceled: the job is to end.
    """
    context = passes.context
    paths = [context.folders.resolve(path) for path in request["paths"]]
    every = request.get("every")
    options = WatchOptions(request["prune"], SourceOptions(request["exclude"]))
    opened = open_watch(
        paths,
        options.source,
        index=None if is_server(context.index.url) else context.index.url,
        poll=request.get("poll"),
        every=None if every is None else every * 60,
        queue=request.get("queue"),
        tell=partial(_log.warning, "Job %s: %s", passes.job.id),
    )
    with closing(opened.changes()) as changes:
        for change in changes:
            if not passes.run(partial(_take_up, context, change, options)):
                return
    context.progress(_WAITING)  # which raises, as only then a watch ends


def _take_up(context: JobContext, change: Change, options: WatchOptions) -> None:
    """Brings the index up to date with a change."""
    try:
        report = add_images(context, partial(change.add_to, context.index, options))
    except SourceError:
        if not change.is_told_again:
            raise
        return  # nothing is there yet
    if change.is_whole or _has_changed(report):
        context.publish(documents.of_report(report))
    if report.interrupted:
        raise Canceled
    change.done()


def _has_changed(report: IngestReport) -> bool:
    return report.done > report.unchanged or report.removed > 0


StandingJob: TypeAlias = Callable[[Passes, dict[str, Any]], None]
"""Runs a standing job with the parameters of its request, until it raises."""

STANDING_JOBS: Mapping[str, StandingJob] = MappingProxyType(
    {"ingest": repeat_ingest, "watch": watch}
)
