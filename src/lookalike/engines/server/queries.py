"""Queries to a collection, sent within its limits, and their answers in our types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from qdrant_client import QdrantClient, models

from lookalike.engines.rows import all_scored, stored, with_likeness
from lookalike.engines.server import reads
from lookalike.engines.server.limits import Limits, Rows
from lookalike.engines.server.requests import candidate_request, query_request, vectors_request
from lookalike.types import CandidateQuery, Candidates, Point, Query, Scored, point_id

Batch: TypeAlias = Callable[[Mapping[str, Any], QdrantClient], list[Rows]]
"""One of the functions of `reads` that carry out several queries."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Carries out queries.

    Attributes:
        read: carries out one of `reads` with a node that answers.
        layout: the vectors of the collection.
        limits: the limits that it sets to requests.
    """

    read: Callable[[Batch, Mapping[str, Any]], list[Rows]]
    layout: Mapping[str, models.VectorParams]
    limits: Limits

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """See `protocols.Engine.nearest`."""
        requests = [candidate_request(query, self.layout) for query in queries]
        return with_likeness(self._send(reads.query_batch, requests), queries)

    def ranked(self, queries: Sequence[Query]) -> list[list[Scored]]:
        """See `protocols.Engine.query`."""
        requests = [query_request(query) for query in queries]
        return all_scored(self._send(reads.query_batch, requests), queries)

    def nearest_to(
        self, id: str, candidates: Sequence[CandidateQuery], rankings: Sequence[Query]
    ) -> tuple[Point, list[Candidates], list[list[Scored]]] | None:
        """See `protocols.ServedEngine`."""
        point = str(point_id(id))
        targets = [query.near for query in candidates]
        targets += [near for query in rankings for near in query.near]
        requests = [
            vectors_request(point, sorted({near.name for near in targets})),
            *(candidate_request(query, self.layout, point=point) for query in candidates),
            *(query_request(query, point=point) for query in rankings),
        ]
        image, *answers = self._send(reads.query_batch_by_id, requests)
        if not image:
            return None
        found = Point(id, stored(image[0]).vectors, {})
        lists, rows = answers[: len(candidates)], answers[len(candidates) :]
        return found, with_likeness(lists, candidates), all_scored(rows, rankings)

    def _send(self, read: Batch, requests: Sequence[models.QueryRequest]) -> list[Rows]:
        if not requests:
            return []
        limits = self.limits
        parts = [limits.parts(request) for request in requests]
        every = [part for several in parts for part in several]
        rows: list[Rows] = []
        size = limits.queries or len(every)
        for start in range(0, len(every), size):
            rows += self.read(read, {"requests": every[start : start + size]})
        answers = iter(rows)
        return [
            limits.joined(request, list(islice(answers, len(several))))
            for request, several in zip(requests, parts, strict=True)
        ]
