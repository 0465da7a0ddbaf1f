"""How much may be sent and be in work at the same time, and how long it may take."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.api import errors
from lookalike.api.errors import BodyTooLarge, RequestTimeout, TooBusy
from lookalike.api.metrics import Metrics
from lookalike.api.service import Options

FREE = {"/healthz", "/readyz", "/metrics"}
"""What must be answered however busy the service is."""
JSON_BYTES = 2 * 2**20
"""What a body may have that carries no files."""
LINGER = 2.0
"""Seconds for which the rest of a body is taken and thrown away once it is too large: a client that
is cut off while it sends does not read why."""


class Limits:
    """Turns away what would be too much, before its body is read.

    A request counts from its head until its answer begins: a stream of events that goes on for
    hours keeps nobody out.
    """

    def __init__(self, app: ASGIApp, *, options: Options, metrics: Metrics) -> None:
        self._app = app
        self._options = options
        self._metrics = metrics
        self._requests = 0
        self._images = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in FREE:
            await self._app(scope, receive, send)
            return
        images = _carries_images(scope)
        if self._requests >= self._options.requests or (
            images and self._images >= self._options.images
        ):
            self._metrics.refused.inc()
            busy = TooBusy("The service has as much to do as it can bear: try again in a moment.")
            await errors.answer(busy)(scope, receive, send)
            return
        self._take(1, images)
        request = _Request(scope, receive, send, self._options, lambda: self._take(-1, images))
        try:
            await request.run(self._app)
        finally:
            request.release()

    def _take(self, count: int, images: bool) -> None:
        self._requests += count
        self._images += count * images
        self._metrics.in_work.set(self._requests)
        self._metrics.images_in_work.set(self._images)


class _Request:
    """One request on its way through the application."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, options: Options, release: Any
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
            left = self._until - time.monotonic()
            message = await asyncio.wait_for(self._receive(), max(left, 0))
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
