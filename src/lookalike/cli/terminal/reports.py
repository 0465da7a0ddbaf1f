"""Reports of work done, duplicates and capacity as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lookalike.admin.capacity import CapacityEstimate
from lookalike.cli.console import printable
from lookalike.duplicates.bulk.capacity import CheckEstimate
from lookalike.duplicates.file_moves import CleanupReport
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.ingest.report import IngestReport
from lookalike.metadata.readers import MetadataWarning
from lookalike.output.labels import file_size, spare_bytes
from lookalike.system.text import count

MAX_LINES = 10
"""Lines shown of any one list."""


def ingest_lines(report: IngestReport) -> Iterator[str]:
    """The outcome of an ingest: totals, then the first copies, rejects and metadata warnings."""
    speed = f"{report.images_per_second:,.0f} images/s"
    yield f"{count(report.done, 'image')} in {report.seconds:.1f} s ({speed}), model {report.model}"
    yield (
        f"added {report.added:,} · updated {report.updated:,} · unchanged {report.unchanged:,} · "
        f"rejected {report.rejected:,} · removed {report.removed:,}"
        + (f" · moved {report.moved:,}" if report.moved else "")
        + (f" · skipped {report.skipped:,}" if report.skipped else "")
        + (f" · cleared {report.cleared:,}" if report.cleared else "")
    )
    if report.excluded:
        excluded = count(report.excluded, "image")
        yield f"{excluded} in the index, but excluded now: --prune removes them"
    if report.without_row:
        without_row = count(report.without_row, "image")
        yield f"{without_row} in the index without a row in the metadata: --prune removes them"
    if report.copies:
        yield f"copies: {_tally(copied.verdict for copied in report.copies)}"
        for copied in report.copies[:MAX_LINES]:
            more = _holds_more(copied.holds_more)
            yield printable(f"  {copied.uri}: {copied.verdict} to {copied.of}{more}")
    if report.rejects:
        yield f"rejected: {_tally(reject.reason for reject in report.rejects)}"
        for reject in report.rejects[:MAX_LINES]:
            yield printable(f"  {reject.uri}: {reject.reason}: {reject.detail}")
    if report.notes:
        yield f"used although damaged: {len(report.notes):,}"
        for note in report.notes[:MAX_LINES]:
            yield printable(f"  {note.uri}: {note.detail}")
    if report.warnings:
        yield f"metadata warnings: {len(report.warnings):,}"
        alike = _alike(report.warnings)
        for warnings in alike[:MAX_LINES]:
            more = f" ({len(warnings) - 1:,} more like it)" if len(warnings) > 1 else ""
            yield printable(f"  {warnings[0]}{more}")
    lists = report.copies, report.rejects, report.notes, report.warnings
    if max(map(len, lists)) > MAX_LINES:
        yield "  … use --json to list everything, or --rejects FILE to save the rejects"


def _alike(warnings: Sequence[MetadataWarning]) -> list[list[MetadataWarning]]:
    """The warnings in groups that say the same of other rows and values."""
    groups: dict[tuple[str | None, str], list[MetadataWarning]] = {}
    for warning in warnings:
        detail = warning.detail.replace(warning.value, "") if warning.value else warning.detail
        groups.setdefault((warning.column, detail), []).append(warning)
    return list(groups.values())


def _tally(kinds: Iterable[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in Counter(kinds).most_common())


def group_lines(number: int, group: DuplicateGroup) -> Iterator[str]:
    """One group of duplicates: the keeper with the reason, then its copies."""
    yield printable(f"{number}  keep {group.keeper}  ({group.reason})")
    for copy in group.copies[:MAX_LINES]:
        yield f"     {duplicate_line(copy)}"
    if len(group.copies) > MAX_LINES:
        yield f"     … and {len(group.copies) - MAX_LINES:,} more"


def duplicate_line(duplicate: Duplicate) -> str:
    """One copy: its verdict, its id, and the reason for the verdict."""
    more = _holds_more(duplicate.holds_more)
    return printable(f"{duplicate.verdict:<12}  {duplicate.id}  {duplicate.evidence['why']}{more}")


def _holds_more(reasons: Sequence[str]) -> str:
    return f"; stays, as it holds more: {', '.join(reasons)}" if reasons else ""


def groups_summary(groups: Sequence[DuplicateGroup]) -> str:
    """The numbers of groups and copies, and the size of the copies' files."""
    if not groups:
        return "No duplicates found."
    verdicts = Counter(copy.verdict for group in groups for copy in group.copies)
    tally = ", ".join(
        f"{verdicts[verdict]:,} {verdict}" for verdict in Verdict if verdicts[verdict]
    )
    copies = count(verdicts.total(), "copy", "copies")
    size = file_size(spare_bytes(groups))
    return f"{count(len(groups), 'group')}, {copies} ({tally}), {size} of files"


def problem_lines(problems: Mapping[str, str]) -> Iterator[str]:
    """The originals that could not be read, with the reasons."""
    for uri, problem in list(problems.items())[:MAX_LINES]:
        yield printable(f"could not be read: {uri}: {problem}")
    if len(problems) > MAX_LINES:
        yield f"… and {len(problems) - MAX_LINES:,} more; --json lists all of them"


def file_lines(report: CleanupReport, outcome: str) -> Iterator[str]:
    """The files that were moved or deleted, or would be, and the skipped ones.

    Args:
        report: the files.
        outcome: the words after the number of files, such as "moved back".
    """
    for file in report.done[:MAX_LINES]:
        yield printable(f"  {file.uri} → {file.to}" if file.to else f"  {file.uri}")
    if len(report.done) > MAX_LINES:
        yield f"  … and {len(report.done) - MAX_LINES:,} more"
    yield f"{len(report.done):,} {outcome}, {len(report.skipped):,} skipped"
    for skipped in report.skipped[:MAX_LINES]:
        yield printable(f"  {skipped.uri}: {skipped.reason}")


def capacity_lines(capacity: CapacityEstimate) -> Iterator[str]:
    """The RAM, disk, machines and hours that an index needs."""
    embedding = "" if capacity.embed_hours is None else f"{capacity.embed_hours:,.1f} to embed, "
    yield f"{count(capacity.images, 'image')}, {count(capacity.replicas, 'replica')}"
    yield f"RAM    {_gb(capacity.ram)}"
    yield f"disk   {_gb(capacity.disk)}, with headroom {_gb(capacity.disk_with_headroom)}"
    yield (
        f"nodes  {capacity.nodes}, each using {_gb(capacity.ram_per_node)} of RAM and "
        f"{_gb(capacity.disk_per_node)} of disk"
    )
    yield f"shards {capacity.shards}"
    if capacity.thumbnails:
        yield f"cache  {_gb(capacity.thumbnails)} of thumbnails, where lookalike runs"
    yield (
        f"hours  {embedding}{capacity.upload_hours:,.1f} to upload, "
        f"{capacity.build_hours:,.1f} to build the graphs"
    )
    yield "disk space of one replica:"
    for part, size in capacity.parts.items():
        yield f"  {part:16}{_gb(size):>14}{size / capacity.images:10,.0f} bytes per image"
    for note in capacity.notes:
        yield f"- {note}"


def check_lines(check: CheckEstimate) -> Iterator[str]:
    """The time, memory and disk of a check for duplicates."""
    yield (
        f"duplicates: {count(check.pairs, 'pair')} to compare, hashes within {check.radius} bits, "
        f"in {count(check.partitions, 'part')}"
    )
    yield f"memory {_gb(check.memory)} for each part"
    yield f"disk   {_gb(check.disk)} in the folder of the check"
    yield (
        f"hours  {check.hours:,.1f}: {check.listing_hours:,.1f} to list, "
        f"{check.joining_hours:,.1f} to compare hashes, "
        f"{check.neighbor_hours:,.1f} to find neighbors, "
        f"{check.comparing_hours:,.1f} to compare pictures"
    )
    for note in check.notes:
        yield f"- {note}"


def _gb(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
