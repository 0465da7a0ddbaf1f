"""Near-duplicates: of one image, in the whole index, and the decisions on them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field

from lookalike.api.auth import api_router
from lookalike.api.problems import error_responses
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.routes.jobs import JobResponse
from lookalike.api.schemas import Body, Id, PayloadResponse, Token
from lookalike.api.service import Serving
from lookalike.duplicates.decisions import MAX_DECIDED
from lookalike.duplicates.verdicts import Duplicate, Grade, Verdict
from lookalike.errors import Conflict, NotFound, QueryError
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.types import Decision

read_router = api_router("duplicates")
write_router = api_router("duplicates", write=True)
ROUTERS = [read_router, write_router]


class CheckRequest(Body):
    """The image to check: an indexed or an uploaded one."""

    id: Id | None = None
    upload: Token | None = Field(None, description="Token of a query image: POST /v1/uploads.")
    similar: bool = Field(False, description="Include images that are similar, not copies.")
    limit: int = Field(100, ge=1, le=1_000)


class DecideRequest(Body):
    """A decision on images that look like copies."""

    ids: list[Id] = Field(min_length=2, max_length=MAX_DECIDED)
    decision: Literal["not_duplicates", "keep_all"] | None = Field(
        description="Null withdraws an earlier decision."
    )


class DuplicateResponse(BaseModel):
    id: str
    uri: str
    verdict: Verdict
    evidence: dict[str, Any]
    holds_more: list[str] = Field(
        description="What its file holds that the keeper's does not, in words."
    )
    protected: bool = Field(description="Whether its file is in a protected folder.")


class CheckResponse(BaseModel):
    matches: list[DuplicateResponse]
    took_ms: float


class MemberResponse(DuplicateResponse):
    payload: PayloadResponse


class GroupResponse(BaseModel):
    verdict: Verdict = Field(description="The weakest verdict of the members.")
    keeper: str = Field(description="Id of the image to keep, the first member.")
    reason: str = Field(description="Why that image is kept.")
    members: list[MemberResponse]


class GroupsResponse(BaseModel):
    groups: list[GroupResponse]
    total: int = Field(
        description="Number of groups. One that no longer holds counts until a page reaches it."
    )
    images: int = Field(description="Images in the index.")
    job: JobResponse | None = Field(description="The last search for duplicates.")


@read_router.post("/duplicates/check", response_model=CheckResponse)
def check(service: Serving, body: CheckRequest) -> Document:
    """Finds the copies of one image, most certain first."""
    if (body.id is None) == (body.upload is None):
        raise QueryError("Give either id or upload.")
    started = time.perf_counter()
    uploaded = None if body.upload is None else service.query_images.get(body.upload)
    copies = service.index.duplicates_of(
        uploaded, id=body.id, similar=body.similar, limit=body.limit
    )
    took = (time.perf_counter() - started) * 1000
    return Document(
        {"matches": [documents.of_duplicate(copy) for copy in copies], "took_ms": round(took, 3)}
    )


@read_router.get("/duplicates", response_model=GroupsResponse)
def groups(
    service: Serving,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Document:
    """Lists the groups that the last search for duplicates has found.

    Images that were deleted or decided on since are left out.
    """
    page, total = service.jobs.groups.page(service.index, offset, limit)
    searches = (job for job in service.jobs.all() if job["kind"] == "duplicates")
    return Document(
        {
            "groups": page,
            "total": total,
            "images": service.index.count(),
            "job": next(searches, None),
        }
    )


@write_router.post(
    "/duplicates/decide", response_model=dict[str, Any], responses=error_responses(Conflict)
)
def decide(service: Serving, body: DecideRequest) -> Document:
    """Stores a decision: the images are no longer shown as copies of each other."""
    decision = None if body.decision is None else Decision(body.decision)
    with service.writing():
        service.index.decide(body.ids, decision)
    service.jobs.groups.recheck(body.ids)
    return Document({})


@read_router.get("/duplicates/difference", response_class=JPEG)
def difference(
    request: Request,
    service: Serving,
    keeper: Annotated[Id, Query()],
    copy: Annotated[Id, Query()],
) -> Any:
    """Returns the keeper in gray, with differences of the aligned copy in red."""
    grade = Grade(Verdict.SAME_PICTURE, {})
    pair = [Duplicate.of(service.index.get(id), grade) for id in (keeper, copy)]

    service.require_readable(*(one.uri for one in pair))

    def encode() -> bytes:
        image = service.index.difference(*pair)
        if image is None:
            raise NotFound(
                f"The images {keeper!r} and {copy!r} cannot be aligned, so their difference cannot "
                "be shown."
            )
        return image

    digests = (record_of(member.payload)["sha256"] for member in pair)
    return jpeg(request, "-".join(digests), encode)
