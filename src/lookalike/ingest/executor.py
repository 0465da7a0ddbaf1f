"""Executors: where an ingest runs, if not in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from lookalike.ingest.listing import ListedImage
from lookalike.ingest.report import IngestCounts, IngestReport

Ingest: TypeAlias = Callable[[Iterable[ListedImage], Callable[[IngestCounts], None]], IngestReport]
"""Brings an index up to date with a listing; calls the function after every batch."""


class IndexHandle(Protocol):
    """The part of `Index` that an executor needs in each of its processes."""

    def ingest(self, images: Iterable[ListedImage]) -> IngestReport: ...


Opener: TypeAlias = Callable[..., IndexHandle]
"""Opens the same index in another process; its keywords are those of `Index.open`."""


class Executor(Protocol):
    """Runs the ingest of `Index.add` elsewhere, such as `ray.RayExecutor` on a cluster."""

    def start(self, opener: Opener | None) -> AbstractContextManager[Ingest]:
        """Gets ready to ingest into an index.

        Args:
            opener: can be pickled; None if only one process may have the index open.

        Raises:
            LookalikeError: the executor cannot work on this index.
        """
        ...
