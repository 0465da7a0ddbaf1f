"""Request counts and latencies."""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.api.metrics import Metrics


class MetricsMiddleware:
    """Counts and times requests by route, not by path, of which clients can invent any number."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        body_received = response_started = False

        async def timed_receive() -> Any:
            nonlocal body_received
            message = await receive()
            if not body_received and not message.get("more_body", False):
                body_received = True
                self._metrics.stages.labels("read").observe(time.perf_counter() - started)
            return message

        async def timed_send(message: Any) -> None:
            nonlocal response_started
            if message["type"] == "http.response.start" and not response_started:
                response_started = True
                self._record(scope, message["status"], time.perf_counter() - started)
            await send(message)

        await self._app(scope, timed_receive, timed_send)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if route != "other" else "any"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.latency.labels(method, route).observe(seconds)
