"""What becomes of errors: one table of statuses, and problem documents (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lookalike.api.responses import Document
from lookalike.errors import (
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
)

STATUSES: Mapping[type[LookalikeError], int] = {
    LookalikeError: 500,
    InputError: 400,
    SourceError: 400,
    MetadataError: 400,
    FilterError: 400,
    QueryError: 400,
    ImageRejected: 422,
    NotFound: 404,
    ModelError: 503,
    EngineError: 503,
    IndexLocked: 503,
    IndexDamaged: 500,
    SchemaTooNew: 500,
    DiskFull: 507,
}

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("lookalike.api")


class Refused(HTTPException):
    """What the service itself refuses, whatever the index would say.

    It is an `HTTPException`, for those are all that FastAPI lets through while it reads a body.
    """

    status: ClassVar[int]
    headers_of: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(self.status, detail, dict(self.headers_of))


class NoRequest(Refused):
    """Bytes that are no request."""

    status = 400


class Unauthorized(Refused):
    """No key, or one that nobody gave out."""

    status = 401
    headers_of: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class Forbidden(Refused):
    """Not with this key, not from there, or not in this service."""

    status = 403


class RequestTimeout(Refused):
    """The body of a request did not come in time."""

    status = 408
    headers_of: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class BodyTooLarge(Refused):
    """More bytes than a request may have."""

    status = 413


class Invalid(Refused):
    """A request that is not what the OpenAPI document says."""

    status = 422


class TooManyRequests(Refused):
    """One client has as much in work as one may have: the others are served as ever."""

    status = 429
    headers_of: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class TooBusy(Refused):
    """As much is in work as can be: the same request will do in a moment."""

    status = 503
    headers_of: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


_OTHERS = {404: "NotFound", 405: "MethodNotAllowed", 413: "BodyTooLarge", 400: "Invalid"}
"""Names for what Starlette itself refuses."""

_DETAILS = {
    400: "The body cannot be read: see that it is what its Content-Type says.",
    404: "There is nothing at this address: /v1/openapi.json says what there is.",
    405: "This address does not take that method: /v1/openapi.json says which it takes.",
    413: "The request is larger than this service takes: send less at a time.",
}


def problem_of(error: Exception) -> dict[str, Any]:
    """An error as a problem document."""
    if isinstance(error, LookalikeError):
        status = STATUSES[_listed(error)]
        if isinstance(error, ImageRejected) and error.reason is Reason.TOO_LARGE:
            status = 413
        problem = _problem(status, type(error).__name__, str(error))
        if isinstance(error, ImageRejected):
            problem["reason"] = str(error.reason)
        return problem
    if isinstance(error, Refused):
        return _problem(error.status, type(error).__name__, error.detail)
    if isinstance(error, HTTPException):
        detail = _DETAILS.get(error.status_code, str(error.detail))
        return _problem(error.status_code, _OTHERS.get(error.status_code, "Refused"), detail)
    if isinstance(error, RequestValidationError):
        fields = [
            {"where": ".".join(map(str, one["loc"])), "what": one["msg"]}
            for one in error.errors()[:20]
        ]
        first = f": {fields[0]['where']}: {fields[0]['what']}" if fields else ""
        return _problem(422, "Invalid", f"The request is not as it should be{first}.") | {
            "fields": fields
        }
    return _problem(500, "InternalError", "The service failed at this; its log says more.")


def answer(error: Exception) -> Document:
    """An error as a response."""
    problem = problem_of(error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if problem["status"] == 503:
        headers.setdefault("Retry-After", "1")
    return Document(problem, problem["status"], headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Lets an application answer every error with a problem document."""

    async def handle(request: Request, error: Exception) -> Document:
        response = answer(error)
        if response.status_code >= 500 and not isinstance(error, Refused):
            # No query string: it may hold what somebody searched for.
            _log.error("%s %s: %s", request.method, request.url.path, error)
        return response

    for kind in (LookalikeError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, handle)


def responses(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """The errors that a route may answer with, for its OpenAPI description."""
    named: dict[int, list[str]] = {}
    for error in errors:
        status = error.status if issubclass(error, Refused) else STATUSES[error]  # type: ignore[index]
        named.setdefault(status, []).append(error.__name__)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": ", ".join(names), "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, names in named.items()
    }


def either(
    status: int, model: type[BaseModel], description: str
) -> dict[int | str, dict[str, Any]]:
    """A status that comes with an answer of the route's own, or with a problem."""
    declared = responses(Invalid)[Invalid.status]
    return {status: {**declared, "description": description, "model": model}}


COMMON = responses(
    InputError,
    QueryError,
    FilterError,
    Unauthorized,
    Forbidden,
    NotFound,
    RequestTimeout,
    BodyTooLarge,
    Invalid,
    ImageRejected,
    TooManyRequests,
    LookalikeError,
    TooBusy,
    EngineError,
    ModelError,
    DiskFull,
)
"""What any call may end in."""


def _listed(error: LookalikeError) -> type[LookalikeError]:
    """The nearest class of an error that the table has: others may derive their own."""
    return next(kind for kind in type(error).__mro__ if kind in STATUSES)


def _problem(status: int, name: str, detail: str) -> dict[str, Any]:
    return {
        "type": f"urn:lookalike:error:{name}",
        "title": _title(name),
        "status": status,
        "detail": detail,
        "error": name,
    }


def _title(name: str) -> str:
    """`ImageRejected` as "Image rejected"."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    return words.capitalize()
