"""Limits that a collection sets to requests (Qdrant's strict mode), and requests kept within them.

What asks for more than a page is sent as several pages, and a blend of many candidates in several
parts, whose results are put together here. Only what cannot be had that way is refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from qdrant_client import models

from lookalike.engines.server.text_matches import FIRST_VERSION, for_older_server, text_indexed
from lookalike.errors import FilterError, QueryError

Rows: TypeAlias = Sequence[Any]
"""Points of an answer with their scores, as models of the client or as messages were read."""

_UNINDEXED = models.SearchParams(quantization=models.QuantizationSearchParams(ignore=True))
"""Parameters of a stage that compares few given points: exact in effect, though not by name."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a collection; None where there is none.

    Attributes:
        page: points of one answer, `max_query_limit`.
        batch: points of one write, `upsert_max_batchsize`.
        queries: queries of one request, `search_max_batchsize`.
        ef: width of a search in the graph, `search_max_hnsw_ef`.
        oversampling: rescored points for each wanted one, `search_max_oversampling`.
        exact: whether exact search is allowed, and exact counts and facets, `search_allow_exact`.
        conditions: conditions of a filter, `filter_max_conditions`.
        values: values of a condition, `condition_max_size`.
        texts: paths of fields with a text index, on a server before `text_matches.FIRST_VERSION`.
    """

    page: int | None = None
    batch: int | None = None
    queries: int | None = None
    ef: int | None = None
    oversampling: float | None = None
    exact: bool = True
    conditions: int | None = None
    values: int | None = None
    texts: frozenset[str] | None = None

    @classmethod
    def of(cls, info: models.CollectionInfo, version: tuple[int, ...] | None = None) -> Limits:
        """Reads the limits of a collection on a server of a version; None for the newest."""
        is_old = version is not None and version < FIRST_VERSION
        texts = text_indexed(info) if is_old else None
        strict = info.config.strict_mode_config
        if strict is None or not strict.enabled:
            return cls(texts=texts)
        return cls(
            texts=texts,
            page=strict.max_query_limit,
            batch=strict.upsert_max_batchsize,
            queries=strict.search_max_batchsize,
            ef=strict.search_max_hnsw_ef,
            oversampling=strict.search_max_oversampling,
            exact=strict.search_allow_exact is not False,
            conditions=strict.filter_max_conditions,
            values=strict.condition_max_size,
        )

    @property
    def _is_free(self) -> bool:
        """True if a request of any size is allowed."""
        return replace(self, texts=None) == Limits()

    def within_page(self, number: int) -> int:
        """A number of points, or as many as one answer may have."""
        return number if self.page is None else min(number, self.page)

    def within_batch(self, number: int) -> int:
        """A number of points, or as many as one write may have."""
        return number if self.batch is None else min(number, self.batch)

    def filter(self, filter: models.Filter | None) -> models.Filter | None:
        """The filter, its long lists of values in parts.

        Raises:
            FilterError: it has too many conditions, or the server is too old for one.
        """
        if filter is None:
            return None
        if self.texts is not None:
            filter = for_older_server(filter, self.texts)
        if self.values is not None:
            filter = _split_filter(filter, self.values)
        if self.conditions is not None and (number := _conditions(filter)) > self.conditions:
            raise FilterError(
                f"This takes a filter of {number:,} conditions, and the collection allows "
                f"{self.conditions:,} (filter_max_conditions): raise the limit, or ask for less."
            )
        return filter

    def parts(self, request: models.QueryRequest) -> list[models.QueryRequest]:
        """The requests to send for one.

        Raises:
            QueryError: the collection does not allow exact search.
            FilterError: the filter has too many conditions.
        """
        if request.prefetch:
            return [request] if self._is_free else self._blend_parts(request)
        if self._is_free:
            if self.texts is None or request.filter is None:
                return [request]
            return [request.model_copy(update={"filter": self.filter(request.filter)})]
        change: dict[str, Any] = {
            "filter": self.filter(request.filter),
            "params": self._params(request.params),
        }
        limit, offset = request.limit or 0, request.offset or 0
        page = self.within_page(limit) or 1
        return [
            request.model_copy(
                update={**change, "offset": offset + start, "limit": min(page, limit - start)}
            )
            for start in range(0, max(1, limit), page)
        ]

    def _params(self, params: models.SearchParams | None) -> models.SearchParams | None:
        if params is None:
            return None
        if params.exact and not self.exact:
            raise QueryError(
                "The collection does not allow exact search (search_allow_exact): search without "
                "--exact, or allow it."
            )
        change: dict[str, Any] = {}
        if self.ef is not None and params.hnsw_ef is not None:
            change["hnsw_ef"] = min(params.hnsw_ef, self.ef)
        quantized = params.quantization
        if self.oversampling is not None and quantized and quantized.oversampling is not None:
            oversampling = min(quantized.oversampling, self.oversampling)
            change["quantization"] = quantized.model_copy(update={"oversampling": oversampling})
        return params.model_copy(update=change)

    def _blend_parts(self, request: models.QueryRequest) -> list[models.QueryRequest]:
        """A request for each part of the candidates, for all that the whole might return."""
        ids = _candidates(request)
        size = int(min(self.page or math.inf, self.values or math.inf, max(1, len(ids))))
        wanted = (request.limit or 0) + (request.offset or 0)
        stages = request.prefetch
        assert isinstance(stages, list)  # noqa: S101 -- for the type checker
        parts = []
        for start in range(0, max(1, len(ids)), size):
            part = ids[start : start + size]
            stage = {"limit": max(1, len(part))}
            if not self.exact:
                stage["params"] = _UNINDEXED  # type: ignore[assignment]
            change = {
                "prefetch": [one.model_copy(update=stage) for one in stages],
                "filter": models.Filter(must=[models.HasIdCondition(has_id=part)]),
                "limit": max(1, min(wanted, len(part))),
                "offset": 0,
            }
            parts.append(request.model_copy(update=change))
        return parts

    def joined(self, request: models.QueryRequest, answers: Sequence[Rows]) -> Rows:
        """The answer to a request, from those to its parts."""
        if self._is_free:
            return answers[0]
        rows = [row for answer in answers for row in answer]
        if not request.prefetch:
            return rows
        rows.sort(key=lambda row: -row.score)
        offset = request.offset or 0
        return rows[offset : offset + (request.limit or 0)]


def _candidates(request: models.QueryRequest) -> list[Any]:
    """The ids among which a blend ranks."""
    must = request.filter.must if request.filter else None
    assert isinstance(must, list)  # noqa: S101 -- for the type checker
    (condition,) = must
    assert isinstance(condition, models.HasIdCondition)  # noqa: S101 -- for the type checker
    return list(condition.has_id)


def _split_filter(filter: models.Filter, size: int) -> models.Filter:
    change = {
        clause: [_split(one, size) for one in conditions]
        for clause in ("must", "should", "must_not")
        if isinstance(conditions := getattr(filter, clause), list)
    }
    return filter.model_copy(update=change)


def _split(condition: Any, size: int) -> Any:
    """A condition whose list is too long, as one of which any part must hold."""
    match condition:
        case models.Filter():
            return _split_filter(condition, size)
        case models.NestedCondition(nested=nested):
            part = nested.model_copy(update={"filter": _split_filter(nested.filter, size)})
            return models.NestedCondition(nested=part)
        case models.HasIdCondition(has_id=list(values)) if len(values) > size:
            return models.Filter(
                should=[models.HasIdCondition(has_id=part) for part in _chunks(values, size)]
            )
        case models.FieldCondition(match=models.MatchAny(any=list(values))) if len(values) > size:
            return models.Filter(
                should=[
                    models.FieldCondition(key=condition.key, match=models.MatchAny(any=part))
                    for part in _chunks(values, size)
                ]
            )
    return condition


def _chunks(values: list[Any], size: int) -> list[list[Any]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _conditions(filter: models.Filter) -> int:
    """Number of conditions in a filter, at every level."""
    number = 0
    for clause in (filter.must, filter.should, filter.must_not):
        for one in clause if isinstance(clause, list) else []:
            match one:
                case models.Filter():
                    number += _conditions(one)
                case models.NestedCondition(nested=nested):
                    number += _conditions(nested.filter)
                case _:
                    number += 1
    return number
