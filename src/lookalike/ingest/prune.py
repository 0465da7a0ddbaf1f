"""Removal of images that their sources no longer have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.protocols import Engine, Source
from lookalike.record import record_of
from lookalike.types import AnyOfValues, Point


def remove_missing(
    engine: Engine,
    sources: Sequence[Source],
    thumbnails: Cache,
    claimed: Callable[[Sequence[str]], Collection[str]],
) -> int:
    """Removes the points whose image belonged to one of the sources and is gone from it.

    Args:
        claimed: see `Listing.claimed`; these points stay.

    Returns:
        The number of points removed.
    """
    removed = 0
    for points in engine.scroll():
        gone = [point for point in points if _is_gone(record_of(point.payload)["uri"], sources)]
        kept = claimed([point.id for point in gone])
        gone = [point for point in gone if point.id not in kept]
        remove(engine, gone, thumbnails)
        removed += len(gone)
    return removed


def remove(engine: Engine, points: Sequence[Point], thumbnails: Cache) -> None:
    """Removes points, and the thumbnails that no other point uses."""
    if not points:
        return
    engine.delete([point.id for point in points])
    keys = {record_of(point.payload)["sha256"] for point in points}
    for others in engine.scroll(AnyOfValues(record.SHA256, tuple(keys))):
        keys -= {record_of(other.payload)["sha256"] for other in others}
        if not keys:
            break
    thumbnails.forget(keys)


def count_excluded(engine: Engine, sources: Sequence[Source]) -> int:
    """Counts the points whose image the sources now pass over; they stay until they are pruned."""
    if not any(source.passed_over for source in sources):
        return 0
    uris = (record_of(point.payload)["uri"] for points in engine.scroll() for point in points)
    return sum(_is_gone(uri, sources) and _is_excluded(uri, sources) for uri in uris)


def _is_excluded(uri: str, sources: Sequence[Source]) -> bool:
    return any(source.excludes(uri) for source in sources)


def _is_gone(uri: str, sources: Sequence[Source]) -> bool:
    covering = [source for source in sources if source.covers(uri)]
    return bool(covering) and not any(source.has(uri) for source in covering)
