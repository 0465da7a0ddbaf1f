"""Removal of images that their sources no longer hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.ingest.report import IngestReport
from lookalike.protocols import Engine, Source
from lookalike.record import record_of
from lookalike.types import (
    AnyOfValues,
    Point,
)


def prune(
    engine: Engine,
    sources: Sequence[Source],
    report: IngestReport,
    thumbnails: Cache,
    moving: Callable[[Sequence[str]], Collection[str]] | None = None,
) -> None:
    """Removes the points whose image belonged to one of the sources and is gone from it.

    Args:
        moving: those of some ids whose image is elsewhere now, and another process's to update.
    """
    for points in engine.scroll():
        gone = []
        for point in points:
            uri = record_of(point.payload)["uri"]
            covering = [source for source in sources if source.covers(uri)]
            if covering and not any(source.has(uri) for source in covering):
                gone.append(point)
        kept = moving([point.id for point in gone]) if moving else ()
        gone = [point for point in gone if point.id not in kept]
        remove(engine, gone, thumbnails)
        report.removed += len(gone)


def remove(engine: Engine, points: Sequence[Point], thumbnails: Cache) -> None:
    """Takes points out of the index, and the thumbnails that no other point has."""
    if not points:
        return
    engine.delete([point.id for point in points])
    keys = {record_of(point.payload)["sha256"] for point in points}
    for others in engine.scroll(AnyOfValues(record.SHA256, tuple(keys))):
        keys -= {record_of(other.payload)["sha256"] for other in others}
        if not keys:
            break
    thumbnails.forget(keys)
