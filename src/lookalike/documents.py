"""Reports and results as JSON: what `--json` prints."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lookalike.fields import format_datetime
from lookalike.histogram import Histogram
from lookalike.ingest import IngestReport
from lookalike.types import Hits


def of_report(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "removed": report.removed,
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 1),
        "model": report.model,
        "rejects": [asdict(reject) for reject in report.rejects],
        "warnings": [asdict(warning) for warning in report.warnings],
    }


def of_hits(hits: Hits) -> dict[str, Any]:
    explanation = asdict(hits.explanation)
    stages = explanation["milliseconds"]
    explanation["milliseconds"] = {stage: round(spent, 3) for stage, spent in stages.items()}
    return {
        "hits": [asdict(hit) for hit in hits],
        "complete": hits.complete,
        "weights": hits.weights,
        "took_ms": round(hits.took_ms, 3),
        "explanation": explanation,
    }


def of_histogram(histogram: Histogram) -> dict[str, Any]:
    return {
        "field": histogram.field,
        "low": _edge(histogram.low),
        "high": _edge(histogram.high),
        "count": histogram.count,
        "missing": histogram.missing,
        "bins": [
            {"low": _edge(bin.low), "high": _edge(bin.high), "count": bin.count}
            for bin in histogram.bins
        ],
    }


def _edge(value: Any) -> Any:
    return format_datetime(value) if hasattr(value, "isoformat") else value
