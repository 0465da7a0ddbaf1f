"""Candidates and their ranking: the top of a weighted sum, with a proof.

The score of a point is the weighted sum of its similarities, and the answer is the top of that
sum over all matching points. Fagin's threshold algorithm finds it (Fagin, Lotem and Naor, "Optimal
aggregation algorithms for middleware", 2003): each target proposes its nearest candidates; the
last similarity of each list bounds those of all points below it, so that every candidate has an
upper bound for its sum, and so have the points that no target proposed. The candidates with the
highest bounds are compared exactly, until no bound exceeds the last row of the answer; while the
bound of the unseen points does, the target whose list falls off fastest proposes more.

The bounds are only as good as the lists. Those of an exact search prove the answer. Those of an
approximate one come from the search graph and from quantized vectors, either of which may miss a
point: when their bounds close, the blend is settled, and nothing is proved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lookalike.protocols import Engine
from lookalike.system.distances import EXPLORED
from lookalike.types import CandidateId, CandidateQuery, Candidates, Distance, Query, Scored

FIRST_CANDIDATES = 400
MOST_CANDIDATES = 1_000
"""Candidates that each target proposes at first, and at the most."""
FIRST_COMPARED = 150
"""Candidates compared by their original vectors at first."""
_QUANTIZATION = 0.002
"""The usual error of int8 in a sum of similarities."""
_FAR = 20.0
"""Steps that no list is long enough for."""
_ROUNDING = 1e-6
"""Sums of float32 similarities are not exact; two that differ by less, as a share of those above 1,
are the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a query and its cost.

    Attributes:
        rows: best first.
        complete: True if it is proved that nothing better was missed; None if the engine searched
            approximately; False if the search stopped at its limit of candidates, while something
            better may have been missed.
        candidates: points that each target proposed in the last round.
        compared: candidates that were compared by their original vectors.
        rounds: requests to the engine.
    """

    rows: Sequence[Scored]
    complete: bool | None
    candidates: int
    compared: int
    rounds: int


@dataclass(frozen=True, slots=True)
class FirstRound:
    """The answers to `first_queries`.

    Attributes:
        candidates: those of each target, if there are several.
        rows: those of the only target.
    """

    candidates: Sequence[Candidates]
    rows: Sequence[Scored]


def first_queries(query: Query) -> tuple[list[CandidateQuery], list[Query]]:
    """The queries that a search begins with; the vectors of its targets play no part."""
    search = _Search(query, MOST_CANDIDATES)
    ranking = None if search.widen else search.ranking_query()
    return search.candidate_queries(), [] if ranking is None else [ranking]


def run(
    engine: Engine,
    queries: Sequence[Query],
    *,
    most: Sequence[int] | int = MOST_CANDIDATES,
    first: Sequence[FirstRound | None] = (),
) -> list[Result]:
    """The top of each weighted sum.

    The queries go through the rounds together: many cost no more requests than one.

    Args:
        engine: holds the points.
        queries: without `among`.
        most: limit of candidates per target, for all queries or each.
        first: the first answers to each query, where they are known.
    """
    limits = [most] * len(queries) if isinstance(most, int) else most
    searches = [_Search(query, limit) for query, limit in zip(queries, limits, strict=True)]
    for search, known in zip(searches, first, strict=False):
        if known is not None:
            search.begin(known)
    while pending := [search for search in searches if not search.done]:
        proposing = [search for search in pending if search.widen]
        if proposing:
            asked = [query for search in proposing for query in search.candidate_queries()]
            lists = iter(engine.nearest(asked))
            for search in proposing:
                search.take_candidates([next(lists) for _ in search.widen])
        rankings = [search.ranking_query() for search in pending]
        comparing = [query for query in rankings if query is not None]
        answers = iter(engine.query(comparing) if comparing else ())
        for search, ranking in zip(pending, rankings, strict=True):
            search.take_rows(() if ranking is None else next(answers))
    return [search.result() for search in searches]


@dataclass(slots=True)
class _Search:
    """One query between two requests.

    Attributes:
        depths: length of the list that each target was asked for.
        widen: indexes of the targets that have to propose, for the first time or more.
        lists: the candidates of each target.
        ids, bounds: all candidates by the upper bound of their sums, highest first.
        unseen: upper bound for the points that no target proposed.
        rounding: difference of sums that counts as none; sums of distances are of any size.
        compared: how many candidates are compared exactly, the known ones among them.
        asked: those of them that the last request compares.
        known: those of them that earlier requests have compared.
        best: the best of those, down to the last row of the answer.
        ties: rows to ask for beyond the wanted ones, to see whether the last of them tie.
    """

    query: Query
    most: int
    rounds: int = 0
    depths: list[int] = field(default_factory=list)
    widen: list[int] = field(default_factory=list)
    lists: list[Candidates] = field(default_factory=list)
    ids: Sequence[CandidateId] = ()
    bounds: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    unseen: float = -math.inf
    rounding: float = _ROUNDING
    compared: int = 0
    asked: Sequence[CandidateId] = ()
    known: set[CandidateId] = field(default_factory=set)
    best: Sequence[Scored] = ()
    ties: int = 1
    closed: bool = False
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
        """The sum that a point has to exceed to belong to the answer."""
        return self.best[-1].score if len(self.best) == self.wanted else -math.inf

    def candidate_queries(self) -> list[CandidateQuery]:
        self.rounds += 1
        return [self._candidate_query(i) for i in self.widen]

    def _candidate_query(self, i: int) -> CandidateQuery:
        query, near = self.query, self.query.near[i]
        asked = CandidateQuery(near, query.filter, self.depths[i], exact=query.exact)
        return asked if near.distance is Distance.COSINE else replace(asked, explored=EXPLORED)

    def begin(self, first: FirstRound) -> None:
        """Takes the answers to `first_queries`."""
        self.rounds += 1
        if self.widen:
            self.take_candidates(first.candidates)
        else:
            self.take_rows(first.rows)

    def take_candidates(self, lists: Sequence[Candidates]) -> None:
        for i, candidates in zip(self.widen, lists, strict=True):
            self.lists[i] = candidates
        self.widen = []
        weights = [near.weight for near in self.query.near]
        floors = [candidates[-1][1] if candidates else 0.0 for candidates in self.lists]
        base = math.fsum(w * floor for w, floor in zip(weights, floors, strict=True))
        sizes = [max(abs(one[0][1]), abs(one[-1][1])) if one else 0.0 for one in self.lists]
        size = math.fsum(w * size for w, size in zip(weights, sizes, strict=True))
        self.rounding = _ROUNDING * max(1.0, size)
        bounds: dict[CandidateId, float] = {}
        for weight, floor, candidates in zip(weights, floors, self.lists, strict=True):
            for id, similarity in candidates:
                bounds[id] = bounds.get(id, base) + weight * (similarity - floor)
        ids, values = list(bounds), np.fromiter(bounds.values(), np.float64, len(bounds))
        order = np.argsort(-values)
        self.ids = [ids[i] for i in order.tolist()]
        self.bounds = values[order]
        # A short list holds every point that matches.
        short = any(len(one) < depth for one, depth in zip(self.lists, self.depths, strict=True))
        self.unseen = -math.inf if short else base
        if self.best:  # nothing below the last row can enter any more
            self.compared = min(max(2 * self.wanted, self._above(self.least)), self.most_compared)

    def ranking_query(self) -> Query | None:
        """The query that compares what has to be, and has not been; None if there is nothing."""
        query = replace(self.query, offset=0, limit=self.wanted + self.ties)
        if len(query.near) > 1:
            self.compared = min(self.compared, len(self.ids))
            self.asked = [id for id in self.ids[: self.compared] if id not in self.known]
            if not self.asked:
                return None
            least = None if math.isinf(self.least) else self.least - self.rounding
            query = replace(query, among=self.asked, least=least)
        self.rounds += 1
        return query

    def take_rows(self, rows: Sequence[Scored]) -> None:
        if len(rows) == self.wanted + self.ties and rows[self.wanted - 1].score == rows[-1].score:
            self.ties *= 8
            return
        self.best = sorted([*self.best, *rows], key=lambda row: (-row.score, row.id))[: self.wanted]
        self.known.update(self.asked)
        if len(self.query.near) == 1:  # the engine's own answer
            self.closed = self.done = True
            return
        needed = self._above(self.least)
        if needed > self.compared:
            self.done = self.compared >= self.most_compared
            self.compared = max(self.compared, min(needed, self.most_compared))
        elif self.unseen <= self.least + self.rounding:
            self.closed = self.done = True
        else:
            self._widen()

    def result(self) -> Result:
        complete = (True if self.query.exact else None) if self.closed else False
        candidates = max(self.depths, default=0)
        rows, compared = self.best[self.query.offset :], len(self.known)
        return Result(rows, complete, candidates, compared, self.rounds)

    def _above(self, least: float) -> int:
        """The number of candidates that may exceed `least`."""
        error = self.rounding if self.query.exact else max(self.rounding, _QUANTIZATION)
        return int(np.searchsorted(-self.bounds, error - least))

    def _widen(self) -> None:
        """Lets the target whose list falls fastest propose more, until the bound of the unseen
        will have sunk to the answer: similarity falls with the logarithm of the rank."""
        falls = [
            near.weight * (one[len(one) // 4][1] - one[-1][1]) / math.log(4)
            for near, one in zip(self.query.near, self.lists, strict=True)
        ]
        fastest = max(range(len(falls)), key=falls.__getitem__)
        if self.depths[fastest] >= self.most:
            self.done = True
            return
        steps = (self.unseen - self.least) / falls[fastest] if falls[fastest] > 0 else math.inf
        factor = max(1.5, 1.2 * math.exp(min(steps, _FAR)))
        self.depths[fastest] = min(math.ceil(factor * self.depths[fastest]), self.most)
        self.widen = [fastest]
