"""Guards of internal and undocumented behavior of Qdrant's libraries that the engines rely on.

A failure here after an upgrade names the module that must change.
"""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import numpy as np
import pytest
import qdrant_edge as qe
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as protocol
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.conversions.conversion import RestToGrpc
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from lookalike.engines.edge.child_engine import ChildEngine
from lookalike.engines.server.points import to_grpc, to_rest
from lookalike.types import FieldType, Point
from tests.contract.test_engines import SPECS, point

ODD = {"none": None, "list": [1, "a", {"b": 2.5}], "flag": True, "count": 2**40, "share": 0.1}


def test_the_bulk_upload_s_conversion_makes_the_same_struct() -> None:
    """`server.points` calls `convert_vector_struct` and `payload_to_grpc`, both internal."""
    original = point(7)
    changed = Point(original.id, original.vectors, {**original.payload, **ODD})
    assert to_grpc(changed) == RestToGrpc.convert_point_struct(to_rest(changed))
    assert isinstance(to_grpc(changed), protocol.PointStruct)


def test_errors_of_the_client_have_what_is_read_of_them() -> None:
    """`server.errors` reads these attributes."""
    response = UnexpectedResponse(429, "Too Many", b"{}", {"Retry-After": "3"})  # type: ignore[arg-type]
    assert (response.status_code, response.content) == (429, b"{}")
    assert response.headers["Retry-After"] == "3"
    assert ResourceExhaustedResponse("slow down", 3).retry_after_s == 3
    cause = ValueError("x")
    assert ResponseHandlingException(cause).source is cause


def test_a_missing_collection_in_memory_is_a_value_error() -> None:
    """`server.errors` tells it from others by its text."""
    with pytest.raises(ValueError, match="not found"):
        QdrantClient(":memory:").count("nothing")


def test_a_grpc_connection_that_fails_says_so() -> None:
    """`server.errors` tells a server that is down from one that is busy by this text."""
    channel = grpc.insecure_channel("127.0.0.1:1")
    stub = protocol.QdrantStub(channel)  # type: ignore[no-untyped-call]
    with pytest.raises(grpc.RpcError) as caught:
        stub.HealthCheck(protocol.HealthCheckRequest(), timeout=5)
    channel.close()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "failed to connect" in caught.value.details()


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    with closing(ChildEngine(tmp_path / "index")) as engine:
        engine.create(SPECS)
        engine.upsert([point(i) for i in range(20)])
    return tmp_path / "index" / "shard"


def test_a_locked_shard_says_so(shard: Path) -> None:
    """`edge.engine` tells a lock from other errors by this text."""
    held = qe.EdgeShard.load(str(shard))
    with pytest.raises(Exception, match=r"(?s)WAL.*WouldBlock"):
        qe.EdgeShard.load(str(shard))
    held.close()


def test_a_shard_s_configuration_alone_makes_an_empty_shard(shard: Path, tmp_path: Path) -> None:
    """`edge.rebuild` starts a new shard from a copy of this file."""
    (tmp_path / "new").mkdir()
    shutil.copy(shard / "edge_config.json", tmp_path / "new")
    made = qe.EdgeShard.load(str(tmp_path / "new"))
    assert made.info().points_count == 0
    made.close()


def test_a_shard_s_configuration_tells_sizes_and_datatypes(shard: Path) -> None:
    """`edge.child_engine` reads them to tell whether a rebuild is due."""
    vectors = json.loads((shard / "edge_config.json").read_text())["vectors"]
    sizes = {name: (spec["size"], spec.get("datatype")) for name, spec in vectors.items()}
    assert sizes == {"style": (24, None), "color": (8, None), "phash": (64, "uint8")}


def test_a_shard_s_data_lies_in_its_segments(shard: Path) -> None:
    """`edge.child_engine` reads these files into the page cache."""
    assert any(file.is_file() for file in (shard / "segments").rglob("*"))


def test_a_shard_tells_the_types_of_its_field_indexes(shard: Path) -> None:
    """`edge.child_engine` creates the same indexes in a new shard."""
    made = {f"field_{type}": type for type in FieldType}
    with closing(ChildEngine(shard.parent)) as engine:
        for path, type in made.items():
            engine.create_field_index(path, type)
        read = engine.field_indexes()
    # A list of keywords has the same index as one keyword.
    assert read == made | {"field_keywords": FieldType.KEYWORD}


def test_edge_tells_numpy_s_booleans_from_integers(shard: Path) -> None:
    """`edge.filters` wraps booleans, as Edge reads Python's as integers."""
    with closing(ChildEngine(shard.parent)) as engine:
        engine.create_field_index("in_stock", FieldType.BOOLEAN)

        def count(value: object) -> int:
            condition = qe.FieldCondition("in_stock", match=qe.MatchValue(value))  # type: ignore[arg-type]
            return engine.shard.count(qe.CountRequest(filter=qe.Filter(must=[condition])))

        assert count(np.bool_(True)) == 7
        assert count(True) == 0


def test_validation_that_is_skipped_would_change_nothing() -> None:
    """`server.points` makes REST structs by `model_construct`."""
    struct = to_rest(point(3))
    validated = models.PointStruct(id=struct.id, vector=struct.vector, payload=struct.payload)
    assert struct == validated
