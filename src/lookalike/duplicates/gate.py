"""The gate for new images during ingest: copies of indexed images stay out, or are linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.cache.skipped import Skipped
from lookalike.cache.store import Cache
from lookalike.duplicates.check import DuplicateSearch
from lookalike.ingest.report import IncomingCopy
from lookalike.record import record_of
from lookalike.types import ImageRef, Point


@dataclass(frozen=True, slots=True)
class DuplicateGate:
    """An `ingest.lookup.CopyDetector` that compares new images with the index.

    Attributes:
        search: finds duplicates in the index.
        cache: remembers skipped copies, so that later runs need not read them again.
        links: whether copies are added with a link to the indexed image; otherwise they are
            skipped.
    """

    search: DuplicateSearch
    cache: Cache
    links: bool

    def skipped(self, refs: Sequence[ImageRef]) -> Mapping[str, IncomingCopy]:
        if self.links:
            return {}
        etags = {ref.uri: ref.etag for ref in refs}
        unchanged = {
            uri: skipped
            for uri, skipped in self.cache.get_skipped(etags).items()
            if skipped.etag == etags[uri]
        }
        originals = list({skipped.of for skipped in unchanged.values()})
        points = self.search.engine.retrieve(originals, payload=False)
        existing = {point.id for point in points}
        return {
            uri: IncomingCopy(uri, skipped.of, skipped.verdict)
            for uri, skipped in unchanged.items()
            if skipped.of in existing
        }

    def copy_of(self, point: Point, thumbnail: bytes) -> IncomingCopy | None:
        duplicates = self.search.check(point, thumbnail, limit=1)
        if not duplicates:
            return None
        own = record_of(point.payload)
        copy = IncomingCopy(own["uri"], duplicates[0].id, duplicates[0].verdict)
        if not self.links:
            self.cache.put_skipped({copy.uri: Skipped(own["etag"], copy.of, copy.verdict)})
        return copy
