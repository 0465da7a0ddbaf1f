"""The kinds of jobs and the functions that run them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.stores.groups import DuplicateGroupStore
from lookalike.index import Index
from lookalike.ingest.report import Canceled, IngestCounts, IngestReport
from lookalike.output import documents
from lookalike.system.locks import WriteLock

BUILDING = "building"
"""The stage in which the search graph is built."""


class JobProgress(Protocol):
    """Records the progress of a job."""

    def __call__(self, stage: str, done: int = 0, total: int | None = None) -> None:
        """Raises `Canceled` if the job was canceled or the service is stopping."""
        ...


@dataclass(frozen=True, slots=True)
class JobContext:
    """Everything that a job works with.

    Attributes:
        index: the index that the job reads or changes.
        write_lock: held while the index is changed.
        folders: the folders that an ingest may read.
        groups: receives duplicate groups.
        progress: called as the job proceeds.
        publish: called with the report, which remains if the job is stopped later.
    """

    index: Index
    write_lock: WriteLock
    folders: AllowedFolders
    groups: DuplicateGroupStore
    progress: JobProgress
    publish: Callable[[Mapping[str, Any]], None]


JobFunction: TypeAlias = Callable[[JobContext, dict[str, Any]], None]
"""Runs a job with the parameters of its request. Raises `Canceled` where `progress` did."""


def run_ingest(context: JobContext, request: dict[str, Any]) -> None:
    """Brings the index up to date with a folder of this machine, a bucket, or a feed."""
    # Resolved again: links may have changed since the request.
    path = context.folders.resolve(request.pop("path"))
    metadata = request.pop("metadata", None)
    if metadata is not None:
        metadata = context.folders.resolve(metadata)
    own = {"metadata": metadata, "private": context.folders.private}
    report = add_images(context, partial(context.index.add, path, **own, **request))
    context.publish(documents.of_report(report))
    if report.interrupted:
        raise Canceled
    run_optimize(context, {})


def add_images(context: JobContext, add: Callable[..., IngestReport]) -> IngestReport:
    """Adds images without keeping other writers waiting.

    Args:
        context: what the job works with.
        add: takes further options of `Index.add`.
    """

    def progress(counts: IngestCounts, total: int | None) -> None:
        context.write_lock.give_way()
        context.progress("adding images", counts.done, total)

    with context.write_lock:
        return add(progress=progress, optimize=False)


def run_duplicates(context: JobContext, request: dict[str, Any]) -> None:
    """Searches the index for duplicates; groups can be read as soon as they are found."""
    started = time.monotonic()
    groups = context.index.duplicates(**request, progress=context.progress)
    with context.groups.replacement() as append:
        for group in groups:
            append(group)
    context.publish(
        {
            "groups": context.groups.total,
            "problems": [{"uri": uri, "detail": detail} for uri, detail in groups.problems.items()],
            "seconds": round(time.monotonic() - started, 3),
        }
    )


def run_optimize(context: JobContext, request: dict[str, Any]) -> None:
    """Builds the search graph, without blocking writers, and calibrates an index that has grown."""
    context.progress(BUILDING)
    context.index.optimize()
    with context.write_lock:
        context.index.calibrate()


JOB_FUNCTIONS: Mapping[str, JobFunction] = MappingProxyType(
    {"ingest": run_ingest, "duplicates": run_duplicates, "optimize": run_optimize}
)
