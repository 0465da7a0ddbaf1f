"""Shadow queries on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.manifest import Manifest
from lookalike.search.query_log import LoggedQuery
from lookalike.search.shadow import compare_models
from lookalike.types import Distance, FieldType, Point, VectorSpec
from tests.contract.test_engines import ENGINES

COUNT = 20
OLD = VectorSpec("old", "semantic", 4, Distance.COSINE, "float32", "first", "1")
NEW = VectorSpec("new", None, 6, Distance.EUCLID, "float32", "second", "1")


@pytest.mark.parametrize("kind", ENGINES)
def test_two_vectors_of_one_index_are_compared(kind: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    points = [
        Point(
            str(i),
            {"old": rng.normal(size=4).astype(np.float32)}
            | ({"new": rng.normal(size=6).astype(np.float32)} if i else {}),
            {"image": {"id": str(i)}, "kind": f"kind {i % 2}"},
        )
        for i in range(COUNT)
    ]
    manifest = Manifest.of([OLD, NEW]).with_fields({"kind": FieldType.KEYWORD})
    logged = [LoggedQuery("3", is_text=False), LoggedQuery("0", is_text=False)]
    with ENGINES[kind](tmp_path / "index") as engine:
        engine.create([OLD, NEW])
        engine.upsert(points)
        options = {"queries": COUNT, "limit": 5, "by": "kind"}
        found = compare_models(engine, manifest, OLD, NEW, options, logged=logged)
    assert [part.queries for part in found.agreement] == [COUNT - 1, 1]
    assert found.precision is not None
    assert found.precision.queries == COUNT
    assert len(found.notes) == 2
    new = {point.id: point.vectors["new"] for point in points if "new" in point.vectors}
    for pair in found.pairs:
        far = {id: np.linalg.norm(new[id] - new[pair.value]) for id in new if id != pair.value}
        nearest = sorted(far, key=lambda id: far[id])[:5]
        assert [hit.id for hit in pair.new] == nearest
        assert "0" not in nearest
