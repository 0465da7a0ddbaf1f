"""Shadow queries: the same searches by the vectors of two models, before one replaces the other.

Both vectors are in the index. The results of the new one are seen only in the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Annotated, Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.fields import Field
from lookalike.filters.parser import require_field
from lookalike.manifest import Manifest
from lookalike.options import Option, check
from lookalike.protocols import Descriptors, Engine
from lookalike.search.evaluation import Quality
from lookalike.search.judgments import require_labels
from lookalike.search.label_precision import choose_field, label_shares
from lookalike.search.model_comparison import (
    Agreement,
    ComparedModel,
    ComparedQuery,
    LabelPrecision,
    ModelComparison,
    Neighbor,
)
from lookalike.search.query_log import LoggedQuery
from lookalike.search.rank_agreement import overlap, rank_biased_overlap, shared
from lookalike.search.shadow_queries import (
    KINDS,
    ShadowQuery,
    logged_images,
    logged_texts,
    stored_images,
)
from lookalike.system.iteration import batched
from lookalike.types import (
    FieldType,
    Payload,
    Query,
    Scored,
    VectorSpec,
    WeightedVector,
)

SIDE_BY_SIDE = 20
"""Queries whose results are listed."""
_BATCH = 100
"""Queries of one request to the engine where time is not measured."""
_TIMINGS = 3
"""Timed searches by each query and vector, of which the shortest counts: whatever else the machine
does delays some of them, and says nothing about a model. On a busy machine, 12 comparisons of equal
vectors gave ratios of the p95 from 0.17 to 1.61 with one, and from 0.96 to 1.05 with three."""


class ShadowOptions(TypedDict, total=False):
    """Options of a comparison of two models."""

    queries: Annotated[
        int, Option("Number of stored images to search by.", 200, least=2, most=10_000)
    ]
    limit: Annotated[int, Option("Number of results that count, the k.", 10, least=1, most=100)]
    by: Annotated[
        str | None,
        Option(
            "Field whose values judge results, such as a category; by default, the field of short "
            "texts that neighbors share most beyond chance."
        ),
    ]


# --- comparison -----------------------------------------------------------------------------


def compare_models(
    engine: Engine,
    manifest: Manifest,
    old: VectorSpec,
    new: VectorSpec,
    options: Mapping[str, Any],
    *,
    models: Descriptors | None = None,
    logged: Sequence[LoggedQuery] = (),
) -> ModelComparison:
    """Searches by two vectors of the same images, and compares what is found and how fast.

    The queries are stored images, the first by point id: an id is a hash, so they are a random
    sample that stays. An image does not count as a result of its own.

    Args:
        engine: holds the points, each with both vectors.
        manifest: names the fields.
        old, new: the two vectors.
        options: see `ShadowOptions`.
        models: descriptors of both vectors, for logged texts.
        logged: real queries to search by as well.

    Raises:
        QueryError: fewer than two images have both vectors, or the field does not judge results.
    """
    chosen = check(ShadowOptions, options)
    sources = (
        stored_images(engine, old, new, chosen["queries"]),
        logged_images(engine, old, new, logged),
        logged_texts(models, old, new, logged),
    )
    queries = [query for source in sources for query in source.queries]
    if len(sources[0].queries) < 2:
        raise QueryError(
            f"Fewer than two images have vectors of both {old.model} and {new.model}, so there is "
            "nothing to compare: index images first."
        )
    run = _Run(engine, (old, new), chosen["limit"], _judging_fields(manifest, chosen["by"]))
    results = [result for batch in batched(queries, _BATCH) for result in run.search(batch)]
    precision = _label_precision(run.fields, results, chosen["by"])
    milliseconds = run.milliseconds(queries)
    notes = [note for source in sources for note in source.notes]
    return _comparison(run, results, precision, milliseconds, notes)


@dataclass(frozen=True, slots=True)
class _Result:
    """What two models find by one query.

    Attributes:
        query: the query.
        rows: (id, similarity) of the results of each, the best first.
        shares: (f, 2): label precision by field and model; NaN where the query has no value.
    """

    query: ShadowQuery
    rows: tuple[Sequence[tuple[str, float]], Sequence[tuple[str, float]]]
    shares: NDArray[np.float64]

    @property
    def ids(self) -> tuple[list[str], list[str]]:
        old, new = self.rows
        return [id for id, _ in old], [id for id, _ in new]


@dataclass(frozen=True, slots=True)
class _Run:
    """Searches by two vectors.

    Attributes:
        engine: is searched.
        specs: the old and the new vector.
        limit: number of results.
        fields: the fields that may judge them.
    """

    engine: Engine
    specs: tuple[VectorSpec, VectorSpec]
    limit: int
    fields: Sequence[Field]

    def search(self, queries: Sequence[ShadowQuery]) -> list[_Result]:
        requests = [request for query in queries for request in self._requests(query)]
        answers = self.engine.query(requests)
        return [self._result(query, *answers[2 * i : 2 * i + 2]) for i, query in enumerate(queries)]

    def milliseconds(self, queries: Sequence[ShadowQuery]) -> NDArray[np.float64]:
        """(n, 2): time of a search by query and model.

        The two take turns, so that whatever else the machine does delays both alike. The engine has
        answered each query before.
        """
        times = np.full((len(queries), 2), np.inf)
        for turn in range(_TIMINGS):
            for i, query in enumerate(queries):
                requests = self._requests(query)
                for model in (0, 1) if (i + turn) % 2 == 0 else (1, 0):
                    start = perf_counter()
                    self.engine.query([requests[model]])
                    times[i, model] = min(times[i, model], 1000 * (perf_counter() - start))
        return times

    def _requests(self, query: ShadowQuery) -> list[Query]:
        """The searches by a query: one result more than counts, as it may be the image itself."""
        return [
            Query((WeightedVector(spec.name, vector, 1.0, spec.distance),), limit=self.limit + 1)
            for spec, vector in zip(self.specs, query.vectors, strict=True)
        ]

    def _result(self, query: ShadowQuery, old: Sequence[Scored], new: Sequence[Scored]) -> _Result:
        itself = None if query.kind == "logged texts" else query.value
        both = [[row for row in rows if row.id != itself][: self.limit] for rows in (old, new)]
        shares = [
            label_shares(self.fields, query.payload, [row.payload for row in rows]) for rows in both
        ]
        before, after = ([(row.id, row.score) for row in rows] for rows in both)
        return _Result(query, (before, after), np.stack(shares, axis=1))


# --- label precision ------------------------------------------------------------------------


def _judging_fields(manifest: Manifest, name: str | None) -> list[Field]:
    """The field of this name, or all that may be chosen.

    Raises:
        QueryError: there is no such field, or its values are not labels.
    """
    fields = {name: manifest.all_fields[name] for name in manifest.fields}
    if name is not None:
        field = require_field(name, fields)
        require_labels(field)
        return [field]
    return [f for f in fields.values() if f.type in (FieldType.KEYWORD, FieldType.KEYWORDS)]


def _label_precision(
    fields: Sequence[Field], results: Sequence[_Result], by: str | None
) -> LabelPrecision | None:
    """The precision by the field that was asked for, or by the one that judges best.

    Raises:
        QueryError: no query has a value of the field that was asked for.
    """
    images = [one for one in results if one.query.kind != "logged texts"]
    shares = np.array([one.shares for one in images])
    payloads: list[Payload] = [one.query.payload for one in images]
    best = 0 if by is not None else choose_field(fields, payloads, shares)
    if best is None:
        return None
    labeled = shares[~np.isnan(shares[:, best, 0]), best]
    if not len(labeled):
        raise QueryError(f"None of the images searched by has a value of {by}: name another field.")
    old, new = labeled.T
    return LabelPrecision(
        fields[best].name, len(labeled), Quality.of(old), Quality.of(new), Quality.of(new - old)
    )


# --- figures --------------------------------------------------------------------------------


def _comparison(
    run: _Run,
    results: Sequence[_Result],
    precision: LabelPrecision | None,
    milliseconds: NDArray[np.float64],
    notes: Sequence[str],
) -> ModelComparison:
    kinds = np.array([one.query.kind for one in results])
    overlaps = np.array([overlap(*one.ids) for one in results])
    ranks = np.array([rank_biased_overlap(*one.ids, run.limit) for one in results])
    old, new = (
        ComparedModel(spec, *map(float, np.percentile(spent, [50, 95])))
        for spec, spent in zip(run.specs, milliseconds.T, strict=True)
    )
    by_kind = ((kind, kinds == kind) for kind in KINDS)
    worst = np.lexsort((ranks, overlaps))[:SIDE_BY_SIDE]
    return ModelComparison(
        old,
        new,
        run.limit,
        Quality.of(overlaps),
        Quality.of(ranks),
        tuple(
            Agreement(kind, int(part.sum()), Quality.of(overlaps[part]), Quality.of(ranks[part]))
            for kind, part in by_kind
            if part.any()
        ),
        tuple(np.bincount([shared(*one.ids) for one in results], minlength=run.limit + 1).tolist()),
        precision,
        _side_by_side(run.engine, [(results[i], overlaps[i], ranks[i]) for i in worst]),
        tuple(notes),
    )


def _side_by_side(
    engine: Engine, chosen: Sequence[tuple[_Result, float, float]]
) -> tuple[ComparedQuery, ...]:
    """Results with the payloads of their images."""
    ids = {id for result, _, _ in chosen for rows in result.ids for id in rows}
    payloads = {point.id: point.payload for point in engine.retrieve(sorted(ids))}
    pairs = []
    for result, part, rank in chosen:
        query = result.query
        old, new = (
            tuple(Neighbor(id, score, payloads.get(id, {})) for id, score in rows)
            for rows in result.rows
        )
        one = ComparedQuery(
            query.kind, query.value, query.payload, float(part), float(rank), old, new
        )
        pairs.append(one)
    return tuple(pairs)
