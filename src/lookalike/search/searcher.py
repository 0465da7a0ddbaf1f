"""Searches and their answers: what the engine is asked, and what becomes of its ranking."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import LookalikeError
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors, Engine, ImageLoader
from lookalike.search import rerank, threshold
from lookalike.search.calibration import LEAST, Calibrator, Sample
from lookalike.search.planner import BlendTarget, Plan, Planner
from lookalike.search.request import Request
from lookalike.search.threshold import Result
from lookalike.types import AspectPlan, Explanation, Hit, Hits, Query, Scored

Floats: TypeAlias = NDArray[np.float32]
Matrices: TypeAlias = Mapping[str, Floats]
"""(n, size) each, by vector name."""

Group: TypeAlias = tuple[int, list[int]]
"""The row to show, and those that it stands for."""

CHUNK = 100
"""Hits that are spread out together."""
FIRST_POOL = 100
"""Hits to choose from where they are spread out or collapsed, at first; then four times as many."""
MOST_POOL = 1_600
TOGETHER = 64
"""Searches that go to the engine together: their candidates are all in memory meanwhile."""
_MANY = 1_000
"""Hits from which on it pays to count first how many there are at all."""


@dataclass(slots=True)
class Searcher:
    """Answers searches in one index."""

    engine: Engine
    manifest: Manifest
    models: Descriptors
    loader: ImageLoader
    planner: Planner = field(init=False)

    def __post_init__(self) -> None:
        self.refresh(self.manifest)

    def refresh(self, manifest: Manifest) -> None:
        """Takes note that the index has changed."""
        self.manifest = manifest
        calibrator = Calibrator(Sample(self.engine), manifest.calibration)
        self.planner = Planner(self.engine, manifest, self.models, self.loader, calibrator)

    def search(self, request: Request) -> Hits:
        """The answer to one request; raises what `Index.search` says."""
        return self._answer([self.planner.plan(request)])[0]

    def search_many(self, queries: Sequence[Mapping[str, Any]]) -> list[Hits | LookalikeError]:
        """The answers to several, in their order; an error in the place of one that failed.

        Args:
            queries: the fields of a `Request` each.
        """
        answered: list[Hits | LookalikeError] = []
        with ThreadPoolExecutor(self.loader.size) as pool:
            for start in range(0, len(queries), TOGETHER):
                planned = list(pool.map(self._try_plan, queries[start : start + TOGETHER]))
                answers = iter(self._answer([one for one in planned if isinstance(one, Plan)]))
                answered += [next(answers) if isinstance(one, Plan) else one for one in planned]
        return answered

    def _try_plan(self, query: Mapping[str, Any]) -> Plan | LookalikeError:
        try:
            return self.planner.plan(Request.of(query))
        except LookalikeError as error:
            return error

    def _answer(self, plans: Sequence[Plan]) -> list[Hits]:
        started = time.perf_counter()
        queries = [self._queries(plan, FIRST_POOL) for plan in plans]
        most = [_most(plan) for plan, several in zip(plans, queries, strict=True) for _ in several]
        asked = [one for several in queries for one in several]
        results = iter(threshold.run(self.engine, asked, most=most))
        milliseconds = (time.perf_counter() - started) * 1e3 / max(len(plans), 1)
        return [
            self._hits(plan, _merge(plan, [next(results) for _ in several]), milliseconds)
            for plan, several in zip(plans, queries, strict=True)
        ]

    def _queries(self, plan: Plan, pool: int) -> list[Query]:
        """What the engine is asked: the rows to show, or a pool to choose them from."""
        request = plan.request
        limit, offset, names = request.limit, request.offset, set[str]()
        if _chooses(plan):
            limit, offset = max(pool, _needed(request)), 0
            names = {near.name for goal in [*plan.goals, *plan.against] for near in goal.near}
            names |= {self.manifest.aspects["color"]} if request.collapse else set()
        if offset + limit > _MANY:
            limit = max(1, min(limit, self.engine.count(plan.filter) - offset))
        return [
            Query(goal.near, plan.filter, limit, offset, vectors=tuple(names))
            for goal in plan.goals
        ]

    # --- after the engine -------------------------------------------------------------------

    def _hits(self, plan: Plan, ranking: Ranking, engine_ms: float) -> Hits:
        started = time.perf_counter()
        floor = self._floor(plan) if plan.request.relevant else None
        groups, ranking, exhausted = self._choose(plan, ranking, floor)
        hits = tuple(
            _hit(ranking.rows[first], [ranking.rows[other].row.id for other in others])
            for first, others in groups
        )
        spent = (time.perf_counter() - started) * 1e3
        stages = {"targets": plan.milliseconds, "engine": engine_ms, "ranking": spent}
        explanation = Explanation(
            _aspects(max(plan.goals, key=lambda goal: len(goal.targets))),
            max(result.candidates for result in ranking.results),
            sum(result.compared for result in ranking.results),
            max(result.rounds for result in ranking.results),
            floor,
            stages,
        )
        complete = not exhausted and all(result.complete for result in ranking.results)
        return Hits(hits, complete, plan.weights, sum(stages.values()), explanation)

    def _choose(
        self, plan: Plan, ranking: Ranking, floor: float | None
    ) -> tuple[list[Group], Ranking, bool]:
        """Which rows to show, each with those it stands for; and whether the largest pool did not
        suffice. Asks for a larger one where too little is left of it."""
        request = plan.request
        pool = max(FIRST_POOL, _needed(request))
        while True:
            kept = ranking.above(floor)
            groups: list[Group] = [(i, []) for i in range(kept)]
            if not _chooses(plan):
                return groups, ranking, False
            if request.collapse and kept:
                rows = [one.row for one in ranking.rows[:kept]]
                colors = _vectors(rows)[self.manifest.aspects["color"]]
                groups = rerank.collapse([row.payload for row in rows], colors)
            enough = len(groups) >= _needed(request) or kept < len(ranking.rows)
            if enough or ranking.found < pool or pool >= MOST_POOL:
                break
            pool *= 4
            wider = threshold.run(self.engine, self._queries(plan, pool), most=_most(plan))
            ranking = _merge(plan, wider)
        if request.diversity:
            groups = _diversified(plan, ranking, groups)
        exhausted = not enough and ranking.found >= pool
        return groups[request.offset : request.offset + request.limit], ranking, exhausted

    def _floor(self, plan: Plan) -> float | None:
        """How far above random images one has to stand not to be one; None of too few images."""
        sample = self.planner.calibrator.sample
        names = {near.name for goal in plan.goals for near in goal.near}
        vectors = {name: sample.vectors(name) for name in names}
        count = min(map(len, vectors.values()))
        if count < LEAST:
            return None
        background = np.max([_stand(goal, vectors) for goal in plan.goals], axis=0)
        known = self.manifest.calibration
        perfect = [
            math.fsum(goal.brought([1.0] * len(goal.near)).values())
            if all(target.pictured for target in goal.targets.values())
            else math.inf
            for goal in plan.goals
        ]
        return rerank.relevance_floor(
            background, max(count, known.images if known else 0), perfect=max(perfect)
        )


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row, the goal that it is nearest to, and how far it stands above random images there."""

    row: Scored
    goal: BlendTarget
    calibrated: float


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows, best first, and the engine's results that they came from.

    Attributes:
        found: how many rows each goal brought.
    """

    rows: Sequence[Ranked]
    results: Sequence[Result]
    found: int

    def above(self, floor: float | None) -> int:
        """How many rows stand above `floor`."""
        if floor is None:
            return len(self.rows)
        return sum(one.calibrated > floor for one in self.rows)


def _most(plan: Plan) -> int:
    return threshold.EXACT_CANDIDATES if plan.request.exact else threshold.MOST_CANDIDATES


def _chooses(plan: Plan) -> bool:
    """Whether what is shown is chosen from more than is shown."""
    several = len(plan.goals) > 1 or plan.against
    return bool(plan.request.diversity or plan.request.collapse or several)


def _needed(request: Request) -> int:
    """How many of the best have to be known to show what is asked for."""
    last = request.offset + request.limit
    return math.ceil(last / CHUNK) * CHUNK if request.diversity else last


def _diversified(plan: Plan, ranking: Ranking, groups: Sequence[Group]) -> list[Group]:
    """The groups spread out, a hundred at a time, so that pages fit together."""
    goal = plan.goals[0]
    spread: list[Group] = []
    for start in range(0, min(len(groups), _needed(plan.request)), CHUNK):
        chunk = groups[start : start + CHUNK]
        shown = [ranking.rows[first] for first, _ in chunk]
        vectors = _vectors([one.row for one in shown])
        order = rerank.diversify(
            np.array([one.calibrated for one in shown]),
            np.asarray(sum(goal.brought(_each(goal, vectors)).values())),
            plan.request.diversity,
            len(chunk),
        )
        spread += [chunk[i] for i in order]
    return spread


def _merge(plan: Plan, results: Sequence[Result]) -> Ranking:
    """One ranking by the nearest goal, without what is nearer to what it is against.

    The best by the maximum of several scores are among the best by each.
    """
    rows: dict[str, Ranked] = {}
    for goal, result in zip(plan.goals, results, strict=True):
        for row in result.rows:
            one = Ranked(row, goal, math.fsum(goal.brought(row.scores).values()))
            if row.id not in rows or one.calibrated > rows[row.id].calibrated:
                rows[row.id] = one
    most = max(len(result.rows) for result in results)
    ranked = list(rows.values())
    if len(results) > 1:
        ranked = sorted(ranked, key=lambda one: -one.calibrated)[:most]
    if plan.against and ranked:
        vectors = _vectors([one.row for one in ranked])
        nearest = np.max([_stand(goal, vectors) for goal in plan.against], axis=0)
        ranked = [
            one for one, other in zip(ranked, nearest, strict=True) if one.calibrated >= other
        ]
    return Ranking(ranked, results, most)


def _stand(goal: BlendTarget, vectors: Matrices) -> Floats:
    """(n,): how far n images stand above random ones."""
    similarities = [vectors[near.name] @ near.vector for near in goal.near]
    return np.asarray(sum(goal.brought(similarities).values()), np.float32)


def _each(goal: BlendTarget, vectors: Matrices) -> list[Floats]:
    """(n, n) by aspect: similarities between n images."""
    return [vectors[near.name] @ vectors[near.name].T for near in goal.near]


def _vectors(rows: Sequence[Scored]) -> Matrices:
    """(n, size) of n rows by name."""
    return {
        name: np.array([row.vectors[name] for row in rows], np.float32) for name in rows[0].vectors
    }


def _hit(one: Ranked, variants: Sequence[str]) -> Hit:
    row, goal = one.row, one.goal
    scores = dict(zip(goal.targets, row.scores, strict=True))
    return Hit(
        row.id,
        row.score,
        scores,
        row.payload,
        one.calibrated,
        math.fsum(goal.weights[aspect] * score for aspect, score in scores.items()),
        _shares(goal.brought(row.scores)),
        tuple(variants),
    )


def _shares(brought: Mapping[str, float]) -> dict[str, float]:
    above = {aspect: max(value, 0.0) for aspect, value in brought.items()}
    total = math.fsum(above.values())
    return {aspect: value / total if total else 0.0 for aspect, value in above.items()}


def _aspects(goal: BlendTarget) -> dict[str, AspectPlan]:
    return {
        aspect: AspectPlan(
            vector=near.name,
            target=target.label,
            weight=goal.weights[aspect],
            mean=target.background.mean if target.background else None,
            spread=target.background.spread if target.background else None,
            effective=near.weight,
        )
        for (aspect, target), near in zip(goal.targets.items(), goal.near, strict=True)
    }
