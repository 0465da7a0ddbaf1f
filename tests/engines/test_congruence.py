"""Congruence of the engines: the same points and the same generated queries must give the same ids
in the embedded engine and on servers, with scores equal to 1e-4.

The servers are the client's in-memory mode, alone and behind real REST and gRPC, and a real server
if QDRANT_URL names one (and QDRANT_API_KEY its key).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.protocols import Engine
from lookalike.search import threshold
from lookalike.system.point_ids import as_point_id
from lookalike.types import (
    All,
    AnyOf,
    AnyOfValues,
    CandidateQuery,
    FieldType,
    Filter,
    HasId,
    Missing,
    Not,
    Point,
    Query,
    Range,
    Scored,
    Vector,
    WeightedVector,
    point_id,
)
from tests.contract.test_engines import ENGINES, SPECS

COUNT = 400
SIZES = {"style": 24, "color": 8}
START = datetime(2024, 1, 1, tzinfo=UTC)
WORDS = ["dress", "skirt", "größe", "a b", "", "0", "true", "2024-05-01", "日本"]
FIELDS = {
    "n": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "in_stock": FieldType.BOOLEAN,
    "at": FieldType.DATETIME,
    "category": FieldType.KEYWORD,
    "tags": FieldType.KEYWORDS,
    '"odd name"': FieldType.KEYWORD,
    "image.colors[].name": FieldType.KEYWORDS,
}


def unit(seed: int, size: int) -> Vector:
    made = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return made / np.linalg.norm(made)


def stored(i: int) -> Point:
    """A point with fields of every type, some of them absent, null or empty."""
    rng = random.Random(i)
    values: dict[str, Any] = {
        "n": rng.choice([-3, 0, 1, 7, 2**40]),
        "price": rng.choice([0.1, 19.99, -2.5, 1e6, 3.0]),
        "in_stock": rng.random() < 0.5,
        "at": _written(START + timedelta(hours=rng.randrange(5000)), rng),
        "category": rng.choice(WORDS),
        "tags": rng.sample(WORDS, rng.randrange(4)),
        "odd name": rng.choice(WORDS),
    }
    for name in list(values):
        fate = rng.random()
        if fate < 0.12:
            del values[name]
        elif fate < 0.2:
            values[name] = None
    names = rng.sample(["blue", "red", "green"], rng.randrange(3))
    image: dict[str, Any] = {"id": f"{i}.jpg", "colors": [{"name": name} for name in names]}
    if rng.random() < 0.1:
        del image["colors"]
    bits = np.random.default_rng(i).integers(0, 2, 64).astype(np.uint8)
    vectors = {"style": unit(i, 24), "color": unit(10_000 + i, 8), "phash": bits}
    return Point(f"{i}.jpg", vectors, {**values, "image": image})


def _written(at: datetime, rng: random.Random) -> str:
    """A point in time in one of the spellings that RFC 3339 allows."""
    zone = rng.choice([UTC, None])
    if zone is UTC:
        return at.isoformat().replace("+00:00", "Z")
    return (at + timedelta(hours=2)).isoformat().replace("+00:00", "+02:00")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ENGINES["edge"](tmp_path_factory.mktemp("edge") / "index") as engine:
        fill(engine)
        yield engine


OTHERS = [
    # Servers take a minute; the contract suite uses them in every run.
    pytest.param(name, marks=[pytest.mark.slow] if "server" in name else [])
    for name in ENGINES
    if name != "edge"
]


@pytest.fixture(scope="module", params=OTHERS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    with ENGINES[request.param](tmp_path_factory.mktemp("server")) as engine:
        fill(engine)
        yield engine


def fill(engine: Engine) -> None:
    engine.create(SPECS)
    for path, type in FIELDS.items():
        engine.create_field_index(path, type)
    engine.upsert([stored(i) for i in range(COUNT)])


# --- queries ------------------------------------------------------------------------------

numbers = st.floats(-10, 50).map(lambda x: round(x, 2)) | st.integers(-5, 2**41)
times = st.integers(0, 5000).map(lambda hours: START + timedelta(hours=hours))


def ranges(path: str, bounds: st.SearchStrategy[Any]) -> st.SearchStrategy[Filter]:
    """Ranges with one bound, or one at each end.

    Of `lt` and `lte` together, Qdrant's index uses one and the in-memory mode both, and they differ
    without any bound, too. lookalike never sends either.
    """
    low, high = st.sampled_from(["gt", "gte"]), st.sampled_from(["lt", "lte"])
    one = st.dictionaries(low | high, bounds, min_size=1, max_size=1)
    two = st.tuples(low, bounds, high, bounds).map(lambda t: {t[0]: t[1], t[2]: t[3]})
    return (one | two).map(lambda limits: Range(path, **limits))


leaf: st.SearchStrategy[Filter] = st.one_of(
    st.builds(
        AnyOfValues,
        st.sampled_from(["category", "tags", '"odd name"']),
        st.lists(st.sampled_from(WORDS), max_size=3, unique=True).map(tuple),
    ),
    st.builds(
        AnyOfValues,
        st.just("image.colors[].name"),
        st.lists(st.sampled_from(["blue", "red", "grey"]), max_size=2, unique=True).map(tuple),
    ),
    st.builds(
        AnyOfValues,
        st.just("n"),
        st.lists(st.sampled_from([-3, 0, 1, 7, 2**40, 5]), max_size=3, unique=True).map(tuple),
    ),
    st.builds(
        AnyOfValues, st.just("in_stock"), st.sampled_from([(), (True,), (False,), (True, False)])
    ),
    ranges("n", numbers),
    ranges("price", numbers),
    ranges("at", times),
    st.builds(Missing, st.sampled_from([*FIELDS, "nowhere"])),
    st.builds(
        HasId, st.lists(st.integers(0, COUNT + 9).map("{}.jpg".format), max_size=9).map(tuple)
    ),
)
filters = st.recursive(
    leaf,
    lambda part: st.one_of(
        st.builds(Not, part),
        st.builds(All, st.lists(part, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(part, max_size=3).map(tuple)),
    ),
    max_leaves=5,
)
targets = st.builds(
    lambda name, seed, weight: WeightedVector(name, unit(seed, SIZES[name]), weight),
    st.sampled_from(list(SIZES)),
    st.integers(20_000, 99_999),
    st.floats(0.05, 1.0),
)
many = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def same_rows(ours: Sequence[Scored], theirs: Sequence[Scored]) -> None:
    assert [row.score for row in theirs] == pytest.approx([row.score for row in ours], abs=1e-4)
    assert [row.id for row in theirs] == [row.id for row in ours]
    for our, their in zip(ours, theirs, strict=True):
        assert their.scores == pytest.approx(our.scores, abs=1e-4)
        assert their.payload == our.payload
        assert their.vectors.keys() == our.vectors.keys()
        for name, vector in our.vectors.items():
            np.testing.assert_allclose(their.vectors[name], vector, atol=1e-6)


def parsed(value: float | str) -> float | datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


@many
@given(filter=filters)
def test_filters_let_the_same_points_pass(edge: Engine, server: Engine, filter: Filter) -> None:
    ours = [one for batch in edge.scroll(filter, batch=64) for one in batch]
    theirs = [one for batch in server.scroll(filter, batch=64) for one in batch]
    assert [one.id for one in theirs] == [one.id for one in ours]
    assert [one.payload for one in theirs] == [one.payload for one in ours]
    assert server.count(filter) == edge.count(filter) == len(ours)


@many
@given(
    near=targets,
    filter=st.none() | filters,
    limit=st.integers(1, 30),
    offset=st.integers(0, 30),
    vectors=st.sampled_from([(), ("color",), ("style", "color")]),
)
def test_one_target_finds_the_same(
    edge: Engine,
    server: Engine,
    near: WeightedVector,
    filter: Filter | None,
    limit: int,
    offset: int,
    vectors: tuple[str, ...],
) -> None:
    query = Query((near,), filter, limit, offset, vectors=vectors)
    (ours,), (theirs,) = edge.query([query]), server.query([query])
    same_rows(ours, theirs)
    proposal = CandidateQuery(near, filter, limit)
    (ours_,), (theirs_,) = edge.nearest([proposal]), server.nearest([proposal])
    assert [as_point_id(id) for id, _ in theirs_] == [id for id, _ in ours_]
    assert [s for _, s in theirs_] == pytest.approx([s for _, s in ours_], abs=1e-4)


@many
@given(
    near=st.lists(targets, min_size=1, max_size=3).map(tuple),
    filter=st.none() | filters,
    limit=st.integers(1, 20),
    offset=st.integers(0, 20),
)
def test_blends_find_the_same(
    edge: Engine,
    server: Engine,
    near: tuple[WeightedVector, ...],
    filter: Filter | None,
    limit: int,
    offset: int,
) -> None:
    query = Query(near, filter, limit, offset)
    (ours,), (theirs,) = threshold.run(edge, [query]), threshold.run(server, [query])
    same_rows(ours.rows, theirs.rows)
    assert (theirs.complete, theirs.rounds) == (ours.complete, ours.rounds)


@many
@given(
    near=st.lists(targets, min_size=1, max_size=3).map(tuple),
    among=st.lists(st.integers(0, COUNT + 20), max_size=40, unique=True),
    limit=st.integers(1, 50),
)
def test_the_same_points_compete(
    edge: Engine, server: Engine, near: tuple[WeightedVector, ...], among: list[int], limit: int
) -> None:
    query = Query(near, None, limit, among=[point_id(f"{i}.jpg") for i in among])
    (ours,), (theirs,) = edge.query([query]), server.query([query])
    same_rows(ours, theirs)


@many
@given(seed=st.integers(0, 999), filter=st.none() | filters)
def test_perceptual_hashes_differ_by_the_same(
    edge: Engine, server: Engine, seed: int, filter: Filter | None
) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, 64).astype(np.float32)
    query = Query((WeightedVector("phash", bits, 1.0),), filter, limit=15)
    (ours,), (theirs,) = edge.query([query]), server.query([query])
    assert [row.score for row in theirs] == [row.score for row in ours]
    last = ours[-1].score if ours else 0  # ties at the end of the list may fall either way
    assert {r.id for r in theirs if r.score != last} == {r.id for r in ours if r.score != last}


@many
@given(
    path=st.sampled_from([path for path in FIELDS if path not in ("price", "at")]),
    filter=st.none() | filters,
    limit=st.integers(1, 5),
)
def test_facets_count_the_same(
    edge: Engine, server: Engine, path: str, filter: Filter | None, limit: int
) -> None:
    ours, theirs = edge.facet(path, filter), server.facet(path, filter)
    assert theirs == ours
    assert [type(value) for value, _ in theirs] == [type(value) for value, _ in ours]
    assert server.facet(path, filter, limit) == edge.facet(path, filter, limit)


@many
@given(path=st.sampled_from(["n", "price", "at"]), filter=st.none() | filters)
def test_bounds_are_the_same(
    edge: Engine, server: Engine, path: str, filter: Filter | None
) -> None:
    ours, theirs = edge.bounds(path, filter), server.bounds(path, filter)
    assert (ours is None) == (theirs is None)
    if ours is not None and theirs is not None:
        assert list(map(parsed, theirs)) == list(map(parsed, ours))


def test_payloads_change_in_the_same_way(edge: Engine, server: Engine) -> None:
    changes: list[dict[str, Any]] = [
        {"category": "coat", "price": None, "odd name": None},
        {"image": {"etag": "z", "colors": None}, "tags": []},
        {"in_stock": None, "nested": {"a": [1, None, {"b": 0.1}]}, 'quo.ted[] "x"': 1},
        {"nested": {"c": 1}, "image": {"colors": [{"name": "red"}]}},
        {},
    ]
    for engine in (edge, server):
        for fields in changes:
            engine.set_payload("7.jpg", fields)
    (ours,), (theirs,) = edge.retrieve(["7.jpg"]), server.retrieve(["7.jpg"])
    assert theirs.payload == ours.payload
    for engine in (edge, server):
        engine.upsert([stored(7)])
