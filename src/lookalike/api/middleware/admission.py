"""How much may be sent and be in work at the same time, and how long it may take."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.api import errors
from lookalike.api.errors import BodyTooLarge, Refused, RequestTimeout, TooBusy, TooManyRequests
from lookalike.api.middleware.metrics import Metrics
from lookalike.api.service import Options

FREE = {"/healthz", "/readyz", "/metrics"}
"""What must be answered however busy the service is."""
JSON_BYTES = 2 * 2**20
"""What a body may have that carries no files."""
ONE_CLIENT = 0.75
"""Of what may be in work, the share that one address may have: something is left for the others."""
LINGER = 2.0
"""Seconds for which the rest of a body is taken and thrown away once it is too large: a client that
is cut off while it sends does not read why."""


class AdmissionMiddleware:
    """WriteLock away what would be too much, before its body is read.

    A request counts from its head until its answer begins: a stream of events that goes on for
    hours keeps nobody out.
    """

    def __init__(self, app: ASGIApp, *, options: Options, metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._all = _Load()
        self._clients: dict[str, _Load] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in FREE:
            await self._app(scope, receive, send)
            return
        images = _carries_images(scope)
        client = scope["client"][0] if scope["client"] else ""
        if refusal := self._refusal(client, images):
            self._metrics.refused.inc()
            await errors.answer(refusal)(scope, receive, send)
            return
        self._take(1, client, images)
        release = partial(self._take, -1, client, images)
        request = _Request(scope, receive, send, self._options, release)
        try:
            await request.run(self._app)
        finally:
            request.release()

    def _refusal(self, client: str, images: bool) -> Refused | None:
        if self._all.is_full(self._options, images):
            return TooBusy("The service has as much to do as it can bear: try again in a moment.")
        if client in self._clients and self._clients[client].is_full(
            self._options, images, share=ONE_CLIENT
        ):
            return TooManyRequests(
                "As much is in work for this address as may be: wait for the answers to some of it."
            )
        return None

    def _take(self, count: int, client: str, images: bool) -> None:
        own = self._clients.setdefault(client, _Load())
        for load in (self._all, own):
            load.requests += count
            load.images += count * images
        if not own.requests:
            del self._clients[client]
        self._metrics.in_work.set(self._all.requests)
        self._metrics.images_in_work.set(self._all.images)


@dataclass(slots=True)
class _Load:
    """Requests in work, and how many of them carry images."""

    requests: int = 0
    images: int = 0

    def is_full(self, options: Options, images: bool, *, share: float = 1.0) -> bool:
        """Whether there is no room for another one, which carries images or does not."""
        return self.requests >= math.ceil(share * options.requests) or (
            images and self.images >= math.ceil(share * options.images)
        )


class _Request:
    """One request on its way through the application."""

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
        self._seconds = options.receive_seconds + options.answer_seconds
        self._until = time.monotonic() + options.receive_seconds
        self._most = options.upload_bytes if _carries_images(scope) else JSON_BYTES
        self._size = 0
        self._whole = False
        self._started = False
        self._given_up = False

    async def run(self, app: ASGIApp) -> None:
        """Raises nothing for what takes too long: it answers with a problem document."""
        task = asyncio.ensure_future(app(self._scope, self.receive, self.send))
        try:
            await asyncio.wait({task}, timeout=self._seconds)
            if not task.done() and not self._started:
                self._given_up = True
                late = TooBusy("The answer takes too long: ask for less, or try again later.")
                await errors.answer(late)(self._scope, self._receive, self._send)
                task.cancel()
                with suppress(asyncio.CancelledError, Exception):
                    await task  # a thread cannot be stopped: until it is done it counts
            else:
                await task
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout(max(self._until - time.monotonic(), 0)):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout(
                f"The request did not come within {self._options.receive_seconds:g} s: send it "
                "faster, or less of it."
            ) from None
        self._whole = not message.get("more_body", False)
        self._size += len(message.get("body", b""))
        if max(self._size, _announced(self._scope)) > self._most:
            await self._throw_away()
            raise BodyTooLarge(
                f"The request has more than {self._most:,} bytes: send less at a time."
            )
        return message

    async def _throw_away(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while not self._whole:
                    message = await self._receive()
                    self._whole = not message.get("more_body", False)

    async def send(self, message: Message) -> None:
        if self._given_up:
            return
        if message["type"] == "http.response.start":
            self._started = True
            self.release()
        await self._send(message)

    def release(self) -> None:
        release, self._release = self._release, lambda: None
        release()


def _announced(scope: Scope) -> int:
    """What Content-Length says, which may be anything."""
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isascii() and length.isdigit() and len(length) < 20 else 0


def _carries_images(scope: Scope) -> bool:
    return Headers(scope=scope).get("content-type", "").lower().startswith("multipart/")
