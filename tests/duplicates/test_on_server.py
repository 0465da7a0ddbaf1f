"""Duplicates on a server are those of a folder."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines import ServerOptions
from lookalike.index import Index
from tests.support.qdrant_wire import GrpcServer, RestServer, Store


@pytest.mark.parametrize(
    "grpc", [pytest.param(False, marks=pytest.mark.slow, id="rest"), pytest.param(True, id="grpc")]
)
def test_a_server_has_the_same_duplicates(filled: Index, original: Path, grpc: bool) -> None:
    store = Store()
    with closing(RestServer(store)) as rest, closing(GrpcServer(store)) as wire:
        options = ServerOptions(grpc=grpc, grpc_port=wire.port)
        with Index.open(rest.url, model="built-in", server=options) as index:
            index.add(original)
            assert _groups(index) == _groups(filled)
            one = next(group.copies[0].uri for group in filled.duplicates())
            found = [other.uri for other in index.duplicates_of(Path(one))]
            assert sorted(found) == sorted(other.uri for other in filled.duplicates_of(Path(one)))
            assert found


def _groups(index: Index) -> set[frozenset[str]]:
    return {frozenset(member.id for member in group.members) for group in index.duplicates()}
