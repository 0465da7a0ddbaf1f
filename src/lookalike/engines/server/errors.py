"""Errors of qdrant-client, gRPC and httpx, translated into ours."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import pydantic
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from lookalike.errors import AccessDenied, DiskFull, EngineError

_HTTP_STATUS = {
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.ABORTED: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""HTTP statuses with the meaning of gRPC's codes, so that `_response_failure` handles both."""

_NO_TLS = "{url} does not answer with TLS ({detail}): check whether it is http or https."
_TLS = {
    "certificate has expired": (
        "The certificate of {url} has expired: renew it on the server ({detail})."
    ),
    "ostname mismatch": (
        "The certificate of {url} is for another name ({detail}): use the name that it has."
    ),
    "IP address mismatch": (
        "The certificate of {url} is for another name ({detail}): use the name that it has."
    ),
    "CERTIFICATE_VERIFY_FAILED": (
        "The certificate of {url} is not trusted here ({detail}): name the file of the authority "
        "that signed it, by --server ca_cert=FILE, or `ca_cert` in Python."
    ),
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "RECORD_LAYER_FAILURE": _NO_TLS,
    "PACKET_LENGTH_TOO_LONG": _NO_TLS,
    r"\x15\x03": "{url} answers with TLS: use https:// in its address.",
}
"""Messages for failures of TLS, by what the first text has in it that has any."""

_MISSING = ("No point with id", "Vector with name", "is not found in the collection")
"""Parts of the errors with which a query by the id of a point is refused that is not there, or has
not the vector."""

FAILURES = (
    ApiException,
    QdrantException,
    grpc.RpcError,
    httpx.HTTPError,
    KeyError,
    RuntimeError,
    ValueError,
)
"""Errors that the client raises when a request fails; its in-memory mode raises the last three."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed request.

    Attributes:
        error: our error for it.
        temporary: whether the same request may succeed later.
        retry_after: seconds that the server asks the client to wait.
        away: whether the node may be gone, as nothing says that it answered.
        timed_out: whether it may as well be slow.
    """

    error: EngineError
    temporary: bool = False
    retry_after: float = 0.0
    away: bool = False
    timed_out: bool = False


def failure_of(error: Exception, url: str, timeout: float) -> Failure:
    """Translates an error of the client.

    Args:
        error: the error, one of `FAILURES`.
        url: names the collection.
        timeout: seconds that the request had.
    """
    match error:
        case ResponseHandlingException(source=Exception() as source):
            return failure_of(source, url, timeout)
        case httpx.TimeoutException():
            return _timed_out(url, timeout)
        case httpx.TransportError():
            return _unreachable(url, str(error))
        case grpc.RpcError():
            return _grpc_failure(error, url, timeout)
        case UnexpectedResponse():
            text = _error_text(error.content)
            return _response_failure(error.status_code, text, url, _retry_after(error))
        case ResourceExhaustedResponse():
            return _response_failure(429, str(error), url, float(error.retry_after_s))
        case QdrantException():  # without a readable Retry-After
            return _response_failure(429, str(error), url)
        case pydantic.ValidationError() | json.JSONDecodeError():
            message = f"{url} does not respond like a Qdrant server; check the URL and its port."
            return Failure(EngineError(message))
        case ValueError() if "not found" in str(error):  # from the in-memory mode
            return _response_failure(404, str(error), url)
    detail = str(error) or type(error).__name__
    return Failure(EngineError(f"{url} failed: {first_line(detail)}."))


def is_missing_point(error: Exception) -> bool:
    """Tells if a query named a point that does not exist, or lacks the vector, as servers and the
    in-memory mode say."""
    match error:
        case UnexpectedResponse(status_code=HTTPStatus.NOT_FOUND):
            text = _error_text(error.content)
        case grpc.RpcError() if error.code() is grpc.StatusCode.NOT_FOUND:
            text = error.details() or ""
        case ValueError():
            text = str(error)
        case _:
            return False
    return any(sign in text for sign in _MISSING)


def _grpc_failure(error: grpc.RpcError, url: str, timeout: float) -> Failure:
    code: grpc.StatusCode = error.code()
    detail = error.details() or code.name
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _timed_out(url, timeout)
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in detail:
        return _unreachable(url, detail)
    failure = _response_failure(_HTTP_STATUS.get(code), detail, url)
    # The code of a connection that broke is also the one of a server that is busy.
    return replace(failure, away=code is grpc.StatusCode.UNAVAILABLE)


def _response_failure(
    status: int | None, detail: str, url: str, retry_after: float = 0.0
) -> Failure:
    """Translates an error response by its HTTP status and its text."""
    reason = first_line(detail)
    # A node over its quota answers 507, or over gRPC RESOURCE_EXHAUSTED; a full disk, 500.
    if status == 507 or "usage is at" in detail or "No space left" in detail:
        message = f"{url} is out of space ({reason}); free some and run the same command again."
        return Failure(DiskFull(message))
    if status == 429 and "larger than rate limiter capacity" in detail:
        message = (
            f"A single request is more than {url} allows in a minute ({reason}): raise its "
            "read_rate_limit or write_rate_limit, or lower --server batch."
        )
        return Failure(EngineError(message))
    if status == 429:
        message = f"{url} limits the rate of requests ({reason}); send fewer of them."
        return Failure(EngineError(message), temporary=True, retry_after=retry_after)
    # 408 is the server's own time limit, for which gRPC has the code of ours.
    if status is not None and (status >= 500 or status == 408):
        message = f"{url} cannot serve requests now ({reason}); check the server and try again."
        return Failure(EngineError(message), temporary=True, retry_after=retry_after)
    if status in (401, 403) and "ExpiredSignature" in detail:
        message = f"The token for {url} has expired: set QDRANT_API_KEY to a new one."
    elif status == 401 or (status == 403 and "API key" in detail):
        message = (
            f"{url} requires an API key, and it is missing or wrong: set QDRANT_API_KEY, or "
            "`api_key` in Python."
        )
    elif status == 403:
        message = (
            f"The API key for {url} does not permit this ({reason}); use a key that may read and "
            "write the collection."
        )
    elif status == 404 and "ollection" in detail:
        message = (
            f"The collection {url} does not exist; create it with "
            f"`lookalike index PATH --index {url}`."
        )
    else:
        message = f"{url} rejected the request: {reason}."
    denied = status in (401, 403)
    return Failure(AccessDenied(message) if denied else EngineError(message))


def _timed_out(url: str, timeout: float) -> Failure:
    message = f"{url} did not respond within {timeout:g} s; raise the timeout, or request less."
    return Failure(EngineError(message), temporary=True, away=True, timed_out=True)


def _unreachable(url: str, detail: str) -> Failure:
    for sign, message in _TLS.items():
        if sign in detail:
            message = message.format(url=url, detail=first_line(detail))
            return Failure(EngineError(message), away=True)
    advice = "start the server, or check the URL"
    if "disconnected" in detail or "SSL" in detail:
        advice = "check the server, and whether it is http or https"
    message = f"{url} cannot be reached ({first_line(detail)}): {advice}."
    return Failure(EngineError(message), temporary=True, away=True)


def _retry_after(error: UnexpectedResponse) -> float:
    """Seconds of the Retry-After header; 0 without it, or if it holds a date."""
    try:
        return float(error.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0


def _error_text(content: bytes) -> str:
    """The server's message in the body of a response."""
    try:
        body: Any = json.loads(content)
        return str(body["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace")


def first_line(text: str) -> str:
    """The first line of a text, at most 200 characters of it."""
    return (text.strip().splitlines() or ["no reason given"])[0][:200].rstrip(". ")
