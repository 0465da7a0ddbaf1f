"""Recall and speed of weighted blends, beside those of the usual recipes.

300,000 points of three aspects, int8 with rescoring, in the embedded engine. Queries are made like
the points; for every second one each aspect is that of another image ("like this, in the colors of
that"). Brute force over the same vectors is the truth. The usual recipes are:

- flat: a formula over one prefetch an aspect, 200 candidates each;
- rank fusion: the same prefetches, joined by weighted reciprocal ranks;
- nested: every stage scores the candidates of all aspects, 200 each, as one request.

    python -m benchmarks.blended_search [FOLDER]

FOLDER keeps the index, which takes minutes to build, for the next run.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as qe
from numpy.typing import NDArray

from benchmarks._figures import bound, finish
from benchmarks._synthetic import Points, draw, open_index
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.filters import to_edge
from lookalike.index import Index
from lookalike.search import threshold
from lookalike.types import Point, Query, Range, WeightedVector

POINTS = 300_000
QUERIES = 60
K = 10
WEIGHTS = ((0.95, 0.05), (0.8, 0.2), (0.5, 0.5), (0.2, 0.8), (0.5, 0.3, 0.2))
PASSING = (None, 0.5, 0.05, 0.005, 0.0005)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(sys.argv[1] if len(sys.argv) > 1 else folder) / "blended"
        points = draw(POINTS + QUERIES)
        stored = Points({a: v[:POINTS] for a, v in points.vectors.items()}, points.rank[:POINTS])
        with open_index(TimedEngine(place), stored) as index:
            warm(index, points)
            recall(index, points)
            exactness(index, points)
            speed(index, points)
            overhead(index)
    finish()


def recall(index: Index, points: Points) -> None:
    print("recall@10 of the blend; in brackets the share of answers whose bounds closed")
    closed_recalls = []
    for weights in WEIGHTS:
        for passing in PASSING:
            ours, closed = [], []
            others: dict[str, list[float]] = {name: [] for name in RECIPES}
            for q in range(QUERIES):
                asked = make(index, points, weights, q, passing)
                sums = truth(points, asked, passing)
                result = threshold.run(index._engine, [asked])[0]
                ours.append(share([row.id for row in result.rows], sums))
                closed.append(result.complete is not False)
                for name, recipe in RECIPES.items():
                    rows = shard(index).query(recipe(asked))
                    ids = [row.payload["image"]["id"] for row in rows if row.payload]
                    others[name].append(share(ids, sums))
            label = "/".join(map(str, weights)) + (f", {passing:.2%} pass" if passing else "")
            beside = ", ".join(f"{name} {np.mean(found):.3f}" for name, found in others.items())
            print(f"  {label}: {np.mean(ours):.3f} ({np.mean(closed):.0%} closed), {beside}")
            bound(f"recall@10 at {label}", float(np.mean(ours)), least=0.98)
            closed_recalls += [found for found, yes in zip(ours, closed, strict=True) if yes]
    bound("recall@10 where bounds closed", float(np.mean(closed_recalls)), least=0.999)


def exactness(index: Index, points: Points) -> None:
    """Checks that an exact search is complete and right."""
    right, times = [], []
    for weights in WEIGHTS:
        for q in range(QUERIES // 6):
            asked = replace(make(index, points, weights, q, None), exact=True)
            started = time.perf_counter()
            (result,) = threshold.run(index._engine, [asked], most=POINTS)
            times.append((time.perf_counter() - started) * 1e3)
            found = share([row.id for row in result.rows], truth(points, asked, None))
            right.append(result.complete is True and found == 1)
    print(f"exact search, ms: {percentiles(times)}")
    bound("share of exact searches that are complete and the truth", float(np.mean(right)), least=1)


def speed(index: Index, points: Points) -> None:
    print("milliseconds, median and 99th percentile")
    single, blends, one_request = [], [], []
    for weights in WEIGHTS:
        own, other = [], []
        for q in range(2 * QUERIES):
            asked = make(index, points, weights, q % QUERIES, None)
            first = np.asarray(asked.near[0].vector).tolist()
            single.append(milliseconds(shard(index).query, bare(first)))
            own.append(milliseconds(threshold.run, index._engine, [asked]))
            other.append(milliseconds(lambda one: shard(index).query(nested(one)), asked))
        name = "/".join(map(str, weights))
        print(f"  {name}: {percentiles(own)}; nested in one request {percentiles(other)}")
        if len(weights) == 2:
            blends += own
            one_request += other
    print(f"  bare single-vector query: {percentiles(single)}")
    bound("two aspects, median ms", float(np.median(blends)), most=10)
    bound("two aspects, 99th percentile ms", float(np.percentile(blends, 99)), most=20)
    bound("two aspects over nested in one request", ratio(blends, one_request), most=1)


def overhead(index: Index) -> None:
    """Measures the time that `Index.search` adds to that of the engine."""
    engine = index._engine
    assert isinstance(engine, TimedEngine)
    added = []
    for i in range(2 * QUERIES):
        engine.waited = 0.0
        whole = milliseconds(lambda id: index.search(id=id, weights="style"), str(i))
        added.append(whole - engine.waited)
    bound("added by our Python to a blend by id, median ms", float(np.median(added)), most=1.0)


# --- queries and the truth ------------------------------------------------------------------


def make(
    index: Index, points: Points, weights: Sequence[float], q: int, passing: float | None
) -> Query:
    """The q-th query: targets from beyond the stored points, weights calibrated as in a search."""
    calibration = index._manifest.calibration
    assert calibration is not None
    rows = [POINTS + (q + (7 * i if q % 2 else 0)) % QUERIES for i in range(len(weights))]
    aspects = list(points.vectors)[: len(weights)]
    scaled = [
        weight / calibration.backgrounds[f"{aspect}-made"].spread
        for weight, aspect in zip(weights, aspects, strict=True)
    ]
    near = tuple(
        WeightedVector(f"{aspect}-made", points.vectors[aspect][row], weight / sum(scaled))
        for aspect, row, weight in zip(aspects, rows, scaled, strict=True)
    )
    return Query(near, None if passing is None else Range("rank", lt=passing), K)


def truth(points: Points, asked: Query, passing: float | None) -> NDArray[np.float32]:
    """The sum of every stored point; -inf for points that do not pass."""
    sums = np.zeros(POINTS, np.float32)
    for near, vectors in zip(asked.near, points.vectors.values(), strict=False):
        sums += np.float32(near.weight) * (vectors[:POINTS] @ near.vector)
    return sums if passing is None else np.where(points.rank[:POINTS] < passing, sums, -np.inf)


def share(found: Sequence[str], sums: NDArray[np.float32]) -> float:
    """The share of the true ten among the ids; one that ties with the tenth counts."""
    tenth = np.partition(sums, -K)[-K]
    return float(np.sum(sums[[int(id) for id in found]] >= tenth - 1e-6)) / K


# --- the other ways -------------------------------------------------------------------------

_RESCORED = qe.SearchParams(
    quantization=qe.QuantizationSearchParams(rescore=True, oversampling=2.0)
)
_ORIGINALS = qe.SearchParams(quantization=qe.QuantizationSearchParams(ignore=True))
CANDIDATES = 200


def bare(vector: list[float]) -> qe.QueryRequest:
    nearest = qe.Query.Nearest(vector, using="semantic-made")
    return qe.QueryRequest(query=nearest, limit=K, params=_RESCORED, with_payload=True)


def branches(asked: Query) -> list[qe.Prefetch]:
    return [
        qe.Prefetch(query=nearest(near), limit=CANDIDATES, params=_RESCORED) for near in asked.near
    ]


def nearest(near: WeightedVector) -> qe.Query:
    return qe.Query.Nearest(near.vector.tolist(), using=near.name)


def formula(asked: Query) -> qe.Formula:
    terms = [
        qe.Expression.Mult(
            [qe.Expression.Constant(near.weight), qe.Expression.Variable(f"$score[{i}]")]
        )
        for i, near in enumerate(asked.near)
    ]
    return qe.Formula(
        qe.Expression.Sum(terms), {f"$score[{i}]": 0.0 for i in range(len(asked.near))}
    )


def flat(asked: Query) -> qe.QueryRequest:
    return request(asked, branches(asked), formula(asked))


def rank_fusion(asked: Query) -> qe.QueryRequest:
    weights = [near.weight for near in asked.near]
    return request(asked, branches(asked), qe.Fusion.Rrf(k=2, weights=weights))


def nested(asked: Query) -> qe.QueryRequest:
    stages = [
        qe.Prefetch(
            prefetches=branches(asked),
            query=nearest(near),
            limit=CANDIDATES * len(asked.near),
            params=_ORIGINALS,
        )
        for near in asked.near
    ]
    return request(asked, stages, formula(asked))


def request(asked: Query, prefetches: list[qe.Prefetch], ranking: Any) -> qe.QueryRequest:
    return qe.QueryRequest(
        prefetches=prefetches,
        query=ranking,
        filter=to_edge(asked.filter),
        limit=K,
        with_payload=True,
    )


RECIPES = {"flat": flat, "rank fusion": rank_fusion, "nested": nested}


# --- inside ---------------------------------------------------------------------------------


class TimedEngine(EdgeEngine):
    """Counts the milliseconds that queries wait for the engine."""

    waited = 0.0

    def _query(self, requests: list[qe.QueryRequest]) -> list[list[qe.ScoredPoint]]:
        started = time.perf_counter()
        try:
            return super()._query(requests)
        finally:
            self.waited += (time.perf_counter() - started) * 1e3

    def retrieve(self, *args: object, **options: object) -> list[Point]:
        started = time.perf_counter()
        try:
            return super().retrieve(*args, **options)  # type: ignore[arg-type]
        finally:
            self.waited += (time.perf_counter() - started) * 1e3


def warm(index: Index, points: Points) -> None:
    """Brings the files into memory, to time the search and not the disk."""
    for _ in index._engine.scroll(vectors=list(index._manifest.vectors), batch=5000):
        pass
    for q in range(QUERIES):
        threshold.run(index._engine, [make(index, points, (0.5, 0.5), q, None)])


def shard(index: Index) -> qe.EdgeShard:
    assert isinstance(index._engine, EdgeEngine)
    return index._engine.shard


def milliseconds(action: Callable[..., object], *given: object) -> float:
    started = time.perf_counter()
    action(*given)
    return (time.perf_counter() - started) * 1e3


def percentiles(times: Sequence[float]) -> str:
    return f"{np.median(times):.1f} / {np.percentile(times, 99):.1f}"


def ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return float(np.median(times) / np.median(others))


if __name__ == "__main__":
    main()
