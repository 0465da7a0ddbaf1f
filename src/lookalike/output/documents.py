"""Reports and results as JSON, what `--json` prints, and as rows of a CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, fields
from typing import Any

from lookalike.duplicates.check import Duplicate
from lookalike.duplicates.groups import Group
from lookalike.ingest.report import IngestReport
from lookalike.record import record_of
from lookalike.search.histogram import Histogram
from lookalike.system.times import format_datetime
from lookalike.types import Hits


def of_report(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "removed": report.removed,
        "skipped": report.skipped,
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 1),
        "model": report.model,
        "rejects": [asdict(reject) for reject in report.rejects],
        "copies": [asdict(copied) for copied in report.copies],
        "warnings": [asdict(warning) for warning in report.warnings],
    }


def of_hits(hits: Hits) -> dict[str, Any]:
    explanation = asdict(hits.explanation)
    stages = explanation["milliseconds"]
    explanation["milliseconds"] = {stage: round(spent, 3) for stage, spent in stages.items()}
    return {
        # Not `asdict`, which copies each payload: that takes longer than all the rest.
        "hits": [{field.name: getattr(hit, field.name) for field in fields(hit)} for hit in hits],
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


def of_match(match: Duplicate) -> dict[str, Any]:
    return {
        "id": match.id,
        "uri": match.uri,
        "verdict": match.verdict.value,
        "evidence": dict(match.evidence),
    }


def of_group(group: Group) -> dict[str, Any]:
    return {
        "verdict": group.verdict.value,
        "keeper": group.keeper,
        "reason": group.reason,
        "members": [of_match(member) for member in group.members],
    }


CSV_COLUMNS = (
    "group", "verdict", "keep", "id", "uri", "why", "width", "height", "bytes", "format",
    "correlation", "weakest", "mirrored", "rotation",
)  # fmt: skip


def csv_rows(number: int, group: Group) -> Iterator[dict[str, Any]]:
    """A row for each member of a group."""
    for member in group.members:
        image = record_of(member.payload)
        is_keeper = member.id == group.keeper
        known = {**image, **member.evidence}
        yield {
            **{name: known.get(name, "") for name in CSV_COLUMNS},
            "group": number,
            "verdict": "" if is_keeper else member.verdict.value,
            "keep": "yes" if is_keeper else "no",
            "id": member.id,
            "uri": member.uri,
            "why": group.reason if is_keeper else member.evidence["why"],
        }
