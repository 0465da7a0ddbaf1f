"""Reads by whichever way is fastest with a client.

Each takes what the client's own method takes: the collection's name among it, and, where that
method has one, the read consistency.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import QdrantClient, models

from lookalike.engines.server import grpc_reads
from lookalike.engines.server.errors import FAILURES, is_missing_point
from lookalike.engines.server.grpc_reads import is_bare
from lookalike.engines.server.limits import Rows


def query_batch(request: Mapping[str, Any], client: QdrantClient) -> list[Rows]:
    """Carries out queries; returns pairs of id and score for those that ask for nothing else."""
    if grpc_reads.speaks_grpc(client):
        return list(grpc_reads.query_batch(client, request))
    return [
        [(str(row.id), row.score) for row in response.points] if is_bare(one) else response.points
        for one, response in zip(
            request["requests"], client.query_batch_points(**request), strict=True
        )
    ]


def query_batch_by_id(request: Mapping[str, Any], client: QdrantClient) -> list[Rows]:
    """The same for queries by the id of a point; nothing for each if there is no such point."""
    try:
        return query_batch(request, client)
    except FAILURES as error:
        if is_missing_point(error):
            return [()] * len(request["requests"])
        raise


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
