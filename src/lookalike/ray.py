"""Ingest, and checks for duplicates, on a Ray cluster: actors index images, or compare them.

The pipeline is Ray Data's (https://docs.ray.io/en/latest/data/data.html). This process lists the
images, except those of a bucket, which the actors list in ranges of keys. Actors map the blocks of
the listing: each actor has the same index open, and does what `Index.add` would do here. When a
machine is lost, another actor repeats its block, which is harmless.
"""

from __future__ import annotations

import logging
import os
import pickle
import warnings
import zlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lookalike.duplicates.bulk.steps import TakeSteps
from lookalike.errors import InputError, LookalikeError
from lookalike.ingest.executor import IndexHandle, Ingest, Opener
from lookalike.ingest.listing import DividedImages, ImageRange, ListedImage
from lookalike.ingest.report import Canceled, IngestCounts, IngestReport, Tally
from lookalike.system import interrupts
from lookalike.system.iteration import batched

BLOCK_SIZE = 256
"""Images in a block: so many are indexed again when an actor is lost."""
STEPS_AT_A_TIME = 64
"""Steps of a check for duplicates that wait in the memory of the cluster."""

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # else it reports home
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # else its core writes warnings to the terminal
    "RAY_gcs_server_port_wait_time_s": "300",
}
"""Settings of Ray, unless they are set already. It reads them when it starts."""
_SLOW = "timed out during startup"
"""Part of the error of a node that needed more than 30 seconds, which Ray fixes, to start."""
_STARTS = 5
"""Attempts to start such a node; a later one finds the files in memory, and is faster."""


@dataclass(frozen=True, slots=True)
class RayExecutor:
    """Runs `Index.add` on the actors of a Ray cluster.

        with Index.open("http://host:6333/shop") as index:
            index.add("photos/", executor=RayExecutor())

    Every machine of the cluster needs lookalike, and must see the images at the same place.

    Attributes:
        address: address of the cluster. By default the one in RAY_ADDRESS, else the cluster that
            this machine belongs to, else Ray on this machine alone for the length of the run. If
            the process has called `ray.init` before, that cluster is used.
        max_actors: by default as many as the cluster has room for.
        cores: cores of each actor. An actor loads the model once, so fewer actors with more cores
            use less memory.
    """

    address: str | None = None
    max_actors: int | None = None
    cores: int = 1

    @contextmanager
    def start(self, opener: Opener | None) -> Iterator[Ingest]:
        """See `ingest.executor.Executor`.

        Raises:
            InputError: the index is in a folder, or Ray is not installed.
            LookalikeError: Ray cannot be reached at the address.
        """
        with self._actors(opener, "ingest") as actors:
            yield _RayIngest(actors)

    @contextmanager
    def start_check(self, opener: Opener | None) -> Iterator[TakeSteps]:
        """See `duplicates.bulk.steps.CheckExecutor`; raises what `start` raises."""
        with self._actors(opener, "take_duplicate_step") as actors:
            yield actors.take

    @contextmanager
    def _actors(self, opener: Opener | None, method: str) -> Iterator[_Actors]:
        """A cluster whose actors call a method of the index."""
        if opener is None:
            raise InputError(
                "Ray cannot work on an index in a folder, which only one process may have open: "
                "give the address of an index on a server, such as http://host:6333/name."
            )
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise InputError(
                'Ray is not installed here: run `pip install "lookalike[ray]"`.'
            ) from error
        started_here = not ray.is_initialized()
        if started_here:
            _connect(self.address)
        try:
            yield _Actors(opener, self.max_actors, self.cores, method)
        finally:
            if started_here:
                ray.shutdown()


def _connect(address: str | None) -> None:
    """Connects to a cluster, or starts Ray on this machine, where the first start may be slow.

    Raises:
        LookalikeError: Ray cannot be reached, or does not start.
    """
    import ray

    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    starts = 0
    while True:
        starts += 1
        try:
            with _quiet():
                ray.init(
                    address,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except Exception as error:  # Ray raises this very class, among others
            ray.shutdown()
            if _SLOW in str(error) and starts < _STARTS:
                continue
            raise LookalikeError(
                f"Ray cannot be reached at {address or 'its usual address'} ({error}): run `ray "
                "status` on a machine of the cluster."
            ) from error
        return


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps out of the terminal what is said meanwhile, by Ray's core too, which uses no logger."""
    terminal = os.dup(2)
    try:
        with warnings.catch_warnings(), Path(os.devnull).open("wb") as nowhere:
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@dataclass(frozen=True, slots=True)
class _Actors:
    """Actors that have the index open, and call one of its methods."""

    opener: Opener
    max_actors: int | None
    cores: int
    method: str

    def take(self, steps: Iterable[Any], done: Callable[[int], None]) -> Iterator[Any]:
        """See `duplicates.bulk.steps.TakeSteps`."""
        import ray

        try:
            for some in batched(steps, STEPS_AT_A_TIME):
                with closing(self.results(map(_packed, some))) as results:
                    for result in results:
                        if isinstance(result, LookalikeError):
                            raise result
                        yield result
        except ray.exceptions.RayError as error:
            raise _failed(error) from error

    def results(self, blocks: Iterable[bytes]) -> Generator[Any]:
        """The results of the method for blocks in their order, or the error of an actor."""
        import ray.data

        rows = [{"block": block} for block in blocks]
        if not rows:
            return
        dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
            _Actor,
            fn_constructor_args=(self.opener, self.cores, self.method),
            num_cpus=self.cores,
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=self.max_actors, max_tasks_in_flight_per_actor=2
            ),
        )
        dataset.context.enable_progress_bars = False
        dataset.context.print_on_execution_start = False
        dataset.context.execution_options.preserve_order = True
        with closing(iter(dataset.iter_rows())) as answers:
            for answer in answers:
                yield pickle.loads(answer["result"])  # noqa: S301 -- `_Actor` wrote it


@dataclass(frozen=True, slots=True)
class _RayIngest:
    """See `ingest.executor.Ingest`."""

    actors: _Actors

    def __call__(
        self, images: Iterable[ListedImage], progress: Callable[[IngestCounts], None]
    ) -> IngestReport:
        import ray

        divided = images.ranges if isinstance(images, DividedImages) else None
        blocks = _blocks(images) if divided is None else map(_packed, divided)
        tally = Tally()
        interrupted = False
        try:
            with closing(self.actors.results(blocks)) as results:
                for result in results:
                    if isinstance(result, LookalikeError):
                        raise result
                    progress(tally.add(result))
        except (KeyboardInterrupt, Canceled):
            interrupts.settle()
            interrupted = True
        except ray.exceptions.RayError as error:
            raise _failed(error) from error
        return tally.report(interrupted=interrupted)


class _Actor:
    """A Ray process that has the index open."""

    def __init__(self, opener: Opener, cores: int, method: str) -> None:
        self._opener = opener
        self._cores = cores
        self._method = method

    @cached_property
    def _index(self) -> IndexHandle:
        return self._opener(threads=self._cores)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, bytes]:
        argument = pickle.loads(zlib.decompress(row["block"]))  # noqa: S301 -- `_packed` wrote it
        try:
            result = getattr(self._index, self._method)(argument)
            if isinstance(argument, ImageRange):
                result = replace(result, incomplete=argument.incomplete)
        except LookalikeError as error:  # Ray would wrap an error that is raised
            result = error
        return {"result": pickle.dumps(result)}


def _blocks(images: Iterable[ListedImage]) -> Iterator[bytes]:
    """The listing in blocks. All of it waits in memory, at about 20 bytes an image."""
    for block in batched(images, BLOCK_SIZE):
        yield _packed(block)


def _packed(argument: Any) -> bytes:
    return zlib.compress(pickle.dumps(argument), level=1)


def _failed(error: Exception) -> LookalikeError:
    return LookalikeError(
        f"Ray failed ({error}): what was done is stored; run the same command again to continue."
    )
