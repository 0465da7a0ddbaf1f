"""The duplicate report: groups of copies side by side as one self-contained HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import LookalikeError
from lookalike.output.labels import file_size, spare_bytes
from lookalike.output.pages import ThumbnailLoader, load_picture, render
from lookalike.record import record_of
from lookalike.system.text import count

MAX_GROUPS = 200
"""Groups shown in a report, which contains their pictures."""
MAX_COPIES = 8
"""Copies shown of each group."""

DifferenceLoader: TypeAlias = Callable[[Duplicate, Duplicate], bytes | None]
"""Returns a JPEG of the differences between a keeper and a copy, or None if they are unknown; may
raise LookalikeError."""

_MEANING = {
    Verdict.IDENTICAL: "the same bytes",
    Verdict.SAME_PIXELS: "the same pixels in another file",
    Verdict.SAME_PICTURE: "edited from one original",
    Verdict.SIMILAR: "not a copy, only similar",
}


def duplicate_report(
    groups: Sequence[DuplicateGroup], thumbnail: ThumbnailLoader, difference: DifferenceLoader
) -> str:
    """Returns the report as HTML, with the pictures of the first groups inside it."""
    copies = [copy for group in groups for copy in group.copies]
    counts = Counter(copy.verdict for copy in copies)
    return render(
        "duplicate_report.html",
        groups=groups,
        max_groups=MAX_GROUPS,
        max_copies=MAX_COPIES,
        total_copies=len(copies),
        spare_bytes=spare_bytes(groups),
        verdicts={verdict: counts[verdict] for verdict in Verdict if counts[verdict]},
        meaning=_MEANING,
        thumbnail=partial(load_picture, thumbnail),
        difference=partial(_difference, difference),
        record_of=record_of,
        count=count,
        file_size=file_size,
    )


def _difference(load: DifferenceLoader, keeper: Duplicate, copy: Duplicate) -> bytes | None:
    try:
        return load(keeper, copy)
    except LookalikeError:
        return None
