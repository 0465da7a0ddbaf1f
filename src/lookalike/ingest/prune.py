"""Removal of images that their sources no longer have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.protocols import Engine, Source
from lookalike.record import record_of
from lookalike.system.iteration import batched
from lookalike.types import AnyOfValues, Point

LARGEST_SHARE = 1 / 5
"""The share of the sources' images that may be removed without being confirmed."""

BATCH_SIZE = 1000
"""Images that are removed together."""


@dataclass(frozen=True, slots=True)
class MissingImages:
    """The images of an index that their sources no longer have.

    Attributes:
        ids: their ids.
        known: number of images that the index has from these sources.
        lost: number of missing images by folder, for folders that are empty or gone themselves,
            as where a disk is not mounted.
    """

    ids: Sequence[str]
    known: int
    lost: Mapping[str, int]

    @property
    def doubt(self) -> str | None:
        """A sentence on why they should not be removed unless confirmed; None without a doubt."""
        if self.lost:
            folder, number = max(self.lost.items(), key=lambda item: item[1])
            others = f" (and {len(self.lost) - 1:,} more folders)" if len(self.lost) > 1 else ""
            why = f"{folder}{others}, which had {number:,} of them, is empty or gone"
            check = "check that its disk is mounted"
        elif len(self.ids) > LARGEST_SHARE * self.known:
            why, check = "that is more than a fifth", "check the paths and exclusions"
        else:
            return None
        return (
            f"Nothing was pruned: {len(self.ids):,} of the {self.known:,} images that the index "
            f"has from these paths would go, and {why}; {check}, and to remove them run the same "
            "command with --yes (in Python, yes=True)."
        )


def find_missing(
    engine: Engine,
    sources: Sequence[Source],
    claimed: Callable[[Sequence[str]], Collection[str]],
) -> MissingImages:
    """Finds the images that belonged to one of the sources and are gone from it.

    Args:
        engine: has the points.
        sources: the sources of the run, restricted to its partition.
        claimed: see `Listing.claimed`; these points are not missing.
    """
    ids: list[str] = []
    known = 0
    lost: Counter[str] = Counter()
    for points in engine.scroll():
        uris = {point.id: record_of(point.payload)["uri"] for point in points}
        known += sum(any(source.covers(uri) for source in sources) for uri in uris.values())
        gone = [id for id, uri in uris.items() if _is_gone(uri, sources)]
        kept = claimed(gone)
        for id in gone:
            if id not in kept:
                ids.append(id)
                lost.update(filter(None, [_lost_folder(uris[id], sources)]))
    return MissingImages(ids, known, lost)


def remove_missing(engine: Engine, missing: MissingImages, thumbnails: Cache) -> int:
    """Removes missing images; returns their number."""
    for ids in batched(missing.ids, BATCH_SIZE):
        remove(engine, engine.retrieve(ids), thumbnails)
    return len(missing.ids)


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


def _lost_folder(uri: str, sources: Sequence[Source]) -> str | None:
    covering = next(source for source in sources if source.covers(uri))
    return covering.lost_folder(uri)
