"""Evaluation of weights: how many of the first results share a value of a field with the query."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError, QueryError
from lookalike.fields import Field
from lookalike.manifest import Manifest
from lookalike.options import Option, check
from lookalike.protocols import Engine
from lookalike.search.request import Where
from lookalike.search.weights import presets_of
from lookalike.types import AnyOfValues, FieldType, Filter, Hits, Payload, Point, join

Weights: TypeAlias = Mapping[str, float] | str
SearchMany: TypeAlias = Callable[[Sequence[Mapping[str, Any]]], list[Hits | LookalikeError]]

WORST = 12
"""Queries with the lowest quality that an evaluation names."""
FOLDS = 5
_STEPS = 5
"""Weights that are fitted are multiples of a fifth."""
_RESAMPLES = 1_000
_TYPES = (FieldType.KEYWORD, FieldType.KEYWORDS, FieldType.INTEGER, FieldType.BOOLEAN)


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
        weights: by aspect, or the name of a preset.
        precision: share of the first k results that are relevant, or of as many as there are.
        ndcg: normalized discounted cumulative gain of the first k results.
        worst: ids of the queries with the lowest nDCG, the lowest first.
        fitted: whether they were found by `fit`; their figures are then of queries that had no
            part in the choice.
    """

    name: str
    weights: Weights
    precision: Quality
    ndcg: Quality
    worst: tuple[str, ...]
    fitted: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The quality of several choices of weights, over the same queries.

    Attributes:
        field: the field whose values tell relevant images.
        limit: number of results that count.
        queries: number of images that were searched by.
        results: one by choice, the best first.
    """

    field: str
    limit: int
    queries: int
    results: tuple[EvaluatedWeights, ...]

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
    field: Field,
    where: Filter | None,
    options: Mapping[str, Any],
) -> Evaluation:
    """Measures weights; see `Index.evaluate`."""
    chosen = check(EvaluationOptions, options)
    if chosen["save_preset"] and not chosen["fit"]:
        raise QueryError("A preset stores fitted weights: add --fit-weights (in Python, fit=True).")
    if field.type not in _TYPES:
        raise QueryError(f"{field.name} holds no labels: name a field of texts or whole numbers.")
    judged = _Judge(engine, field, where, chosen["limit"])
    queries = judged.draw(chosen["queries"])
    run = _Run(search_many, judged, queries, chosen["limit"], chosen["where"])
    several = list(chosen["weights"]) or [
        *({one: 1.0} for one in manifest.aspects),
        *presets_of(manifest),
    ]
    results = [run.measure(weights) for weights in several]
    if chosen["fit"]:
        results.append(run.fit(list(manifest.aspects)))
    results.sort(key=lambda one: -one.ndcg.mean)
    return Evaluation(field.name, chosen["limit"], len(queries), tuple(results))


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges results by the values of a field."""

    engine: Engine
    field: Field
    where: Filter | None
    limit: int

    def draw(self, number: int) -> list[tuple[Point, int]]:
        """Images to search by, each with the number of relevant others, at least one.

        Raises:
            QueryError: no two images share a value.
        """
        rng = np.random.default_rng(0)
        points = [p for batch in self.engine.scroll(self.where) for p in batch]
        labeled = [point for point in points if self.labels(point.payload)]
        counts: dict[tuple[Any, ...], int] = {}
        drawn: list[tuple[Point, int]] = []
        for i in rng.permutation(len(labeled)):
            labels = tuple(sorted(self.labels(labeled[i].payload), key=str))
            if labels not in counts:
                match = AnyOfValues(self.field.path, labels)
                counts[labels] = self.engine.count(join(self.where, match)) - 1
            if counts[labels] > 0:
                drawn.append((labeled[i], counts[labels]))
            if len(drawn) == number:
                break
        if len(drawn) < 2:
            raise QueryError(f"Too few images share a value of {self.field.name} to search by.")
        return drawn

    def labels(self, payload: Payload) -> set[Any]:
        value = payload.get(self.field.name)
        return set(value) if isinstance(value, list) else set() if value is None else {value}

    def quality(self, query: Point, others: int, hits: Hits) -> tuple[float, float]:
        """Precision and nDCG of the results of a query."""
        wanted = self.labels(query.payload)
        relevant = np.array([bool(wanted & self.labels(hit.payload)) for hit in hits], float)
        best = min(self.limit, others)
        gains = 1 / np.log2(np.arange(2, self.limit + 2))
        return (
            float(min(1.0, relevant.sum() / best)),
            float((relevant * gains[: len(relevant)]).sum() / gains[:best].sum()),
        )


@dataclass(frozen=True, slots=True)
class _Run:
    """Searches by the same images with different weights."""

    search_many: SearchMany
    judge: _Judge
    queries: Sequence[tuple[Point, int]]
    limit: int
    where: Where | None

    def measure(self, weights: Weights) -> EvaluatedWeights:
        return self._result(weights, self._qualities(weights))

    def fit(self, aspects: Sequence[str]) -> EvaluatedWeights:
        """The best weights of a grid; each query's figures are of the weights that are best for the
        queries of the other folds."""
        grid = list(_grid(aspects))
        table = np.array([self._qualities(weights) for weights in grid])
        fold = np.arange(len(self.queries)) % min(FOLDS, len(self.queries))
        held_out = np.zeros((len(self.queries), 2))
        for i in range(fold.max() + 1):
            best = int(table[:, fold != i, 1].mean(axis=1).argmax())
            held_out[fold == i] = table[best, fold == i]
        return self._result(grid[int(table[:, :, 1].mean(axis=1).argmax())], held_out, fitted=True)

    def _qualities(self, weights: Weights) -> NDArray[np.float64]:
        """(n, 2): precision and nDCG by query."""
        requests = [
            {"id": query.id, "limit": self.limit, "weights": weights, "where": self.where}
            for query, _ in self.queries
        ]
        rows = []
        for (query, others), answer in zip(self.queries, self.search_many(requests), strict=True):
            if isinstance(answer, LookalikeError):
                raise answer
            rows.append(self.judge.quality(query, others, answer))
        return np.array(rows)

    def _result(
        self, weights: Weights, qualities: NDArray[np.float64], *, fitted: bool = False
    ) -> EvaluatedWeights:
        order = np.argsort(qualities[:, 1], kind="stable")[:WORST]
        return EvaluatedWeights(
            _name(weights),
            weights,
            Quality.of(qualities[:, 0]),
            Quality.of(qualities[:, 1]),
            tuple(self.queries[i][0].id for i in order),
            fitted,
        )


def _grid(aspects: Sequence[str]) -> Iterator[dict[str, float]]:
    """All weights in steps of a fifth that add up to 1."""
    for shares in itertools.product(range(_STEPS + 1), repeat=len(aspects)):
        if sum(shares) == _STEPS:
            named = zip(aspects, shares, strict=True)
            yield {aspect: share / _STEPS for aspect, share in named if share}


def _name(weights: Weights) -> str:
    if isinstance(weights, str):
        return weights
    return ",".join(f"{aspect}={weight:g}" for aspect, weight in weights.items())
