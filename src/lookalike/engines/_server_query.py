"""Our queries and points in the words of Qdrant's API, and its answers in ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qdrant_client import models

from lookalike.engines import (
    EXPLORED,
    LEAST_RESCORED,
    OVERSAMPLING,
    needed_vectors,
    similarities,
)
from lookalike.engines._server_filter import to_server
from lookalike.types import Near, Nearest, Point, Query, Scored, Vector

ID_ALONE = models.PayloadSelectorInclude(include=["image.id"])
_ORIGINALS = models.SearchParams(
    exact=True, quantization=models.QuantizationSearchParams(ignore=True)
)


def nearest_request(ask: Nearest, layout: Mapping[str, models.VectorParams]) -> models.QueryRequest:
    """Asks for candidates, in the way that suits how the vector is quantized in `layout`."""
    quantized = layout[ask.near.name].quantization_config if ask.near.name in layout else None
    # What codes coarser than int8 say of similarity is too far off to bound a sum by.
    coarse = not isinstance(quantized, models.ScalarQuantization)
    params = models.SearchParams(
        hnsw_ef=ask.limit + EXPLORED,
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
        params=params,
        with_payload=False,
    )


def query_request(query: Query) -> models.QueryRequest:
    compared = needed_vectors(query) if query.among is not None else set()
    ask: dict[str, Any] = {
        "limit": query.limit,
        "offset": query.offset,
        "with_payload": True,
        "with_vector": sorted(compared | set(query.vectors)) or False,
    }
    if query.among is None:
        (near,) = query.near
        wanted = query.offset + query.limit
        return models.QueryRequest(
            query=near.vector.tolist(),
            using=near.name,
            filter=to_server(query.filter),
            params=models.SearchParams(
                quantization=models.QuantizationSearchParams(
                    rescore=True, oversampling=max(OVERSAMPLING, LEAST_RESCORED / wanted)
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
        # At the root it counts for every stage, and travels once.
        filter=models.Filter(must=[models.HasIdCondition(has_id=[str(id) for id in query.among])]),
        query=models.FormulaQuery(formula=_weighted_sum(query.near)),
        **ask,
    )


def _weighted_sum(near: Sequence[Near]) -> models.Expression:
    return models.SumExpression(
        sum=[models.MultExpression(mult=[one.weight, f"$score[{i}]"]) for i, one in enumerate(near)]
    )


def to_scored(row: models.ScoredPoint, query: Query) -> Scored:
    payload = row.payload or {}
    id: str = payload["image"]["id"]
    vectors = _arrays(row.vector)
    if query.among is None:
        (near,) = query.near
        return Scored(id, near.weight * row.score, (row.score,), payload, vectors)
    return Scored(id, row.score, similarities(query, row.score, vectors), payload, vectors)


def _arrays(vectors: Any) -> dict[str, Vector]:
    return {name: np.asarray(values, np.float32) for name, values in (vectors or {}).items()}


def to_point(record: models.Record) -> Point:
    payload = record.payload or {}
    return Point(payload["image"]["id"], _arrays(record.vector), payload)
