"""Steps of a check that any process with the index open can take: neighbors, and comparisons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from lookalike.comparison.batch import Comparison
from lookalike.duplicates.check import SEMANTIC_NEIGHBORS, DuplicateSearch
from lookalike.duplicates.comparison_store import ContentPair
from lookalike.protocols import existing_points
from lookalike.system.point_ids import as_point_id
from lookalike.types import CandidateQuery, Filter, PointId, WeightedVector

NEIGHBORS = 10
"""Nearest semantic vectors that are proposed for each image, the first `SEMANTIC_NEIGHBORS` of them
at any distance, as for one image."""
QUERIES_PER_REQUEST = 64
"""Images whose nearest neighbors are queried in one request."""
PAIRS_PER_BATCH = 512
"""Pairs that are looked up and compared together."""

Done: TypeAlias = Callable[[int], None]
"""Called with the number of images or pairs of a step that are done."""


@dataclass(frozen=True, slots=True)
class NeighborStep:
    """Images to find the neighbors of.

    Attributes:
        ids: of the images.
        where: a filter that neighbors must match.
    """

    ids: Sequence[str]
    where: Filter | None

    def take(self, search: DuplicateSearch, done: Done) -> list[tuple[str, list[PointId]]]:
        """Returns the points that are proposed for each image that there still is."""
        found: list[tuple[str, list[PointId]]] = []
        for start in range(0, len(self.ids), QUERIES_PER_REQUEST):
            found += _neighbors(search, self.ids[start : start + QUERIES_PER_REQUEST], self.where)
            done(min(start + QUERIES_PER_REQUEST, len(self.ids)))
        return found


@dataclass(frozen=True, slots=True)
class ComparisonAnswer:
    """The answer to a `ComparisonStep`.

    Attributes:
        are_copies: for each pair whether it is one of copies.
        results: comparisons that the search has not stored itself.
        problems: reasons why originals could not be read, by address.
    """

    are_copies: list[bool]
    results: Mapping[ContentPair, Comparison | None]
    problems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ComparisonStep:
    """Pairs of ids to compare."""

    pairs: Sequence[tuple[str, str]]

    def take(self, search: DuplicateSearch, done: Done) -> ComparisonAnswer:
        """Compares the pairs; images that were deleted meanwhile are no copies."""
        are_copies: list[bool] = []
        for start in range(0, len(self.pairs), PAIRS_PER_BATCH):
            are_copies += _are_copies(search, self.pairs[start : start + PAIRS_PER_BATCH])
            search.comparer.save()
            done(len(are_copies))
        return ComparisonAnswer(
            are_copies, search.comparer.take_results(), search.comparer.problems
        )


Step: TypeAlias = NeighborStep | ComparisonStep

TakeSteps: TypeAlias = Callable[[Iterable[Any], Done], Iterator[Any]]
"""Takes steps, and returns the answers in their order."""


class CheckHandle(Protocol):
    """The part of `Index` that an executor needs in each of its processes."""

    def take_duplicate_step(self, step: Step) -> Any: ...


class CheckExecutor(Protocol):
    """Takes the steps of a check elsewhere, such as `ray.RayExecutor` on a cluster."""

    def start_check(self, opener: Callable[..., Any] | None) -> AbstractContextManager[TakeSteps]:
        """Gets ready to take steps.

        Args:
            opener: opens the index in another process; can be pickled; None if only one process
                may have the index open.

        Raises:
            LookalikeError: the executor cannot work on this index.
        """
        ...


def taken_here(search: DuplicateSearch) -> TakeSteps:
    """Takes steps in this process."""
    return lambda steps, done: (step.take(search, done) for step in steps)


def _neighbors(
    search: DuplicateSearch, ids: Sequence[str], where: Filter | None
) -> Iterator[tuple[str, list[PointId]]]:
    name, least = search.semantic, search.thresholds.proposed
    points = search.engine.retrieve(ids, payload=False, vectors=[name])
    targets = [WeightedVector(name, point.vectors[name], 1.0) for point in points]
    answers = search.engine.nearest(
        [CandidateQuery(target, where, NEIGHBORS + 1) for target in targets]
    )
    for point, candidates in zip(points, answers, strict=True):
        near = [
            as_point_id(id)
            for rank, (id, similarity) in enumerate(candidates)
            if rank <= SEMANTIC_NEIGHBORS or similarity >= least  # itself is first
        ]
        yield point.id, near


def _are_copies(search: DuplicateSearch, pairs: Sequence[tuple[str, str]]) -> list[bool]:
    ids = list(dict.fromkeys(id for pair in pairs for id in pair))
    payloads = {point.id: point.payload for point in existing_points(search.engine, ids)}
    existing = {
        at: (payloads[first], payloads[second])
        for at, (first, second) in enumerate(pairs)
        if first in payloads and second in payloads
    }
    results = search.comparer.start(list(existing.values()))
    answers = [False] * len(pairs)
    for at, result in zip(existing, results, strict=True):
        answers[at] = result.result() is not None
    return answers
