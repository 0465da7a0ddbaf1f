"""Copies: of one image, in the whole index, and what was decided on them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import BaseModel, Field

from lookalike.api.middleware.auth import router
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.routes.jobs import JobAnswer
from lookalike.api.schemas import Body, Id, PayloadAnswer, Token
from lookalike.api.service import Serving
from lookalike.duplicates.check import match_of
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.decisions import MOST_DECIDED
from lookalike.errors import NotFound, QueryError
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.types import Decision

DECISIONS = {"not_duplicate": Decision.NOT_DUPLICATES, "keep_both": Decision.KEEP_ALL}

reading = router("duplicates")
writing = router("duplicates", write=True)
ROUTERS = [reading, writing]


class Check(Body):
    """The image whose copies are wanted: one of the index, or one that was uploaded."""

    id: Id | None = None
    upload: Token | None = Field(None, description="The token of a query image: POST /v1/uploads.")
    similar: bool = Field(False, description="Also what is similar and no copy.")
    limit: int = Field(100, ge=1, le=1_000)


class Decide(Body):
    """What somebody says of images that look like copies."""

    ids: list[Id] = Field(min_length=2, max_length=MOST_DECIDED)
    decision: Literal["not_duplicate", "keep_both"] | None = Field(
        description="Null forgets what was said of them."
    )


class MatchAnswer(BaseModel):
    id: str
    uri: str
    verdict: Verdict
    evidence: dict[str, Any]


class CheckAnswer(BaseModel):
    matches: list[MatchAnswer]
    took_ms: float


class MemberAnswer(MatchAnswer):
    payload: PayloadAnswer


class GroupAnswer(BaseModel):
    verdict: Verdict = Field(description="The weakest of its members'.")
    keeper: str = Field(description="Id of the one to keep, the first member.")
    reason: str = Field(description="Why that one.")
    members: list[MemberAnswer]


class GroupsAnswer(BaseModel):
    groups: list[GroupAnswer]
    total: int = Field(
        description="Groups; one of which too little is left counts until it is met."
    )
    images: int = Field(description="In the whole index.")
    job: JobAnswer | None = Field(description="The last search for duplicates.")


@reading.post("/duplicates/check", response_model=CheckAnswer)
def check(service: Serving, asked: Check) -> Document:
    """The copies of one image, the surest first."""
    if (asked.id is None) == (asked.upload is None):
        raise QueryError("Give an id or an upload to find the copies of, one of the two.")
    started = time.perf_counter()
    given = None if asked.upload is None else service.queries.get(asked.upload)
    matches = service.index.duplicates_of(
        given, id=asked.id, similar=asked.similar, limit=asked.limit
    )
    took = (time.perf_counter() - started) * 1000
    return Document(
        {"matches": [documents.of_match(match) for match in matches], "took_ms": round(took, 3)}
    )


@reading.get("/duplicates", response_model=GroupsAnswer)
def groups(
    service: Serving,
    offset: Annotated[int, Query(ge=0, le=10**9)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> Document:
    """The groups that the last search for duplicates found, or has found so far, without what was
    deleted or decided upon since."""
    found, total = service.jobs.found.page(service.index, offset, limit)
    searches = (job for job in service.jobs.all() if job["kind"] == "duplicates")
    return Document(
        {
            "groups": found,
            "total": total,
            "images": service.index.count(),
            "job": next(searches, None),
        }
    )


@writing.post("/duplicates/decide", response_model=dict[str, Any])
def decide(service: Serving, said: Decide) -> Document:
    """Remembers what is said of images: they are not shown as each other's copies any more."""
    with service.turns.turn():
        service.index.decide(said.ids, None if said.decision is None else DECISIONS[said.decision])
    service.jobs.found.recheck(said.ids)
    return Document({})


@reading.get("/duplicates/difference", response_class=JPEG)
def difference(
    request: Request,
    service: Serving,
    keeper: Annotated[Id, Query()],
    copy: Annotated[Id, Query()],
) -> Any:
    """The one in grey, with red where the other, laid over it, is another."""
    one, other = (
        match_of(service.index.get(id), Verdict.SAME_PICTURE, {}) for id in (keeper, copy)
    )

    def make() -> bytes:
        shown = service.index.difference(one, other)
        if shown is None:
            raise NotFound(
                f"It cannot be told how {copy!r} differs from {keeper!r}: they do not lie on one "
                "another."
            )
        return shown

    digests = (record_of(match.payload)["sha256"] for match in (one, other))
    return jpeg(request, "-".join(digests), make)
