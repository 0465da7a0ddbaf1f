"""The results of two models side by side, and their figures."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.search.evaluation import Quality
from lookalike.search.shadow_queries import Kind
from lookalike.system.display import Displayed
from lookalike.types import Payload, VectorSpec


@dataclass(frozen=True, slots=True)
class ComparedModel:
    """The figures of one of two models.

    Attributes:
        spec: its vector.
        p50, p95: quantiles of the milliseconds that the engine takes for a search. They leave out
            the time to describe a picture or a text.
    """

    spec: VectorSpec
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class LabelPrecision:
    """The share of the first k results that have a value of the query's in a field.

    Attributes:
        field: name of the field.
        queries: number of queries with a value of it.
        old, new: the share by either model.
        difference: that of the new model less that of the old one, over the same queries.
    """

    field: str
    queries: int
    old: Quality
    new: Quality
    difference: Quality


@dataclass(frozen=True, slots=True)
class Agreement:
    """The agreement of two models on some queries.

    Attributes:
        kind: origin of the queries.
        queries: their number.
        overlap: share of the first k results that both models find.
        rank_overlap: rank-biased overlap of these results, from 0 to 1; higher ranks count more.
    """

    kind: Kind
    queries: int
    overlap: Quality
    rank_overlap: Quality


@dataclass(frozen=True, slots=True)
class Neighbor:
    """A result: the image's id, its similarity to the query, its payload."""

    id: str
    score: float
    payload: Payload


@dataclass(frozen=True, slots=True)
class ComparedQuery:
    """The results of one query by both models.

    Attributes:
        kind: its origin.
        value: the id of the image, or the text.
        payload: that of the image; empty for a text.
        overlap, rank_overlap: see `Agreement`.
        old, new: the results, the best first.
    """

    kind: Kind
    value: str
    payload: Payload
    overlap: float
    rank_overlap: float
    old: tuple[Neighbor, ...]
    new: tuple[Neighbor, ...]

    @property
    def shared(self) -> frozenset[str]:
        """Ids that both models find."""
        return frozenset(hit.id for hit in self.old) & frozenset(hit.id for hit in self.new)


@dataclass(frozen=True, slots=True)
class ModelComparison(Displayed):
    """The results of two models for the same queries.

    Attributes:
        old, new: the figures of each.
        limit: number of results that count, the k.
        overlap: share of the first k results that both models find, over all queries. A better
            model disagrees, too.
        rank_overlap: rank-biased overlap of these results, from 0 to 1; higher ranks count more.
        agreement: both by origin of the queries.
        shared: number of queries by the number of results that both models find, from 0 to k.
        precision: label precision of both; None if no field can tell it.
        pairs: results side by side, of the queries with the least overlap, the least first.
        notes: sentences on what was left out.
    """

    old: ComparedModel
    new: ComparedModel
    limit: int
    overlap: Quality
    rank_overlap: Quality
    agreement: tuple[Agreement, ...]
    shared: tuple[int, ...]
    precision: LabelPrecision | None
    pairs: tuple[ComparedQuery, ...]
    notes: tuple[str, ...]

    @property
    def queries(self) -> int:
        """Number of queries."""
        return sum(self.shared)
