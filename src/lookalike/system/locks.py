"""Locks between threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager


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
