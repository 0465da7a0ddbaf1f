"""What the command line shows on a terminal: tables, summaries, a progress bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lookalike import record
from lookalike.admin.capacity import Capacity
from lookalike.duplicates.check import Duplicate
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.file_moves import Report
from lookalike.duplicates.groups import Group
from lookalike.ingest.report import IngestReport
from lookalike.output.labels import caption, details
from lookalike.record import record_of
from lookalike.search.histogram import Histogram
from lookalike.types import Hit, Hits, Point

SHOWN = 10
"""Rejects and warnings that a summary lists."""


def printable(text: str) -> str:
    """The text without what would steer a terminal: control, color and direction characters."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def hits_table(title: str, hits: Hits) -> Table:
    """One row a hit: rank, id, score, score by aspect where there are several, name and fields."""
    aspects = list(hits.weights) if len(hits.weights) > 1 else []
    collapsed = any(hit.variants for hit in hits)
    table = Table(
        title=Text(printable(title)),
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    table.add_column("#", justify="right", style="dim", no_wrap=True)
    table.add_column("id", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    for name in [*aspects, *(["variants"] if collapsed else [])]:
        table.add_column(name, justify="right", no_wrap=True)
    fields = [_fields(hit) for hit in hits]
    if any(fields):
        table.add_column("fields", ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for rank, hit in enumerate(hits, 1):
        table.add_row(
            str(rank),
            Text(_end(printable(hit.id))),
            f"{hit.score:.3f}",
            *(f"{hit.scores[aspect]:.3f}" if aspect in hit.scores else "" for aspect in aspects),
            *([f"+{len(hit.variants)}" if hit.variants else ""] if collapsed else ()),
            *(fields[rank - 1 : rank] if any(fields) else ()),
        )
    return table


def why_table(hits: Hits) -> Table:
    """Why each hit is there: how far above random images it stands, and by which aspects."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("#", justify="right", style="dim")
    for name in ("calibrated", "raw", *hits.weights):
        table.add_column(name, justify="right")
    for rank, hit in enumerate(hits, 1):
        shares = (
            f"{hit.shares[aspect]:.0%} {'█' * round(10 * hit.shares[aspect]):<10}"
            if aspect in hit.shares
            else ""
            for aspect in hits.weights
        )
        table.add_row(str(rank), f"{hit.calibrated:.2f}", f"{hit.raw:.3f}", *shares)
    return table


def explanation_table(hits: Hits) -> Table:
    """What was compared with what, and how weights became factors: one row an aspect."""
    table = Table(box=None, pad_edge=False)
    for name in ("aspect", "near to", "weight", "random images", "factor"):
        table.add_column(name, header_style="dim", overflow="fold")
    for aspect, plan in hits.explanation.aspects.items():
        random = "" if plan.spread is None else f"{plan.mean:.3f} ± {plan.spread:.3f}"
        factor = f"{plan.effective:.3f}"
        table.add_row(aspect, Text(printable(plan.target)), f"{plan.weight:.0%}", random, factor)
    return table


def histogram_lines(histogram: Histogram) -> Iterator[str]:
    """One line a range: count, bar, edges."""
    most = max((bin.count for bin in histogram.bins), default=0) or 1
    for bin in histogram.bins:
        bar = "█" * round(24 * bin.count / most)
        yield f"{bin.count:>10,}  {bar:<24}  {_edge(bin.low)} to {_edge(bin.high)}"
    if histogram.missing:
        yield f"{histogram.missing:>10,}  {'':<24}  without a value"


def _edge(value: Any) -> str:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(sep=" ").removesuffix(" 00:00:00")
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _fields(hit: Hit) -> Text:
    named = {"name", "title"} & hit.payload.keys()
    name = [caption(hit.id, hit.payload)] if named else []
    return Text(printable(" · ".join([*name, *filter(None, [details(hit.payload)])])))


def _end(id: str, most: int = 36) -> str:
    """The end of a long id: of an address it is what tells images apart."""
    return id if len(id) <= most else "…" + id[1 - most :]


def hits_footer(hits: Hits) -> str:
    """What weighed how much, how long it took, and whether the answer is proved."""
    weights = ", ".join(f"{name} {weight:.0%}" for name, weight in hits.weights.items())
    proved = "" if hits.complete else "; a better image may have been missed"
    return f"{len(hits)} images, {weights}, {hits.took_ms:.1f} ms{proved}"


def summary(report: IngestReport) -> Iterator[str]:
    """What became of an ingest, line by line."""
    speed = f"{report.images_per_second:,.0f} images/s"
    yield f"{report.done:,} images in {report.seconds:.1f} s ({speed}), model {report.model}"
    yield (
        f"added {report.added:,} · updated {report.updated:,} · unchanged {report.unchanged:,} · "
        f"rejected {report.rejected:,} · removed {report.removed:,}"
        + (f" · skipped {report.skipped:,}" if report.skipped else "")
    )
    if report.copies:
        kinds = Counter(copied.verdict for copied in report.copies)
        yield "copies: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
        for copied in report.copies[:SHOWN]:
            yield printable(f"  {copied.uri}: {copied.verdict} to {copied.of}")
    if report.rejects:
        reasons = Counter(reject.reason for reject in report.rejects)
        yield "rejected: " + ", ".join(f"{n:,} {reason}" for reason, n in reasons.most_common())
        for reject in report.rejects[:SHOWN]:
            yield printable(f"  {reject.uri}: {reject.reason}: {reject.detail}")
    if report.warnings:
        yield f"metadata left out: {len(report.warnings):,}"
        for warning in report.warnings[:SHOWN]:
            yield printable(f"  {warning}")
    if max(len(report.rejects), len(report.warnings), len(report.copies)) > SHOWN:
        yield "  … all of them with --json; what was rejected with --rejects FILE, too"


def point_table(point: Point) -> Table:
    """Everything known of one image: a row a field."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    users = {name: value for name, value in point.payload.items() if name != record.KEY}
    own = {f"image.{name}": value for name, value in record_of(point.payload).items()}
    for name, value in {**own, **users}.items():
        table.add_row(Text(printable(name)), Text(printable(_value(value))))
    return table


def stats_table(stats: Mapping[str, Any]) -> Table:
    """Counts, vectors and fields of an index."""
    table = Table(show_header=False, box=None)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("images", f"{stats['images']:,}")
    table.add_row("on disk", f"{stats['bytes_on_disk'] / 2**20:,.1f} MiB")
    table.add_row("engine", f"{stats['engine']}, schema {stats['schema']}")
    for name, vector in stats["vectors"].items():
        aspect = f"{vector['aspect']}, " if vector["aspect"] else ""
        table.add_row(
            f"vector {name}", f"{aspect}{vector['size']} dimensions, by {vector['model']}"
        )
    for name, field in stats["fields"].items():
        values = "" if field["values"] is None else f", {field['values']:,} values"
        table.add_row(Text(printable(f"field {name}")), f"{field['type']}{values}")
    return table


def capacity_lines(found: Capacity) -> Iterator[str]:
    """What so many images take, line by line."""
    hours = "" if found.embed_hours is None else f"{found.embed_hours:,.1f} to embed, "
    yield f"{found.images:,} images, {found.replicas} x each"
    yield f"RAM    {_gb(found.ram)}"
    yield f"disk   {_gb(found.disk)}, with headroom {_gb(found.disk_with_headroom)}"
    yield (
        f"nodes  {found.nodes}, each {_gb(found.ram_per_node)} of RAM in use and "
        f"{_gb(found.disk_per_node)} of disk"
    )
    yield f"shards {found.shards}"
    yield f"hours  {hours}{found.upload_hours:,.1f} to upload, {found.build_hours:,.1f} for graphs"
    yield "one copy on disk:"
    for part, size in found.parts.items():
        yield f"  {part:16}{_gb(size):>14}{size / found.images:10,.0f} bytes an image"
    for note in found.notes:
        yield f"- {note}"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"


@contextmanager
def progress_bar(console: Console) -> Iterator[Callable[[IngestReport, int | None], None] | None]:
    """A bar with images/s, the time that remains and rejects; None where nobody would see it."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:,.0f} images/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]:,} rejected"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None, speed=0.0, rejected=0)

        def show(report: IngestReport, total: int | None) -> None:
            bar.update(
                task,
                # The engine holds the interpreter while it builds: say so before.
                description="building the search graph" if report.done == total else "reading",
                refresh=report.done == total,
                completed=report.done,
                total=total,
                speed=report.images_per_second,
                rejected=report.rejected,
            )

        yield show


@contextmanager
def count_bar(console: Console, what: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work that is counted; None where nobody would see it."""
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_value(part) for part in value)
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in value.values())
    return str(value)


# --- duplicates -----------------------------------------------------------------------------


def group_lines(number: int, group: Group) -> Iterator[str]:
    """One group: what is kept and why, then its copies."""
    yield printable(f"{number}  keep {group.keeper}  ({group.reason})")
    for copy in group.copies[:SHOWN]:
        yield f"     {match_line(copy)}"
    if len(group.copies) > SHOWN:
        yield f"     … and {len(group.copies) - SHOWN:,} more"


def match_line(match: Duplicate) -> str:
    """One copy: its verdict, its id, and why."""
    return printable(f"{match.verdict:<12}  {match.id}  {match.evidence['why']}")


def groups_summary(groups: Sequence[Group]) -> str:
    """How much there is, in a line."""
    copies = [copy for group in groups for copy in group.copies]
    counts = Counter(str(copy.verdict) for copy in copies)
    kinds = ", ".join(f"{counts[verdict]:,} {verdict}" for verdict in Verdict if counts[verdict])
    spare = sum(
        record_of(copy.payload)["bytes"] for copy in copies if copy.verdict is not Verdict.SIMILAR
    )
    if not groups:
        return "No image is a copy of another."
    found = f"{_count(groups, 'group')}, {_count(copies, 'copy', 'copies')} ({kinds})"
    return f"{found}, {spare / 1e6:,.1f} MB of files"


def _count(things: Sequence[Any], one: str, many: str | None = None) -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or one + 's'}"


def problem_lines(problems: Mapping[str, str]) -> Iterator[str]:
    """Originals that could not be read."""
    for uri, problem in list(problems.items())[:SHOWN]:
        yield printable(f"could not be read: {uri}: {problem}")
    if len(problems) > SHOWN:
        yield f"… and {len(problems) - SHOWN:,} more could not be read; --json names all"


def moved_lines(report: Report, done: str) -> Iterator[str]:
    """What became of files, or would."""
    for one in report.done[:SHOWN]:
        yield printable(f"  {one.uri} → {one.to}" if one.to else f"  {one.uri}")
    if len(report.done) > SHOWN:
        yield f"  … and {len(report.done) - SHOWN:,} more"
    yield f"{len(report.done):,} {done}, {len(report.left):,} left alone"
    for left in report.left[:SHOWN]:
        yield printable(f"  {left.uri}: {left.reason}")


@contextmanager
def stage_bar(console: Console) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for each stage of a long work; None where nobody would see it."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield show
