"""What jobs do, by their kinds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from lookalike.api.allowed_folders import Roots
from lookalike.api.service import WriteLock
from lookalike.api.stores.groups import Found
from lookalike.index import Index
from lookalike.ingest.report import IngestReport, Stop
from lookalike.output import documents

BUILDING = "building"
"""The stage in which the search graph is built."""


class Tell(Protocol):
    """Remembers how far a job is."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Raises Stop where the job shall go no further."""
        ...


@dataclass(slots=True)
class Work:
    """What a job is done with.

    Attributes:
        index: that it is about.
        turns: whose turn it is to change the index.
        roots: where folders may be read.
        found: takes the groups of copies.
        tell: is called as it goes.
        report: what came of it, also where it was stopped.
    """

    index: Index
    turns: WriteLock
    roots: Roots
    found: Found
    tell: Tell
    report: dict[str, Any] | None = None


Kind: TypeAlias = Callable[[Work, dict[str, Any]], None]
"""Does what a request asks for. Raises Stop, where `tell` did."""


def ingest(work: Work, request: dict[str, Any]) -> None:
    """Brings the index up to date with a folder of this machine."""
    path = work.roots.find(request.pop("path"))  # anew: links may point elsewhere by now
    metadata = request.pop("metadata", None)

    def progress(report: IngestReport, total: int | None) -> None:
        work.turns.give_way()
        work.tell("adding images", report.done, total)

    with work.turns.turn(patient=True):
        report = work.index.add(
            path,
            metadata=None if metadata is None else work.roots.find(metadata),
            progress=progress,
            optimize=False,  # others may write meanwhile
            **request,
        )
    work.report = documents.of_report(report)
    if report.interrupted:
        raise Stop
    optimize(work, {})


def duplicates(work: Work, request: dict[str, Any]) -> None:
    """Looks for all copies; what is found can be seen at once."""
    problems: dict[str, str] = {}
    started = time.monotonic()
    groups = work.index.duplicates(**request, problems=problems, progress=work.tell)
    with work.found.search() as keep:
        for group in groups:
            keep(group)
    work.report = {
        "groups": work.found.total,
        "problems": [{"uri": uri, "detail": why} for uri, why in problems.items()],
        "seconds": round(time.monotonic() - started, 3),
    }


def optimize(work: Work, request: dict[str, Any]) -> None:
    """Builds the search graph, for which nobody waits, and samples the index anew where it has
    grown."""
    work.tell(BUILDING)
    work.index.optimize()
    with work.turns.turn(patient=True):
        work.index.calibrate()


KINDS: Mapping[str, Kind] = MappingProxyType(
    {"ingest": ingest, "duplicates": duplicates, "optimize": optimize}
)
