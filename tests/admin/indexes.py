"""Indexes for the tests of copies."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.admin.copy import BATCH, NamedEngine
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.manifest import Manifest
from lookalike.types import FieldType, Point
from tests.contract.test_engines import SPECS, point

FIELDS = {
    "n": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "in_stock": FieldType.BOOLEAN,
    "at": FieldType.DATETIME,
    "category": FieldType.KEYWORD,
    "tags": FieldType.KEYWORDS,
    "odd name": FieldType.KEYWORD,
    "größe 尺寸": FieldType.KEYWORD,
}
MANIFEST = Manifest.of(SPECS, "/models").with_fields(FIELDS).to_json()
NAMES = [spec.name for spec in SPECS]
COUNT = 2 * BATCH + 500

ODD: dict[str, Any] = {
    "größe 尺寸": "Ü\u2028 \x00 👗 \"'\n",
    "n": -(2**63),
    "price": 5.0,
    "tags": ["日本", "a|b", ""],
    "in_stock": False,
    "at": "1999-12-31T23:59:59.123456Z",
    "nothing": None,
    "empty": [],
    "deep": {"a": [{"b": [1, 2.5, None, True]}], "c": {}},
}


def fill(folder: Path, count: int, *, manifest: Any = MANIFEST) -> Path:
    """An index of `count` points, the first of them with unusual values of every kind."""
    engine = EdgeEngine(folder)
    engine.create(SPECS)
    first = point(0)
    points = [Point(first.id, first.vectors, {**first.payload, **ODD})]
    points += [point(i) for i in range(1, count)]
    for i in range(0, count, 500):
        engine.upsert(points[i : i + 500])
    engine.write_manifest(manifest)
    engine.close()
    return folder


At = Callable[[Path], NamedEngine]


def content(place: NamedEngine) -> dict[str, Point]:
    return {one.id: one for batch in place.engine.scroll(vectors=NAMES) for one in batch}


def assert_same(one: dict[str, Point], other: dict[str, Point]) -> None:
    assert one.keys() == other.keys()
    for id, own in one.items():
        assert json.dumps(own.payload, sort_keys=True) == json.dumps(
            other[id].payload, sort_keys=True
        )
        assert own.vectors.keys() == other[id].vectors.keys()
        for name, values in own.vectors.items():
            np.testing.assert_allclose(values, other[id].vectors[name], rtol=0, atol=1e-6)
