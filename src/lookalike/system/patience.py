"""Patience: how long work may wait for a server, and what is being waited for.

Runs wait for minutes, as nobody loses anything by it. Where a person waits for an answer, a limit
is set around the work; a run that can be stopped has its waits end then. Both hold for everything
that is called in the same context, and for what other threads do by `carried`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

LOOK = 0.2
"""Seconds after which a wait looks whether it is to end."""

_limit: ContextVar[float | None] = ContextVar("lookalike_patience", default=None)
_ends: ContextVar[tuple[Callable[[], bool], ...]] = ContextVar("lookalike_ends", default=())
_lock = threading.Lock()
_waits: list[str] = []


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
def until(stopped: Callable[[], bool]) -> Iterator[None]:
    """Ends all waits of the work in this context once `stopped` returns True."""
    token = _ends.set((*_ends.get(), stopped))
    try:
        yield
    finally:
        _ends.reset(token)


def is_over() -> bool:
    """Tells if the work in this context is to wait for nothing any more."""
    return any(stopped() for stopped in _ends.get())


def pause(seconds: float) -> None:
    """Sleeps, but no longer than the work in this context may wait."""
    end = time.monotonic() + seconds
    while not is_over() and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, LOOK))


def carried(work: Callable[_P, _T]) -> Callable[_P, _T]:
    """The work for one call in another thread, which then waits as long as this context may."""
    context = copy_context()

    def call(*arguments: _P.args, **keywords: _P.kwargs) -> _T:
        return context.run(work, *arguments, **keywords)

    return call


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
