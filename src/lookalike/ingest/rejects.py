"""Rejects that outlive their run, so that an index can say what it lacks."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.cache.records import Rejected
from lookalike.cache.store import Cache
from lookalike.ingest.report import Reject
from lookalike.protocols import Source


def remember_rejects(cache: Cache, rejects: Sequence[Reject], listed: Sequence[Source]) -> None:
    """Records the rejects of a run.

    Args:
        cache: of the index.
        rejects: the rejects.
        listed: the sources that the run went through from end to end; what earlier runs rejected
            there is forgotten.
    """
    gone = [one.uri for one in cache.rejected() if any(source.covers(one.uri) for source in listed)]
    if rejects or gone:
        cache.put_rejected([Rejected(one.uri, one.reason, one.detail) for one in rejects], gone)
