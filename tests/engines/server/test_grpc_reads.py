"""Reads over gRPC, which pass by the client's models, against the client's own methods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from qdrant_client import models

from lookalike.engines.server import grpc_reads
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.requests import candidate_request, query_request, vectors_request
from lookalike.system.point_ids import point_id
from lookalike.types import AnyOfValues, CandidateQuery, Query
from tests.contract.test_engines import COLOR, SPECS, STYLE, point
from tests.engines.server.conftest import QUICK
from tests.support.qdrant_wire import GrpcServer, RestServer, Store


@pytest.fixture
def over_grpc(store: Store, rest: RestServer) -> Iterator[ServerEngine]:
    with closing(GrpcServer(store)) as grpc:
        options = replace(QUICK, grpc=True, grpc_port=grpc.port)
        with closing(ServerEngine.connect(rest.url, options)) as engine:
            engine.create(SPECS)
            engine.upsert([point(i) for i in range(20)])
            yield engine


def assert_alike(row: Any, other: Any) -> None:
    """Compares two rows; in memory, numbers vary in their last bit from one answer to the next."""
    assert row.id == other.id
    assert (row.payload or {}) == (other.payload or {})
    assert (row.vector or {}).keys() == (other.vector or {}).keys()
    for name, values in (row.vector or {}).items():
        assert values == pytest.approx(other.vector[name], abs=1e-5)
    assert getattr(row, "score", 0) == pytest.approx(getattr(other, "score", 0), abs=1e-6)


@pytest.mark.parametrize("consistency", [None, 1, models.ReadConsistencyType.ALL])
def test_queries_are_answered_as_by_the_client(over_grpc: ServerEngine, consistency: Any) -> None:
    client = over_grpc.client
    reading = {"collection_name": "catalog", "consistency": consistency}
    among = tuple(point_id(point(i).id) for i in range(12))
    requests = [
        candidate_request(CandidateQuery(STYLE, AnyOfValues("category", ("dress",)), 9), {}),
        query_request(Query((STYLE,), limit=3, offset=2, vectors=("style", "phash"))),
        query_request(Query((STYLE, COLOR), limit=7, among=among)),
        query_request(Query((STYLE, COLOR), limit=7, among=among, least=0.0)),
        query_request(Query((COLOR,), limit=4, exact=True)),
        query_request(Query((COLOR,), limit=4), point=str(among[0])),
        candidate_request(CandidateQuery(STYLE, None, 9), {}, point=str(among[1])),
        vectors_request(str(among[2]), ["color", "style"]),
    ]
    theirs = client.query_batch_points(requests=requests, **reading)
    ours = grpc_reads.query_batch(client, {"requests": requests, **reading})
    for request, rows, answer in zip(requests, ours, theirs, strict=True):
        for row, other in zip(rows, answer.points, strict=True):
            if grpc_reads.is_bare(request):
                assert row == (other.id, pytest.approx(other.score, abs=1e-6))
            else:
                assert_alike(row, other)
    assert all(ours)
    assert [grpc_reads.is_bare(request) for request in requests].count(True) == 2


@pytest.mark.parametrize("payload", [True, models.PayloadSelectorInclude(include=["image.id"])])
@pytest.mark.parametrize("vectors", [False, ["style"], ["phash", "color"]])
def test_points_are_read_as_by_the_client(
    over_grpc: ServerEngine, payload: Any, vectors: Any
) -> None:
    ids = [str(point_id(point(i).id)) for i in (3, 5, 99)]
    request = {
        "collection_name": "catalog",
        "ids": ids,
        "with_payload": payload,
        "with_vectors": vectors,
        "consistency": None,
    }
    ours = grpc_reads.retrieve(over_grpc.client, request)
    theirs = over_grpc.client.retrieve(**request)
    for row, record in zip(ours, theirs, strict=True):
        assert_alike(row, record)
    assert len(ours) == 2
