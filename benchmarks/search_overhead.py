"""Overhead of `Index.search` by id over the bare engine query for the same vector and payload."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import qdrant_edge as qe

from benchmarks._figures import bound, finish
from lookalike import Index
from lookalike.types import Point

POINTS = 20_000
QUERIES = 400


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Index.open(Path(folder) / "index", model="built-in") as index,
    ):
        fill(index)
        bare, ours = [], []
        for i in range(QUERIES):
            vector = index.get(str(i), vectors=True).vectors["lookalike-small-1"].tolist()
            bare.append(timed(partial(query, index, vector)))
            ours.append(timed(partial(index.search, id=str(i))))
    b, o = statistics.median(bare) * 1e3, statistics.median(ours) * 1e3
    print(f"bare engine query {b:.3f} ms, Index.search by id {o:.3f} ms")
    bound("added by Index.search, ms", o - b, most=1.0)
    finish()


def query(index: Index, vector: list[float]) -> object:
    return index._engine.shard.query(  # type: ignore[attr-defined]
        qe.QueryRequest(
            query=qe.Query.Nearest(vector, using="lookalike-small-1"),
            limit=10,
            params=qe.SearchParams(
                quantization=qe.QuantizationSearchParams(rescore=True, oversampling=2.0)
            ),
            with_payload=True,
        )
    )


def fill(index: Index) -> None:
    rng = np.random.default_rng(0)
    for first in range(0, POINTS, 500):
        index._engine.upsert([point(index, rng, first + i) for i in range(500)])
    index._engine.optimize()


def point(index: Index, rng: np.random.Generator, i: int) -> Point:
    vectors = {}
    for name, spec in index._manifest.vectors.items():
        made = rng.standard_normal(spec.size).astype(np.float32)
        vectors[name] = (made > 0).astype(np.uint8) if spec.datatype == "uint8" else made
    return Point(str(i), vectors, {"category": "dress", "image": {"id": str(i), "uri": str(i)}})


def timed(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
