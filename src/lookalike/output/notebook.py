"""Results as notebooks show them: with thumbnails, from whichever open index has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from lookalike.duplicates.file_moves import CleanupReport
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.errors import LookalikeError
from lookalike.ingest.report import IngestReport
from lookalike.ingest.updates import UpdateReport
from lookalike.output.labels import completeness, display_name, field_summary, score
from lookalike.record import ImageRecord, record_of
from lookalike.search.evaluation import Evaluation
from lookalike.search.hits import Hits
from lookalike.search.model_comparison import ModelComparison
from lookalike.system.display import renders
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.output.pages import Picture

SIDE = 128
MOST = 60
"""Pictures that a notebook shows at once."""
MOST_REJECTS = 20


class ThumbnailSource(Protocol):
    """An open index, for the thumbnails of its images."""

    def thumbnail_of(self, record: ImageRecord, side: int) -> bytes:
        """A JPEG of an image with this record; raises LookalikeError if there is none."""
        ...


_sources: WeakSet[Any] = WeakSet()


def show_thumbnails_of(index: ThumbnailSource) -> None:
    """Lets notebooks show the thumbnails of an open index, as long as it is in use."""
    _sources.add(index)


def _picture(payload: Mapping[str, Any]) -> Picture:
    from lookalike.output.pages import Picture, data_url  # loads Jinja2, for notebooks alone

    problem = "its index is closed"
    for source in list(_sources):
        try:
            return Picture(url=data_url(source.thumbnail_of(record_of(payload), SIDE)))
        except LookalikeError as error:
            problem = str(error)
    return Picture(problem=problem)


@renders("Hits")
def hits_html(hits: Hits) -> str:
    """The hits with their scores and fields."""
    cards = [
        {
            "picture": _picture(hit.payload),
            "name": display_name(hit.id, hit.payload),
            "note": score(hit),
            "detail": field_summary(hit.payload),
        }
        for hit in hits[:MOST]
    ]
    notes = [count(len(hits), "image"), f"{hits.took_ms:.1f} ms", completeness(hits)]
    return _page(notes, cards, len(hits) - MOST)


@renders("DuplicateGroup")
def group_html(group: DuplicateGroup) -> str:
    """The images of a group, the keeper first."""
    cards = [
        {
            "picture": _picture(member.payload),
            "name": display_name(member.id, member.payload),
            "note": "kept" if member is group.members[0] else str(member.verdict),
            "detail": str(member.evidence.get("why", "")),
        }
        for member in group.members[:MOST]
    ]
    notes = [count(len(group.members), "image"), str(group.verdict), group.reason]
    return _page(notes, cards, len(group.members) - MOST)


@renders("IngestReport")
def report_html(report: IngestReport) -> str:
    """The counts of a run, and the reasons of its rejects."""
    from lookalike.output.pages import render

    names = ("added", "updated", "moved", "unchanged", "skipped", "rejected", "removed")
    return render(
        "notebook_report.html",
        counts={name: getattr(report, name) for name in names},
        seconds=report.seconds,
        rejects=report.rejects[:MOST_REJECTS],
        more=max(0, len(report.rejects) - MOST_REJECTS),
    )


@renders("Evaluation")
def evaluation_html(evaluation: Evaluation) -> str:
    """The quality of each choice of weights, the best first."""
    kind = "text" if evaluation.by_text else "image"
    notes = f"{evaluation.queries:,} searches by {kind}, by {evaluation.field}"
    names = ["weights", f"nDCG@{evaluation.limit}", "95 %", "precision", "95 %"]
    rows = []
    for one in evaluation.results:
        marks = (" (fitted)" if one.fitted else "") + (" (other)" if one.against else "")
        figures = [
            text
            for quality in (one.ndcg, one.precision)
            for text in (f"{quality.mean:.3f}", f"{quality.low:.3f} to {quality.high:.3f}")
        ]
        rows.append([one.name + marks, *figures])
    return _table(notes, names, rows)


@renders("ModelComparison")
def comparison_html(comparison: ModelComparison) -> str:
    """The figures of two models, and their agreement."""
    precision = comparison.precision
    notes = (
        f"{count(comparison.queries, 'query', 'queries')}, overlap@{comparison.limit} "
        f"{comparison.overlap.mean:.3f} ({comparison.overlap.low:.3f} to "
        f"{comparison.overlap.high:.3f}), rank-biased overlap {comparison.rank_overlap.mean:.3f}"
    )
    names = ["model", "p50, ms", "p95, ms"]
    rows = [
        [model.spec.model, f"{model.p50:.1f}", f"{model.p95:.1f}"]
        for model in (comparison.old, comparison.new)
    ]
    if precision is not None:
        names.append(f"same {precision.field}")
        for row, quality in zip(rows, (precision.old, precision.new), strict=True):
            row.append(f"{quality.mean:.3f} ({quality.low:.3f} to {quality.high:.3f})")
    return _table(notes, names, rows)


@renders("UpdateReport")
def update_html(report: UpdateReport) -> str:
    """The counts of an update, and what it left out."""
    done = "would be updated" if report.dry_run else "updated"
    notes = f"{count(report.updated, 'image')} {done}, {report.unchanged:,} unchanged"
    left_out = [["no image is named so", name] for name in report.examples]
    left_out += [["left out", str(warning)] for warning in report.warnings[:MOST_REJECTS]]
    return _table(notes, ["problem", "value"] if left_out else [], left_out)


@renders("CleanupReport")
def cleanup_html(report: CleanupReport) -> str:
    """The files that were handled, and those that were not, with the reason."""
    notes = f"{count(len(report.done), 'file')} done, {len(report.skipped):,} skipped"
    rows = [[one.uri, one.reason] for one in report.skipped[:MOST_REJECTS]]
    return _table(notes, ["skipped", "reason"] if rows else [], rows)


def _table(notes: str, names: list[str], rows: list[list[str]]) -> str:
    from lookalike.output.pages import render

    return render("notebook_table.html", notes=notes, names=names, rows=rows)


def _page(notes: list[str], cards: list[dict[str, Any]], more: int) -> str:
    from lookalike.output.pages import render

    shown = " · ".join(filter(None, notes))
    return render("notebook_images.html", notes=shown, cards=cards, more=max(0, more))
