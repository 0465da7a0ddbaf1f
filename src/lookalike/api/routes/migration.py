"""The migration to another model: its state, the comparison of both models, and the cut-over."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fastapi import Query, Response
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from lookalike.api.auth import api_router
from lookalike.api.jobs.job import MIGRATE
from lookalike.api.responses import Document
from lookalike.api.routes.jobs import JobResponse
from lookalike.api.schemas import Body, MigrationResponse, declared
from lookalike.api.service import Serving
from lookalike.facade.migration import CutOverOptions
from lookalike.output import documents
from lookalike.output.migration_report import migration_report
from lookalike.record import record_of

_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"
)
"""The content security policy of the report, which holds its styles and pictures."""

read_router = api_router("migration")
write_router = api_router("migration", write=True)
ROUTERS = [read_router, write_router]

if TYPE_CHECKING:
    _CutOverOptions: TypeAlias = Body
else:
    _CutOverOptions = declared(CutOverOptions, base=Body)


class CutOverRequest(_CutOverOptions):
    """The gates that the new model must pass, and the fate of images without its vector."""


class GateResponse(BaseModel):
    name: str
    wanted: float = Field(description="The bound.")
    measured: float | None = Field(description="Null where it could not be measured.")
    passed: bool
    sentence: str = Field(description="The measured value and the bound, in words.")


class CutOverResponse(BaseModel):
    done: bool = Field(description="Whether the new model serves now.")
    gates: list[GateResponse]


class ComparedModelResponse(BaseModel):
    model: str
    vector: str
    p50_ms: float
    p95_ms: float


class ComparisonResponse(BaseModel):
    """The results of both models for the same queries."""

    model_config = ConfigDict(extra="allow")

    old: ComparedModelResponse
    new: ComparedModelResponse
    queries: int
    limit: int
    overlap: dict[str, float] = Field(description="Share of results that both find.")
    rank_overlap: dict[str, float]
    precision: dict[str, Any] | None = Field(description="Null where no field judges results.")
    notes: list[str]
    gates: list[GateResponse] = Field(description="None once the new model serves.")


Queries = Annotated[int, Query(ge=2, le=10_000, description="Stored images to search by.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Results of a search that count.")]
By = Annotated[str | None, Query(max_length=2_000, description="Field whose values judge results.")]


@read_router.get("/migration", response_model=MigrationResponse | None)
def migration(service: Serving) -> Document:
    """Returns the state of the migration that is under way; null if none is."""
    status = service.index.migration()
    return Document(None if status is None else documents.of_migration(status))


@write_router.get("/migration/report", response_model=ComparisonResponse)
def report(service: Serving, queries: Queries = 200, limit: Limit = 10, by: By = None) -> Document:
    """Compares the results of both models for the same queries, and checks the gates."""
    comparison, gates = service.index.review_migration(queries=queries, limit=limit, by=by)
    return Document(documents.of_comparison(comparison) | {"gates": documents.of_gates(gates)})


@write_router.get("/migration/report.html", response_class=HTMLResponse)
def report_page(
    service: Serving, queries: Queries = 200, limit: Limit = 10, by: By = None
) -> Response:
    """Returns the same as a page, with the pictures of the queries side by side."""

    def thumbnail(id: str) -> bytes:
        uri = record_of(service.index.get(id).payload)["uri"]
        return service.index.thumbnail(id, original=service.may_read(uri))

    comparison, gates = service.index.review_migration(queries=queries, limit=limit, by=by)
    page = migration_report(comparison, gates, thumbnail)
    return HTMLResponse(page, headers={"Content-Security-Policy": _PAGE_POLICY})


@write_router.post("/migration/cut-over", response_model=CutOverResponse)
def cut_over(service: Serving, body: CutOverRequest) -> Document:
    """Has the new model serve if it passes the gates: `done` tells."""
    options = body.model_dump()
    drops = options["missing"] == "drop" and not options["dry_run"]
    with service.writing() if drops else nullcontext():
        result = service.index.cut_over(**options)
    return Document({"done": result.done, "gates": documents.of_gates(result.gates)})


@write_router.post("/migration/roll-back", response_model=MigrationResponse | None)
def roll_back(service: Serving) -> Document:
    """Has the old model serve again, as before the cut-over."""
    service.index.roll_back()
    return migration(service)


@write_router.post("/migration/finish", status_code=202, response_model=JobResponse)
def finish(service: Serving) -> Document:
    """Starts a job that removes the vectors of the old model, after which there is no way back."""
    service.index.finish_migration(dry_run=True)
    return Document(service.jobs.add("finish-migration", {}), 202)


@write_router.post("/migration/cancel", status_code=202, response_model=JobResponse)
def cancel(service: Serving) -> Document:
    """Gives the migration up: cancels its job, and starts one that removes the vectors of the new
    model."""
    if service.index.migration() is not None or not service.jobs.cancel_all(MIGRATE):
        service.index.cancel_migration(dry_run=True)
        service.jobs.cancel_all(MIGRATE)
    return Document(service.jobs.add("cancel-migration", {}), 202)
