"""Queries as Qdrant's API takes them.

What is long in them, vectors and lists of ids, is not validated: its parts are valid already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdrant_client import models

from lookalike import record
from lookalike.engines.rows import explored, vectors_wanted
from lookalike.engines.server.filters import to_server
from lookalike.system.distances import OVERSAMPLING, oversampling
from lookalike.types import CandidateQuery, PayloadPart, Query, WeightedVector

# Exact search: no graph and no quantized vectors, either of which could miss a point.
_EXACT = models.SearchParams(exact=True, quantization=models.QuantizationSearchParams(ignore=True))


def vectors_request(point: str, names: Sequence[str]) -> models.QueryRequest:
    """A request for vectors of one point, to be sent along with queries."""
    return models.QueryRequest.model_construct(
        filter=models.Filter.model_construct(
            must=[models.HasIdCondition.model_construct(has_id=[point])]
        ),
        limit=1,
        with_payload=False,
        with_vector=list(names),
    )


def payload_selector(payload: PayloadPart) -> bool | models.PayloadSelectorInclude:
    """Selects the whole payload, or the id and some fields of it; see `protocols.Engine`."""
    return payload is True or models.PayloadSelectorInclude(include=[record.ID, *(payload or ())])


def candidate_request(
    query: CandidateQuery, layout: Mapping[str, models.VectorParams], *, point: str | None = None
) -> models.QueryRequest:
    """A request for candidates; how they are scored depends on the quantization in `layout`.

    Args:
        query: the query.
        layout: the vectors of the collection.
        point: id of a point whose vector is the target, in place of that of the query.
    """
    quantized = layout[query.near.name].quantization_config if query.near.name in layout else None
    # Similarities by codes coarser than int8 are too inaccurate to bound a weighted sum.
    coarse = not isinstance(quantized, models.ScalarQuantization)
    approximate = models.SearchParams(
        hnsw_ef=query.limit + query.explored,
        quantization=models.QuantizationSearchParams(
            rescore=coarse, oversampling=OVERSAMPLING if coarse else None
        )
        if quantized is not None
        else None,
    )
    return models.QueryRequest.model_construct(
        query=point or query.near.vector.tolist(),
        using=query.near.name,
        filter=to_server(query.filter),
        limit=query.limit,
        params=_EXACT if query.exact else approximate,
        with_payload=False,
    )


def query_request(query: Query, *, point: str | None = None) -> models.QueryRequest:
    """A request for the rows of a ranking.

    Args:
        query: the query.
        point: id of a point whose vector is the target of the only one, in place of that.
    """
    common: dict[str, Any] = {
        "limit": query.limit,
        "offset": query.offset,
        "with_payload": True,
        "with_vector": vectors_wanted(query) or False,
    }
    if query.among is None:
        (near,) = query.near
        approximate = models.SearchParams(
            hnsw_ef=explored(query),
            quantization=models.QuantizationSearchParams(
                rescore=True, oversampling=oversampling(query.offset + query.limit)
            ),
        )
        return models.QueryRequest.model_construct(
            query=point or near.vector.tolist(),
            using=near.name,
            filter=to_server(query.filter),
            params=_EXACT if query.exact else approximate,
            **common,
        )
    among = len(query.among)
    stages = [
        models.Prefetch.model_construct(
            query=near.vector.tolist(), using=near.name, limit=max(1, among), params=_EXACT
        )
        for near in query.near
    ]
    ids = models.HasIdCondition.model_construct(has_id=[str(id) for id in query.among])
    return models.QueryRequest.model_construct(
        prefetch=stages,
        # At the root the filter applies to every stage, and is sent once.
        filter=models.Filter.model_construct(must=[ids]),
        query=models.FormulaQuery.model_construct(formula=_weighted_sum(query.near)),
        score_threshold=query.least,
        **common,
    )


def _weighted_sum(near: Sequence[WeightedVector]) -> models.Expression:
    """The sum of similarities, from the stages' scores, each times its target's weight."""
    return models.SumExpression.model_construct(
        sum=[
            models.MultExpression.model_construct(
                mult=[target.distance.sign * target.weight, f"$score[{i}]"]
            )
            for i, target in enumerate(near)
        ]
    )
