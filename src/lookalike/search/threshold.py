"""Weights, and a weighted sum into the right answer. Pure but for the asking.

The score of a point is the weighted sum of its similarities, and the answer is the top of that
sum over all points that pass. Fagin's threshold algorithm finds it (Fagin, Lotem and Naor,
"Optimal aggregation algorithms for middleware", 2003): each target proposes its nearest
candidates; the last similarity of each list bounds those of all points below it, so that every
candidate has an upper bound for its sum, and so have the points that nobody proposed. The
candidates with the highest bounds are compared exactly, until no bound exceeds the last row of
the answer; where the bound of the unseen points does, the target proposes more whose list falls off
fastest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.protocols import Engine
from lookalike.types import CandidateQuery, Candidates, PointId, Query, Scored

FIRST_CANDIDATES = 400
MOST_CANDIDATES = 1_000
EXACT_CANDIDATES = 100_000
"""How many points each target proposes at first, at the most, and where no effort is spared."""
FIRST_COMPARED = 150
"""How many of them are compared by their original vectors at first."""
_QUANTIZATION = 0.002
"""By how much int8 may misjudge a sum of similarities: the usual error."""
_FAR = 20.0
"""Steps that no list is long enough for."""
_ROUNDING = 1e-6
"""Sums of float32 similarities are not exact; two that differ by less are the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """An answer and what it took.

    Attributes:
        rows: best first.
        complete: whether nothing better can have been missed.
        candidates: how many points each target proposed in the last round.
        compared: how many of them were compared by their original vectors.
        rounds: requests to the engine.
    """

    rows: Sequence[Scored]
    complete: bool
    candidates: int
    compared: int
    rounds: int


def run(
    engine: Engine, queries: Sequence[Query], *, most: Sequence[int] | int = MOST_CANDIDATES
) -> list[Result]:
    """The top of each weighted sum, as far as it takes to prove it.

    The queries go through the rounds together: many cost no more requests than one.

    Args:
        engine: holds the points.
        queries: without `among`.
        most: candidates a target, for all queries or each; where they do not suffice the answer
            is not `complete`.
    """
    limits = [most] * len(queries) if isinstance(most, int) else most
    searches = [_Search(query, limit) for query, limit in zip(queries, limits, strict=True)]
    while open := [search for search in searches if not search.done]:
        proposing = [search for search in open if search.widen]
        if proposing:
            lists = iter(engine.nearest([ask for one in proposing for ask in one.asks()]))
            for search in proposing:
                search.take_candidates([next(lists) for _ in search.widen])
        answers = engine.query([search.ranking() for search in open])
        for search, rows in zip(open, answers, strict=True):
            search.take_rows(rows)
    return [search.result() for search in searches]


@dataclass(slots=True)
class _Search:
    """One query between two requests.

    Attributes:
        depths: candidates of each target.
        widen: indexes of the targets that have to propose, for the first time or more.
        lists: what each target proposed.
        ids, bounds: the candidates by the upper bound of their sums, highest first.
        unseen: upper bound for the points that no target proposed.
        compared: how many candidates are compared exactly.
        ties: rows to ask for beyond the wanted ones, to see whether the last of them tie.
    """

    query: Query
    most: int
    rows: Sequence[Scored] = ()
    rounds: int = 0
    depths: list[int] = field(default_factory=list)
    widen: list[int] = field(default_factory=list)
    lists: list[Candidates] = field(default_factory=list)
    ids: Sequence[PointId] = ()
    bounds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    unseen: float = -math.inf
    compared: int = 0
    ties: int = 1
    complete: bool = False
    done: bool = False
    wanted: int = field(init=False)

    def __post_init__(self) -> None:
        self.wanted = self.query.offset + self.query.limit
        targets = len(self.query.near)
        if targets > 1:
            self.depths = [max(FIRST_CANDIDATES, 2 * self.wanted)] * targets
            self.lists = [()] * targets
            self.widen = list(range(targets))
            self.compared = max(FIRST_COMPARED, 2 * self.wanted)

    @property
    def most_compared(self) -> int:
        return self.most * len(self.query.near)

    @property
    def least(self) -> float:
        """What a point has to exceed to belong to the answer."""
        return self.rows[-1].score if len(self.rows) == self.query.limit else -math.inf

    def asks(self) -> list[CandidateQuery]:
        self.rounds += 1
        return [
            CandidateQuery(self.query.near[i], self.query.filter, self.depths[i])
            for i in self.widen
        ]

    def take_candidates(self, lists: Sequence[Candidates]) -> None:
        for i, found in zip(self.widen, lists, strict=True):
            self.lists[i] = found
        self.widen = []
        weights = [near.weight for near in self.query.near]
        floors = [found[-1][1] if found else 0.0 for found in self.lists]
        base = math.fsum(w * floor for w, floor in zip(weights, floors, strict=True))
        bounds: dict[PointId, float] = {}
        for weight, floor, found in zip(weights, floors, self.lists, strict=True):
            for id, similarity in found:
                bounds[id] = bounds.get(id, base) + weight * (similarity - floor)
        ids, values = list(bounds), np.fromiter(bounds.values(), np.float64, len(bounds))
        order = np.argsort(-values)
        self.ids = [ids[i] for i in order.tolist()]
        self.bounds = values[order]
        # A short list holds every point that passes.
        short = any(len(f) < depth for f, depth in zip(self.lists, self.depths, strict=True))
        self.unseen = -math.inf if short else base
        if self.rows:  # nothing below the last row can enter any more
            self.compared = min(max(2 * self.wanted, self._above(self.least)), self.most_compared)

    def ranking(self) -> Query:
        self.rounds += 1
        ask = replace(self.query, offset=0, limit=self.wanted + self.ties)
        if len(self.query.near) == 1:
            return ask
        self.compared = min(self.compared, len(self.ids))
        return replace(ask, among=self.ids[: self.compared])

    def take_rows(self, rows: Sequence[Scored]) -> None:
        if len(rows) == self.wanted + self.ties and rows[self.wanted - 1].score == rows[-1].score:
            self.ties *= 8
            return
        ranked = sorted(rows, key=lambda row: (-row.score, row.id))
        self.rows = ranked[self.query.offset : self.wanted]
        if len(self.query.near) == 1:  # the engine's own answer
            self.complete = self.done = True
            return
        needed = self._above(self.least)
        if needed > self.compared:
            self.done = self.compared >= self.most_compared
            self.compared = max(self.compared, min(needed, self.most_compared))
        elif self.unseen <= self.least + _ROUNDING:
            self.complete = self.done = True
        else:
            self._widen()

    def result(self) -> Result:
        candidates = max(self.depths, default=0)
        return Result(self.rows, self.complete, candidates, self.compared, self.rounds)

    def _above(self, least: float) -> int:
        """How many candidates may exceed `least`."""
        return int(np.searchsorted(-self.bounds, _QUANTIZATION - least))

    def _widen(self) -> None:
        """Lets that target propose more whose list falls fastest, until the bound of the unseen
        will have sunk to the answer: similarity falls with the logarithm of the rank."""
        falls = [
            near.weight * (found[len(found) // 4][1] - found[-1][1]) / math.log(4)
            for near, found in zip(self.query.near, self.lists, strict=True)
        ]
        fastest = max(range(len(falls)), key=falls.__getitem__)
        if self.depths[fastest] >= self.most:
            self.done = True
            return
        steps = (self.unseen - self.least) / falls[fastest] if falls[fastest] > 0 else math.inf
        factor = max(1.5, 1.2 * math.exp(min(steps, _FAR)))
        self.depths[fastest] = min(math.ceil(factor * self.depths[fastest]), self.most)
        self.widen = [fastest]
