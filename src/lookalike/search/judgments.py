"""Judgments of results: by the values of a field, or by a file of judged pairs or clicks."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import MetadataError, QueryError
from lookalike.fields import Field
from lookalike.metadata.readers import MetadataWarning, encoding_error, reader_for
from lookalike.protocols import Engine
from lookalike.search.hits import Hits
from lookalike.types import AnyOfValues, FieldType, Filter, Payload, join

QUERY, RESULT, RELEVANCE = "query", "id", "relevance"
"""Columns of a file of judgments."""

MOST_VALUES = 100_000
"""Distinct values of a field that are searched by as texts."""

LABEL_TYPES = (FieldType.KEYWORD, FieldType.KEYWORDS, FieldType.INTEGER, FieldType.BOOLEAN)
"""Types of fields whose values are labels: equal for images of one kind."""


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """An image or a text to search by, and the relevance of its results.

    Attributes:
        id: the image, or the text.
        best: relevance of the best results that there could be, the greatest first.
        relevance: returns that of some results, 0 for irrelevant ones.
    """

    id: str
    best: NDArray[np.float64]
    relevance: Callable[[Hits], NDArray[np.float64]]
    is_text: bool = False

    def quality(self, hits: Hits) -> tuple[float, float]:
        """Precision and nDCG of results."""
        found = self.relevance(hits)
        discounts = 1 / np.log2(np.arange(2, max(len(found), len(self.best)) + 2))
        ideal = float((self.best * discounts[: len(self.best)]).sum())
        return (
            float(min(1.0, (found > 0).sum() / len(self.best))),
            float((found * discounts[: len(found)]).sum() / ideal),
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """The queries of an evaluation.

    Attributes:
        queries: at least two.
        unknown: ids of a file that no image has, or none that passes the filter.
    """

    queries: Sequence[JudgedQuery]
    unknown: int = 0


# --- by a field -----------------------------------------------------------------------------


def judge_by_field(
    engine: Engine, field: Field, where: Filter | None, limit: int, number: int
) -> Judged:
    """Draws images that share a value of a field with another one.

    Raises:
        QueryError: the field holds no labels, or no two images share a value.
    """
    require_labels(field)
    points = [p for batch in engine.scroll(where) for p in batch]
    labeled = [point for point in points if labels_of(field, point.payload)]
    counts: dict[tuple[Any, ...], int] = {}
    drawn: list[JudgedQuery] = []
    for i in np.random.default_rng(0).permutation(len(labeled)):
        labels = labels_of(field, labeled[i].payload)
        key = tuple(sorted(labels, key=str))
        if key not in counts:
            counts[key] = engine.count(join(where, AnyOfValues(field.path, key))) - 1
        if counts[key] > 0:
            best = np.ones(min(limit, counts[key]))
            drawn.append(JudgedQuery(labeled[i].id, best, _shares(field, labels)))
        if len(drawn) == number:
            break
    if len(drawn) < 2:
        raise QueryError(f"Too few images share a value of {field.name} to search by.")
    return Judged(drawn)


def judge_by_values(
    engine: Engine, field: Field, where: Filter | None, limit: int, number: int
) -> Judged:
    """Takes the values of a field as texts to search by; beyond `number` they are drawn at random.

    Raises:
        QueryError: the field holds no short texts, or fewer than two.
    """
    if field.type not in (FieldType.KEYWORD, FieldType.KEYWORDS):
        raise QueryError(f"{field.name} holds no words to search by: name a field of short texts.")
    values = sorted(engine.facet(field.path, where, MOST_VALUES), key=str)
    if len(values) < 2:
        raise QueryError(f"{field.name} has too few values to search by: at least 2 are needed.")
    picked = sorted(np.random.default_rng(0).permutation(len(values))[:number])
    queries = [
        JudgedQuery(str(value), np.ones(min(limit, count)), _shares(field, {value}), is_text=True)
        for value, count in (values[i] for i in picked)
    ]
    return Judged(queries)


def require_labels(field: Field) -> None:
    """Raises QueryError for a field whose values are not labels."""
    if field.type not in LABEL_TYPES:
        raise QueryError(f"{field.name} holds no labels: name a field of texts or whole numbers.")


def labels_of(field: Field, payload: Payload) -> set[Any]:
    """The values of a field of labels; empty without one."""
    value = payload.get(field.name)
    return set(value) if isinstance(value, list) else set() if value is None else {value}


def _shares(field: Field, labels: set[Any]) -> Callable[[Hits], NDArray[np.float64]]:
    def relevance(hits: Hits) -> NDArray[np.float64]:
        return np.array([bool(labels & labels_of(field, hit.payload)) for hit in hits], float)

    return relevance


# --- by a file ------------------------------------------------------------------------------


def judge_by_file(
    engine: Engine,
    file: str | os.PathLike[str],
    where: Filter | None,
    limit: int,
    number: int,
    *,
    by_text: bool = False,
) -> Judged:
    """Reads the relevance of results from a file; queries beyond `number` are drawn at random.

    With `by_text`, the queries are texts instead of images.

    Raises:
        MetadataError: the file cannot be used as it is.
        QueryError: fewer than two of its queries have a relevant image.
    """
    pairs = _read(Path(file))
    images = () if by_text else pairs
    ids = sorted({*images, *(id for judged in pairs.values() for id in judged)})
    known = _present(engine, ids, where)
    queries = []
    for query, judged in pairs.items():
        relevance = {
            id: one for id, one in judged.items() if one > 0 and id in known and id != query
        }
        if (by_text or query in known) and relevance:
            best = np.array(sorted(relevance.values(), reverse=True)[:limit])
            queries.append(JudgedQuery(query, best, _looked_up(relevance), by_text))
    if len(queries) < 2:
        raise QueryError(
            f"Too few queries of {file} have a relevant image in this index ({len(queries)} of "
            f"{len(pairs)}): give at least 2."
        )
    if len(queries) > number:
        picked = np.random.default_rng(0).permutation(len(queries))[:number]
        queries = [queries[i] for i in picked]
    return Judged(queries, len(ids) - len(known))


def _present(engine: Engine, ids: Sequence[str], where: Filter | None) -> set[str]:
    """Those of the ids whose images exist and pass a filter."""
    if where is None:
        return {point.id for point in engine.retrieve(ids, payload=False)}
    wanted = set(ids)
    points = (point for batch in engine.scroll(where, payload=False) for point in batch)
    return {point.id for point in points if point.id in wanted}


def _looked_up(relevance: Mapping[str, float]) -> Callable[[Hits], NDArray[np.float64]]:
    return lambda hits: np.array([relevance.get(hit.id, 0.0) for hit in hits], float)


def _read(path: Path) -> dict[str, dict[str, float]]:
    """The relevance by query and result; that of repeated pairs adds up, as clicks do."""
    pairs: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for line, cells in _rows(path):
        missing = [name for name in (QUERY, RESULT) if cells.get(name) in (None, "")]
        if missing:
            raise MetadataError(
                f"{path}, line {line}: there is no value in the column {missing[0]!r}; a file of "
                f"judgments has the columns {QUERY}, {RESULT}, and if you like {RELEVANCE}."
            )
        pairs[str(cells[QUERY])][str(cells[RESULT])] += _number(path, line, cells.get(RELEVANCE))
    if not pairs:
        raise MetadataError(f"{path} has no rows: give judged pairs of {QUERY} and {RESULT}.")
    return pairs


def _number(path: Path, line: int, value: Any) -> float:
    """The relevance in a cell; 1 for an empty one."""
    try:
        number = 1.0 if value in (None, "") else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number <= 1e9:
        raise MetadataError(
            f"{path}, line {line}: the relevance {value!r:.80} is not a number from 0 to 1e9."
        )
    return number


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        for entry in reader_for(path).rows(path, None):
            if isinstance(entry, MetadataWarning):
                raise MetadataError(f"{path}: {entry}.")
            yield entry
    except OSError as error:
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise encoding_error(path, None) from error
