"""Reads by whichever way is fastest with a client.

Each takes the collection's name and the read consistency as `reading`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.server import grpc_reads
from lookalike.engines.server.limits import Rows


def query_batch(
    requests: Sequence[models.QueryRequest], client: QdrantClient, reading: Mapping[str, Any]
) -> list[Rows]:
    """Carries out queries."""
    if grpc_reads.speaks_grpc(client):
        return list(grpc_reads.query_batch(client, requests, reading))
    responses = client.query_batch_points(requests=requests, **reading)
    return [response.points for response in responses]


def retrieve(
    request: Mapping[str, Any], client: QdrantClient, reading: Mapping[str, Any]
) -> Sequence[Any]:
    """Reads points by their ids."""
    if grpc_reads.speaks_grpc(client):
        return grpc_reads.retrieve(client, {**request, **reading})
    return client.retrieve(**request, **reading)


def scroll(
    request: Mapping[str, Any], client: QdrantClient, reading: Mapping[str, Any]
) -> tuple[list[models.Record], Any]:
    """Reads a page of points, and where the next one begins."""
    return client.scroll(**request, **reading)


def facet(
    request: Mapping[str, Any], client: QdrantClient, reading: Mapping[str, Any]
) -> list[tuple[str | int | bool, int]]:
    """Counts the points by the values of a field."""
    response = client.facet(**request, **reading)
    return [(hit.value, hit.count) for hit in response.hits]
