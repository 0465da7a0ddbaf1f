"""Search results, images and index contents as tables and lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from lookalike import record
from lookalike.admin.health import Health, Level
from lookalike.cli.console import printable
from lookalike.descriptors.catalog import ModelInfo
from lookalike.facade.precision import PrecisionFigures
from lookalike.output.labels import completeness, field_summary, file_size, name_field, score
from lookalike.record import record_of
from lookalike.search.evaluation import Evaluation
from lookalike.search.histogram import Histogram
from lookalike.search.hits import Hit, Hits
from lookalike.system.text import count
from lookalike.types import Point, Word

_STYLES = {Level.FINE: "green", Level.ADVICE: "yellow", Level.PROBLEM: "bold red"}


def hits_table(hits: Hits, *, clipped: bool = True) -> Table:
    """One row per hit: rank, id, score and score by aspect where there are any, name and fields."""
    aspects = list(hits.weights) if len(hits.weights) > 1 else []
    ranked = any(hit.scores for hit in hits)
    collapsed = any(hit.others for hit in hits)
    fields = [_fields(hit) for hit in hits]
    table = Table(
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("id", no_wrap=True)
    for name in [*(["score"] if ranked else []), *aspects, *(["others"] if collapsed else [])]:
        table.add_column(name, justify="right", no_wrap=True)
    if any(fields):
        table.add_column("fields", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for rank, hit in enumerate(hits, 1):
        table.add_row(
            str(rank),
            Text(_end(printable(hit.id)) if clipped else printable(hit.id)),
            *([score(hit)] if ranked else ()),
            *(f"{hit.scores[aspect]:z.3f}" if aspect in hit.scores else "" for aspect in aspects),
            *([f"+{hit.others}" if hit.others else ""] if collapsed else ()),
            *([fields[rank - 1]] if any(fields) else ()),
        )
    return table


def hits_footer(hits: Hits) -> str:
    """The number of hits, the weights, the time taken, and a note if hits may be missing."""
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in hits.weights.items())
    note = f"; {note}" if (note := completeness(hits)) else ""
    weights = f", {weights}" if weights else ""
    return f"{count(len(hits), 'image')}{weights}, {hits.took_ms:.1f} ms{note}"


def shares_table(hits: Hits) -> Table:
    """One row per hit: its lead over a random image, and the share of each aspect in that lead."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right", style="dim")
    for name in ("calibrated", "raw", *hits.weights):
        table.add_column(name, justify="right")
    for rank, hit in enumerate(hits, 1):
        shares = (
            f"{hit.shares[aspect]:.0%} {_bar(hit.shares[aspect], 10)}"
            if aspect in hit.shares
            else ""
            for aspect in hits.weights
        )
        table.add_row(str(rank), f"{hit.calibrated:z.2f}", f"{hit.raw:z.3f}", *shares)
    return table


def plan_table(hits: Hits) -> Table:
    """One row per aspect: its target, its weight, and the factor derived from the weight."""
    table = Table(box=None, pad_edge=False)
    for name in ("aspect", "target", "weight", "random images", "factor"):
        table.add_column(name, header_style="dim", overflow="fold")
    for aspect, plan in hits.explanation.aspects.items():
        random = "" if plan.spread is None else f"{plan.mean:z.3f} ± {plan.spread:.3f}"
        factor = f"{plan.effective:.3f}"
        table.add_row(aspect, Text(printable(plan.target)), f"{plan.weight:.0%}", random, factor)
    return table


def evaluation_table(evaluation: Evaluation) -> Table:
    """One row per choice of weights, the best first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("weights", "nDCG", "95 %", "precision", "95 %", "nDCG less the best", "95 %"):
        table.add_column(name, justify="left" if name == "weights" else "right", no_wrap=True)
    for one in evaluation.results:
        figures = [
            text
            for quality in (one.ndcg, one.precision)
            for text in (f"{quality.mean:.3f}", f"{quality.low:.3f} to {quality.high:.3f}")
        ]
        less = one.difference
        if less is not None:
            figures += [f"{less.mean:+.3f}", f"{less.low:+.3f} to {less.high:+.3f}"]
        name = one.name + (" (fitted)" if one.fitted else "") + (" (other)" if one.against else "")
        table.add_row(name, *figures)
    return table


def histogram_lines(histogram: Histogram) -> Iterator[str]:
    """One line per range: count, bar, edges."""
    largest = max((bin.count for bin in histogram.bins), default=0) or 1
    for bin in histogram.bins:
        bar = _bar(bin.count / largest, 24)
        yield f"{bin.count:>10,}  {bar}  {_edge(bin.low)} to {_edge(bin.high)}"
    if histogram.missing:
        yield f"{histogram.missing:>10,}  {'':<24}  without a value"


def point_table(point: Point) -> Table:
    """One row per field of an image: its record, then the user's fields."""
    table = _two_columns()
    users = {name: value for name, value in point.payload.items() if name != record.KEY}
    record_fields = {f"image.{name}": value for name, value in record_of(point.payload).items()}
    for name, value in {**record_fields, **users}.items():
        table.add_row(Text(printable(name)), Text(printable(_value(value))))
    return table


def word_table(words: Sequence[Word]) -> Table:
    """One row per word: name, precision and what that was measured with, other names."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("word", no_wrap=True)
    table.add_column("precision", justify="right")
    table.add_column("by")
    table.add_column("also", style="dim")
    for word in words:
        others = ", ".join(word.synonyms)
        table.add_row(word.name, f"{word.precision:.2f}", word.measured_with, others)
    return table


def model_table(models: Sequence[ModelInfo]) -> Table:
    """One row per model: name, dimensions, size, license, texts, presence, purpose."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("--model", no_wrap=True)
    table.add_column("dimensions", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("license")
    table.add_column("text")
    table.add_column("here")
    table.add_column("for", style="dim")
    for model in models:
        table.add_row(
            model.name,
            str(model.dimensions),
            f"{model.megabytes:,g}",
            model.license,
            model.text or "no",
            "yes" if model.is_here else "no",
            model.purpose,
        )
    return table


def precision_table(figures: Sequence[PrecisionFigures]) -> Table:
    """One row per precision: agreement with fp32 and speed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("--precision")
    table.add_column("top 10 as in fp32", justify="right")
    table.add_column("images/s", justify="right")
    for one in figures:
        table.add_row(one.precision, f"{one.agreement:.1%}", f"{one.images_per_second:,.1f}")
    return table


def stats_table(stats: Mapping[str, Any]) -> Table:
    """Counts, vectors and fields of an index."""
    table = _two_columns()
    table.add_row("images", f"{stats['images']:,}")
    if (size := stats["bytes_on_disk"]) is not None:
        table.add_row("on disk", f"{size / 2**20:,.1f} MiB")
    table.add_row("engine", f"{stats['engine']}, schema {stats['schema']}")
    for sentence in stats["notes"]:
        table.add_row("note", Text(printable(sentence)))
    for name, vector in stats["vectors"].items():
        aspect = f"{vector['aspect']}, " if vector["aspect"] else ""
        table.add_row(
            f"vector {name}", f"{aspect}{vector['size']} dimensions, model {vector['model']}"
        )
    for name, field in stats["fields"].items():
        values = "" if field["values"] is None else f", {count(field['values'], 'value')}"
        table.add_row(Text(printable(f"field {name}")), f"{field['type']}{values}")
    return table


def health_line(health: Health) -> str:
    """Images, sizes and versions."""
    sizes = [count(health.images, "image")]
    if health.bytes_on_disk is not None:
        sizes.append(f"{file_size(health.bytes_on_disk)} on disk")
    if health.bytes_free is not None:
        sizes.append(f"{file_size(health.bytes_free)} free")
    sizes.append(f"{file_size(health.thumbnails)} of thumbnails")
    sizes.append(f"{file_size(health.memory)} of memory")
    versions = " · ".join(f"{name} {number}" for name, number in health.versions.items())
    return f"{' · '.join(sizes)}\n{versions}"


def vectors_table(health: Health) -> Table:
    """One row per aspect: its model, and the recall of searches by it."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("aspect", "model"):
        table.add_column(name)
    for name in ("dimensions", "recall@10", "95 %"):
        table.add_column(name, justify="right")
    for vector in health.vectors.values():
        figures = ["", ""]
        if vector.recall is not None:
            mean, low, high = vector.recall
            figures = [f"{mean:.3f}", f"{low:.3f} to {high:.3f}"]
        table.add_row(vector.aspect, Text(printable(vector.model)), str(vector.size), *figures)
    return table


def findings_table(health: Health) -> Table:
    """One row per finding: its weight, and the sentences."""
    table = _two_columns()
    for finding in health.findings:
        sentences = f"{finding.what} {finding.remedy}".strip()
        table.add_row(Text(str(finding.level), _STYLES[finding.level]), Text(printable(sentences)))
    return table


def _two_columns() -> Table:
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    return table


def _fields(hit: Hit) -> Text:
    parts = (name_field(hit.payload), field_summary(hit.payload))
    return Text(printable(" · ".join(filter(None, parts))))


def _end(id: str, length: int = 36) -> str:
    """Clips a long id to its end: the end of a path tells images apart."""
    return id if len(id) <= length else "…" + id[1 - length :]


def _bar(share: float, width: int) -> str:
    return f"{'█' * round(width * share):<{width}}"


def _edge(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ").removesuffix(" 00:00:00")
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(part) for part in value)
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return str(value)
