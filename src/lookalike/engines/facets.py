"""Exact facets, with equal counts ordered by value, for both engines.

An engine breaks off where it likes among values with equal counts. A collection in shards adds up
what each shard names: the counts of a value that a shard did not name come out too low. So more
values are requested than are wanted, until all of them, or all that matter, have been named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

Value: TypeAlias = str | int | bool
Counts: TypeAlias = list[tuple[Value, int]]

LEAST_REQUESTED = 1_000
MOST_REQUESTED = 200_000
"""Values of one request, unless more are wanted."""
_GROWTH = 10


def exact_facet(
    request: Callable[[int], Counts],
    limit: int,
    count: Callable[[Value], int] | None = None,
    *,
    most: int | None = None,
) -> Counts:
    """Returns the most frequent values of a field, highest count first, then by value.

    Args:
        request: asks the engine for a number of values with their counts; values that no point has
            any more count 0.
        limit: number of values to return.
        count: counts the points with one value; None where the counts of `request` are exact, as
            there is one shard only. Used for a field with more values than can be requested.
        most: number of values that one request may ask for; None for `MOST_REQUESTED`, or more.
    """
    highest = most or max(MOST_REQUESTED, limit + 1)
    number = min(max(LEAST_REQUESTED, limit + 1), highest)
    while True:
        counts = request(number)
        past_ties = len(counts) > limit and counts[-1][1] < counts[limit - 1][1]
        if len(counts) < number or (count is None and past_ties):
            return _ranked(counts)[:limit]
        if number >= highest:
            break
        number = min(_GROWTH * number, highest)
    best = _ranked(counts)[:limit]
    if count is not None and limit <= LEAST_REQUESTED:
        best = _ranked([(value, count(value)) for value, _ in best])
    return best


def _ranked(counts: Sequence[tuple[Value, int]]) -> Counts:
    """The values that occur, in order."""
    occurring = [(value, number) for value, number in counts if number]
    return sorted(occurring, key=lambda one: (-one[1], isinstance(one[0], str), one[0]))
