"""What goes wrong between us and a server: each error of qdrant-client, gRPC and httpx as ours,
and whether the same request may succeed if it is sent again."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ParamSpec, TypeVar

import grpc  # type: ignore[import-untyped]
import httpx
import pydantic
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from lookalike.engines.options import ServerOptions
from lookalike.errors import DiskFull, EngineError

LONGEST_PAUSE = 30.0
"""Seconds; the pauses between attempts grow up to it."""
MOST_PATIENCE = 120.0
"""Seconds; a server that asks for a longer pause is not waited for."""

_OF_GRPC = {
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    grpc.StatusCode.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
    grpc.StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    grpc.StatusCode.ABORTED: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""gRPC's codes as the HTTP status that says the same, so that there is one table of meanings."""

FAILURES = (
    ApiException,
    QdrantException,
    grpc.RpcError,
    httpx.HTTPError,
    KeyError,
    RuntimeError,
    ValueError,
)
"""What the client raises when a request fails; its in-memory self raises the last three."""

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Failure:
    """What became of a request.

    Attributes:
        error: ours, in one sentence.
        passes: whether the same request may succeed later.
        after: seconds that the server asks to be left alone.
    """

    error: EngineError
    passes: bool = False
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Calls the client: errors become ours, and what may pass is tried again.

    Pauses grow twofold and are drawn at random below that ("full jitter"), so that many clients
    of a server that came back do not all return at once:
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

    Attributes:
        url: names the collection in errors.
        options: time-out, retries and back-off.
    """

    url: str
    options: ServerOptions

    def __call__(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls what does no harm when it is done twice."""
        attempt = 0
        while True:
            try:
                return method(*args, **kwargs)
            except FAILURES as error:
                failure = judge(error, self.url, self.options.timeout)
                spent = attempt >= self.options.retries or failure.after > MOST_PATIENCE
                if spent or not failure.passes:
                    raise failure.error from error
            ceiling = min(LONGEST_PAUSE, self.options.backoff * 2**attempt)
            time.sleep(failure.after + random.uniform(0, ceiling))
            attempt += 1

    def once(self, method: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls what must not be repeated blindly, or whose failure is better known at once."""
        try:
            return method(*args, **kwargs)
        except FAILURES as error:
            raise judge(error, self.url, self.options.timeout).error from error


def judge(error: Exception, url: str, timeout: float) -> Failure:
    """What an error of the client's means.

    Args:
        error: as it was raised.
        url: names the collection in the sentence.
        timeout: seconds that the request was given.
    """
    match error:
        case ResponseHandlingException(source=Exception() as source):
            return judge(source, url, timeout)
        case httpx.TimeoutException():
            return _late(url, timeout)
        case httpx.TransportError():
            return _unreachable(url, str(error))
        case grpc.RpcError():
            return _of_grpc(error, url, timeout)
        case UnexpectedResponse():
            return _answered(error.status_code, _text(error.content), url, _pause(error))
        case ResourceExhaustedResponse():
            return _answered(429, str(error), url, float(error.retry_after_s))
        case QdrantException():  # the client could not read when to come back
            return _answered(429, str(error), url)
        case pydantic.ValidationError() | json.JSONDecodeError():
            return Failure(
                EngineError(f"{url} does not answer as Qdrant does: check the URL and its port.")
            )
        case ValueError() if "not found" in str(error):  # the client's own, in memory
            return _answered(404, str(error), url)
    detail = str(error) or type(error).__name__
    return Failure(EngineError(f"{url} failed: {_line(detail)}."))


def _of_grpc(error: grpc.RpcError, url: str, timeout: float) -> Failure:
    code: grpc.StatusCode = error.code()
    detail = error.details() or code.name
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _late(url, timeout)
    if code is grpc.StatusCode.UNAVAILABLE and "failed to connect" in detail:
        return _unreachable(url, detail)
    return _answered(_OF_GRPC.get(code), detail, url)


def _answered(status: int | None, detail: str, url: str, after: float = 0.0) -> Failure:
    """What an answer of the server's means, by its HTTP status and its text."""
    said = _line(detail)
    # A node over its quota answers 507, or by gRPC as to one who asks too often; a full disk 500.
    if status == 507 or "usage is at" in detail or "No space left" in detail:
        return Failure(
            DiskFull(f"{url} takes no more ({said}): make room there and run the same again.")
        )
    if status == 401 or (status == 403 and "API key" in detail):
        return Failure(
            EngineError(f"{url} wants an API key, and none or a wrong one was given: give its own.")
        )
    if status == 403:
        return Failure(
            EngineError(
                f"The API key for {url} does not allow this ({said}): give one that may read and "
                "write the collection."
            )
        )
    if status == 404 and "ollection" in detail:
        return Failure(
            EngineError(
                f"There is no collection {url}: make it with `lookalike index PATH --index {url}`."
            )
        )
    if status == 429:
        return Failure(
            EngineError(f"{url} is asked more often than it allows ({said}): ask more slowly."),
            passes=True,
            after=after,
        )
    if status is not None and status >= 500:
        return Failure(
            EngineError(f"{url} cannot answer now ({said}): see to the server, and try again."),
            passes=True,
            after=after,
        )
    return Failure(EngineError(f"{url} answered: {said}."))


def _late(url: str, timeout: float) -> Failure:
    return Failure(
        EngineError(
            f"{url} did not answer within {timeout:g} s: allow it more time, or ask less at once."
        ),
        passes=True,
    )


def _unreachable(url: str, detail: str) -> Failure:
    tls = "SSL" in detail or "CERTIFICATE" in detail
    advice = "check whether it is http or https" if tls else "start the server, or check the URL"
    return Failure(
        EngineError(f"{url} cannot be reached ({_line(detail)}): {advice}."), passes=not tls
    )


def _pause(error: UnexpectedResponse) -> float:
    """Retry-After in seconds; the other form it may have, a date, counts as none."""
    try:
        return float(error.headers.get("Retry-After", 0))
    except ValueError:
        return 0.0


def _text(content: bytes) -> str:
    """The server's own words in the body of an answer."""
    try:
        body: Any = json.loads(content)
        return str(body["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return content.decode("utf-8", "replace")


def _line(text: str) -> str:
    """The first line of a text, short enough for a sentence."""
    return (text.strip().splitlines() or ["no reason given"])[0][:200].rstrip(". ")
