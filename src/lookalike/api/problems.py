"""Errors as responses: one table of statuses, and problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lookalike.api.errors import (
    BodyTooLarge,
    Forbidden,
    InvalidRequest,
    RequestTimeout,
    ServiceError,
    TooBusy,
    TooManyRequests,
    Unauthorized,
)
from lookalike.api.responses import Document
from lookalike.errors import (
    AccessDenied,
    Conflict,
    DiskFull,
    EngineError,
    FilterError,
    ImageRejected,
    IndexDamaged,
    IndexLocked,
    InputError,
    LookalikeError,
    MetadataError,
    ModelError,
    NotFound,
    QueryError,
    Reason,
    SchemaTooNew,
    SourceError,
    StoreRefusal,
)

STATUSES: Mapping[type[LookalikeError], int] = {
    LookalikeError: 500,
    InputError: 400,
    SourceError: 400,
    StoreRefusal: 400,
    MetadataError: 400,
    FilterError: 400,
    QueryError: 400,
    ImageRejected: 422,
    NotFound: 404,
    Conflict: 409,
    ModelError: 503,
    EngineError: 503,
    AccessDenied: 503,
    IndexLocked: 503,
    IndexDamaged: 500,
    SchemaTooNew: 500,
    DiskFull: 507,
}
"""HTTP status of each library error."""

PROBLEM_JSON = "application/problem+json"
_MAX_FIELDS = 20
"""Invalid fields that one problem document lists."""

_log = logging.getLogger("lookalike.api")

_STARLETTE_NAMES = {
    400: "InvalidRequest",
    404: "NotFound",
    405: "MethodNotAllowed",
    413: "BodyTooLarge",
}
"""Error names for what Starlette itself refuses."""

_STARLETTE_DETAILS = {
    400: "The body cannot be parsed; check that it matches its Content-Type.",
    404: "There is nothing at this path; /v1/openapi.json lists the paths.",
    405: "This path does not support that method; /v1/openapi.json lists the methods.",
    413: "The request is too large; send less at a time.",
}


def problem_of(error: Exception) -> dict[str, Any]:
    """Returns an error as a problem document."""
    if isinstance(error, LookalikeError):
        return _library_problem(error)
    if isinstance(error, ServiceError):
        return _problem(error.status, type(error).__name__, error.detail)
    if isinstance(error, HTTPException):
        name = _STARLETTE_NAMES.get(error.status_code, "HTTPError")
        detail = _STARLETTE_DETAILS.get(error.status_code, str(error.detail))
        return _problem(error.status_code, name, detail)
    if isinstance(error, RequestValidationError):
        return _validation_problem(error)
    if isinstance(error, RecursionError):  # of whatever reads the request
        return _problem(400, "InvalidRequest", "The request is nested too deep; make it flatter.")
    return _problem(500, "InternalError", "The service failed; its log has the details.")


def response_of(error: Exception) -> Document:
    """Returns an error as a response."""
    problem = problem_of(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if problem["status"] == 503:
        headers.setdefault("Retry-After", "1")
    return Document(problem, problem["status"], headers, media_type=PROBLEM_JSON)


def install(app: FastAPI) -> None:
    """Makes an application answer every error with a problem document."""

    async def handle(request: Request, error: Exception) -> Document:
        response = response_of(error)
        if response.status_code >= 500 and not isinstance(error, ServiceError):
            # Without the query string, which may hold search terms.
            _log.error("%s %s: %s", request.method, request.url.path, error)
        return response

    for kind in (LookalikeError, HTTPException, RequestValidationError, RecursionError, Exception):
        app.add_exception_handler(kind, handle)


# --- the OpenAPI document -------------------------------------------------------------------


def error_responses(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """Returns the OpenAPI description of the errors that a route may answer with."""
    names: dict[int, list[str]] = {}
    for error in errors:
        status = error.status if issubclass(error, ServiceError) else STATUSES[error]  # type: ignore[index]
        names.setdefault(status, []).append(error.__name__)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": ", ".join(listed), "content": {PROBLEM_JSON: {"schema": schema}}}
        for status, listed in names.items()
    }


def problem_or(
    status: int, model: type[BaseModel], description: str
) -> dict[int | str, dict[str, Any]]:
    """Describes a status that comes with a problem or with a document of the route's own."""
    declared = error_responses(InvalidRequest)[InvalidRequest.status]
    return {status: {**declared, "description": description, "model": model}}


COMMON = error_responses(
    InputError,
    QueryError,
    FilterError,
    Unauthorized,
    Forbidden,
    NotFound,
    RequestTimeout,
    BodyTooLarge,
    InvalidRequest,
    ImageRejected,
    TooManyRequests,
    LookalikeError,
    TooBusy,
    EngineError,
    ModelError,
    DiskFull,
)
"""Errors that any route may answer with."""


# --- documents ------------------------------------------------------------------------------


def _library_problem(error: LookalikeError) -> dict[str, Any]:
    status = STATUSES[_listed_class(error)]
    if isinstance(error, ImageRejected) and error.reason is Reason.TOO_LARGE:
        status = 413
    problem = _problem(status, type(error).__name__, str(error))
    if isinstance(error, ImageRejected):
        problem["reason"] = str(error.reason)
    return problem


def _listed_class(error: LookalikeError) -> type[LookalikeError]:
    """Returns the nearest class of an error that the table lists: plug-ins may derive more."""
    return next(kind for kind in type(error).__mro__ if kind in STATUSES)


def _validation_problem(error: RequestValidationError) -> dict[str, Any]:
    fields = [
        {"location": ".".join(map(str, entry["loc"])), "detail": entry["msg"]}
        for entry in error.errors()[:_MAX_FIELDS]
    ]
    first = f": {fields[0]['location']}: {fields[0]['detail']}" if fields else ""
    problem = _problem(422, "InvalidRequest", f"The request does not match its schema{first}.")
    return {**problem, "fields": fields}


def _problem(status: int, name: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:lookalike:error:{name}",
        "title": _title(name),
        "status": status,
        "detail": detail,
        "error": name,
    }


def _title(name: str) -> str:
    """Returns `ImageRejected` as "Image rejected"."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    return words.capitalize()
