"""Consideration for hosts: few requests to each at once, pauses where one asks for them, and none
after it has failed again and again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import IO, NamedTuple
from urllib.parse import urlsplit

from lookalike.errors import InputError, LookalikeError
from lookalike.sources.web.connections import IdleConnections
from lookalike.sources.web.fetcher import Fetcher, RequestOptions, Response, Unreachable
from lookalike.system import patience
from lookalike.system.times import to_utc

PARALLEL = 4
"""Requests to one host at once."""
_BUSY = frozenset({429, 503})


class Consideration(NamedTuple):
    """Limits of the patience with one host.

    Attributes:
        pause: the longest pause that is waited out, in seconds; a longer one ends the requests to
            the host.
        attempts: number of requests for one URL that its host is too busy for.
        failures: number of failures in a row after which the host counts as away.
    """

    pause: float = 120.0
    attempts: int = 5
    failures: int = 5


class Hosts:
    """Sends requests, with consideration for each host. Thread-safe; can be pickled.

    Args:
        fetcher: sends them.
        consideration: the limits.
    """

    def __init__(self, fetcher: Fetcher, consideration: Consideration | None = None) -> None:
        self._fetcher = fetcher
        self._consideration = consideration or Consideration()
        self._connections = IdleConnections(PARALLEL)
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Hosts], tuple[Fetcher, Consideration]]:
        return Hosts, (self._fetcher, self._consideration)

    def request(
        self, url: str, headers: Mapping[str, str], into: IO[bytes] | None = None
    ) -> Response:
        """Returns the answer for a URL.

        Args:
            url: the URL.
            headers: headers to send besides the usual ones.
            into: receives the file in place of the response.

        Raises:
            InputError: the URL may not be fetched, or its host is away or too busy.
            ImageRejected: the file is empty or too large.
            LookalikeError: the run is being stopped.
        """
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            raise InputError("Its address is not valid.") from None
        options = RequestOptions(headers, self._connections, into)
        with self._lock:
            of_host = self._hosts.setdefault(host, _Host(host, self._consideration))
        return of_host.request(lambda: self._fetcher.request(url, options))

    def close(self) -> None:
        """Closes the idle connections."""
        self._connections.close()


class _Host:
    """The requests to one host."""

    def __init__(self, name: str, consideration: Consideration) -> None:
        self._name = name
        self._consideration = consideration
        self._slots = threading.BoundedSemaphore(PARALLEL)
        self._free_at = 0.0  # by `time.monotonic`
        self._failures = 0

    def request(self, send: Callable[[], Response]) -> Response:
        """Sends a request once the host is free, and again while it is too busy."""
        for attempt in range(self._consideration.attempts):
            with self._slots:
                self._wait()
                if self._failures >= self._consideration.failures:
                    raise InputError(
                        f"{self._name} has failed {self._failures} times in a row and is not asked "
                        "again in this run; run the same command again later."
                    )
                response = self._send(send)
            if response.status not in _BUSY:
                return response
            seconds = _retry_after(response)
            self._free_at = time.monotonic() + (2.0**attempt if seconds is None else seconds)
        raise InputError(
            f"{self._name} answered {response.status} (too busy) "
            f"{self._consideration.attempts} times; run the same command again later."
        )

    def _send(self, send: Callable[[], Response]) -> Response:
        try:
            response = send()
        except Unreachable:
            self._failures += 1
            raise
        self._failures = 0
        return response

    def _wait(self) -> None:
        """Waits until the host may be asked.

        Raises:
            InputError: that is too long.
            LookalikeError: the run is being stopped.
        """
        left = self._free_at - time.monotonic()
        if left > self._consideration.pause:
            raise InputError(
                f"{self._name} asks for a pause of {left:,.0f} s; run the same command again then."
            )
        if left > 0:
            with patience.waiting(f"{self._name} asks for a pause"):
                while (left := self._free_at - time.monotonic()) > 0 and not patience.is_over():
                    patience.pause(left)
        if patience.is_over():
            raise LookalikeError("The run is being stopped.")


def _retry_after(response: Response) -> float | None:
    """The seconds to wait by an answer's header `Retry-After`; None without a valid one."""
    text = response.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = to_utc(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError):
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
