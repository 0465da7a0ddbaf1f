"""Patience: how long work may wait for a server, and what is being waited for.

Runs wait for minutes, as nobody loses anything by it. Where a person waits for an answer, a limit
is set around the work, and holds for everything that it calls in the same context.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_limit: ContextVar[float | None] = ContextVar("lookalike_patience", default=None)
_lock = threading.Lock()
_waits: list[str] = []
_stopping: list[None] = []


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Limits the time that the work in this context waits for a server that is away."""
    token = _limit.set(seconds)
    try:
        yield
    finally:
        _limit.reset(token)


def limit() -> float | None:
    """Seconds to wait for a server here; None where nobody waits for the answer."""
    return _limit.get()


@contextmanager
def waiting(reason: str) -> Iterator[None]:
    """Registers something that a thread waits for, so that progress bars can show it."""
    with _lock:
        _waits.append(reason)
    try:
        yield
    finally:
        with _lock:
            _waits.remove(reason)


def current_wait() -> str | None:
    """The reason for which a thread has been waiting longest; None if no thread waits."""
    with _lock:
        return _waits[0] if _waits else None


@contextmanager
def stopped() -> Iterator[None]:
    """Ends all waits of this process, as while a run is being stopped."""
    with _lock:
        _stopping.append(None)
    try:
        yield
    finally:
        with _lock:
            _stopping.pop()


def is_stopped() -> bool:
    """Tells if nothing is to be waited for any more."""
    return bool(_stopping)
