"""Several services on one index, and a client that sends each request to another one."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import httpx

from lookalike.api.options import Options
from lookalike.index import Index
from tests.support.api_server import running
from tests.support.paths import ROOT


class RoundRobin(httpx.BaseTransport):
    """A load balancer: passes over services that cannot be reached.

    Args:
        urls: the services.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [httpx.URL(url) for url in urls]
        self._turn = itertools.count()
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for attempt in self._urls:
            service = self._urls[next(self._turn) % len(self._urls)]
            request.url = request.url.copy_with(host=service.host, port=service.port)
            try:
                return self._transport.handle_request(request)
            except httpx.ConnectError:
                if attempt == self._urls[-1]:
                    raise
        raise AssertionError

    def close(self) -> None:
        self._transport.close()


def balanced(urls: Sequence[str]) -> httpx.Client:
    """A client of services behind a load balancer."""
    return httpx.Client(transport=RoundRobin(urls), base_url="http://127.0.0.1", timeout=30)


@contextmanager
def two_services(url: str, folder: Path, **settings: Any) -> Iterator[Sequence[str]]:
    """Two services of this process on the index at an address of a server; yields their URLs."""
    with ExitStack() as stack:
        urls = []
        for name in ("one", "other"):
            index = stack.enter_context(Index.open(url, model="built-in", threads=1))
            options = Options(**{"state": folder / name, "uploads": folder / "uploads"} | settings)
            urls.append(stack.enter_context(running(index, options))[1])
        yield urls


class ServiceProcess:
    """A service in a process of its own, which others follow two seconds after it died.

    Args:
        options: options of `lookalike serve`.
    """

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "tests.support.short_leases", "serve", "--port=0"]
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    @cached_property
    def url(self) -> str:
        """Its address, once it can be reached."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().removeprefix("lookalike: ").strip()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.communicate()
