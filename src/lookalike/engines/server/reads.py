"""Reads by whichever way is fastest with a client.

Each takes what the client's own method takes: the collection's name among it, and, where that
method has one, the read consistency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.server import grpc_reads
from lookalike.engines.server.limits import Rows
from lookalike.types import Candidates


def candidates(request: Mapping[str, Any], client: QdrantClient) -> list[Candidates]:
    """Carries out queries of which only ids and scores are read."""
    if grpc_reads.speaks_grpc(client):
        return grpc_reads.candidates(client, request)
    responses = client.query_batch_points(**request)
    return [[(str(row.id), row.score) for row in response.points] for response in responses]


def query_batch(request: Mapping[str, Any], client: QdrantClient) -> list[Rows]:
    """Carries out queries."""
    if grpc_reads.speaks_grpc(client):
        return list(grpc_reads.query_batch(client, request))
    return [response.points for response in client.query_batch_points(**request)]


def retrieve(request: Mapping[str, Any], client: QdrantClient) -> Sequence[Any]:
    """Reads points by their ids."""
    if grpc_reads.speaks_grpc(client):
        return grpc_reads.retrieve(client, request)
    return client.retrieve(**request)


def scroll(request: Mapping[str, Any], client: QdrantClient) -> tuple[list[models.Record], Any]:
    """Reads a page of points, and where the next one begins."""
    return client.scroll(**request)


def facet(request: Mapping[str, Any], client: QdrantClient) -> list[tuple[str | int | bool, int]]:
    """Counts the points by the values of a field."""
    return [(hit.value, hit.count) for hit in client.facet(**request).hits]
