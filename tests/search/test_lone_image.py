"""Searches by one stored image on a server, which finds the image's vectors itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import NotFound, QueryError
from lookalike.index import Index
from lookalike.search.hits import Hits
from tests.search.indexes import BLEND, COUNT, Shop, ids
from tests.support.qdrant_wire import GrpcServer, RestServer, Store


@pytest.fixture(scope="module")
def store() -> Store:
    return Store()


@pytest.fixture(scope="module")
def served(shop: Shop, store: Store) -> Iterator[Index]:
    """The images of the shop on a server."""
    with closing(RestServer(store)) as rest, closing(GrpcServer(store)) as grpc:
        options = ServerOptions(grpc_port=grpc.port)
        with closing(ServerEngine.connect(rest.url, options)) as engine:
            manifest = shop.index._manifest
            engine.create(list(manifest.vectors.values()))
            engine.upsert(list(shop.index.scroll(vectors=True)))
            engine.write_manifest(manifest.to_json())
        with Index.open(rest.url, server=options) as index:
            yield index


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": {"color": 1}},
        {"weights": BLEND, "limit": 5, "offset": 3},
        {"weights": BLEND, "where": "n < 20 or n > 1000", "relevant": True},
        {"weights": BLEND, "calibration": "none", "offset": COUNT},
        {"id": ["sku-3", "sku-4"]},
        {"weights": BLEND, "diversity": 0.3, "collapse": True},
        {"weights": BLEND, "exact": True},
        {"weights": BLEND, "color": "red"},
        {"text": "not red"},
    ],
)
def test_hits_are_those_of_a_folder(shop: Shop, served: Index, options: dict[str, Any]) -> None:
    asked = {"id": "sku-3", **options}
    expected, hits = shop.index.search(**asked), served.search(**asked)
    assert ids(hits) == ids(expected)
    assert (hits.complete, hits.weights) == (expected.complete, expected.weights)
    for hit, other in zip(hits, expected, strict=True):
        assert hit.payload == other.payload
        assert hit.scores == pytest.approx(other.scores, abs=1e-4)
        assert hit.calibrated == pytest.approx(other.calibrated, abs=1e-3)


def test_the_first_answers_come_with_the_vectors(served: Index, store: Store) -> None:
    store.requests.clear()
    served.search(id="sku-3")
    assert store.requests == ["count", "query"]  # small indexes are counted each time
    store.requests.clear()
    hits = served.search(id="sku-3", weights=BLEND)
    assert store.requests == ["count"] + ["query"] * hits.explanation.rounds


def test_a_vector_that_an_image_lacks_is_named(shop: Shop, served: Index) -> None:
    (point,) = shop.index._engine.retrieve(["sku-1"], vectors=[shop.index._manifest.semantic.name])
    own = {**point.payload["image"], "id": "half"}
    half = replace(point, id="half", payload={**point.payload, "image": own})
    for index in (shop.index, served):
        index._engine.upsert([half])
        try:
            assert index.search(id="half")[0].id == "sku-1"
            for options in ({"weights": BLEND}, {"weights": "color"}):
                with pytest.raises(QueryError, match="'half' has no vector color: give"):
                    index.search(id="half", **options)
        finally:
            index._engine.delete(["half"])


def test_an_image_that_is_gone_is_said_to_be(served: Index) -> None:
    with pytest.raises(NotFound, match="no image with the id 'nowhere'"):
        served.search(id="nowhere", weights=BLEND)
    hits, error = served.search_many([{"id": "sku-1"}, {"id": "nowhere"}])
    assert isinstance(hits, Hits)
    assert isinstance(error, NotFound)
