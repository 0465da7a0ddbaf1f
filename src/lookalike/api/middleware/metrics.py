"""What /metrics tells Prometheus."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.types import Hits

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.requests = counter(
            "lookalike_requests", "Requests answered.", ["method", "route", "status"]
        )
        self.latency = histogram(
            "lookalike_request_seconds",
            "From the request's head to the beginning of its answer.",
            ["method", "route"],
            buckets=SECONDS,
        )
        self.stages = histogram(
            "lookalike_stage_seconds",
            "What a request was busy with: read (its body), targets (reading and describing what "
            "is searched by), engine, ranking.",
            ["stage"],
            buckets=SECONDS,
        )
        self.images = gauge("lookalike_images", "Images in the index.")
        self.rejects = counter("lookalike_rejects", "Images refused.", ["reason"])
        self.in_work = gauge("lookalike_requests_in_work", "Requests in work.")
        self.images_in_work = gauge(
            "lookalike_image_requests_in_work", "Requests in work that carry images."
        )
        self.refused = counter(
            "lookalike_refused", "Requests turned away because too much was in work."
        )
        self.jobs = gauge("lookalike_jobs_queued", "Jobs that wait or run.")
        self.memory = gauge("lookalike_memory_bytes", "Resident memory of all processes.")

    def searched(self, hits: Hits) -> None:
        """Counts the stages of a search."""
        for stage, milliseconds in hits.explanation.milliseconds.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)

    def text(self) -> bytes:
        """All of it in Prometheus' format."""
        return generate_latest(self.registry)


class Measured:
    """Counts requests by route and status: routes, not paths, which anybody can make up."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        begun = received = False

        async def reading() -> Any:
            nonlocal received
            message = await receive()
            if not received and not message.get("more_body", False):
                received = True
                self._metrics.stages.labels("read").observe(time.perf_counter() - started)
            return message

        async def answering(message: Any) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and not begun:
                begun = True
                spent = time.perf_counter() - started
                route = getattr(scope.get("route"), "path", "other")
                method = scope["method"] if route != "other" else "any"
                self._metrics.requests.labels(method, route, message["status"]).inc()
                self._metrics.latency.labels(method, route).observe(spent)
            await send(message)

        await self._app(scope, reading, answering)
