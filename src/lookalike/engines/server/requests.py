"""Queries as Qdrant's API takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from lookalike import record
from lookalike.engines.rows import vectors_wanted
from lookalike.engines.server.filters import to_server
from lookalike.protocols import OVERSAMPLING, oversampling
from lookalike.types import CandidateQuery, Query, WeightedVector

ID_ALONE = models.PayloadSelectorInclude(include=[record.ID])
_ORIGINALS = models.SearchParams(
    exact=True, quantization=models.QuantizationSearchParams(ignore=True)
)


def nearest_request(
    ask: CandidateQuery, layout: Mapping[str, models.VectorParams]
) -> models.QueryRequest:
    """A request for candidates; how they are scored depends on the quantization in `layout`."""
    quantized = layout[ask.near.name].quantization_config if ask.near.name in layout else None
    # Similarities by codes coarser than int8 are too inaccurate to bound a weighted sum.
    coarse = not isinstance(quantized, models.ScalarQuantization)
    approximate = models.SearchParams(
        hnsw_ef=ask.limit + ask.explored,
        quantization=models.QuantizationSearchParams(
            rescore=coarse, oversampling=OVERSAMPLING if coarse else None
        )
        if quantized is not None
        else None,
    )
    return models.QueryRequest(
        query=ask.near.vector.tolist(),
        using=ask.near.name,
        filter=to_server(ask.filter),
        limit=ask.limit,
        params=_ORIGINALS if ask.exact else approximate,
        with_payload=False,
    )


def query_request(query: Query) -> models.QueryRequest:
    ask: dict[str, Any] = {
        "limit": query.limit,
        "offset": query.offset,
        "with_payload": True,
        "with_vector": vectors_wanted(query) or False,
    }
    if query.among is None:
        (near,) = query.near
        return models.QueryRequest(
            query=near.vector.tolist(),
            using=near.name,
            filter=to_server(query.filter),
            params=_ORIGINALS
            if query.exact
            else models.SearchParams(
                quantization=models.QuantizationSearchParams(
                    rescore=True, oversampling=oversampling(query)
                )
            ),
            **ask,
        )
    among = len(query.among)
    stages = [
        models.Prefetch(
            query=near.vector.tolist(), using=near.name, limit=max(1, among), params=_ORIGINALS
        )
        for near in query.near
    ]
    return models.QueryRequest(
        prefetch=stages,
        # At the root the filter applies to every stage, and is sent once.
        filter=models.Filter(must=[models.HasIdCondition(has_id=[str(id) for id in query.among])]),
        query=models.FormulaQuery(formula=_weighted_sum(query.near)),
        **ask,
    )


def _weighted_sum(near: Sequence[WeightedVector]) -> models.Expression:
    return models.SumExpression(
        sum=[models.MultExpression(mult=[one.weight, f"$score[{i}]"]) for i, one in enumerate(near)]
    )
