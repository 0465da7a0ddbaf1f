"""Iteration ahead of the consumer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import count

import pytest

from lookalike.system.iteration import ahead


def test_the_next_item_is_made_while_the_last_is_used() -> None:
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for n, event in enumerate(made):
            event.set()
            yield n

    taken = []
    for n in ahead(items()):
        assert n == 3 or made[n + 1].wait(5)
        assert not any(event.is_set() for event in made[n + 2 :])
        taken.append(n)
    assert taken == [0, 1, 2, 3]


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise LookupError("the second")

    left = ahead(items())
    assert next(left) == 1
    with pytest.raises(LookupError, match="the second"):
        next(left)


def test_whoever_stops_leaves_no_thread_behind() -> None:
    with closing(ahead(count())) as numbers:
        assert next(numbers) == 0
    for thread in threading.enumerate():
        if thread.name == "lookalike-ahead":
            thread.join(5)
            assert not thread.is_alive()
