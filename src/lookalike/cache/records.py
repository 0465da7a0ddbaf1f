"""Images that an ingest left out: copies, which the next run need not read again, and rejects."""

from __future__ import annotations

from typing import NamedTuple


class Skipped(NamedTuple):
    """An image that an ingest left out as a copy of one in the index.

    Attributes:
        etag: etag of its file at that time.
        of: id of the image that it is a copy of.
        verdict: kind of copy.
    """

    etag: str
    of: str
    verdict: str


class Rejected(NamedTuple):
    """An image that an ingest could not index; see `ingest.report.Reject`."""

    uri: str
    reason: str
    detail: str
