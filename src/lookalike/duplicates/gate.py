"""What becomes of an incoming image that is a copy of one in the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.cache.skipped import Skipped
from lookalike.cache.store import Cache
from lookalike.duplicates.check import Checker
from lookalike.ingest.report import IncomingCopy
from lookalike.record import record_of
from lookalike.types import ImageRef, Point


@dataclass(frozen=True, slots=True)
class Arrivals:
    """See `ingest.lookup.CopyDetector`.

    Attributes:
        checker: of the index.
        cache: remembers what was left out, so that it is not read again at each run.
        links: whether copies come in, marked, rather than being left out.
    """

    checker: Checker
    cache: Cache
    links: bool

    def skipped(self, refs: Sequence[ImageRef]) -> Mapping[str, IncomingCopy]:
        if self.links:
            return {}
        etags = {ref.uri: ref.etag for ref in refs}
        known = {
            uri: skipped
            for uri, skipped in self.cache.get_skipped(etags).items()
            if skipped.etag == etags[uri]
        }
        originals = list({skipped.of for skipped in known.values()})
        there = {point.id for point in self.checker.engine.retrieve(originals, payload=False)}
        return {
            uri: IncomingCopy(uri, skipped.of, skipped.verdict)
            for uri, skipped in known.items()
            if skipped.of in there
        }

    def copy_of(self, point: Point, thumbnail: bytes) -> IncomingCopy | None:
        found = self.checker.check(point, thumbnail, limit=1)
        if not found:
            return None
        own = record_of(point.payload)
        copied = IncomingCopy(own["uri"], found[0].id, found[0].verdict)
        if not self.links:
            self.cache.put_skipped({copied.uri: Skipped(own["etag"], copied.of, copied.verdict)})
        return copied
