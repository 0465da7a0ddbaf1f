"""Iteration in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

_T = TypeVar("_T")


def batched(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """The items in lists of `size`; the last may be shorter. In Python 3.12, itertools has it."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
