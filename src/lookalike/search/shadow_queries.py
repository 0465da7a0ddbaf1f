"""The queries by which two models are compared: stored images, and those of the query log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeAlias, get_args

from lookalike.errors import LookalikeError, QueryError
from lookalike.protocols import DescribesText, Descriptors, Engine
from lookalike.search.query_log import LoggedQuery
from lookalike.system.text import count
from lookalike.types import Payload, Point, Vector, VectorSpec

Kind: TypeAlias = Literal["stored images", "logged images", "logged texts"]
"""Origin of a query."""
KINDS: Sequence[Kind] = get_args(Kind)

_MOST_BATCHES = 10
"""Batches of stored images among which those with both vectors are looked for."""


@dataclass(frozen=True, slots=True)
class ShadowQuery:
    """A query for two models.

    Attributes:
        kind: its origin.
        value: the id of the image, or the text.
        vectors: the targets of the old and the new model.
        payload: that of the image; empty for a text.
    """

    kind: Kind
    value: str
    vectors: tuple[Vector, Vector]
    payload: Payload


@dataclass(frozen=True, slots=True)
class Gathered:
    """Queries, and sentences on those that were left out."""

    queries: Sequence[ShadowQuery]
    notes: Sequence[str] = ()


def stored_images(engine: Engine, old: VectorSpec, new: VectorSpec, number: int) -> Gathered:
    """The first images by point id that have both vectors."""
    names = [old.name, new.name]
    queries: list[ShadowQuery] = []
    without = 0
    for batch in islice(engine.scroll(vectors=names, batch=number), _MOST_BATCHES):
        found = _with_both("stored images", batch, old, new)
        without += len(batch) - len(found)
        queries += found
        if len(queries) >= number:
            break
    note = f"{count(without, 'sampled image')} without one of the vectors left out."
    return Gathered(queries[:number], [note] * bool(without))


def logged_images(
    engine: Engine, old: VectorSpec, new: VectorSpec, logged: Sequence[LoggedQuery]
) -> Gathered:
    """The images that were searched by, as far as they are still there with both vectors."""
    ids = list(dict.fromkeys(one.value for one in logged if not one.is_text))
    points = engine.retrieve(ids, vectors=[old.name, new.name]) if ids else []
    points.sort(key=lambda point: ids.index(point.id))
    queries = _with_both("logged images", points, old, new)
    gone = len(ids) - len(queries)
    note = f"{count(gone, 'logged image')} left out: deleted since, or without one of the vectors."
    return Gathered(queries, [note] * bool(gone))


def logged_texts(
    models: Descriptors | None, old: VectorSpec, new: VectorSpec, logged: Sequence[LoggedQuery]
) -> Gathered:
    """The texts that were searched by, if both models support texts, and these words."""
    texts = list(dict.fromkeys(one.value for one in logged if one.is_text))
    if not texts:
        return Gathered([])
    left_out = f"{count(len(texts), 'logged text')} left out"
    if models is None:
        return Gathered([], [f"{left_out}: only images are compared here."])
    describers = []
    for spec in (old, new):
        try:
            descriptor = models.descriptor(spec.name)
        except LookalikeError as error:
            return Gathered([], [f"{left_out}: {error}"])
        if not isinstance(descriptor, DescribesText):
            return Gathered([], [f"{left_out}: {spec.model} does not support text."])
        describers.append(descriptor)
    queries: list[ShadowQuery] = []
    problem = ""
    for text in texts:
        try:
            before, after = (describer.describe_text([text])[0] for describer in describers)
        except QueryError as error:  # a model that knows only certain words
            problem = str(error)
            continue
        queries.append(ShadowQuery("logged texts", text, (before, after), {}))
    unknown = len(texts) - len(queries)
    note = f"{count(unknown, 'logged text')} left out: {problem}"
    return Gathered(queries, [note] * bool(unknown))


def _with_both(
    kind: Kind, points: Sequence[Point], old: VectorSpec, new: VectorSpec
) -> list[ShadowQuery]:
    """Queries by the images that have both vectors."""
    return [
        ShadowQuery(kind, p.id, (p.vectors[old.name], p.vectors[new.name]), p.payload)
        for p in points
        if old.name in p.vectors and new.name in p.vectors
    ]
