"""Limits on load: requests in flight, body sizes, and time."""

from __future__ import annotations

import asyncio
import math
import time
from asyncio import FIRST_COMPLETED
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection as Connection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.api.auth import Role, role_of
from lookalike.api.errors import (
    BodyTooLarge,
    RequestTimeout,
    ServiceError,
    TooBusy,
    TooManyRequests,
)
from lookalike.api.metrics import Metrics
from lookalike.api.options import Options
from lookalike.api.problems import response_of
from lookalike.api.shutdown import Shutdown

EXEMPT = {"/healthz", "/readyz", "/metrics"}
"""Paths that are answered however busy the service is."""
JSON_BYTES = 2 * 2**20
"""Largest body of a request that carries no files."""
CLIENT_SHARE = 0.75
"""Share of the requests in flight that one address may have, so that others get through."""
ROLE_SHARES: Mapping[Role, float] = {Role.NOBODY: 0.25, Role.READER: 0.875, Role.WRITER: 1.0}
"""Share of the requests in flight that callers of a role may have, with those of lower roles. The
rest is for the roles above it."""
LINGER = 2.0
"""Seconds for which the rest of an oversized body is read and discarded: a client that is cut off
while it sends does not read the error."""


class AdmissionMiddleware:
    """Refuses requests beyond the limits before their body is read.

    A request counts from its head until its response starts, so that a stream of events that lasts
    for hours keeps nobody out.
    """

    def __init__(
        self, app: ASGIApp, *, options: Options, metrics: Metrics, shutdown: Shutdown
    ) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._shutdown = shutdown
        self._roles = {role: _Load() for role in Role}  # each with the requests of lower ones
        self._clients: dict[str, _Load] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in EXEMPT:
            await self._app(scope, receive, send)
            return
        images = _carries_images(scope)
        caller = _Caller(scope["client"][0] if scope["client"] else "", role_of(Connection(scope)))
        if refusal := self._refusal(caller, images):
            self._metrics.refused.inc()
            await response_of(refusal)(scope, receive, send)
            return
        self._count(1, caller, images)
        release = partial(self._count, -1, caller, images)
        request = _Request(scope, receive, send, self._options, release)
        stopped = self._shutdown.deadline()
        try:
            await request.run(self._app, stopped)
        finally:
            self._shutdown.release(stopped)
            request.release()

    def _refusal(self, caller: _Caller, images: bool) -> ServiceError | None:
        own = self._clients.get(caller.address, _Load())
        if self._roles[caller.role].is_full(self._options, images, share=ROLE_SHARES[caller.role]):
            return TooBusy("Too many requests in flight; try again in a moment.")
        if own.is_full(self._options, images, share=CLIENT_SHARE):
            return TooManyRequests(
                "Too many requests in flight from this address; wait for some to finish."
            )
        return None

    def _count(self, change: int, caller: _Caller, images: bool) -> None:
        own = self._clients.setdefault(caller.address, _Load())
        above = [load for role, load in self._roles.items() if role >= caller.role]
        for load in (own, *above):
            load.requests += change
            load.images += change * images
        if not own.requests:
            del self._clients[caller.address]
        total = self._roles[max(Role)]
        self._metrics.in_flight.set(total.requests)
        self._metrics.images_in_flight.set(total.images)


class _Caller(NamedTuple):
    address: str
    role: Role


@dataclass(slots=True)
class _Load:
    """Requests in flight, and how many of them carry images."""

    requests: int = 0
    images: int = 0

    def is_full(self, options: Options, images: bool, *, share: float = 1.0) -> bool:
        """Returns whether there is no room for another request, with or without images."""
        return self.requests >= math.ceil(share * options.max_requests) or (
            images and self.images >= math.ceil(share * options.max_image_requests)
        )


class _Request:
    """One admitted request on its way through the application."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        options: Options,
        release: Callable[[], None],
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._options = options
        self._release = release
        self._deadline = time.monotonic() + options.receive_timeout
        self._max_bytes = options.max_upload_bytes if _carries_images(scope) else JSON_BYTES
        self._bytes = 0
        self._body_complete = False
        self._response_started = False
        self._abandoned = False

    async def run(self, app: ASGIApp, stopped: asyncio.Future[None]) -> None:
        """Runs the application; a response that takes too long is replaced by a problem.

        Args:
            app: the application.
            stopped: done when the service stops and waits no longer.
        """
        task = asyncio.ensure_future(app(self._scope, self.receive, self.send))
        timeout = self._options.receive_timeout + self._options.response_timeout
        try:
            await asyncio.wait({task, stopped}, timeout=timeout, return_when=FIRST_COMPLETED)
            if task.done() or self._response_started:
                await task
            elif stopped.done():
                await self._abandon(task, "The service is stopping; send the request again.")
            else:
                await self._abandon(
                    task, "The response takes too long; ask for less, or try again later."
                )
                with suppress(asyncio.CancelledError, Exception):
                    await task  # its thread cannot be stopped, so it counts until that ends
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def _abandon(self, task: asyncio.Future[None], reason: str) -> None:
        self._abandoned = True
        await response_of(TooBusy(reason))(self._scope, self._receive, self._send)
        task.cancel()

    async def receive(self) -> Message:
        if self._body_complete:
            return await self._receive()
        try:
            async with asyncio.timeout(max(self._deadline - time.monotonic(), 0)):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The body did not arrive within {self._options.receive_timeout:g} s; send it "
                "faster, or send less."
            ) from None
        self._body_complete = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        if max(self._bytes, _declared_bytes(self._scope)) > self._max_bytes:
            await self._discard_body()
            raise BodyTooLarge(f"The body exceeds {self._max_bytes:,} bytes; send less at a time.")
        return message

    async def _discard_body(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self._body_complete:
                    message = await self._receive()
                    self._body_complete = not message.get("more_body", False)

    async def send(self, message: Message) -> None:
        if self._abandoned:
            return
        if message["type"] == "http.response.start":
            self._response_started = True
            self.release()
        await self._send(message)

    def release(self) -> None:
        """Stops counting the request; further calls change nothing."""
        release, self._release = self._release, lambda: None
        release()


def _declared_bytes(scope: Scope) -> int:
    """Returns Content-Length; 0 where it is missing or not a number."""
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _carries_images(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").lower().startswith("multipart/")
