"""Weights, colours, and the proof that nothing better was missed."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import query
from lookalike.engines.edge import EdgeEngine
from lookalike.errors import QueryError
from lookalike.query import choose_weights
from lookalike.types import Distance, Near, Point, Query, Range, VectorSpec

ALL = ["semantic", "color", "texture"]


def weigh(weights: object, targets: list[str] = ALL, meant: list[str] | None = None) -> object:
    return choose_weights(
        weights,  # type: ignore[arg-type]
        targets=targets,
        meant=meant or targets[:1],
        aspects=ALL,
    )


def test_weights_add_up_to_one() -> None:
    assert weigh({"semantic": 3, "color": 1}) == {"semantic": 0.75, "color": 0.25}
    assert weigh({"semantic": 1, "color": 0}) == {"semantic": 1.0}
    assert weigh("style") == {"semantic": 0.8, "color": 0.2}
    assert weigh("style", ["color"]) == {"color": 1.0}
    assert weigh(None, ALL, ["semantic", "color"]) == {"semantic": 0.5, "color": 0.5}


@pytest.mark.parametrize(
    ("weights", "targets", "message"),
    [
        (None, [], "Nothing to search by"),
        ("styl", ALL, "no preset 'styl'"),
        ("style", ["texture"], "weighs none of"),
        ({"colour": 1}, ALL, "no aspect 'colour'; this index has semantic, color, texture"),
        ({"color": -1}, ALL, "weight of color is -1"),
        ({"color": math.nan}, ALL, "weight of color is nan"),
        ({"color": math.inf}, ALL, "weight of color is inf"),
        ({"color": 0}, ALL, "All weights are zero"),
        ({"color": 1}, ["semantic"], "color has a weight and nothing to compare with"),
    ],
)
def test_weights_that_make_no_sense(weights: object, targets: list[str], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        weigh(weights, targets)


def test_colors_by_name_and_number() -> None:
    assert query.shades("Navy") == ((0, 0, 128),)
    assert query.shades("#1a2b3c") == ((26, 43, 60),)
    assert query.shades("lightgray") == query.shades("lightgrey")
    with pytest.raises(QueryError, match="no colour 'nvay'; did you mean navy"):
        query.shades("nvay")
    with pytest.raises(QueryError, match="try red"):
        query.shades("#12")


def test_a_basic_term_means_all_its_shades() -> None:
    assert query.shades("gray") == query.shades("grey")
    assert len(query.shades("blue")) > 5
    parsed = query.parse_colors(["blue", "navy"])
    assert sum(share for _, share in parsed) == pytest.approx(1)
    assert parsed[-1] == ((0, 0, 128), 0.5)
    assert query.swatch("navy") == "#000080"


def test_combined_targets_rank_by_the_mean_similarity() -> None:
    rng = np.random.default_rng(0)
    a, b, *others = (v / np.linalg.norm(v) for v in rng.standard_normal((30, 16)))
    combined = query.combine([a, b * 5])
    by_combined = np.argsort([combined @ other for other in others])
    by_mean = np.argsort([(a @ other + b @ other) / 2 for other in others])
    assert list(by_combined) == list(by_mean)
    with pytest.raises(QueryError, match="contradict"):
        query.combine([a, -a])


SPECS = (
    VectorSpec("one", "semantic", 6, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("two", "color", 4, Distance.COSINE, "float32", "test", "1"),
)
COUNT = 3000


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    made = rng.standard_normal(shape).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=-1, keepdims=True))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[EdgeEngine, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    one, two = unit(rng, COUNT, 6), unit(rng, COUNT, 4)
    engine = EdgeEngine(Path(tmp_path_factory.mktemp("query")) / "index")
    engine.create(SPECS)
    engine.upsert(
        [
            Point(str(i), {"one": one[i], "two": two[i]}, {"n": i, "image": {"id": str(i)}})
            for i in range(COUNT)
        ]
    )
    return engine, one, two


@given(seed=st.integers(0, 10_000), weight=st.floats(0.02, 0.98), least=st.integers(0, COUNT - 50))
def test_a_complete_answer_is_the_brute_force_answer(
    filled: tuple[EdgeEngine, np.ndarray, np.ndarray], seed: int, weight: float, least: int
) -> None:
    engine, one, two = filled
    rng = np.random.default_rng(seed)
    a, b = unit(rng, 6), unit(rng, 4)
    near = (Near("one", a, weight), Near("two", b, 1 - weight))
    result = query.run(engine, Query(near, Range("n", gte=least), limit=10))
    sums = weight * (one @ a) + (1 - weight) * (two @ b)
    sums[:least] = -np.inf
    best = np.sort(sums)[::-1][:10]
    assert result.complete
    np.testing.assert_allclose([row.score for row in result.answer.rows], best, atol=2e-6)


def test_candidates_widen_until_the_answer_is_proved(
    filled: tuple[EdgeEngine, np.ndarray, np.ndarray],
) -> None:
    engine, one, _ = filled
    # Opposite wishes: what is best for one is worst for the other, so the first round proves
    # nothing.
    near = (Near("one", one[0], 0.5), Near("one", -one[0], 0.5))
    assert query.run(engine, Query(near, limit=10)).complete
    first = query.FIRST_CANDIDATES
    assert not query.run(engine, Query(near, limit=10), most=first).complete


def test_more_than_there_are_gives_all_of_them(
    filled: tuple[EdgeEngine, np.ndarray, np.ndarray],
) -> None:
    engine, one, two = filled
    near = (Near("one", one[0], 0.5), Near("two", two[0], 0.5))
    result = query.run(engine, Query(near, Range("n", lt=30), limit=100))
    assert (len(result.answer.rows), result.complete) == (30, True)
