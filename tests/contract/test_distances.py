"""The contract of every engine for each distance, against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.errors import EngineError
from lookalike.manifest import Manifest
from lookalike.protocols import Engine
from lookalike.search import threshold
from lookalike.types import (
    CandidateQuery,
    Distance,
    Point,
    Query,
    Scored,
    VectorSpec,
    WeightedVector,
    point_id,
)
from tests.contract.test_engines import ENGINES

SIZE, COUNT = 6, 200
NAMES = ("direction", "product", "straight", "blocks")
SPECS = [
    VectorSpec(name, name, SIZE, distance, "float32", "test", "1")
    for name, distance in zip(NAMES, Distance, strict=True)
]
Floats = NDArray[np.float64]


@pytest.fixture(scope="module")
def rows() -> dict[str, Floats]:
    """Vectors of different lengths, about a point that is not zero."""
    rng = np.random.default_rng(7)
    scales = {"direction": 1, "product": 3, "straight": 1000, "blocks": 0.02}
    return {
        name: (scale * rng.normal(1, 2, (COUNT, SIZE))).astype(np.float32).astype(np.float64)
        for name, scale in scales.items()
    }


@pytest.fixture(scope="module", params=ENGINES)
def engine(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    rows: dict[str, Floats],
) -> Iterator[Engine]:
    with ENGINES[request.param](tmp_path_factory.mktemp("engine") / "index") as opened:
        opened.create(SPECS)
        opened.write_manifest(Manifest.of(SPECS).to_json())
        opened.upsert(
            [point(str(i), {name: rows[name][i] for name in NAMES}) for i in range(COUNT)]
        )
        opened.optimize()
        yield opened


def point(id: str, vectors: dict[str, Floats]) -> Point:
    made = {name: np.asarray(one, np.float32) for name, one in vectors.items()}
    return Point(id, made, {"image": {"id": id}})


def alike(name: str, rows: Floats, target: Floats) -> Floats:
    """The likeness of vectors to a target, written out."""
    match name:
        case "direction":
            made = rows @ target / np.linalg.norm(rows, axis=1) / np.linalg.norm(target)
        case "product":
            made = rows @ target
        case "straight":
            made = -np.sqrt(((rows - target) ** 2).sum(axis=1))
        case _:
            made = -abs(rows - target).sum(axis=1)
    return np.asarray(made)


def near(name: str, target: Floats, weight: float = 1.0) -> WeightedVector:
    distance = next(spec.distance for spec in SPECS if spec.name == name)
    made = target / np.linalg.norm(target) if distance is Distance.COSINE else target
    return WeightedVector(name, np.asarray(made, np.float32), weight, distance)


def close(expected: Any) -> Any:
    return pytest.approx(expected, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("exact", [True, False])
def test_the_nearest_come_first(
    engine: Engine, rows: dict[str, Floats], name: str, exact: bool
) -> None:
    for i in (3, 40):
        target = rows[name][i] + rows[name][i + 1]
        expected = alike(name, rows[name], target)
        best = np.argsort(-expected)[:8]
        (answer,) = engine.query([Query((near(name, target, 2.0),), limit=8, exact=exact)])
        assert [row.id for row in answer] == [str(i) for i in best]
        assert [row.scores for row in answer] == [close((one,)) for one in expected[best]]
        assert [row.score for row in answer] == close(2 * expected[best])
        (candidates,) = engine.nearest([CandidateQuery(near(name, target), None, 8, exact=exact)])
        assert [str(id) for id, _ in candidates] == [str(point_id(str(i))) for i in best]
        assert [similarity for _, similarity in candidates] == close(expected[best])


BLENDS = [
    {"direction": 0.6, "straight": 0.0004},
    {"straight": 0.5, "blocks": 0.5},
    {"direction": 0.4, "product": 0.02, "straight": 0.0002, "blocks": 5.0},
    {"direction": 0.5, "straight": 0.5},  # in which distances of thousands hide the direction
]


@pytest.mark.parametrize("weights", BLENDS, ids=lambda weights: ", ".join(weights))
@pytest.mark.parametrize("exact", [True, False])
def test_a_blend_is_the_top_of_the_weighted_sum(
    engine: Engine,
    rows: dict[str, Floats],
    weights: dict[str, float],
    exact: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threshold, "FIRST_CANDIDATES", 10)
    monkeypatch.setattr(threshold, "FIRST_COMPARED", 10)
    targets = {name: rows[name][5] + 0.5 * rows[name][6] for name in weights}
    query = Query(
        tuple(near(name, target, weights[name]) for name, target in targets.items()),
        limit=6,
        offset=2,
        exact=exact,
    )
    (result,) = threshold.run(engine, [query])
    each = {name: alike(name, rows[name], target) for name, target in targets.items()}
    expected = np.sum([weights[name] * one for name, one in each.items()], axis=0)
    best = np.argsort(-expected)[2:8]
    assert [row.id for row in result.rows] == [str(i) for i in best]
    assert [row.score for row in result.rows] == close(expected[best])
    assert [row.scores for row in result.rows] == [
        close(tuple(one[i] for one in each.values())) for i in best
    ]
    assert result.complete is (True if exact else None)
    assert result.candidates < COUNT or len(weights) > 2


def test_least_is_a_score(engine: Engine, rows: dict[str, Floats]) -> None:
    targets = (near("direction", rows["direction"][5]), near("blocks", rows["blocks"][5], 10.0))
    among = [point_id(str(i)) for i in range(50)]

    def ask(least: float | None) -> list[Scored]:
        return engine.query([Query(targets, limit=50, among=among, least=least)])[0]

    every = ask(None)
    assert len(every) == 50
    assert [row.id for row in ask(every[9].score - 1e-4)] == [row.id for row in every[:10]]


def test_a_vector_may_be_zero_where_it_is_a_point(engine: Engine) -> None:
    vectors = {name: np.ones(SIZE) for name in NAMES}
    zeros = {name: np.zeros(SIZE) for name in NAMES if name != "direction"}
    engine.upsert([point("zero", {**vectors, **zeros})])
    with pytest.raises(EngineError, match="'direction' vector of 'no' is zero"):
        engine.upsert([point("no", {**vectors, "direction": np.zeros(SIZE)})])
    (answer,) = engine.query([Query((near("straight", np.zeros(SIZE)),), limit=1)])
    assert (answer[0].id, answer[0].score) == ("zero", 0)
    engine.delete(["zero"])
