"""Weights, and the threshold algorithm: rankings, proofs and their cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import QueryError
from lookalike.search import threshold
from lookalike.search.threshold import Result
from lookalike.search.weights import choose_weights
from lookalike.types import (
    AnyOf,
    CandidateQuery,
    Candidates,
    Distance,
    Filter,
    Point,
    Query,
    Range,
    Scored,
    VectorSpec,
    WeightedVector,
)

ALL = ["semantic", "color", "texture"]


def weigh(weights: object, targets: list[str] = ALL, default: list[str] | None = None) -> object:
    return choose_weights(
        weights,  # type: ignore[arg-type]
        targets=targets,
        default=default or targets[:1],
        aspects=ALL,
    )


def test_weights_add_up_to_one() -> None:
    assert weigh({"semantic": 3, "color": 1}) == {"semantic": 0.75, "color": 0.25}
    assert weigh({"semantic": 1, "color": 0}) == {"semantic": 1.0}
    assert weigh("style") == {"semantic": 0.8, "color": 0.2}
    assert weigh("style", ["color"]) == {"color": 1.0}
    assert weigh(None, ALL, ["semantic", "color"]) == {"semantic": 0.5, "color": 0.5}
    assert weigh({"semantic": 5e-324}) == {"semantic": 1.0}
    assert weigh({"semantic": 1e308, "color": 1e308}) == {"semantic": 0.5, "color": 0.5}


@pytest.mark.parametrize(
    ("weights", "targets", "message"),
    [
        (None, [], "Nothing to search by"),
        ("styl", ALL, "no preset 'styl'"),
        ("style", ["texture"], "has no weight for the aspects"),
        ({"shade": 1}, ALL, "no aspect 'shade'; this index has semantic, color, texture"),
        ({"color": -1}, ALL, "weight of color is -1"),
        ({"color": math.nan}, ALL, "weight of color is nan"),
        ({"color": math.inf}, ALL, "weight of color is inf"),
        ({"color": 0}, ALL, "All weights are zero"),
        ({}, ALL, "All weights are zero"),
        ({"color": 1}, ["semantic"], "color has a weight and nothing to compare with"),
    ],
)
def test_weights_that_make_no_sense(weights: object, targets: list[str], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        weigh(weights, targets)


Floats = NDArray[np.float32]

SPECS = (
    VectorSpec("one", "semantic", 6, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("two", "color", 4, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("three", "texture", 5, Distance.COSINE, "float32", "test", "1"),
)
SIZES = {spec.name: spec.size for spec in SPECS}
COUNT = 3000


def unit(rng: np.random.Generator, *shape: int) -> Floats:
    made = rng.standard_normal(shape).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=-1, keepdims=True))


class Counting(EdgeEngine):
    """Counts requests, and the points that they compare."""

    asked = answered = compared = 0

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        self.asked += 1
        return super().nearest(queries)

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        self.answered += 1
        self.compared += len(queries[-1].among or ())
        return super().query(queries)


class Filled:
    """An engine with random points, and their vectors as arrays."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(5)
        self.vectors: Mapping[str, Floats] = {
            name: unit(rng, COUNT, size) for name, size in SIZES.items()
        }
        self.engine = Counting(folder)
        self.engine.create(SPECS)
        self.engine.upsert(
            [
                Point(
                    str(i),
                    {name: rows[i] for name, rows in self.vectors.items()},
                    {"n": i, "image": {"id": str(i)}},
                )
                for i in range(COUNT)
            ]
        )

    def run(self, query_: Query, most: int = threshold.MOST_CANDIDATES) -> Result:
        (result,) = threshold.run(self.engine, [query_], most=most)
        return result

    def sums(self, near: Sequence[WeightedVector], least: int = 0) -> Floats:
        """The weighted sum of every point from `least` on, by brute force."""
        parts = [one.weight * (self.vectors[one.name][least:] @ one.vector) for one in near]
        return np.asarray(np.sum(parts, axis=0), np.float32)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Filled:
    return Filled(tmp_path_factory.mktemp("query") / "index")


def ids(result: Result) -> list[str]:
    return [row.id for row in result.rows]


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    weights=st.lists(st.floats(0.02, 1), min_size=2, max_size=3),
    least=st.integers(0, COUNT - 5),
    limit=st.integers(1, 40),
    offset=st.integers(0, 60),
    exact=st.booleans(),
)
def test_a_complete_answer_is_the_brute_force_answer(
    filled: Filled,
    seed: int,
    weights: list[float],
    least: int,
    limit: int,
    offset: int,
    exact: bool,
) -> None:
    rng = np.random.default_rng(seed)
    near = tuple(
        WeightedVector(name, unit(rng, SIZES[name]), weight / math.fsum(weights))
        for name, weight in zip(SIZES, weights, strict=False)
    )
    asked = Query(near, Range("n", gte=least), limit, offset, exact=exact)
    result = filled.run(asked, most=COUNT)
    best = np.sort(filled.sums(near, least))[::-1][offset : offset + limit]
    found = np.array([row.score for row in result.rows])
    assert result.complete is True if exact else result.complete in (None, False)
    if result.complete is not False:
        np.testing.assert_allclose(found, best, atol=2e-6)
    else:  # three random directions leave a great many to compare
        assert len(near) == 3
        assert (found <= best + 2e-6).all()
    for row in result.rows:
        parts = (one.weight * score for one, score in zip(near, row.scores, strict=True))
        assert row.score == pytest.approx(math.fsum(parts), abs=2e-6)
        assert row.payload["n"] >= least


def opposite(filled: Filled) -> tuple[WeightedVector, WeightedVector]:
    """Two targets, the best of one the worst of the other: the first round proves nothing."""
    one = filled.vectors["one"]
    other = one[1] - one[0]
    return WeightedVector("one", one[0], 0.5), WeightedVector(
        "one", other / np.linalg.norm(other), 0.5
    )


def test_candidates_widen_until_the_answer_is_proved(filled: Filled) -> None:
    near = opposite(filled)
    best = np.argsort(-filled.sums(near))[:10]
    for exact in (True, False):
        result = filled.run(Query(near, exact=exact))
        assert result.complete is (True if exact else None)
        assert ids(result) == [str(i) for i in best]
        assert result.candidates > threshold.FIRST_CANDIDATES
        assert result.rounds >= 4  # proposed twice, compared twice


@pytest.mark.parametrize("exact", [True, False])
def test_without_leave_to_widen_it_says_that_nothing_is_proved(filled: Filled, exact: bool) -> None:
    first = threshold.FIRST_CANDIDATES
    result = filled.run(Query(opposite(filled), exact=exact), most=first)
    assert (result.complete, result.candidates, len(result.rows)) == (False, first, 10)


def test_targets_that_cancel_out_end_with_all_alike(filled: Filled) -> None:
    one = filled.vectors["one"][0]
    result = filled.run(Query((WeightedVector("one", one, 0.5), WeightedVector("one", -one, 0.5))))
    assert len(result.rows) == 10
    assert [row.score for row in result.rows] == pytest.approx([0] * 10, abs=1e-6)


def test_one_target_takes_one_request(filled: Filled) -> None:
    near = WeightedVector("one", filled.vectors["one"][7], 1.0)
    for exact in (True, False):
        result = filled.run(Query((near,), limit=5, exact=exact))
        assert (result.complete, result.rounds) == (True if exact else None, 1)
        assert ids(result) == [str(i) for i in np.argsort(-filled.sums([near]))[:5]]


def test_an_easy_blend_takes_two_requests(filled: Filled) -> None:
    near = tuple(WeightedVector(name, filled.vectors[name][7], 1 / 3) for name in SIZES)
    for exact in (True, False):
        result = filled.run(Query(near, limit=1, exact=exact))
        complete = True if exact else None
        assert (ids(result), result.complete, result.rounds) == (["7"], complete, 2)
        assert result.candidates == threshold.FIRST_CANDIDATES
        assert result.compared == threshold.FIRST_COMPARED


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("names", [["one"], ["one", "two"]])
def test_more_than_there_are_gives_all_of_them(
    filled: Filled, names: list[str], exact: bool
) -> None:
    near = tuple(WeightedVector(name, filled.vectors[name][0], 1 / len(names)) for name in names)
    complete = True if exact else None
    few = filled.run(Query(near, Range("n", lt=30), limit=100, exact=exact))
    assert (len(few.rows), few.complete) == (30, complete)
    everything = filled.run(Query(near, limit=2 * COUNT, exact=exact))
    assert (len(set(ids(everything))), everything.complete) == (COUNT, complete)
    last = filled.run(Query(near, limit=100, offset=COUNT - 3, exact=exact))
    assert (ids(last), last.complete) == (ids(everything)[-3:], complete)
    beyond = filled.run(Query(near, limit=10, offset=COUNT, exact=exact))
    assert (ids(beyond), beyond.complete) == ([], complete)


def test_a_long_answer_says_how_much_it_compared(filled: Filled) -> None:
    rng = np.random.default_rng(0)
    near = tuple(WeightedVector(name, unit(rng, size), 1 / 3) for name, size in SIZES.items())
    for limit in (10, 600):
        filled.engine.compared = 0
        result = filled.run(Query(near, limit=limit))
        assert len(set(ids(result))) == limit
        assert result.compared == filled.engine.compared >= limit


@pytest.mark.parametrize(
    "nothing", [AnyOf(()), Range("n", gt=5, lt=3), Range("n", gte=COUNT)], ids=str
)
@pytest.mark.parametrize("names", [["one"], ["one", "two"]])
def test_where_nothing_passes_nothing_is_the_complete_answer(
    filled: Filled, names: list[str], nothing: Filter
) -> None:
    near = tuple(WeightedVector(name, filled.vectors[name][0], 1 / len(names)) for name in names)
    result = filled.run(Query(near, nothing, exact=True))
    assert (ids(result), result.complete) == ([], True)
    result = filled.run(Query(near, nothing))
    assert (ids(result), result.complete) == ([], None)


def test_several_queries_go_through_the_rounds_together(filled: Filled) -> None:
    rng = np.random.default_rng(1)
    asked = [
        Query(opposite(filled)),
        Query((WeightedVector("two", unit(rng, 4), 1.0),), limit=3, offset=2, vectors=["one"]),
        Query(opposite(filled), AnyOf(())),
        Query(
            tuple(WeightedVector(name, unit(rng, size), 1 / 3) for name, size in SIZES.items()),
            Range("n", lt=2000),
            limit=20,
        ),
    ]
    engine = filled.engine
    alone, asks, answers = [], [], []
    for one in asked:
        engine.asked = engine.answered = 0
        alone.append(filled.run(one))
        asks.append(engine.asked)
        answers.append(engine.answered)
    engine.asked = engine.answered = 0
    together = threshold.run(engine, asked)
    assert [result.rounds for result in together] == [
        ask + answer for ask, answer in zip(asks, answers, strict=True)
    ]
    assert (engine.asked, engine.answered) == (max(asks), max(answers))
    for result, other in zip(together, alone, strict=True):
        assert ids(result) == ids(other)
        assert [row.score for row in result.rows] == [row.score for row in other.rows]
        assert (result.complete, result.candidates, result.compared, result.rounds) == (
            other.complete,
            other.candidates,
            other.compared,
            other.rounds,
        )
    assert threshold.run(engine, []) == []
