"""Searching: request, plan, candidates, ranking, results."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lookalike.errors import EngineError, FilterError, LookalikeError, QueryError
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors, Engine, ImageLoader
from lookalike.search import threshold
from lookalike.search.calibration import Calibrator
from lookalike.search.hits import Hits
from lookalike.search.planner import Plan, Planner
from lookalike.search.products import count_others
from lookalike.search.ranking import Ranked, rank
from lookalike.search.request import Request, is_listing, read_request
from lookalike.search.results import hits_of
from lookalike.search.sorting import listed
from lookalike.search.threshold import Result
from lookalike.system import patience

TOGETHER = 64
"""Searches that share requests to the engine: their candidates are in memory at the same time."""

FAILURES = 3
"""Queries that fail one after another, from the first on, before all are given up."""


@dataclass(slots=True)
class Searcher:
    """Answers searches in one index.

    Attributes:
        engine: stores the points.
        manifest: what the index was made with.
        models: its descriptors.
        loader: loads query images.
        reload: reads the manifest anew, and refreshes this if another process has changed it.
    """

    engine: Engine
    manifest: Manifest
    models: Descriptors
    loader: ImageLoader
    reload: Callable[[], None] = lambda: None
    _planner: Planner = field(init=False)

    def __post_init__(self) -> None:
        self.refresh(self.manifest)

    def refresh(self, manifest: Manifest) -> None:
        """Starts over with a changed manifest."""
        self.manifest = manifest
        calibrator = Calibrator(self.engine, manifest.calibration)
        self._planner = Planner(self.engine, manifest, self.models, self.loader, calibrator)

    def search(self, options: Mapping[str, Any]) -> Hits:
        """Answers the `Request` with these options; raises what `Index.search` says."""
        try:
            return self._search(options)
        except EngineError:
            if not self._is_changed():
                raise
        return self._search(options)

    def _search(self, options: Mapping[str, Any]) -> Hits:
        planned = self._plan(options)
        return planned if isinstance(planned, Hits) else self._answer([planned])[0]

    def _is_changed(self) -> bool:
        """Tells if another process has changed the manifest, as when an engine refuses a vector
        that is gone by now; goes on with the new one."""
        known = self.manifest
        with suppress(EngineError), patience.at_most(0):
            self.reload()
        return self.manifest is not known

    def search_many(self, queries: Sequence[Mapping[str, Any]]) -> list[Hits | LookalikeError]:
        """The answers to several queries in their order, or the error of one that failed.

        Args:
            queries: the options of a `Request` each.
        """
        answers: list[Hits | LookalikeError] = []
        with ThreadPoolExecutor(self.loader.size) as pool:
            for start in range(0, len(queries), TOGETHER):
                answers += self._search_together(queries[start : start + TOGETHER], pool)
        return answers

    def _search_together(
        self, queries: Sequence[Mapping[str, Any]], pool: ThreadPoolExecutor
    ) -> list[Hits | LookalikeError]:
        try:
            answers = self._try_together(queries, pool)
            if not any(isinstance(one, EngineError) for one in answers) or not self._is_changed():
                return answers
        except EngineError:
            if not self._is_changed():
                raise
        return self._try_together(queries, pool)

    def _try_together(
        self, queries: Sequence[Mapping[str, Any]], pool: ThreadPoolExecutor
    ) -> list[Hits | LookalikeError]:
        planned = list(pool.map(self._try_plan, queries))
        found = iter(self._answer_each([one for one in planned if isinstance(one, Plan)]))
        return [next(found) if isinstance(one, Plan) else one for one in planned]

    def _plan(self, options: Mapping[str, Any]) -> Plan | Hits:
        """The plan of a search; or the hits of one that lists images and needs none.

        A search may name a field or a preset that another process has made.
        """
        request, known = read_request(options), self.manifest
        try:
            return self._plan_request(request)
        except (FilterError, QueryError):
            self.reload()
            if self.manifest is known:
                raise
        return self._plan_request(request)

    def _plan_request(self, request: Request) -> Plan | Hits:
        if is_listing(request):
            return listed(self.engine, self.manifest.all_fields, request)
        return self._planner.plan(request)

    def _try_plan(self, query: Mapping[str, Any]) -> Plan | Hits | LookalikeError:
        try:
            return self._plan(query)
        except LookalikeError as error:
            return error

    def _answer_each(self, plans: Sequence[Plan]) -> list[Hits | LookalikeError]:
        """The answers to several plans together; if that fails, to each by itself."""
        try:
            return [*self._answer(plans)]
        except LookalikeError as error:
            if len(plans) == 1:
                return [error]
        answers: list[Hits | LookalikeError] = []
        for plan in plans:
            try:
                answers += self._answer([plan])
            except LookalikeError as error:
                answers.append(error)
                if not any(isinstance(one, Hits) for one in answers) and len(answers) > FAILURES:
                    raise  # the engine fails, not the queries
        return answers

    def _answer(self, plans: Sequence[Plan]) -> list[Hits]:
        """The answers to several plans, which share requests to the engine.

        A page that is short for lack of rows in its pool takes another round, with a larger pool.
        """
        answers: dict[int, Hits] = {}
        pending, engine_ms = dict(enumerate(plans)), 0.0
        while pending:
            started = time.perf_counter()
            results = self._ask(list(pending.values()))
            engine_ms += _milliseconds_since(started) / len(pending)
            for (i, plan), own in zip(list(pending.items()), results, strict=True):
                started = time.perf_counter()
                rows, is_short = rank(plan, own)
                if is_short and plan.pool < plan.largest_pool:
                    pending[i] = plan.with_larger_pool()
                    continue
                stages = {
                    "targets": plan.milliseconds,
                    "engine": engine_ms,
                    "ranking": _milliseconds_since(started),
                }
                answers[i] = hits_of(
                    plan,
                    own,
                    rows,
                    is_short=is_short,
                    milliseconds=stages,
                    others=self._others(plan, rows),
                )
                del pending[i]
        return [answers[i] for i in range(len(plans))]

    def _others(self, plan: Plan, rows: Sequence[Ranked]) -> dict[str, int]:
        """The number of matching images of the product of each row, without that one."""
        if plan.product is None:
            return {}
        shown = {one.row.id: one.row.payload for one in rows}
        return count_others(self.engine, plan.product, plan.filter, shown)

    def _ask(self, plans: Sequence[Plan]) -> list[list[Result]]:
        """The engine's result for each branch of each plan."""
        queries = [query for plan in plans for query in plan.queries()]
        most = [plan.most_candidates for plan in plans for _ in plan.branches]
        first = [plan.first for plan in plans for _ in plan.branches]
        results = iter(threshold.run(self.engine, queries, most=most, first=first))
        return [[next(results) for _ in plan.branches] for plan in plans]


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
