"""Evaluation of weights: quality of the first results, by a field or by judged pairs."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Protocol, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, QueryError
from lookalike.fields import Field
from lookalike.manifest import Manifest
from lookalike.options import Option, check
from lookalike.protocols import Engine
from lookalike.search.hits import Hits
from lookalike.search.judgments import (
    Judged,
    JudgedQuery,
    judge_by_field,
    judge_by_file,
    judge_by_values,
)
from lookalike.search.request import Where
from lookalike.search.weights import presets_of
from lookalike.system.display import Displayed
from lookalike.system.inputs import Id
from lookalike.types import Filter, Point

Table: TypeAlias = NDArray[np.float64]
"""Precision and nDCG by query."""
Weights: TypeAlias = Mapping[str, float] | str
SearchMany: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], list[Hits | LookalikeError]]

WORST = 12
"""Queries with the lowest quality that an evaluation names."""
FOLDS = 5
_STEPS = 5
"""Weights that are fitted are multiples of a fifth."""
_RESAMPLES = 1_000


class Searchable(Protocol):
    """Another index, to compare with."""

    def search_many(self, queries: Sequence[Mapping[str, Any]], /) -> list[Hits | LookalikeError]:
        """Runs searches; see `Index.search_many`."""
        ...

    def get_many(self, ids: Iterable[Id], /) -> list[Point]:
        """Returns images; see `Index.get_many`."""
        ...


class EvaluationOptions(TypedDict, total=False):
    """Options of `Index.evaluate`."""

    weights: Annotated[
        Sequence[Mapping[str, float] | str],
        Option(
            "Weights or presets to compare; by default each aspect alone, and every preset.", ()
        ),
    ]
    limit: Annotated[int, Option("Number of results that count, the k.", 10, least=1, most=1_000)]
    queries: Annotated[
        int, Option("Number of images to search by, drawn at random.", 200, least=2, most=100_000)
    ]
    where: Annotated[Where | None, Option("Filter; only matching images are searched, and by.")]
    fit: Annotated[
        bool,
        Option(
            "Also find the best weights in steps of a fifth; their quality is cross-validated.",
            False,
        ),
    ]
    judgments: Annotated[
        str | os.PathLike[str] | None,
        Option(
            "CSV, JSON Lines or Parquet file that tells relevant images, in place of a field: "
            "columns `query` and `id`, and `relevance`, 1 by default; repeated pairs add up, as "
            "clicks do."
        ),
    ]
    by_text: Annotated[
        bool,
        Option(
            "Search by text instead of by image: by the values of the field, or by the queries of "
            "the file. Words that the model does not know find nothing.",
            False,
        ),
    ]
    against: Annotated[Any, Option("Another open index of the same images, to compare with.")]
    save_preset: Annotated[str | None, Option("Name under which to store the fitted weights.")]
    replace: Annotated[bool, Option("Whether a preset of this name may be replaced.", False)]


@dataclass(frozen=True, slots=True)
class Quality:
    """A mean over queries, with its 95 % confidence interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Quality:
        """The mean of some values, and its interval by the bootstrap."""
        rng = np.random.default_rng(0)
        picks = rng.integers(0, len(values), (_RESAMPLES, len(values)))
        low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
        return cls(float(values.mean()), float(low), float(high))


@dataclass(frozen=True, slots=True)
class EvaluatedWeights:
    """The quality of one choice of weights.

    Attributes:
        name: the preset, or the weights in words.
        weights: by aspect, or the name of a preset; empty for those a search takes by itself.
        precision: share of the first k results that are relevant, or of as many as there are.
        ndcg: normalized discounted cumulative gain of the first k results.
        worst: ids, or texts, of the queries with the lowest nDCG, the lowest first.
        fitted: whether they were found by `fit`; their figures are then of queries that had no
            part in the choice.
        against: whether the other index was searched.
        difference: the nDCG less that of the best choice, over the same queries; None for the best.
    """

    name: str
    weights: Weights
    precision: Quality
    ndcg: Quality
    worst: tuple[str, ...]
    fitted: bool = False
    against: bool = False
    difference: Quality | None = None


@dataclass(frozen=True, slots=True)
class Evaluation(Displayed):
    """The quality of several choices of weights, over the same queries.

    Attributes:
        field: the field, or the file, that tells relevant images.
        limit: number of results that count.
        queries: number of images or texts that were searched by.
        results: one by choice, the best first.
        unknown: ids of a file that no image has, or none that passes the filter.
        by_text: whether the queries are texts.
    """

    field: str
    limit: int
    queries: int
    results: tuple[EvaluatedWeights, ...]
    unknown: int = 0
    by_text: bool = False

    @property
    def fitted(self) -> Mapping[str, float]:
        """The weights that were found by `fit`.

        Raises:
            QueryError: none were.
        """
        for result in self.results:
            if result.fitted and not isinstance(result.weights, str):
                return result.weights
        raise QueryError("No weights were fitted: add fit=True (--fit-weights).")


def evaluate(
    engine: Engine,
    manifest: Manifest,
    search_many: SearchMany,
    field: Field | None,
    where: Filter | None,
    options: Mapping[str, Any],
) -> Evaluation:
    """Measures weights; see `Index.evaluate`."""
    chosen = check(EvaluationOptions, options)
    if chosen["save_preset"] and not chosen["fit"]:
        raise QueryError("A preset stores fitted weights: add --fit-weights (in Python, fit=True).")
    by_text, limit, against = chosen["by_text"], chosen["limit"], chosen["against"]
    if by_text and chosen["fit"]:
        raise QueryError("Texts are searched by meaning, so there are no weights to fit.")
    name, judged = _judge(engine, field, where, chosen)
    queries = judged.queries
    if against is not None and not by_text:
        queries = _common(queries, against)
    run = _Run(search_many, queries, limit, chosen["where"])
    alone = [{aspect: 1.0} for aspect in manifest.aspects]
    several = list(chosen["weights"]) or [*alone, *presets_of(manifest)]
    if by_text and not chosen["weights"]:
        several = [{}]  # the aspects that the words are about
    measured = [run.measure(weights) for weights in several]
    if chosen["fit"]:
        measured.append(run.fit(list(manifest.aspects)))
    if against is not None:
        other = replace(run, search_many=against.search_many, against=True)
        measured += [other.measure(_spelled_out(one, manifest)) for one in several]
    return Evaluation(name, limit, len(queries), _ranked(measured), judged.unknown, by_text)


def _judge(
    engine: Engine, field: Field | None, where: Filter | None, chosen: Mapping[str, Any]
) -> tuple[str, Judged]:
    """The name of the field or file that judges results, and the queries.

    Raises:
        QueryError: neither a field nor a file is named, or both are.
    """
    file, by_text = chosen["judgments"], chosen["by_text"]
    options = where, chosen["limit"], chosen["queries"]
    if field is not None and file is None:
        judge = judge_by_values if by_text else judge_by_field
        return field.name, judge(engine, field, *options)
    if field is None and file is not None:
        return os.fspath(file), judge_by_file(engine, file, *options, by_text=by_text)
    raise QueryError("Results are judged by a field or by a file: name one of them.")


def _common(queries: Sequence[JudgedQuery], other: Searchable) -> list[JudgedQuery]:
    """The queries whose images another index has, too.

    Raises:
        QueryError: there are fewer than two.
    """
    known = {point.id for point in other.get_many([query.id for query in queries])}
    common = [query for query in queries if query.id in known]
    if len(common) < 2:
        raise QueryError("The indexes have too few images in common: compare two of one catalog.")
    return common


def _ranked(measured: Sequence[tuple[EvaluatedWeights, Table]]) -> tuple[EvaluatedWeights, ...]:
    """The results, the best first, each with its difference from the best."""
    (best, ideal), *others = sorted(measured, key=lambda one: -one[0].ndcg.mean)
    return best, *(
        replace(result, difference=Quality.of(table[:, 1] - ideal[:, 1]))
        for result, table in others
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """Searches by the same images with different weights."""

    search_many: SearchMany
    queries: Sequence[JudgedQuery]
    limit: int
    where: Where | None
    against: bool = False

    def measure(self, weights: Weights) -> tuple[EvaluatedWeights, Table]:
        table = self._qualities(weights)
        return self._result(weights, table), table

    def fit(self, aspects: Sequence[str]) -> tuple[EvaluatedWeights, Table]:
        """The best weights of a grid; each query's figures are of the weights that are best for the
        queries of the other folds."""
        grid = list(_grid(aspects))
        table = np.array([self._qualities(weights) for weights in grid])
        fold = np.arange(len(self.queries)) % min(FOLDS, len(self.queries))
        held_out = np.zeros((len(self.queries), 2))
        for i in range(fold.max() + 1):
            best = int(table[:, fold != i, 1].mean(axis=1).argmax())
            held_out[fold == i] = table[best, fold == i]
        best_of_all = grid[int(table[:, :, 1].mean(axis=1).argmax())]
        return self._result(best_of_all, held_out, fitted=True), held_out

    def _qualities(self, weights: Weights) -> Table:
        """(n, 2): precision and nDCG by query."""
        requests = [
            {
                "text" if query.is_text else "id": query.id,
                "limit": self.limit,
                "weights": weights or None,
                "where": self.where,
            }
            for query in self.queries
        ]
        rows = []
        answers = self.search_many(requests)
        none_found = all(isinstance(answer, LookalikeError) for answer in answers)
        for query, answer in zip(self.queries, answers, strict=True):
            if not isinstance(answer, LookalikeError):
                rows.append(query.quality(answer))
            elif isinstance(answer, QueryError) and query.is_text and not none_found:
                rows.append((0.0, 0.0))  # the model does not know these words
            else:
                raise answer
        return np.array(rows)

    def _result(
        self, weights: Weights, qualities: Table, *, fitted: bool = False
    ) -> EvaluatedWeights:
        order = np.argsort(qualities[:, 1], kind="stable")[:WORST]
        return EvaluatedWeights(
            _name(weights),
            weights,
            Quality.of(qualities[:, 0]),
            Quality.of(qualities[:, 1]),
            tuple(self.queries[i].id for i in order),
            fitted,
            self.against,
        )


def _grid(aspects: Sequence[str]) -> Iterator[dict[str, float]]:
    """All weights in steps of a fifth that add up to 1."""
    for shares in itertools.product(range(_STEPS + 1), repeat=len(aspects)):
        if sum(shares) == _STEPS:
            named = zip(aspects, shares, strict=True)
            yield {aspect: share / _STEPS for aspect, share in named if share}


def _spelled_out(weights: Weights, manifest: Manifest) -> Weights:
    """Weights for another index, which lacks the presets of this one."""
    return manifest.presets.get(weights, weights) if isinstance(weights, str) else weights


def _name(weights: Weights) -> str:
    if isinstance(weights, str):
        return weights
    if not weights:
        return "default"
    return ",".join(f"{aspect}={weight:g}" for aspect, weight in weights.items())
