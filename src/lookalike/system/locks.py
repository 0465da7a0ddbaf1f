"""Locks between threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType


class TicketLock:
    """A fair lock: threads get it in the order in which they took a ticket.

        with lock.ticket():
            ...

    A plain lock can starve its waiters for seconds when one thread takes it over and over.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._queue: deque[threading.Lock] = deque()  # the first ticket holds the lock

    def ticket(self) -> AbstractContextManager[None]:
        """Joins the queue now; entering the returned context waits for its turn.

        Every ticket must be entered, as those behind it wait for it.
        """
        ticket = threading.Lock()
        with self._mutex:
            if self._queue:
                ticket.acquire()
            self._queue.append(ticket)
        return self._hold(ticket)

    @contextmanager
    def _hold(self, ticket: threading.Lock) -> Iterator[None]:
        try:
            ticket.acquire()
            yield
        finally:
            with self._mutex:
                first = self._queue[0] is ticket  # otherwise Ctrl-C ended the wait
                self._queue.remove(ticket)
                if first and self._queue:
                    self._queue[0].release()


class WriteLock:
    """A mutual exclusion lock for writers.

    A job that holds it for minutes calls `give_way` between its batches, so that a short write
    does not wait for the job to end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count_lock = threading.Lock()
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Number of threads that are waiting for the lock."""
        return self._waiting

    def acquire(self, timeout: float | None = None) -> bool:
        """Takes the lock; returns False if `timeout` seconds pass first. None waits forever."""
        self._count(1)
        try:
            return self._lock.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            self._count(-1)

    def release(self) -> None:
        """Releases the lock."""
        self._lock.release()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def give_way(self) -> None:
        """Lets the threads that are waiting now go first. Only the holder may call this."""
        while self._waiting:
            self._lock.release()
            time.sleep(0.002)  # long enough for a waiting thread to take the lock
            self._lock.acquire()

    def _count(self, change: int) -> None:
        with self._count_lock:
            self._waiting += change
