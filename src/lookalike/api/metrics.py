"""Figures for Prometheus."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lookalike.search.hits import Hits

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds in seconds of the latency histograms."""


class Metrics:
    """The figures of one service."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=BUCKETS)
        self.requests = counter(
            "lookalike_requests", "Requests answered.", ["method", "route", "status"]
        )
        self.latency = histogram(
            "lookalike_request_seconds",
            "Time from a request's head to the start of its response.",
            ["method", "route"],
        )
        self.stages = histogram(
            "lookalike_stage_seconds",
            "Time by stage: read (receiving the body), targets (reading and describing the query), "
            "engine, ranking.",
            ["stage"],
        )
        self.images = gauge("lookalike_images", "Images in the index.")
        self.rejects = counter("lookalike_rejects", "Images rejected.", ["reason"])
        self.in_flight = gauge("lookalike_requests_in_flight", "Requests in flight.")
        self.images_in_flight = gauge(
            "lookalike_image_requests_in_flight", "Requests in flight that carry images."
        )
        self.refused = counter("lookalike_refused", "Requests refused because of the load.")
        self.jobs = gauge("lookalike_jobs_queued", "Jobs waiting or running.")
        self.memory = gauge("lookalike_memory_bytes", "Resident memory of all processes.")

    def record_search(self, hits: Hits) -> None:
        """Records the stages of a search."""
        for stage, milliseconds in hits.explanation.milliseconds.items():
            self.stages.labels(stage).observe(milliseconds / 1e3)

    def render(self) -> bytes:
        """Returns all figures in the Prometheus text format."""
        return generate_latest(self.registry)
