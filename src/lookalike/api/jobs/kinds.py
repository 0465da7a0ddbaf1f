"""The kinds of jobs and the functions that run them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from lookalike.api.jobs import migration
from lookalike.api.jobs.context import JobContext, JobFunction
from lookalike.ingest.report import Canceled, IngestCounts, IngestReport
from lookalike.output import documents

BUILDING = "building"
"""The stage in which the search graph is built."""


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
    {
        "ingest": run_ingest,
        "duplicates": run_duplicates,
        "optimize": run_optimize,
        **migration.FUNCTIONS,
    }
)
