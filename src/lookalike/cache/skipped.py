"""Copies that an ingest left out, remembered so that the next run need not read them again."""

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
