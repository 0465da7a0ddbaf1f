"""The gate for new images during ingest: copies of indexed images stay out, or are linked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.cache.records import Skipped
from lookalike.cache.store import Cache
from lookalike.duplicates.check import DuplicateSearch
from lookalike.duplicates.holdings import Reasons
from lookalike.duplicates.verdicts import Duplicate, Grade, Verdict
from lookalike.ingest.report import IncomingCopy
from lookalike.record import record_of
from lookalike.types import ImageRef, Point


@dataclass(frozen=True, slots=True)
class DuplicateGate:
    """An `ingest.lookup.CopyDetector` that compares new images with the index.

    A copy that holds more than each indexed image is not skipped.

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
        duplicates = self.search.check(point, thumbnail)
        if not duplicates:
            return None
        own = record_of(point.payload)
        original, holds_more = self._original(point, duplicates)
        copy = IncomingCopy(own["uri"], original.id, original.verdict, holds_more)
        if not (self.links or holds_more):
            self.cache.put_skipped({copy.uri: Skipped(own["etag"], copy.of, copy.verdict)})
        return copy

    def _original(self, point: Point, duplicates: Sequence[Duplicate]) -> tuple[Duplicate, Reasons]:
        """The first duplicate that holds all that a new image does; if there is none, the first of
        all, and what the new image holds that it does not."""
        holdings = self.search.comparer.holdings()
        reasons: list[Reasons] = []
        for original in duplicates:
            # The evidence is about the new image, then the indexed one.
            new = Duplicate.of(point, Grade(Verdict.IDENTICAL, {}))
            reasons.append(holdings.compare(new, original).first)
            if not reasons[-1]:
                return original, ()
        return duplicates[0], reasons[0]
