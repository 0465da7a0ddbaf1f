"""Copies that an ingest left out, remembered so that a rerun is as fast as the first."""

from __future__ import annotations

from typing import NamedTuple


class Skipped(NamedTuple):
    """An image that ingest left out because the index holds a copy of it.

    Attributes:
        etag: of its file at that time.
        of: id of the image that it is a copy of.
        verdict: what kind of copy.
    """

    etag: str
    of: str
    verdict: str
