"""Reads by whichever way is fastest with a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.server import grpc_reads
from lookalike.engines.server.limits import Rows


def query_batch(
    client: QdrantClient, requests: Sequence[models.QueryRequest], reading: Mapping[str, Any]
) -> list[Rows]:
    """Carries out queries; `reading` is the collection's name and the read consistency."""
    if grpc_reads.speaks_grpc(client):
        return list(grpc_reads.query_batch(client, requests, reading))
    responses = client.query_batch_points(requests=requests, **reading)
    return [response.points for response in responses]


def retrieve(request: Mapping[str, Any], client: QdrantClient) -> Sequence[Any]:
    """Reads points by their ids."""
    if grpc_reads.speaks_grpc(client):
        return grpc_reads.retrieve(client, request)
    return client.retrieve(**request)


def scroll(request: Mapping[str, Any], client: QdrantClient) -> tuple[list[models.Record], Any]:
    """Reads a page of points, and where the next one begins."""
    return client.scroll(**request)
