"""Reports and results as JSON documents, for the command line and the API, and as CSV rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any

from lookalike.admin.health import Health
from lookalike.admin.migration import MigrationReport, MigrationStatus
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate
from lookalike.ingest.report import IngestReport
from lookalike.record import record_of
from lookalike.search.gates import GateResult
from lookalike.search.histogram import Histogram
from lookalike.search.hits import Hits
from lookalike.search.model_comparison import ComparedModel, ModelComparison, Neighbor
from lookalike.system.times import format_datetime
from lookalike.types import Point, Word


def of_report(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "updated": report.updated,
        "moved": report.moved,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "removed": report.removed,
        "skipped": report.skipped,
        "excluded": report.excluded,
        "without_row": report.without_row,
        "prune_refused": report.prune_refused,
        "incomplete": report.incomplete,
        "engine_notes": list(report.engine_notes),
        "cleared": report.cleared,
        "outdated": report.outdated,
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 1),
        "model": report.model,
        "rejects": [asdict(reject) for reject in report.rejects],
        "copies": [asdict(copy) for copy in report.copies],
        "notes": [asdict(note) for note in report.notes],
        "warnings": [asdict(warning) for warning in report.warnings],
    }


def of_hits(hits: Hits) -> dict[str, Any]:
    explanation = asdict(hits.explanation)
    stages = explanation["milliseconds"]
    explanation["milliseconds"] = {stage: round(spent, 3) for stage, spent in stages.items()}
    return {
        # Not `asdict`: it copies every payload, which takes longer than everything else here.
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


def of_facets(field: str, values: Sequence[tuple[Any, int]]) -> dict[str, Any]:
    return {"field": field, "values": [{"value": v, "count": number} for v, number in values]}


def of_words(words: Sequence[Word]) -> dict[str, Any]:
    return {"words": [asdict(word) for word in words]}


def of_health(health: Health) -> dict[str, Any]:
    """The health of an index."""
    names = ("mean", "low", "high")
    return {
        **asdict(health),
        "rejects": [one._asdict() for one in health.rejects],
        "vectors": {
            name: {
                **asdict(vector),
                "recall": vector.recall and dict(zip(names, vector.recall, strict=True)),
            }
            for name, vector in health.vectors.items()
        },
    }


def of_migration(status: MigrationStatus) -> dict[str, Any]:
    own = {name: getattr(status, name) for name in ("phase", "aspect", "images", "lacking")}
    return own | {"old": status.old.model, "new": status.new.model}


def of_migration_report(report: MigrationReport) -> dict[str, Any]:
    problems = [asdict(problem) for problem in report.problems]
    figures = {"filled": report.filled, "missed": report.missed, "problems": problems}
    return of_migration(report.status) | figures


def of_comparison(comparison: ModelComparison) -> dict[str, Any]:
    """Two models side by side; results are ids with similarities."""
    precision, names = comparison.precision, ("old", "new")
    return {
        **{name: _of_model(getattr(comparison, name)) for name in names},
        "queries": comparison.queries,
        "limit": comparison.limit,
        "overlap": asdict(comparison.overlap),
        "rank_overlap": asdict(comparison.rank_overlap),
        "agreement": [asdict(part) for part in comparison.agreement],
        "shared": list(comparison.shared),
        "precision": None if precision is None else asdict(precision),
        "pairs": [
            {
                "kind": pair.kind,
                "value": pair.value,
                "overlap": pair.overlap,
                "rank_overlap": pair.rank_overlap,
                **{name: _of_neighbors(getattr(pair, name)) for name in names},
            }
            for pair in comparison.pairs
        ],
        "notes": list(comparison.notes),
    }


def _of_model(model: ComparedModel) -> dict[str, Any]:
    return {
        "model": model.spec.model,
        "vector": model.spec.name,
        "p50_ms": round(model.p50, 3),
        "p95_ms": round(model.p95, 3),
    }


def _of_neighbors(neighbors: Sequence[Neighbor]) -> list[dict[str, Any]]:
    return [{"id": one.id, "score": one.score} for one in neighbors]


def of_gates(results: Sequence[GateResult]) -> list[dict[str, Any]]:
    return [asdict(result) for result in results]


def of_point(point: Point, *, vectors: bool = False) -> dict[str, Any]:
    document: dict[str, Any] = {"id": point.id, "payload": point.payload}
    if vectors:
        document["vectors"] = {name: vector.tolist() for name, vector in point.vectors.items()}
    return document


def of_duplicate(duplicate: Duplicate) -> dict[str, Any]:
    return {
        "id": duplicate.id,
        "uri": duplicate.uri,
        "verdict": duplicate.verdict.value,
        "evidence": dict(duplicate.evidence),
        "holds_more": list(duplicate.holds_more),
        "protected": duplicate.protected,
    }


def of_group(group: DuplicateGroup) -> dict[str, Any]:
    return {
        "verdict": group.verdict.value,
        "keeper": group.keeper,
        "reason": group.reason,
        "members": [of_duplicate(member) for member in group.members],
    }


CSV_COLUMNS = (
    "group", "verdict", "keep", "id", "uri", "why", "width", "height", "bytes", "format",
    "correlation", "weakest", "mirrored", "rotation", "holds_more", "protected",
)  # fmt: skip


def csv_rows(number: int, group: DuplicateGroup) -> Iterator[dict[str, Any]]:
    """Returns one row for each member of a group; `number` is the number of the group."""
    for member in group.members:
        is_keeper = member.id == group.keeper
        values = {**record_of(member.payload), **member.evidence}
        yield {
            **{name: values.get(name, "") for name in CSV_COLUMNS},
            "group": number,
            "verdict": "" if is_keeper else member.verdict.value,
            "keep": "yes" if is_keeper else "no",
            "id": member.id,
            "uri": member.uri,
            "why": group.reason if is_keeper else member.evidence["why"],
            "holds_more": ", ".join(member.holds_more),
            "protected": "yes" if member.protected else "no",
        }
