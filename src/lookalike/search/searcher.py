"""Searching: request, plan, candidates, ranking, results."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from lookalike.errors import LookalikeError
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors, Engine, ImageLoader
from lookalike.search import threshold
from lookalike.search.calibration import Calibrator
from lookalike.search.planner import Plan, Planner
from lookalike.search.ranking import rank
from lookalike.search.request import Request, read_request
from lookalike.search.results import hits_of
from lookalike.search.threshold import Result
from lookalike.types import Hits

TOGETHER = 64
"""Searches that go to the engine together: their candidates are all in memory meanwhile."""


@dataclass(slots=True)
class Searcher:
    """Answers searches in one index."""

    engine: Engine
    manifest: Manifest
    models: Descriptors
    loader: ImageLoader
    _planner: Planner = field(init=False)

    def __post_init__(self) -> None:
        self.refresh(self.manifest)

    def refresh(self, manifest: Manifest) -> None:
        """Takes note that the index has changed."""
        self.manifest = manifest
        calibrator = Calibrator(self.engine, manifest.calibration)
        self._planner = Planner(self.engine, manifest, self.models, self.loader, calibrator)

    def search(self, request: Request) -> Hits:
        """The answer to one request; raises what `Index.search` says."""
        return self._answer([self._planner.plan(request)])[0]

    def search_many(self, queries: Sequence[Mapping[str, Any]]) -> list[Hits | LookalikeError]:
        """The answers to several, in their order; an error in the place of one that failed.

        Args:
            queries: the options of a `Request` each.
        """
        answers: list[Hits | LookalikeError] = []
        with ThreadPoolExecutor(self.loader.size) as pool:
            for start in range(0, len(queries), TOGETHER):
                planned = list(pool.map(self._try_plan, queries[start : start + TOGETHER]))
                found = iter(self._answer([one for one in planned if isinstance(one, Plan)]))
                answers += [next(found) if isinstance(one, Plan) else one for one in planned]
        return answers

    def _try_plan(self, query: Mapping[str, Any]) -> Plan | LookalikeError:
        try:
            return self._planner.plan(read_request(query))
        except LookalikeError as error:
            return error

    def _answer(self, plans: Sequence[Plan]) -> list[Hits]:
        """The answers to several plans, which share requests to the engine.

        A page that is chosen from more rows than it shows may lack some of them: its plan takes
        another round, with more rows to choose from.
        """
        answers: dict[int, Hits] = {}
        pending, engine_ms = dict(enumerate(plans)), 0.0
        while pending:
            started = time.perf_counter()
            results = self._ask(list(pending.values()))
            engine_ms += _milliseconds_since(started) / len(pending)
            for (i, plan), own in zip(list(pending.items()), results, strict=True):
                started = time.perf_counter()
                rows, lacks = rank(plan, own)
                if lacks and plan.pool < plan.most_rows:
                    pending[i] = plan.wider()
                    continue
                stages = {
                    "targets": plan.milliseconds,
                    "engine": engine_ms,
                    "ranking": _milliseconds_since(started),
                }
                answers[i] = hits_of(plan, own, rows, lacks=lacks, milliseconds=stages)
                del pending[i]
        return [answers[i] for i in range(len(plans))]

    def _ask(self, plans: Sequence[Plan]) -> list[list[Result]]:
        """The engine's answer for each blend of each plan."""
        queries = [query for plan in plans for query in plan.queries()]
        most = [plan.most_candidates for plan in plans for _ in plan.blends]
        results = iter(threshold.run(self.engine, queries, most=most))
        return [[next(results) for _ in plan.blends] for plan in plans]


def _milliseconds_since(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
