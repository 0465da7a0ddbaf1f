"""Starting, watching, and canceling background jobs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fastapi import Body as BodyOf
from fastapi import Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from lookalike.api.auth import api_router
from lookalike.api.jobs.job import FINISHED
from lookalike.api.responses import Document
from lookalike.api.schemas import (
    Body,
    MigrationReportResponse,
    Problem,
    ReportResponse,
    Text,
    Where,
    declared,
)
from lookalike.api.service import Serving
from lookalike.duplicates.keepers import POLICIES
from lookalike.facade.migration import MigrationOptions
from lookalike.fields import USER_TYPES
from lookalike.ingest.options import AddOptions

EVENT_INTERVAL = 0.25
"""Seconds between two checks for a change of a watched job."""

Path: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_000)]
Minutes: TypeAlias = Annotated[float, Field(ge=0.01, le=10**6)]
JobId = Annotated[str, Query(alias="job", max_length=64, description="Id of a job.")]

read_router = api_router("jobs")
write_router = api_router("jobs", write=True)
ROUTERS = [read_router, write_router]


_INGEST_TYPES = {
    "metadata": Path | None,
    "fields": dict[Text, Literal[tuple(map(str, USER_TYPES))]] | None,  # type: ignore[misc]
}

_INGEST_OPTIONS = (
    *("metadata", "id_field", "fields", "encoding", "decimal"),
    *("exclude", "copies", "prune", "yes", "fetch", "recheck"),
)
"""Options of `Index.add` that clients may give: none that names a host to send requests to."""

if TYPE_CHECKING:
    _AddOptions: TypeAlias = Body
else:
    _AddOptions = declared(
        AddOptions,
        base=Body,
        types=_INGEST_TYPES,
        only=_INGEST_OPTIONS,
    )


class IngestJob(_AddOptions):
    """Brings the index up to date with a folder or file on the service's machine, an address in an
    object store, or a feed; with `every`, again and again until it is canceled.

    It and the metadata file lie below folders or addresses that the service may read.
    """

    kind: Literal["ingest"]
    path: Path = Field(description="Below a folder or an address that the service may read.")
    every: Minutes | None = Field(
        None, description="Minutes between the starts of two passes; without it, there is one."
    )


class WatchJob(Body):
    """Keeps the index up to date with folders, or with buckets, until it is canceled."""

    kind: Literal["watch"]
    paths: list[Path] = Field(
        min_length=1,
        max_length=100,
        description="Folders, or addresses in object stores, that the service may read.",
    )
    prune: bool = Field(False, description="Remove images that are gone.")
    exclude: list[Text] = Field([], max_length=100, description="Patterns of what to pass over.")
    poll: Annotated[float, Field(ge=0.1)] | None = Field(
        None, description="Seconds between two looks at folders, where events do not arrive."
    )
    every: Minutes | None = Field(
        None, description="Minutes between two passes over everything; 60, or 1,440 with a queue."
    )
    queue: Path | None = Field(
        None, description="URL of the queue of Amazon SQS with the notifications of the bucket."
    )


class DuplicatesJob(Body):
    """Searches the whole index for duplicates."""

    kind: Literal["duplicates"]
    keep: Literal[tuple(POLICIES)] = Field(  # type: ignore[valid-type]
        "largest", description="Policy that chooses the keeper of each group."
    )
    where: Where | None = Field(None, description="A filter.")
    params: dict[str, Any] | None = Field(None, description="Values that the filter names.")
    similar: bool = Field(False, description="Include images that are similar, not copies.")
    verdicts: list[Literal["identical", "same-pixels", "same-picture"]] | None = Field(
        None, min_length=1, description="Verdicts of the copies to list; by default all of them."
    )
    protect: list[Path] = Field(
        [], max_length=100, description="Folders whose files are preferred as keepers and stay."
    )


if TYPE_CHECKING:
    _MigrationOptions: TypeAlias = Body
else:
    _MigrationOptions = declared(
        MigrationOptions,
        base=Body,
        types={"model_dir": Path | None},
        only=("model", "model_dir", "precision", "aspect", "fetch"),
    )


class MigrateJob(_MigrationOptions):
    """Describes all images by another model, which may then take over: POST
    /v1/migration/cut-over. A folder with a model lies below one that the service may read.
    """

    kind: Literal["migrate"]


class OptimizeJob(Body):
    """Builds the search graph now."""

    kind: Literal["optimize"]


JobRequest: TypeAlias = Annotated[
    IngestJob | WatchJob | DuplicatesJob | MigrateJob | OptimizeJob, BodyOf(discriminator="kind")
]


class UncomparedImage(BaseModel):
    uri: str
    detail: str


class DuplicatesReport(BaseModel):
    """The report of a search for duplicates."""

    groups: int
    problems: list[UncomparedImage] = Field(description="Images that could not be compared.")
    seconds: float


class JobResponse(BaseModel):
    job: str = Field(description="Id of the job.")
    kind: Literal[
        "ingest",
        "watch",
        "duplicates",
        "migrate",
        "finish-migration",
        "cancel-migration",
        "optimize",
    ]
    state: Literal["queued", "running", "done", "failed", "canceled"]
    stage: str = Field(description="Current activity, in a word or two.")
    done: int
    total: int | None = Field(description="Null where it is not known.")
    problem: Problem | None = Field(
        description="Why the job failed, or the last pass of one that goes on."
    )
    report: ReportResponse | DuplicatesReport | MigrationReportResponse | None = Field(
        description="Results so far."
    )
    request: dict[str, Any]
    passes: int = Field(description="Passes that are done, of a job that goes on.")
    next_at: str | None = Field(description="Time of its next pass, where it is known.")
    created_at: str
    started_at: str | None
    finished_at: str | None


class JobsResponse(BaseModel):
    jobs: list[JobResponse]


@write_router.post("/jobs", status_code=202, response_model=JobResponse)
def start(service: Serving, job: JobRequest) -> Document:
    """Starts a job, or queues it behind those that are waiting."""
    request = job.model_dump(exclude={"kind"}, exclude_none=True)
    return Document(service.jobs.add(job.kind, request), 202)


@read_router.get("/jobs", response_model=JobsResponse)
def jobs(service: Serving) -> Document:
    """Lists all jobs, newest first, each with up to 100 rejects."""
    return Document({"jobs": service.jobs.all()})


@read_router.get("/jobs/one", response_model=JobResponse)
def job(service: Serving, id: JobId) -> Document:
    """Returns one job, with up to 1,000 rejects."""
    return Document(service.jobs.get(id))


@write_router.delete("/jobs/one", response_model=JobResponse)
def cancel(service: Serving, id: JobId) -> Document:
    """Cancels a job; work already done stays done. Building the search graph and removing
    vectors cannot be canceled."""
    return Document(service.jobs.cancel(id))


def _existing_job(service: Serving, id: JobId) -> str:
    """Checks that a job exists while the status of the response can still be 404."""
    service.jobs.get(id)
    return id


@read_router.get("/jobs/events", response_class=EventSourceResponse)
async def events(
    service: Serving, id: Annotated[str, Depends(_existing_job)]
) -> AsyncIterator[ServerSentEvent]:
    """Streams a job as server-sent events: now and after each change, until it has finished.

    There are at most four events a second. After a disconnect, or when the service was stopped,
    connect again to continue.
    """
    last = None
    while not service.shutdown.has_begun:
        document = await run_in_threadpool(service.jobs.get, id)
        if document != last:
            last = document
            yield ServerSentEvent(event="job", raw_data=json.dumps(document))
        if document["state"] in FINISHED:
            return
        await asyncio.sleep(EVENT_INTERVAL)
