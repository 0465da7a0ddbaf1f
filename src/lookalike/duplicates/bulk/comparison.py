"""Comparison of proposed pairs: the ones that are copies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.bulk.listing import Listing, Numbers
from lookalike.duplicates.bulk.proposals import files_of
from lookalike.duplicates.check import DuplicateSearch
from lookalike.protocols import existing_points

PAIRS_PER_BATCH = 512
"""Pairs that are looked up and compared together."""


def copies(
    search: DuplicateSearch, listing: Listing, pairs: Numbers, done: Callable[[int], None]
) -> Numbers:
    """The pairs that are copies, sorted.

    Args:
        pairs: without repetitions; all of them are in memory.
        done: called with the number of pairs that have been compared.
    """
    ordered = _side_by_side(pairs)
    found = [np.empty(0, np.uint64)]
    for start in range(0, len(ordered), PAIRS_PER_BATCH):
        batch = ordered[start : start + PAIRS_PER_BATCH]
        found.append(batch[_are_copies(search, listing, batch)])
        done(start + len(batch))
    return np.sort(np.concatenate(found))


def _are_copies(search: DuplicateSearch, listing: Listing, pairs: Numbers) -> NDArray[np.bool_]:
    """(n,) True for copies; images that were deleted meanwhile are none."""
    columns = files_of(pairs)
    files = np.unique(np.concatenate(columns))
    ids = listing.ids(files)
    points = {point.id: point.payload for point in existing_points(search.engine, ids)}
    payloads = {int(file): points[id] for file, id in zip(files, ids, strict=True) if id in points}
    rows = zip(*(column.tolist() for column in columns), strict=True)
    existing = {
        at: (payloads[first], payloads[second])
        for at, (first, second) in enumerate(rows)
        if first in payloads and second in payloads
    }
    results = search.comparer.start(list(existing.values()))
    answers = np.zeros(len(pairs), bool)
    for at, result in zip(existing, results, strict=True):
        answers[at] = result.result() is not None
    search.comparer.save()
    return answers


def _side_by_side(pairs: Numbers) -> Numbers:
    """The pairs in the order of a breadth-first traversal, so that the pictures of neighbors are in
    memory together and their sketches are made once."""
    columns = np.concatenate(files_of(pairs))
    files, places = np.unique(columns, return_inverse=True)
    first, second = np.split(places, 2)
    position = _breadth_first(len(files), first, second)
    return pairs[np.argsort(np.maximum(position[first], position[second]), kind="stable")]


def _breadth_first(
    count: int, first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(count,) positions of the places of a graph in a breadth-first traversal."""
    starts, ends = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort([ends, starts])
    bounds = np.searchsorted(starts[order], np.arange(count + 1))
    neighbors = ends[order]
    position, reached = np.full(count, -1, np.int64), 0
    for start in range(count):
        if position[start] >= 0:
            continue
        position[start] = reached
        queue = deque([start])
        while queue:
            place = queue.popleft()
            others = neighbors[bounds[place] : bounds[place + 1]]
            unseen = others[position[others] < 0]
            position[unseen] = reached + 1 + np.arange(len(unseen))
            reached += len(unseen)
            queue.extend(unseen.tolist())
        reached += 1
    return position
