"""A stand-in for a Qdrant server, and an engine on it over either protocol."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from tests.contract.test_engines import SPECS, point
from tests.support.qdrant_wire import GrpcServer, RestServer, Store

QUICK = ServerOptions(grpc=False, backoff=0.01, patience=3, timeout=2)


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def rest(store: Store) -> Iterator[RestServer]:
    with closing(RestServer(store)) as server:
        yield server


@pytest.fixture(params=["rest", "grpc"])
def engine(
    request: pytest.FixtureRequest, store: Store, rest: RestServer
) -> Iterator[ServerEngine]:
    """An index with 20 images, over either protocol."""
    with closing(GrpcServer(store)) as grpc:
        options = replace(QUICK, grpc=request.param == "grpc", grpc_port=grpc.port)
        with closing(ServerEngine.connect(rest.url, options)) as made:
            made.create(SPECS)
            made.write_manifest({"schema": 1})
            made.upsert([point(i) for i in range(20)])
            store.requests.clear()
            yield made
