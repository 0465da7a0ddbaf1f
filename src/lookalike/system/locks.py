"""Fair locks between threads.

A plain lock can starve its waiters for seconds when one thread takes it over and over.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType


class _Queue:
    """Threads in the order in which they came; the first has the turn."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._turns: deque[threading.Lock] = deque()

    def __len__(self) -> int:
        return len(self._turns)

    def join(self) -> threading.Lock:
        """Returns a lock that can be acquired once it is the caller's turn."""
        turn = threading.Lock()
        with self._mutex:
            if self._turns:
                turn.acquire()
            self._turns.append(turn)
        return turn

    def leave(self, turn: threading.Lock) -> None:
        """Gives up a turn, or a place in the queue."""
        with self._mutex:
            first = self._turns[0] is turn
            self._turns.remove(turn)
            if first and self._turns:
                self._turns[0].release()

    def leave_first(self) -> None:
        """Gives up the turn of the first in the queue."""
        self.leave(self._turns[0])


class TicketLock:
    """A fair lock: threads get it in the order in which they took a ticket.

    with lock.ticket():
        ...
    """

    def __init__(self) -> None:
        self._queue = _Queue()

    def ticket(self) -> AbstractContextManager[None]:
        """Joins the queue now; entering the returned context waits for its turn.

        Every ticket must be entered, as those behind it wait for it.
        """
        return self._hold(self._queue.join())

    @contextmanager
    def _hold(self, turn: threading.Lock) -> Iterator[None]:
        try:
            turn.acquire()
            yield
        finally:
            self._queue.leave(turn)


class WriteLock:
    """A fair lock for writers, who get it in the order in which they came.

    A job that holds it for minutes calls `give_way` between its batches, so that a short write
    does not wait for the job to end.
    """

    def __init__(self) -> None:
        self._queue = _Queue()

    @property
    def waiting(self) -> int:
        """Number of threads that are waiting for the lock."""
        return max(len(self._queue) - 1, 0)

    def acquire(self, timeout: float | None = None) -> bool:
        """Takes the lock; returns False if `timeout` seconds pass first. None waits forever."""
        turn = self._queue.join()
        taken = False
        try:
            taken = turn.acquire(timeout=-1 if timeout is None else timeout)
        finally:
            if not taken:
                self._queue.leave(turn)
        return taken

    def release(self) -> None:
        """Releases the lock. Only the holder may call this."""
        self._queue.leave_first()

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
        """Lets the threads that are waiting now go first, but none that come later. Only the
        holder may call this."""
        if self.waiting:
            turn = self._queue.join()
            self._queue.leave_first()
            turn.acquire()
