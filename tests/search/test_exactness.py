"""Exact searches, and the claims of answers to be complete.

The index is large enough for a search graph, and its vectors are random: the hardest case for a
graph, which hardly ever finds the true ranking.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.index import Index
from lookalike.ingest.schema import learn_types
from lookalike.search import planner, threshold
from lookalike.search.hits import Hits
from lookalike.types import CandidateQuery, FieldType, Point, Query, WeightedVector

COUNT = planner.SMALL_INDEX + 500
BLEND = {"semantic": 0.5, "color": 0.5}
EXACT = "The engine searched exactly."
APPROXIMATE = "The engine's search is approximate"
STOPPED = "The search stopped at 20 candidates per aspect"

Floats = NDArray[np.float32]


class RandomIndex:
    """An index of random points: `n` counts them, `same` is a copy of it."""

    def __init__(self, index: Index) -> None:
        rng = np.random.default_rng(1)
        self.index, self.engine = index, index._engine
        self.names: Mapping[str, str] = index._manifest.aspects
        self.vectors: dict[str, Floats] = {}
        for aspect, name in self.names.items():
            rows = rng.standard_normal((COUNT, index._manifest.vectors[name].size))
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            self.vectors[aspect] = rows.astype(np.float32)
        types = {"n": FieldType.INTEGER, "same": FieldType.INTEGER}
        learn_types(self.engine, index._manifests, types)
        for first in range(0, COUNT, 500):
            self.engine.upsert([self.point(i) for i in range(first, first + 500)])
        index.optimize()

    def point(self, i: int) -> Point:
        red = {"name": "red", "hex": "#ff0000", "share": 1.0}
        image = {"id": str(i), "sha256": f"{i:064x}", "phash": f"{i:016x}", "colors": [red]}
        vectors = {self.names[aspect]: rows[i] for aspect, rows in self.vectors.items()}
        return Point(str(i), vectors, {"n": i, "same": i, "image": image})

    def nearest(self, i: int, aspects: Mapping[str, float], least: int = 0) -> list[str]:
        """Ids of the ten points nearest to another, by brute force."""
        parts = [w * (self.vectors[a] @ self.vectors[a][i]) for a, w in aspects.items()]
        sums = np.sum(parts, axis=0)
        sums[:least] = sums[i] = -np.inf
        return [str(i) for i in np.argsort(-sums)[:10]]


@pytest.fixture(scope="module")
def random_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RandomIndex]:
    with Index.open(tmp_path_factory.mktemp("exact") / "index", model="built-in") as index:
        yield RandomIndex(index)


def ids(hits: Hits) -> list[str]:
    return [hit.id for hit in hits]


def check(hits: Hits, complete: bool | None, reason: str) -> None:
    assert hits.complete is complete
    assert hits.explanation.reason.startswith(reason)
    assert hits.explanation.reason.endswith(".")


def test_an_exact_search_finds_what_the_graph_misses(random_index: RandomIndex) -> None:
    rows = random_index.vectors["semantic"]
    assert random_index.engine.info()["indexed_vectors"] >= COUNT
    right = {True: 0, False: 0}
    for i in range(10):
        near = WeightedVector(random_index.names["semantic"], rows[i] + 2 * rows[i + 1], 1.0)
        best = np.argsort(-(rows @ near.vector))
        for exact in right:
            (answer,) = random_index.engine.query([Query((near,), limit=20, exact=exact)])
            right[exact] += [row.id for row in answer] == [str(i) for i in best[:20]]
        (candidates,) = random_index.engine.nearest([CandidateQuery(near, None, 300, exact=True)])
        expected = np.sort(rows @ near.vector)[::-1][:300] / np.linalg.norm(near.vector)
        assert [score for _, score in candidates] == pytest.approx(expected.tolist(), abs=1e-6)
    assert right[True] == 10
    assert right[False] < 10


@pytest.mark.parametrize("aspects", [{"semantic": 1.0}, BLEND], ids=["one aspect", "a blend"])
def test_an_exact_search_is_complete_and_the_brute_force_answer(
    random_index: RandomIndex, aspects: dict[str, float]
) -> None:
    for i in (3, 1000):
        hits = random_index.index.search(
            id=str(i), weights=aspects, calibration="none", where="n >= 20", exact=True
        )
        check(hits, True, EXACT)
        assert ids(hits) == random_index.nearest(i, aspects, least=20)
    (together,) = random_index.index.search_many(
        [{"id": "3", "weights": aspects, "calibration": "none", "where": "n >= 20", "exact": True}]
    )
    assert isinstance(together, Hits)
    check(together, True, EXACT)
    assert ids(together) == random_index.nearest(3, aspects, least=20)


def test_a_search_of_one_aspect_is_approximate(random_index: RandomIndex) -> None:
    check(random_index.index.search(id="3"), None, APPROXIMATE)
    check(random_index.index.search(id="3", where="n < 4000"), None, APPROXIMATE)


def test_a_blend_that_stops_early_may_have_missed_something(
    random_index: RandomIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threshold, "FIRST_CANDIDATES", 20)
    monkeypatch.setattr(planner, "MOST_CANDIDATES", 20)
    check(random_index.index.search(id="3", weights=BLEND), False, STOPPED)
    hits = random_index.index.search(id="3", weights=BLEND, calibration="none", exact=True)
    check(hits, True, EXACT)
    assert ids(hits) == random_index.nearest(3, BLEND)


def test_a_blend_whose_bounds_close_over_approximate_lists_is_approximate(
    random_index: RandomIndex,
) -> None:
    check(random_index.index.search(id="3", weights=BLEND), None, APPROXIMATE)
    check(random_index.index.search(id="3", weights=BLEND, limit=COUNT), None, APPROXIMATE)


@pytest.mark.parametrize("weights", [None, BLEND], ids=["one aspect", "a blend"])
@pytest.mark.parametrize("where", ["n < 700", "n in (5, 17, 4000)", "n < 0"])
def test_few_images_are_always_searched_exactly(
    random_index: RandomIndex, where: str, weights: dict[str, float] | None
) -> None:
    check(random_index.index.search(id="3", where=where, weights=weights), True, EXACT)


def test_an_estimate_that_is_too_low_does_not_count(random_index: RandomIndex) -> None:
    """The estimate assumes that the two conditions are independent."""
    where = "n < 1500 and same < 1500"
    filter = random_index.index._filter(where)
    assert (
        random_index.engine.count(filter, exact=False)
        < planner.FEW_MATCHES
        < random_index.engine.count(filter)
    )
    check(random_index.index.search(id="3", where=where), None, APPROXIMATE)


def test_leaving_images_out_is_not_a_filter(random_index: RandomIndex) -> None:
    check(random_index.index.recommend(["3", "4"], ["5"]), None, APPROXIMATE)
    check(random_index.index.recommend(["3", "4"], ["5"], exact=True), True, EXACT)
    check(random_index.index.recommend(["3", "4"], ["5"], strategy="best"), None, APPROXIMATE)
    check(random_index.index.recommend(["3", "4"], ["5"], strategy="best", exact=True), True, EXACT)


def test_a_small_index_is_always_searched_exactly(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        check(index.search(color="red"), True, EXACT)


def test_shares_of_colors_are_compared_among_the_nearest(random_index: RandomIndex) -> None:
    reason = "The 100 images nearest to typical shades"
    check(random_index.index.search(color="red", exact=True), None, reason)
    few = "n < 90"  # all of them are ranked
    check(random_index.index.search(color="red", where=few, exact=True), True, EXACT)


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Index]:
    """One picture 2,000 times, and ten others further away."""
    rng = np.random.default_rng(4)
    with Index.open(tmp_path / "index", model="built-in") as index:
        specs = [index._manifest.vectors[name] for name in index._manifest.aspects.values()]

        def point(i: int) -> Point:
            vectors = {}
            for spec in specs:
                one = (np.arange(spec.size) < 3) * (i < 2000) + 0.01 * rng.random(spec.size)
                vectors[spec.name] = np.asarray(one / np.linalg.norm(one), np.float32)
            sha256 = f"{0 if i < 2000 else i:064x}"
            image = {"id": str(i), "sha256": sha256, "phash": rng.bytes(8).hex()}
            return Point(str(i), vectors, {"image": image})

        index._engine.upsert([point(i) for i in range(2010)])
        yield index


def test_collapse_goes_on_behind_a_crowd_of_one_picture(crowd: Index) -> None:
    hits = crowd.search(id="0", collapse=True)
    check(hits, True, EXACT)
    assert len(hits) == 10


def test_too_few_rows_in_the_largest_pool(crowd: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "SMALL_INDEX", 100)
    hits = crowd.search(id="0", collapse=True)
    check(hits, False, "Too few remained of the best 1,600 images")
    assert len(hits) < 10


def test_an_exact_search_goes_on_until_there_are_enough(
    crowd: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "SMALL_INDEX", 100)
    hits = crowd.search(id="0", collapse=True, exact=True)
    check(hits, True, EXACT)
    assert len(hits) == 10
    everything = crowd.search(id="0", collapse=True, exact=True, limit=100)
    check(everything, True, EXACT)
    shown: list[Any] = [id for hit in everything for id in (hit.id, *hit.variants)]
    assert len(shown) == len(set(shown)) == 2009


def test_an_exact_search_that_stops_does_not_recommend_itself(
    random_index: RandomIndex, crowd: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "EXACT_POOL", 400)
    hits = crowd.search(id="0", collapse=True, exact=True)
    check(hits, False, "Too few remained of the best 400 images.")
    monkeypatch.setattr(threshold, "FIRST_CANDIDATES", 20)
    monkeypatch.setattr(planner, "EXACT_CANDIDATES", 20)
    hits = random_index.index.search(id="3", weights=BLEND, exact=True)
    check(hits, False, f"{STOPPED}, and a better image may exist.")
