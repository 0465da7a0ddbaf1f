"""Reads over gRPC, without a model of the client's for every row.

The client copies each request, and builds and checks a model for each of the 800 rows that a blend
reads: two thirds of our own share of a search. The messages are read directly instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from qdrant_client import QdrantClient, grpc
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, grpc_to_payload


class Row(NamedTuple):
    """A point of an answer, with as much of a model as is read of it."""

    id: str
    payload: dict[str, Any] | None
    vector: Any
    score: float = 0.0


def speaks_grpc(client: QdrantClient) -> bool:
    """Tells if a client reads over gRPC; not so one in memory."""
    return bool(client.init_options.get("prefer_grpc"))


def query_batch(client: QdrantClient, request: Mapping[str, Any]) -> list[list[Row]]:
    """Carries out queries; see `QdrantClient.query_batch_points`.

    Args:
        client: speaks gRPC.
        request: what the client's method takes.
    """
    name, requests = request["collection_name"], request["requests"]
    message = grpc.QueryBatchPoints(
        collection_name=name,
        query_points=[RestToGrpc.convert_query_request(request, name) for request in requests],
        read_consistency=_consistency(request),
    )
    response = client.grpc_points.QueryBatch(message, timeout=_timeout(client))
    return [
        _whole(answer) if one.with_payload or one.with_vector else _bare(answer)
        for one, answer in zip(requests, response.result, strict=True)
    ]


def retrieve(client: QdrantClient, request: Mapping[str, Any]) -> list[Row]:
    """Reads points by their ids; see `QdrantClient.retrieve`.

    Args:
        client: speaks gRPC.
        request: what the client's method takes.
    """
    message = grpc.GetPoints(
        collection_name=request["collection_name"],
        ids=[grpc.PointId(uuid=id) for id in request["ids"]],
        with_payload=RestToGrpc.convert_with_payload_interface(request["with_payload"]),
        with_vectors=RestToGrpc.convert_with_vectors(request["with_vectors"]),
        read_consistency=_consistency(request),
    )
    response = client.grpc_points.Get(message, timeout=_timeout(client))
    return [Row(point.id.uuid, _payload(point), _vectors(point)) for point in response.result]


def _timeout(client: QdrantClient) -> float:
    timeout: float = client.init_options["timeout"]
    return timeout


def _consistency(request: Mapping[str, Any]) -> Any:
    consistency = request["consistency"]
    return None if consistency is None else RestToGrpc.convert_read_consistency(consistency)


def _bare(answer: Any) -> list[Row]:
    """The rows of candidates, of which only ids and scores were requested."""
    return [Row(point.id.uuid, None, None, point.score) for point in answer.result]


def _whole(answer: Any) -> list[Row]:
    return [
        Row(point.id.uuid, _payload(point), _vectors(point), point.score) for point in answer.result
    ]


def _payload(point: Any) -> dict[str, Any] | None:
    payload = point.payload
    return grpc_to_payload(payload) if len(payload) else None


def _vectors(point: Any) -> Any:
    return GrpcToRest.convert_vectors_output(point.vectors) if point.HasField("vectors") else None
