"""Recall: the share of the true nearest images that an approximate search finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lookalike.protocols import Engine
from lookalike.search.evaluation import Quality
from lookalike.types import Query, Scored, VectorSpec, WeightedVector

NEIGHBORS = 10
"""Neighbors of each probe."""

_TIE = 1e-6
"""Difference of similarities that counts as none, as a share of those above 1: equally near images
are equally right."""


def recall(engine: Engine, spec: VectorSpec, probes: int) -> Quality | None:
    """The recall@10 of searches by one named vector, against exact search; None for an empty index.

    Probes are images of the index, the first by point id: an id is a hash, so they are a random
    sample that stays. They are easy queries: words and crops lie farther from all images.

    Args:
        engine: holds the points.
        spec: the vector.
        probes: number of images to search by.
    """
    name = spec.name
    points = next(engine.scroll(payload=False, vectors=[name], batch=probes), [])
    queries = [
        Query((WeightedVector(name, point.vectors[name], 1.0, spec.distance),), limit=NEIGHBORS)
        for point in points
        if name in point.vectors
    ]
    if not queries:
        return None
    found = engine.query(queries)
    true = engine.query([replace(query, exact=True) for query in queries])
    return Quality.of(np.array(list(map(_share, found, true))))


def _share(found: Sequence[Scored], true: Sequence[Scored]) -> float:
    """The share of the nearest rows that were found, or others that are as near."""
    if not true:
        return 1.0
    least = true[-1].score - _TIE * max(1.0, abs(true[-1].score))
    return min(sum(row.score >= least for row in found) / len(true), 1.0)
