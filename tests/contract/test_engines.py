"""The contract of every engine. A new engine only needs to be added to `ENGINES`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import EngineError
from lookalike.protocols import Engine, ServedEngine
from lookalike.system.point_ids import as_point_id
from lookalike.types import (
    All,
    AnyElement,
    AnyOf,
    AnyOfValues,
    CandidateQuery,
    Distance,
    FieldType,
    Filter,
    HasId,
    Missing,
    Not,
    Payload,
    Point,
    Query,
    Range,
    TextMatch,
    Vector,
    VectorSpec,
    WeightedVector,
    WithinRadius,
    point_id,
)
from tests.support.qdrant_wire import GrpcServer, RestServer, Store

URL = os.environ.get("QDRANT_URL")


def edge(folder: Path) -> AbstractContextManager[Engine]:
    return closing(EdgeEngine(folder))


def subprocess(folder: Path) -> AbstractContextManager[Engine]:
    """The same in a child process."""
    return closing(SubprocessEngine(folder))


def in_memory(_: Path) -> AbstractContextManager[Engine]:
    """The client's in-memory mode, which is for one thread at a time."""
    options = ServerOptions(parallel=1)
    return closing(ServerEngine(Nodes.of(QdrantClient(":memory:"), options), "test", options))


@contextmanager
def over_rest(_: Path) -> Iterator[Engine]:
    """The same behind a real REST API."""
    options = ServerOptions(grpc=False)
    with (
        closing(RestServer(Store())) as server,
        closing(ServerEngine.connect(server.url, options)) as engine,
    ):
        yield engine


@contextmanager
def over_grpc(_: Path) -> Iterator[Engine]:
    """The same behind a real gRPC API."""
    store = Store()
    with (
        closing(RestServer(store)) as server,
        closing(GrpcServer(store)) as grpc,
        closing(ServerEngine.connect(server.url, ServerOptions(grpc_port=grpc.port))) as engine,
    ):
        yield engine


@contextmanager
def on_server(_: Path) -> Iterator[Engine]:
    options = ServerOptions(api_key=os.environ.get("QDRANT_API_KEY"), shard_number=2)
    with closing(ServerEngine.connect(f"{URL}/lookalike-{uuid.uuid4()}", options)) as engine:
        yield engine
        engine.client.delete_collection(engine.collection)


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Engine]]] = {
    "edge": edge,
    "subprocess": subprocess,
    "server-in-memory": in_memory,
    "server-over-rest": over_rest,
    "server-over-grpc": over_grpc,
}
if URL:
    ENGINES["server"] = on_server

SPECS = (
    VectorSpec("style", "semantic", 24, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("color", "color", 8, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "test", "1"),
)
FIELDS = {
    "n": FieldType.INTEGER,
    "price": FieldType.FLOAT,
    "in_stock": FieldType.BOOLEAN,
    "at": FieldType.DATETIME,
    "category": FieldType.KEYWORD,
    "tags": FieldType.KEYWORDS,
    '"odd name"': FieldType.KEYWORD,
    "image.colors[].name": FieldType.KEYWORDS,
    "about": FieldType.TEXT,
    "image.gps": FieldType.GEO,
}
COUNT = 300


def vector(seed: int, size: int) -> Vector:
    made = np.random.default_rng(seed).standard_normal(size).astype(np.float32)
    return made / np.linalg.norm(made)


def place(i: int) -> tuple[float, float]:
    """A latitude and longitude, from pole to pole and around the Earth."""
    return round(-89.5 + 179 * (i * 0.618 % 1), 4), round(-180 + 360 * (i * 0.755 % 1), 4)


def kilometers(i: int, latitude: float, longitude: float) -> float:
    """Great-circle distance of the place of a point."""
    (a, b), (c, d) = (np.radians((lat, lon)) for lat, lon in (place(i), (latitude, longitude)))
    half = np.sin((c - a) / 2) ** 2 + np.cos(a) * np.cos(c) * np.sin((d - b) / 2) ** 2
    return float(2 * 6_371 * np.arcsin(np.sqrt(half)))


def point(i: int) -> Point:
    payload: dict[str, Any] = {
        "n": i % 7,
        "price": i + 0.5,
        "in_stock": i % 3 == 0,
        "at": f"2024-{1 + i % 12:02}-01T12:00:00Z",
        "category": ("dress", "skirt", "hat")[i % 3],
        "tags": ["a", "b"] if i % 2 else ["b", "c"],
        "odd name": "x" if i < 10 else "y",
        "about": f"A dress for summer, made of {('linen', 'Cotton')[i % 2]}; number {i}.",
        "image": {
            "id": f"photos/{i}.jpg",
            "uri": f"/photos/{i}.jpg",
            "etag": str(i),
            "sha256": f"{i:064x}",
            "format": "jpeg",
            "width": 600,
            "height": 800,
            "bytes": 40_000 + i,
            "phash": f"{i:016x}",
            "indexed_at": "2024-05-01T12:00:00Z",
            "colors": [{"name": "blue", "hex": "#0000ff", "share": 0.7}] if i % 5 == 0 else [],
        },
    }
    if i % 4:
        latitude, longitude = place(i)
        payload["image"]["gps"] = {"lat": latitude, "lon": longitude}
    if i % 10 == 0:
        del payload["price"]
    bits = np.random.default_rng(i).integers(0, 2, 64).astype(np.uint8)
    vectors = {"style": vector(i, 24), "color": vector(10_000 + i, 8), "phash": bits}
    return Point(f"photos/{i}.jpg", vectors, payload)


@contextmanager
def filled(name: str, folder: Path) -> Iterator[Engine]:
    with ENGINES[name](folder) as made:
        made.create(SPECS)
        for path, type in FIELDS.items():
            made.create_field_index(path, type)
        made.upsert([point(i) for i in range(COUNT)])
        yield made


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    with filled(request.param, tmp_path / "index") as made:
        yield made


@pytest.fixture(params=ENGINES, scope="module")
def unchanged(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A filled engine, shared by the tests that only read."""
    with filled(request.param, tmp_path_factory.mktemp("engine") / "index") as made:
        yield made


def passing(engine: Engine, filter: Filter) -> set[int]:
    ids = {point.id for points in engine.scroll(filter) for point in points}
    return {int(id.removeprefix("photos/").removesuffix(".jpg")) for id in ids}


FILTERS: list[tuple[Filter, Callable[[int], bool]]] = [
    (AnyOfValues("category", ("dress",)), lambda i: i % 3 == 0),
    (AnyOfValues("category", ("dress", "hat")), lambda i: i % 3 != 1),
    (AnyOfValues("n", (2,)), lambda i: i % 7 == 2),
    (AnyOfValues("n", (2, 3)), lambda i: i % 7 in (2, 3)),
    (AnyOfValues("in_stock", (True,)), lambda i: i % 3 == 0),
    (AnyOfValues("in_stock", (False,)), lambda i: i % 3 != 0),
    (AnyOfValues("in_stock", (True, False)), lambda i: True),
    (AnyOfValues("tags", ("a",)), lambda i: i % 2 == 1),
    (AnyOfValues('"odd name"', ("x",)), lambda i: i < 10),
    (AnyOfValues("image.colors[].name", ("blue",)), lambda i: i % 5 == 0),
    (AnyOfValues("category", ()), lambda i: False),
    (AnyOfValues("image.colors[0].name", ("blue",)), lambda i: i % 5 == 0),
    (
        AnyElement("image.colors", All((AnyOfValues("name", ("blue",)), Range("share", gte=0.7)))),
        lambda i: i % 5 == 0,
    ),
    (
        AnyElement("image.colors", All((AnyOfValues("name", ("blue",)), Range("share", gt=0.7)))),
        lambda i: False,
    ),
    (TextMatch("category", "d", "prefix"), lambda i: i % 3 == 0),
    (TextMatch("category", "r", "substring"), lambda i: i % 3 != 2),
    (TextMatch("category", "R", "substring"), lambda i: False),
    (TextMatch("image.id", "photos/1", "prefix"), lambda i: str(i)[0] == "1"),
    (TextMatch("image.uri", "7.JPG photos", "words"), lambda i: i == 7),
    (TextMatch("about", "LINEN summer", "words"), lambda i: i % 2 == 0),
    (TextMatch("about", "cotton 17", "words"), lambda i: i == 17),
    (TextMatch("about", "line", "words"), lambda i: False),
    (TextMatch("about", "Cotton; n", "substring"), lambda i: i % 2 == 1),
    (TextMatch("about", "A dress", "prefix"), lambda i: True),
    (AnyOfValues("about", ("A dress for summer, made of linen; number 4.",)), lambda i: i == 4),
    (Missing("about"), lambda i: False),
    (TextMatch("tags", "a", "substring"), lambda i: i % 2 == 1),
    (Range("price", lt=100), lambda i: i + 0.5 < 100 and i % 10 != 0),
    (Range("price", gte=5.5, lte=5.5), lambda i: i == 5),
    (Range("n", gt=2.5, lt=5), lambda i: i % 7 in (3, 4)),
    (Range("at", gte=datetime(2024, 11, 1, tzinfo=UTC)), lambda i: i % 12 >= 10),
    (Range("at", lt=datetime(2024, 2, 1, 12, tzinfo=UTC)), lambda i: i % 12 == 0),
    *(
        (
            WithinRadius("image.gps", latitude, longitude, 1_000 * radius),
            lambda i, here=(latitude, longitude), radius=radius: (
                i % 4 != 0 and kilometers(i, *here) <= radius
            ),
        )
        for latitude, longitude, radius in (
            (48.8584, 2.2945, 3_000),
            (-17.7, 179.9, 2_500),
            (-17.7, -180, 2_500),
            (89.9, 10, 2_000),
            (-90, 0, 4_000),
            (0, 0, 19_000),
            (*place(5), 0.1),
        )
    ),
    (Missing("image.gps"), lambda i: i % 4 == 0),
    (Missing("price"), lambda i: i % 10 == 0),
    (Missing("image.colors[].name"), lambda i: i % 5 != 0),
    (HasId(("photos/3.jpg", "photos/4.jpg", "nowhere")), lambda i: i in (3, 4)),
    (Not(AnyOfValues("category", ("dress",))), lambda i: i % 3 != 0),
    (Not(Missing("price")), lambda i: i % 10 != 0),
    (All(()), lambda i: True),
    (AnyOf(()), lambda i: False),
    (Not(AnyOf(())), lambda i: True),
    (
        All((Range("price", lt=50), AnyOf((AnyOfValues("n", (1,)), AnyOfValues("tags", ("a",)))))),
        lambda i: i + 0.5 < 50 and i % 10 != 0 and (i % 7 == 1 or i % 2 == 1),
    ),
]


@pytest.mark.parametrize(("filter", "expected"), FILTERS, ids=[str(f) for f, _ in FILTERS])
def test_filters(unchanged: Engine, filter: Filter, expected: Callable[[int], bool]) -> None:
    wanted = {i for i in range(COUNT) if expected(i)}
    assert passing(unchanged, filter) == wanted
    assert unchanged.count(filter) == len(wanted)
    assert 0 <= unchanged.count(filter, exact=False) <= COUNT


@pytest.mark.parametrize("descending", [False, True])
def test_ordered(unchanged: Engine, descending: bool) -> None:
    dresses = AnyOfValues("category", ("dress",))
    found = unchanged.ordered("price", dresses, 4, descending=descending, vectors=["color"])
    priced = [i for i in range(0, COUNT, 3) if i % 10]
    wanted = sorted(priced, reverse=descending)[:4]
    assert [(value, point.id) for value, point in found] == [
        (i + 0.5, f"photos/{i}.jpg") for i in wanted
    ]
    assert found[0][1].payload["n"] == wanted[0] % 7
    assert set(found[0][1].vectors) == {"color"}
    times = [value for value, _ in unchanged.ordered("at", None, COUNT, descending=descending)]
    assert times == sorted(map(str, times), reverse=descending)


def similarities(near: WeightedVector) -> dict[str, float]:
    """Similarities of all points by brute force, by id."""
    seed = {"style": 0, "color": 10_000}[near.name]
    return {
        f"photos/{i}.jpg": float(vector(seed + i, len(near.vector)) @ near.vector)
        for i in range(COUNT)
    }


def best(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda id: -scores[id])


def in_stock(id: str) -> bool:
    return int(id[7:-4]) % 3 == 0


STYLE = WeightedVector("style", vector(1, 24), 0.7)
COLOR = WeightedVector("color", vector(10_002, 8), 0.3)
IN_STOCK = AnyOfValues("in_stock", (True,))


def test_nearest_gives_candidates_for_every_target(engine: Engine) -> None:
    queries = [
        CandidateQuery(STYLE, None, 20),
        CandidateQuery(COLOR, IN_STOCK, 30),
        CandidateQuery(COLOR, None, 1000),
    ]
    answers = engine.nearest(queries)
    assert [len(candidates) for candidates in answers] == [20, 30, COUNT]
    for query, candidates in zip(queries, answers, strict=True):
        passing = {
            id: score
            for id, score in similarities(query.near).items()
            if query.filter is None or in_stock(id)
        }
        exact = {point_id(id): score for id, score in passing.items()}
        scores = [score for _, score in candidates]
        assert scores == sorted(scores, reverse=True)
        assert len({id for id, _ in candidates}) == len(candidates)
        # Quantized vectors are slightly off.
        assert scores == pytest.approx([exact[as_point_id(id)] for id, _ in candidates], abs=0.02)
        least = sorted(passing.values(), reverse=True)[: query.limit][-1]
        assert scores[-1] == pytest.approx(least, abs=0.02)
    assert engine.nearest([]) == []
    assert engine.nearest([CandidateQuery(STYLE, AnyOf(()), 5)]) == [[]]


@pytest.mark.parametrize("name", [name for name in ENGINES if name.startswith("server")])
def test_a_stored_image_is_found_by_its_id(name: str, tmp_path: Path) -> None:
    with filled(name, tmp_path) as engine:
        assert isinstance(engine, ServedEngine)
        check_by_id(engine, engine)


def check_by_id(engine: ServedEngine, others: Engine) -> None:
    """Checks answers by the id of an image against those by its vectors."""
    image, filter = point(3), Not(HasId((point(3).id,)))
    style = WeightedVector("style", image.vectors["style"], 1.0)
    color = WeightedVector("color", image.vectors["color"], 1.0)
    unknown = [replace(one, vector=np.empty(0, np.float32)) for one in (style, color)]
    found = engine.nearest_to(
        image.id,
        [CandidateQuery(one, filter, 20, exact=True) for one in unknown],
        [Query((unknown[0],), filter, limit=5, exact=True)],
    )
    assert found is not None
    (same, lists, (rows,)) = found
    assert same.id == image.id
    for one in (style, color):
        np.testing.assert_allclose(same.vectors[one.name], one.vector, atol=1e-6)
    expected = others.nearest(
        [CandidateQuery(one, filter, 20, exact=True) for one in (style, color)]
    )
    for ours, theirs in zip(lists, expected, strict=True):
        assert [id for id, _ in ours] == [id for id, _ in theirs]
        assert [s for _, s in ours] == pytest.approx([s for _, s in theirs], abs=1e-6)
    ((*ranked,),) = others.query([Query((style,), filter, limit=5, exact=True)])
    assert [(row.id, row.payload) for row in rows] == [(row.id, row.payload) for row in ranked]
    assert engine.nearest_to("nowhere", [CandidateQuery(unknown[0], None, 5)], []) is None


def test_one_target_is_the_brute_force_ranking(engine: Engine) -> None:
    near = WeightedVector("style", vector(7, 24), 1.0)
    exact = similarities(near)
    everything, some = engine.query(
        [Query((near,), limit=10, offset=3), Query((near,), IN_STOCK, limit=5, vectors=["color"])]
    )
    assert [row.id for row in everything] == best(exact)[3:13]
    for row in everything:
        assert row.score == pytest.approx(exact[row.id], abs=1e-5)
        assert row.scores == (row.score,)
        assert row.payload == point(int(row.id[7:-4])).payload
        assert row.vectors == {}
    assert [row.id for row in some] == [id for id in best(exact) if in_stock(id)][:5]
    for row in some:
        assert list(row.vectors) == ["color"]
        expected = point(int(row.id[7:-4])).vectors["color"]
        np.testing.assert_allclose(row.vectors["color"], expected, atol=1e-6)


@pytest.mark.parametrize("filter", [None, IN_STOCK], ids=["everything", "in stock"])
def test_an_exact_search_is_the_brute_force_ranking(engine: Engine, filter: Filter | None) -> None:
    engine.optimize()
    near = WeightedVector("style", vector(7, 24), 1.0)
    exact = similarities(near)
    ranking = [id for id in best(exact) if filter is None or in_stock(id)]
    (rows,) = engine.query([Query((near,), filter, limit=50, offset=3, exact=True)])
    assert [row.id for row in rows] == ranking[3:53]
    assert [row.score for row in rows] == pytest.approx([exact[row.id] for row in rows], abs=1e-6)
    for limit in (20, COUNT):
        (candidates,) = engine.nearest([CandidateQuery(near, filter, limit, exact=True)])
        assert [as_point_id(id) for id, _ in candidates] == [point_id(id) for id in ranking[:limit]]
        scores = [score for _, score in candidates]
        assert scores == pytest.approx([exact[id] for id in ranking[:limit]], abs=1e-6)
    assert engine.nearest([CandidateQuery(near, AnyOf(()), 5, exact=True)]) == [[]]


def test_beyond_the_last_there_is_nothing(engine: Engine) -> None:
    rest, none = engine.query(
        [Query((STYLE,), limit=50, offset=COUNT - 4), Query((STYLE,), limit=50, offset=COUNT)]
    )
    assert (len(rest), none) == (4, [])
    assert engine.query([Query((STYLE,), AnyOf(()), limit=5)]) == [[]]


def test_one_target_counts_with_its_weight(engine: Engine) -> None:
    exact = similarities(STYLE)
    among = [point_id(id) for id in exact]
    for query in (Query((STYLE,), limit=3), Query((STYLE,), limit=3, among=among)):
        (rows,) = engine.query([query])
        assert [row.id for row in rows] == best(exact)[:3]
        for row in rows:
            assert row.scores[0] == pytest.approx(exact[row.id], abs=1e-5)
            assert row.score == pytest.approx(STYLE.weight * exact[row.id], abs=1e-5)


@pytest.mark.parametrize(
    "near", [(STYLE, COLOR), (COLOR, STYLE, WeightedVector("style", vector(9, 24), 2))]
)
def test_several_targets_give_the_exact_sum_among_those_that_compete(
    engine: Engine, near: tuple[WeightedVector, ...]
) -> None:
    engine.optimize()
    exact = [similarities(one) for one in near]
    sums = {
        id: sum(one.weight * scores[id] for one, scores in zip(near, exact, strict=True))
        for id in exact[0]
    }
    competing = best(sums)[10::3]
    among = [point_id(id) for id in competing]
    (rows,) = engine.query([Query(near, limit=12, offset=2, among=among, vectors=["color"])])
    assert [row.id for row in rows] == competing[2:14]
    for row in rows:
        assert row.score == pytest.approx(sums[row.id], abs=1e-5)
        assert row.scores == pytest.approx([scores[row.id] for scores in exact], abs=1e-5)
        assert row.payload == point(int(row.id[7:-4])).payload
        assert "color" in row.vectors
    (rows,) = engine.query([Query(near, limit=1000, among=among)])
    assert [row.id for row in rows] == competing
    assert engine.query([Query(near, limit=5, among=[])]) == [[]]
    least = (sums[competing[4]] + sums[competing[5]]) / 2
    (rows,) = engine.query([Query(near, limit=12, among=among, least=least)])
    assert [row.id for row in rows] == competing[:5]


def test_a_bound_is_the_least_and_the_greatest_that_passes(engine: Engine) -> None:
    assert engine.bounds("n") == (0, 6)
    assert engine.bounds("price") == (1.5, COUNT - 0.5)
    assert engine.bounds("price", Range("price", gt=10, lt=20)) == (11.5, 19.5)
    assert engine.bounds("at", AnyOfValues("n", (2,))) == (
        "2024-01-01T12:00:00Z",
        "2024-12-01T12:00:00Z",
    )
    assert engine.bounds("price", AnyOf(())) is None
    assert engine.bounds("price", Missing("price")) is None


def test_manhattan_counts_differing_bits(engine: Engine) -> None:
    bits = point(5).vectors["phash"].astype(np.float32)
    bits[:3] = 1 - bits[:3]
    ((row,),) = engine.query([Query((WeightedVector("phash", bits, 1.0),), limit=1)])
    assert (row.id, abs(row.score)) == ("photos/5.jpg", 3)


def test_retrieve_gives_back_what_was_stored(engine: Engine) -> None:
    found = engine.retrieve(["photos/8.jpg", "nowhere"], vectors=["style", "phash"])
    assert [one.id for one in found] == ["photos/8.jpg"]
    assert found[0].payload == point(8).payload
    assert set(found[0].vectors) == {"style", "phash"}
    np.testing.assert_allclose(found[0].vectors["style"], point(8).vectors["style"], atol=1e-6)
    np.testing.assert_array_equal(found[0].vectors["phash"], point(8).vectors["phash"])


def test_payloads_are_read_as_far_as_they_are_wanted(engine: Engine) -> None:
    wanted = ("category", "image.etag", "odd name", "nowhere")
    whole = point(8).payload
    expected = {
        "category": whole["category"],
        "odd name": whole["odd name"],
        "image": {name: whole["image"][name] for name in ("id", "etag")},
    }
    (found,) = engine.retrieve(
        ["photos/8.jpg"], payload=[f'"{name}"' if " " in name else name for name in wanted]
    )
    assert (found.id, found.payload) == ("photos/8.jpg", expected)
    ids = {one.id: one.payload for page in engine.scroll(payload=["price"]) for one in page}
    assert ids["photos/8.jpg"] == {"price": 8.5, "image": {"id": "photos/8.jpg"}}
    assert len(ids) == COUNT


def test_upsert_replaces(engine: Engine) -> None:
    old = point(8)
    engine.upsert([Point(old.id, old.vectors, {"image": {"id": old.id}, "category": "new"})])
    assert engine.count() == COUNT
    assert engine.retrieve([old.id])[0].payload == {"image": {"id": old.id}, "category": "new"}


def test_set_payload_merges_and_removes(engine: Engine) -> None:
    engine.set_payload(
        "photos/8.jpg",
        {"category": "coat", "price": None, "odd name": None, "image": {"etag": "z"}},
    )
    expected = dict(point(8).payload)
    del expected["price"], expected["odd name"]
    expected |= {"category": "coat", "image": {**expected["image"], "etag": "z"}}
    assert engine.retrieve(["photos/8.jpg"])[0].payload == expected
    assert passing(engine, AnyOfValues("category", ("coat",))) == {8}


def test_set_payloads_updates_many_in_their_order(engine: Engine) -> None:
    engine.set_payloads([])
    updates: list[tuple[str, Payload]] = [
        (f"photos/{i}.jpg", {"price": i / 4, "category": None}) for i in range(150)
    ]
    engine.set_payloads([*updates, ("photos/8.jpg", {"price": 77.5})])
    assert engine.count() == COUNT
    assert passing(engine, Missing("category")) >= set(range(150))
    found = {one.id: one.payload for one in engine.retrieve([id for id, _ in updates])}
    expected = {id: fields["price"] for id, fields in updates} | {"photos/8.jpg": 77.5}
    assert {id: payload["price"] for id, payload in found.items()} == expected
    assert found["photos/8.jpg"]["image"] == point(8).payload["image"]


def test_amend_replaces_vectors_and_keeps_what_others_set(engine: Engine) -> None:
    one, other, vectors = point(3), point(4), point(9).vectors
    engine.set_payload(one.id, {"set by": "another", "image": {"keep_all": ["f" * 64]}})
    update = {"n": 41, "category": None, "image": {"etag": "new", "gps": None}}
    engine.amend([replace(point, vectors=vectors, payload=update) for point in (one, other)])
    for before in (one, other):
        (now,) = engine.retrieve([before.id], vectors=list(vectors))
        for name in ("style", "color"):
            np.testing.assert_allclose(now.vectors[name], vectors[name], atol=1e-6)
        expected = {**before.payload, "n": 41, "image": {**before.payload["image"], "etag": "new"}}
        del expected["category"]
        expected["image"].pop("gps", None)
        if before is one:
            expected["set by"] = "another"
            expected["image"]["keep_all"] = ["f" * 64]
        assert now.payload == expected
    engine.amend([])


def test_delete(engine: Engine) -> None:
    engine.delete(["photos/8.jpg", "nowhere"])
    assert engine.count() == COUNT - 1
    assert engine.retrieve(["photos/8.jpg"]) == []


def test_facets_count_values_most_frequent_first(engine: Engine) -> None:
    assert engine.facet("tags") == [("b", COUNT), ("a", COUNT // 2), ("c", COUNT // 2)]
    assert engine.facet("tags", limit=2) == [("b", COUNT), ("a", COUNT // 2)]
    assert engine.facet("image.colors[].name") == [("blue", COUNT // 5)]
    dear = Range("price", gte=200)
    expected = sum(1 for i in range(200, COUNT) if i % 10 and i % 3 == 0)
    assert dict(engine.facet("in_stock", dear))[True] == expected
    assert [value for value, _ in engine.facet("n", limit=3)] == [0, 1, 2]


def test_facets_forget_values_that_no_point_has_any_more(engine: Engine) -> None:
    engine.delete([f"photos/{i}.jpg" for i in range(10)])
    assert dict(engine.facet('"odd name"')) == {"y": COUNT - 10}


def test_scroll_continues_after_any_image(engine: Engine) -> None:
    ids = [point.id for points in engine.scroll() for point in points]
    for at in (0, len(ids) // 2, len(ids) - 1):
        rest = [point.id for points in engine.scroll(batch=7, after=ids[at]) for point in points]
        assert rest == ids[at + 1 :]
    gone = ids[3]
    engine.delete([gone])
    rest = [point.id for points in engine.scroll(after=gone) for point in points]
    assert rest == ids[4:]


def test_scroll_sees_every_point_once_in_batches(engine: Engine) -> None:
    batches = list(engine.scroll(batch=64))
    ids = [one.id for batch in batches for one in batch]
    assert len(ids) == len(set(ids)) == COUNT
    assert max(map(len, batches)) <= 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_vector_that_is_no_number_is_refused_whole(engine: Engine, bad: float) -> None:
    old = point(8)
    broken = {**old.vectors, "style": np.full(24, bad, np.float32)}
    with pytest.raises(EngineError, match=r"'style' vector of 'photos/9\.jpg' has NaN"):
        engine.upsert([old, Point("photos/9.jpg", broken, old.payload)])
    np.testing.assert_allclose(
        engine.retrieve(["photos/9.jpg"], vectors=["style"])[0].vectors["style"],
        vector(9, 24),
        atol=1e-6,
    )


def test_a_zero_vector_is_refused(engine: Engine) -> None:
    old = point(8)
    with pytest.raises(EngineError, match="is zero"):
        engine.upsert([Point(old.id, {**old.vectors, "color": np.zeros(8, np.float32)}, {})])


def test_a_vector_of_another_size_is_refused(engine: Engine) -> None:
    old = point(8)
    with pytest.raises(EngineError, match="dimension"):
        engine.upsert(
            [Point(old.id, {**old.vectors, "color": np.ones(9, np.float32)}, old.payload)]
        )


def test_the_manifest_is_kept(engine: Engine, tmp_path: Path) -> None:
    assert engine.read_manifest() is None
    engine.write_manifest({"schema": 1, "name": "größe"})
    assert engine.read_manifest() == {"schema": 1, "name": "größe"}


def test_info_counts_points_and_bytes(engine: Engine) -> None:
    info = engine.info()
    assert info["points"] == COUNT
    assert info["bytes_on_disk"] is None or info["bytes_on_disk"] > 0
    assert (info["bytes_on_disk"] is None) == (info["engine"] == "qdrant-server")


def test_optimize_changes_no_answer(engine: Engine) -> None:
    query = Query((WeightedVector("style", vector(7, 24), 1.0),), limit=10)
    before = [row.id for row in engine.query([query])[0]]
    engine.optimize()
    assert [row.id for row in engine.query([query])[0]] == before
