"""What every route works with: the index, how the service was started, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from lookalike.api.errors import TooBusy
from lookalike.index import Index

if TYPE_CHECKING:
    from lookalike.api.jobs.queue import Jobs
    from lookalike.api.middleware.metrics import Metrics
    from lookalike.api.stores.query_images import Queries
    from lookalike.api.stores.uploads import Store
    from lookalike.api.url_fetch import Fetcher


@dataclass(frozen=True, slots=True)
class Options:
    """How the service was started.

    Attributes:
        state: folder for what it keeps for itself: query images and jobs.
        store: folder for images that are added by upload; None refuses them.
        read_key, write_key: what callers must show; with neither, everyone who reaches it may do
            everything, so that it must not be reached from elsewhere.
        roots: folders on this machine that ingest jobs may read below.
        fetch: whether images may be searched by their address in the web.
        cors: origins of other pages that may call it, such as "https://shop.example".
        upload_bytes: what one request may send.
        query_bytes: what kept query images may take.
        receive_seconds: how long a client may take to send a request's body.
        answer_seconds: how long an answer may take.
        turn_seconds: how long a change waits for another one to end.
        requests: how many may be in work at the same time; more are told to come again.
        images: how many of them may carry images.
        pages: folder of the web page.
    """

    state: Path
    store: Path | None = None
    read_key: str | None = None
    write_key: str | None = None
    roots: tuple[Path, ...] = ()
    fetch: bool = False
    cors: tuple[str, ...] = ()
    upload_bytes: int = 100 * 10**6
    query_bytes: int = 500 * 10**6
    receive_seconds: float = 60.0
    answer_seconds: float = 120.0
    turn_seconds: float = 15.0
    requests: int = 64
    images: int = 16
    pages: Path = Path(__file__).parent / "static"

    @property
    def open(self) -> bool:
        """Whether no key is asked for."""
        return self.read_key is None and self.write_key is None


class WriteLock:
    """Lets one thread at a time change the index.

    A job that goes on for minutes calls `give_way` between its batches, so that an image that is
    added meanwhile does not wait for its end.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0

    @contextmanager
    def turn(self, *, patient: bool = False) -> Iterator[None]:
        """Holds the index for writing.

        Args:
            patient: wait however long it takes, as jobs do.

        Raises:
            TooBusy: somebody else holds it, and has not let go in time.
        """
        self._wait(1)
        try:
            taken = self._lock.acquire(timeout=-1 if patient else self._seconds)
        finally:
            self._wait(-1)
        if not taken:
            raise TooBusy("The index is being changed by somebody else: try again in a moment.")
        try:
            yield
        finally:
            self._lock.release()

    def give_way(self) -> None:
        """Called by who holds the index: lets those go first who wait now."""
        while self._waiting:
            self._lock.release()
            time.sleep(0.002)  # who waits for the lock has it by then
            self._lock.acquire()

    def _wait(self, more: int) -> None:
        with self._count:
            self._waiting += more


@dataclass(frozen=True, slots=True)
class Service:
    """What a route gets hold of by naming a parameter of the type `Serving`.

    Attributes:
        index: searched from any number of threads; changed only within `turns.turn()`.
        turns: whose turn it is to change the index.
        queries: query images that are kept for a while, by their token.
        store: where added images are kept.
        fetcher: fetches query images by their address; None where that is off.
        jobs: what runs in the background.
        metrics: what /metrics tells.
    """

    index: Index
    options: Options
    turns: WriteLock
    queries: Queries
    store: Store
    fetcher: Fetcher | None
    jobs: Jobs
    metrics: Metrics


async def service_of(request: Request) -> Service:
    """The service that the application of a request was made for.

    Asynchronous because FastAPI takes what is not to another thread, which costs every request
    more than all of its routing.
    """
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]
