"""The order in which pairs are compared."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from lookalike.duplicates.bulk.listing import Numbers
from lookalike.duplicates.bulk.proposals import files_of


def side_by_side(pairs: Numbers) -> Numbers:
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
