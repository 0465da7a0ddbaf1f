"""Recall against exact search."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.search.recall import recall
from lookalike.types import Distance, Point, Query, Scored, VectorSpec

COUNT = 60
SPEC = VectorSpec("v", "semantic", 8, Distance.COSINE, "float32", "none", "1")


class Approximate(EdgeEngine):
    """An engine that misses the nearest row unless it is to search exactly."""

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        answers: Any = super().query(queries)
        return [
            rows if query.exact else rows[1:] for query, rows in zip(queries, answers, strict=True)
        ]


def filled(path: Path, kind: type[EdgeEngine], rows: np.ndarray[Any, Any]) -> EdgeEngine:
    engine = kind(path)
    engine.create([SPEC])
    engine.upsert(
        [Point(str(i), {"v": row}, {"image": {"id": str(i)}}) for i, row in enumerate(rows)]
    )
    return engine


@pytest.fixture
def rows() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).normal(size=(COUNT, 8)).astype(np.float32)


def test_exact_answers_have_full_recall(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    with closing(filled(tmp_path / "i", EdgeEngine, rows)) as engine:
        found = recall(engine, SPEC, 20)
        assert found is not None
        assert (found.mean, found.low, found.high) == (1, 1, 1)


def test_what_is_missed_counts(tmp_path: Path, rows: np.ndarray[Any, Any]) -> None:
    with closing(filled(tmp_path / "i", Approximate, rows)) as engine:
        found = recall(engine, SPEC, 20)
        assert found is not None
        assert found.mean == pytest.approx(0.9)


def test_images_that_are_equally_near_are_equally_right(tmp_path: Path) -> None:
    same = np.tile(np.arange(8, dtype=np.float32), (COUNT, 1))
    with closing(filled(tmp_path / "i", EdgeEngine, same)) as engine:
        found = recall(engine, SPEC, 5)
        assert found is not None
        assert found.mean == 1


def test_an_empty_index_has_none(tmp_path: Path) -> None:
    empty = np.zeros((0, 8), np.float32)
    with closing(filled(tmp_path / "i", EdgeEngine, empty)) as engine:
        assert recall(engine, SPEC, 20) is None
