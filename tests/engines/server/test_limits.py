"""Limits of strict mode: requests that keep within them, and what is refused."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import models

from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import FilterError, QueryError
from lookalike.index import Index
from lookalike.search import threshold
from lookalike.types import (
    AnyElement,
    AnyOf,
    AnyOfValues,
    CandidateQuery,
    Filter,
    HasId,
    Not,
    Query,
    TextMatch,
)
from tests.contract.test_engines import COLOR, STYLE, point
from tests.engines.server.conftest import QUICK
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import RestServer, Store

LIMITS = [
    {"max_query_limit": 7},
    {"upsert_max_batchsize": 3},
    {"search_max_hnsw_ef": 4},
    {"search_max_oversampling": 1.5},
    {"search_allow_exact": False},
    {"filter_max_conditions": 9},
    {"condition_max_size": 4},
    {"search_max_batchsize": 1},
    {"max_query_limit": 3, "condition_max_size": 2, "search_max_batchsize": 2},
]


def limited(**limits: object) -> models.StrictModeConfigOutput:
    return models.StrictModeConfigOutput(enabled=True, **limits)  # type: ignore[arg-type]


def answers(engine: ServerEngine) -> list[object]:
    """Reads of all kinds."""
    (blend,) = threshold.run(engine, [Query((STYLE, COLOR), limit=5, offset=2)])
    (whole,) = threshold.run(engine, [Query((STYLE, COLOR), limit=20)])
    (single,) = engine.query([Query((STYLE,), limit=12, offset=3)])
    ids = HasId(tuple(point(i).id for i in range(6)))
    few = AnyOf((AnyOfValues("category", ("a", "dress", "b", "c", "d")), ids))
    return [
        [row.id for row in blend.rows],
        [row.id for row in whole.rows],
        [row.id for row in single],
        [id for id, _ in engine.nearest([CandidateQuery(STYLE, None, 15)])[0]],
        sorted(point.id for page in engine.scroll(few) for point in page),
        engine.count(AnyElement("image.colors", AnyOfValues("name", ("a", "b", "c", "d", "blue")))),
        [point.id for page in engine.scroll() for point in page],
        sorted(point.id for point in engine.retrieve([point(i).id for i in range(20)])),
        engine.facet("category", limit=3),
        engine.count(few),
    ]


@pytest.mark.parametrize("limits", LIMITS, ids=lambda limits: "-".join(limits))
def test_requests_keep_within_the_limits(
    engine: ServerEngine, store: Store, limits: dict[str, object]
) -> None:
    expected = answers(engine)
    store.strict = limited(**limits)
    with closing(ServerEngine(engine._nodes, "catalog", engine.options)) as other:
        assert answers(other) == expected
        other.upsert([point(i) for i in range(20, 30)])
        assert other.count() == 30


def test_an_older_server_matches_parts_of_texts(engine: ServerEngine, store: Store) -> None:
    part, words = TextMatch("category", "kir", "substring"), TextMatch("about", "linen", "words")
    nested = AnyElement("image.colors", TextMatch("name", "lu", "substring"))
    filters: list[Filter] = [part, words, nested, AnyOf((Not(part), words))]
    store.texts.add("about")
    expected = [engine.count(one) for one in filters]
    assert all(0 < number < 20 for number in expected)
    store.version = "1.19.2"
    with closing(ServerEngine.connect(engine.url, engine.options)) as older:
        assert [older.count(one) for one in filters] == expected
        assert sum(map(len, older.scroll(part))) == expected[0]
        assert sum(count for _, count in older.facet("n", part)) == expected[0]
        (rows,) = older.query([Query((STYLE,), part, limit=20)])
        assert len(rows) == expected[0]
        with pytest.raises(FilterError, match=r"older than Qdrant 1\.20, which `contains` needs"):
            older.count(TextMatch("about", "inen", "substring"))
        with pytest.raises(FilterError, match=r"`matches` needs for a field without a text index"):
            older.count(TextMatch("category", "skirt", "words"))


def test_limits_that_are_off_do_not_count(engine: ServerEngine, store: Store) -> None:
    store.strict = models.StrictModeConfigOutput(enabled=False, upsert_max_batchsize=3)
    with closing(ServerEngine(engine._nodes, "catalog", engine.options)) as other:
        assert other._collection.limits.batch is None


def test_what_cannot_be_had_is_refused_by_the_limit_s_name(
    engine: ServerEngine, store: Store
) -> None:
    store.strict = limited(search_allow_exact=False, filter_max_conditions=2)
    with closing(ServerEngine(engine._nodes, "catalog", engine.options)) as other:
        with pytest.raises(QueryError, match=r"exact search \(search_allow_exact\)"):
            other.query([Query((STYLE,), limit=5, exact=True)])
        three = AnyOf(tuple(AnyOfValues("category", (name,)) for name in "abc"))
        with pytest.raises(FilterError, match=r"3 conditions, .* allows 2 \(filter_max_cond"):
            other.count(three)


def test_small_indexes_are_searched_where_exact_search_is_not_allowed(tmp_path: Path) -> None:
    store = Store(strict=limited(search_allow_exact=False))
    photos = folder_of(tmp_path, 12)
    with (
        closing(RestServer(store)) as rest,
        Index.open(rest.url, model="built-in", server=QUICK) as index,
    ):
        index.add(photos)
        id = str(photos / "003.jpg")
        asked: list[dict[str, Any]] = [{"image": id}, {"id": id}, {"id": id, "weights": "balanced"}]
        for request in asked:
            hits = index.search(**request, limit=12)
            assert len(hits) >= 11
            assert hits.complete is None
        assert len(index.search(image=id, where=f"image.id != '{id}'", limit=12)) == 11
        with pytest.raises(QueryError, match=r"search_allow_exact"):
            index.search(image=id, exact=True)
        assert index.stats()["images"] == 12


def test_a_whole_run_keeps_within_the_limits(tmp_path: Path) -> None:
    store = Store(strict=limited(max_query_limit=5, upsert_max_batchsize=4, condition_max_size=3))
    photos = folder_of(tmp_path, 12)
    with (
        closing(RestServer(store)) as rest,
        Index.open(rest.url, model="built-in", server=QUICK) as index,
    ):
        assert index.add(photos).added == 12
        assert index.add(photos).unchanged == 12
        assert len(list(index.scroll())) == 12
        assert len(index.search(image=photos / "003.jpg", limit=12)) == 12
