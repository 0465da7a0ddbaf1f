"""Queries as Qdrant Edge takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qdrant_edge as qe

from lookalike import record
from lookalike.engines.edge.filters import to_edge
from lookalike.engines.rows import explored, vectors_wanted
from lookalike.system.distances import oversampling
from lookalike.types import CandidateQuery, PayloadPart, Query, WeightedVector

# Exact search: no graph and no quantized vectors, either of which could miss a point.
_EXACT = qe.SearchParams(exact=True, quantization=qe.QuantizationSearchParams(ignore=True))


def payload_selector(payload: PayloadPart) -> bool | qe.PayloadSelector:
    """Selects the whole payload, or the id and some fields of it; see `protocols.Engine`."""
    return payload is True or qe.PayloadSelector.Include([record.ID, *(payload or ())])


def candidate_request(query: CandidateQuery) -> qe.QueryRequest:
    approximate = qe.SearchParams(
        hnsw_ef=query.limit + query.explored,
        quantization=qe.QuantizationSearchParams(rescore=False),
    )
    return qe.QueryRequest(
        query=_nearest(query.near),
        filter=to_edge(query.filter),
        limit=query.limit,
        with_payload=False,
        params=_EXACT if query.exact else approximate,
    )


def query_request(query: Query) -> qe.QueryRequest:
    common: dict[str, Any] = {
        "limit": query.limit,
        "offset": query.offset,
        "with_payload": True,
        "with_vector": vectors_wanted(query) or False,
    }
    if query.among is None:
        (near,) = query.near
        approximate = qe.SearchParams(
            hnsw_ef=explored(query),
            quantization=qe.QuantizationSearchParams(
                rescore=True, oversampling=oversampling(query.offset + query.limit)
            ),
        )
        return qe.QueryRequest(
            query=_nearest(near),
            filter=to_edge(query.filter),
            params=_EXACT if query.exact else approximate,
            **common,
        )
    among = qe.Filter(must=[qe.HasIdCondition(set(query.among))])
    stages = [
        qe.Prefetch(query=_nearest(near), filter=among, limit=len(query.among), params=_EXACT)
        for near in query.near
    ]
    return qe.QueryRequest(
        prefetches=stages,
        query=qe.Formula(_weighted_sum(query.near), {}),
        score_threshold=query.least,
        **common,
    )


def _nearest(near: WeightedVector) -> qe.Query:
    return qe.Query.Nearest(near.vector.tolist(), using=near.name)


def _weighted_sum(near: Sequence[WeightedVector]) -> qe.Expression:
    """The sum of similarities, from the stages' scores, each times its target's weight."""
    return qe.Expression.Sum(
        [
            qe.Expression.Mult(
                [
                    qe.Expression.Constant(target.distance.sign * target.weight),
                    qe.Expression.Variable(f"$score[{i}]"),
                ]
            )
            for i, target in enumerate(near)
        ]
    )
