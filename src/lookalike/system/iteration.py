"""Iteration in batches, and ahead of its consumer."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from queue import SimpleQueue
from typing import TypeVar

from lookalike.system import patience

_T = TypeVar("_T")


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items in lists of `size`; the last may be shorter. In Python 3.12, itertools has it."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def ahead(items: Iterable[_T]) -> Generator[_T, None, None]:
    """The items; a thread makes the next one while the consumer works on the last."""
    wanted: SimpleQueue[bool] = SimpleQueue()
    made: SimpleQueue[tuple[list[_T], Exception | None]] = SimpleQueue()

    def make() -> None:
        iterator = iter(items)
        while wanted.get():
            try:
                made.put((list(islice(iterator, 1)), None))
            except Exception as error:
                made.put(([], error))

    name = "lookalike-ahead"
    threading.Thread(target=patience.carried(make), name=name, daemon=True).start()
    try:
        wanted.put(True)
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if not item:
                return
            wanted.put(True)
            yield item[0]
    finally:
        wanted.put(False)
