"""Errors that the service itself raises, whatever the index would say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from starlette.exceptions import HTTPException


class ServiceError(HTTPException):
    """Base of the errors that the service itself raises.

    An `HTTPException`, because FastAPI passes on no other error while it reads a body.
    """

    status: ClassVar[int]
    response_headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(self.status, detail, dict(self.response_headers))


class MalformedRequest(ServiceError):
    """The bytes received are not an HTTP request."""

    status = 400


class Unauthorized(ServiceError):
    """The request carries no valid key or session."""

    status = 401
    response_headers: ClassVar[Mapping[str, str]] = {"WWW-Authenticate": "Bearer"}


class Forbidden(ServiceError):
    """Not allowed with this key, from this origin, or in this service at all."""

    status = 403


class RequestTimeout(ServiceError):
    """The client took too long to send the body."""

    status = 408
    response_headers: ClassVar[Mapping[str, str]] = {"Connection": "close"}


class BodyTooLarge(ServiceError):
    """The body exceeds the size limit."""

    status = 413


class InvalidRequest(ServiceError):
    """The request does not match its schema in the OpenAPI document."""

    status = 422


class TooManyRequests(ServiceError):
    """One client has too many requests in flight; other clients are served as usual."""

    status = 429
    response_headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}


class TooBusy(ServiceError):
    """The service is at its limit; the same request will succeed in a moment."""

    status = 503
    response_headers: ClassVar[Mapping[str, str]] = {"Retry-After": "1"}
