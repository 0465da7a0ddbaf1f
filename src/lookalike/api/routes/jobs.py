"""Jobs: starting them, watching them, and stopping them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal, TypeAlias

from fastapi import Body as BodyOf
from fastapi import Depends, Query
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from lookalike.api.jobs.queue import FINAL
from lookalike.api.middleware.auth import router
from lookalike.api.responses import Document
from lookalike.api.schemas import Body, Problem, ReportAnswer, Text, Where
from lookalike.api.service import Serving
from lookalike.duplicates.keepers import POLICIES

PAUSE = 0.25
"""Seconds between two looks at a job that somebody watches."""

Path: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_000)]
JobId = Annotated[str, Query(alias="job", max_length=64, description="A job's id.")]

reading = router("jobs")
writing = router("jobs", write=True)
ROUTERS = [reading, writing]


class Ingest(Body):
    """Brings the index up to date with a folder or a file of the service's machine."""

    kind: Literal["ingest"]
    path: Path = Field(description="Below a folder that the service may read.")
    metadata: Path | None = Field(None, description="A CSV, JSON Lines or Parquet file, likewise.")
    id_field: Text | None = Field(None, description="The column that holds ids.")
    prune: bool = Field(False, description="Remove what is no longer there.")
    copies: Literal["keep", "skip", "link"] = Field(
        "keep", description="What becomes of copies of what is in the index."
    )


class Duplicates(Body):
    """Looks for all copies in the index."""

    kind: Literal["duplicates"]
    keep: Literal[tuple(POLICIES)] = Field(  # type: ignore[valid-type]
        "largest", description="Which one of a group stays."
    )
    where: Where | None = Field(None, description="A filter.")
    similar: bool = Field(False, description="Also what is similar and no copy.")


class Optimize(Body):
    """Builds the search graph now."""

    kind: Literal["optimize"]


Start: TypeAlias = Annotated[Ingest | Duplicates | Optimize, BodyOf(discriminator="kind")]


class UncomparedAnswer(BaseModel):
    uri: str
    detail: str


class SearchedAnswer(BaseModel):
    """What a search for duplicates came to."""

    groups: int
    problems: list[UncomparedAnswer] = Field(description="Images that could not be compared.")
    seconds: float


class JobAnswer(BaseModel):
    job: str
    kind: Literal["ingest", "duplicates", "optimize"]
    state: Literal["queued", "running", "done", "failed", "canceled"]
    stage: str = Field(description="What is being done, in a word or two.")
    done: int
    total: int | None = Field(description="Null where nobody knows yet.")
    problem: Problem | None = Field(description="Why it failed.")
    report: ReportAnswer | SearchedAnswer | None = Field(
        description="What came of it, as far as it went."
    )
    request: dict[str, Any]
    created_at: str
    started_at: str | None
    finished_at: str | None


class JobsAnswer(BaseModel):
    jobs: list[JobAnswer]


@writing.post("/jobs", status_code=202, response_model=JobAnswer)
def start(service: Serving, job: Start) -> Document:
    """Starts a job, or puts it behind those that wait."""
    request = job.model_dump(exclude={"kind"}, exclude_none=True)
    return Document(service.jobs.add(job.kind, request), 202)


@reading.get("/jobs", response_model=JobsAnswer)
def jobs(service: Serving) -> Document:
    """All jobs, the newest first, with the first 100 rejects of each."""
    return Document({"jobs": service.jobs.all()})


@reading.get("/jobs/one", response_model=JobAnswer)
def one(service: Serving, id: JobId) -> Document:
    """One job, with the first 1,000 rejects."""
    return Document(service.jobs.get(id))


@writing.delete("/jobs/one", response_model=JobAnswer)
def cancel(service: Serving, id: JobId) -> Document:
    """Stops a job; what is done stays done. Building the search graph cannot be stopped."""
    return Document(service.jobs.cancel(id))


def _known(service: Serving, id: JobId) -> str:
    """Says that there is no such job while it can still be said."""
    service.jobs.get(id)
    return id


@reading.get("/jobs/events", response_class=EventSourceResponse)
async def events(
    service: Serving, id: Annotated[str, Depends(_known)]
) -> AsyncIterator[ServerSentEvent]:
    """A job as it goes on, as server-sent events: at once, then at each change, at most four times
    a second, until it is over. Connect again to go on listening."""
    shown = None
    while True:
        document = service.jobs.get(id)
        if document != shown:
            shown = document
            yield ServerSentEvent(event="job", raw_data=json.dumps(document))
        if document["state"] in FINAL:
            return
        await asyncio.sleep(PAUSE)
