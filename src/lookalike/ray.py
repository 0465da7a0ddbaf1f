"""Indexing by a Ray cluster: the listing goes out in blocks, and actors index them.

The pipeline is Ray Data's (https://docs.ray.io/en/latest/data/data.html): what is to be indexed is
listed here, and each block of it is mapped by an actor that has the same index open and does with
it what `Index.add` would do here. A block that is done twice, because a machine was lost, does no
more than once.
"""

from __future__ import annotations

import logging
import os
import pickle
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from lookalike.errors import InputError, LookalikeError
from lookalike.index import Index, Ingest
from lookalike.ingest.pipeline import Listing
from lookalike.ingest.report import IngestReport

BLOCK = 256
"""Images that an actor is handed at a time: what is done again when it is lost."""


@dataclass(frozen=True, slots=True)
class RayWorkers:
    """Lets the actors of a Ray cluster do the work of `Index.add`.

        with Index.open("http://host:6333/shop") as index:
            index.add("photos/", workers=RayWorkers())

    Every machine of the cluster needs lookalike, and must see the pictures at the same place.

    Attributes:
        address: of the cluster; by default the one that RAY_ADDRESS names or this machine is in,
            else one of this machine alone, for as long as it takes. Where the process has called
            `ray.init` before, it is that one.
        most: actors at most; by default as many as there is room for.
        cores: of each actor. It loads the model once, so more of them save memory.
    """

    address: str | None = None
    most: int | None = None
    cores: int = 1

    @contextmanager
    def start(self, index: Index) -> Iterator[Ingest]:
        """See `index.Workers`.

        Raises:
            InputError: the index is in a folder, or Ray is not installed.
            LookalikeError: there is no cluster at the address.
        """
        opener = index.opener()
        if opener is None:
            raise InputError(
                "An index in a folder belongs to one process, so Ray cannot fill it: give the "
                "address of one on a server, such as http://host:6333/name."
            )
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise InputError(
                'Ray is not installed here: run `pip install "lookalike[ray]"`.'
            ) from error
        own = not ray.is_initialized()
        if own:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # else it reports home
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            try:
                ray.init(
                    self.address,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.WARNING,
                )
            except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
                raise LookalikeError(
                    f"Ray cannot be had at {self.address or 'its usual address'} ({error}): see "
                    "`ray status` on a machine of the cluster."
                ) from error
        try:
            yield _Pipeline(opener, self.most, self.cores)
        finally:
            if own:
                ray.shutdown()


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """See `index.Ingest`."""

    reopen: Callable[..., Index]
    most: int | None
    cores: int

    def __call__(self, images: Listing, report: IngestReport, progress: Callable[[], None]) -> None:
        import ray.data

        blocks = [{"listing": block} for block in _blocks(images)]
        if not blocks:
            return
        dataset = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map(
            _Actor,
            fn_constructor_args=(self.reopen, self.cores),
            num_cpus=self.cores,
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=self.most, max_tasks_in_flight_per_actor=2
            ),
        )
        dataset.context.enable_progress_bars = False
        dataset.context.print_on_execution_start = False
        dataset.context.execution_options.preserve_order = True  # for the report
        try:
            with closing(iter(dataset.iter_rows())) as rows:
                for row in rows:
                    done = pickle.loads(row["done"])  # noqa: S301 -- `_Actor` wrote it
                    if isinstance(done, LookalikeError):
                        raise done
                    report.include(done)
                    progress()
        except KeyboardInterrupt:
            report.interrupted = True
        except ray.exceptions.RayError as error:
            raise LookalikeError(
                f"Ray gave up ({error}): what is done is stored, run it again to go on."
            ) from error


class _Actor:
    """A process of Ray's that has the index open."""

    def __init__(self, reopen: Callable[..., Index], cores: int) -> None:
        self._reopen = reopen
        self._cores = cores

    @cached_property
    def _index(self) -> Index:
        return self._reopen(threads=self._cores)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, bytes]:
        images = pickle.loads(zlib.decompress(row["listing"]))  # noqa: S301 -- `_blocks` wrote it
        report = IngestReport()
        try:
            self._index.ingest(images, report, lambda: None)
        except LookalikeError as error:  # raised in an actor, Ray would wrap it
            return {"done": pickle.dumps(error)}
        return {"done": pickle.dumps(report)}


def _blocks(images: Listing) -> Iterator[bytes]:
    """The listing in parts. The whole of it waits in memory: some 20 bytes an image."""
    iterator = iter(images)
    while block := list(islice(iterator, BLOCK)):
        yield zlib.compress(pickle.dumps(block), level=1)
