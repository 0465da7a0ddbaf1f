"""Facets: exact counts, and equal counts in the order of their values."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest

from lookalike.engines import facets
from lookalike.engines.facets import Counts, Value, exact_facet
from lookalike.engines.server.engine import ServerEngine
from tests.contract.test_engines import point
from tests.support.qdrant_wire import Store


class Shards:
    """Shards that each name their own most frequent values, in any order of equal counts."""

    def __init__(self, values: int, shards: int) -> None:
        dice = random.Random(7)
        self.shards = [
            Counter[Value]({f"v{i:05}": dice.randrange(9) for i in range(values)})
            for _ in range(shards)
        ]
        self.requested: list[int] = []

    def request(self, number: int) -> Counts:
        self.requested.append(number)
        total = Counter[Value]()
        for shard in self.shards:
            total.update(dict(shard.most_common(number)))
        counts = list(total.items())
        random.shuffle(counts)
        return sorted(counts, key=lambda one: -one[1])[:number]

    def count(self, value: Value) -> int:
        return sum(shard[value] for shard in self.shards)

    def best(self, limit: int) -> Counts:
        total = sum(self.shards, Counter[Value]())
        return sorted(total.items(), key=lambda one: (-one[1], str(one[0])))[:limit]


@pytest.mark.parametrize("values", [3, 100, 132, 1000, 1001, 15_000])
@pytest.mark.parametrize(("shards", "limit"), [(1, 1), (1, 100), (6, 1), (6, 100), (6, 1000)])
def test_counts_are_exact(values: int, shards: int, limit: int) -> None:
    field = Shards(values, shards)
    counted = exact_facet(field.request, limit, None if shards == 1 else field.count)
    assert counted == field.best(limit)


def test_counts_of_a_field_with_very_many_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facets, "MOST_REQUESTED", 2_000)
    field = Shards(9_000, 6)
    counted = exact_facet(field.request, 10, field.count)
    assert all(field.count(value) == count for value, count in counted)
    assert field.requested == [1_000, 2_000]


def test_a_server_in_shards_counts_like_one_shard(engine: ServerEngine, store: Store) -> None:
    points = [
        replace(old := point(i), payload={**old.payload, "category": f"c{i % 132 * i % 132}"})
        for i in range(700)
    ]
    engine.upsert(points)
    expected = Counter(str(point.payload["category"]) for point in points)
    ranked = sorted(expected.items(), key=lambda one: (-one[1], one[0]))
    store.shards = 6
    for limit in (1, 10, 100, 132, 200):
        assert engine.facet("category", limit=limit) == ranked[:limit]
