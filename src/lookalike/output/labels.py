"""Names, counts and sizes as short text, for the terminal and the HTML pages alike."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lookalike import record
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Verdict
from lookalike.record import record_of
from lookalike.search.hits import Hit, Hits
from lookalike.system.text import count
from lookalike.types import Payload

_NAME_FIELDS = ("name", "title")


def name_field(payload: Payload) -> str | None:
    """Returns the user's own name for an image: the text of its field `name` or `title`."""
    for field in _NAME_FIELDS:
        if isinstance(payload.get(field), str):
            return str(payload[field])
    return None


def display_name(id: str, payload: Payload) -> str:
    """Returns the user's own name for an image, or else the end of its id."""
    return name_field(payload) or id.rpartition("/")[2]


def score(hit: Hit) -> str:
    """The score of a hit; empty in a list that was only sorted."""
    return f"{hit.score:z.3f}" if hit.scores else ""


def field_summary(payload: Payload) -> str:
    """Joins the user's fields into one line, the shortest first."""
    values = [
        _field_text(name, value)
        for name, value in sorted(payload.items())
        if name not in (record.KEY, *_NAME_FIELDS) and value not in (None, "", [])
    ]
    return " · ".join(sorted(values, key=len))


def _field_text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        words = name.replace("_", " ")
        return words if value else f"not {words}"
    if isinstance(value, str):
        return value.removesuffix("T00:00:00Z")
    return ", ".join(value) if isinstance(value, list) else f"{name} {value}"


def search_cost(hits: Hits) -> str:
    """Describes the work behind a search result: candidates, requests, time by stage."""
    plan = hits.explanation
    candidates = (
        f"{count(plan.candidates, 'candidate')} per aspect, {plan.compared:,} compared exactly, "
        if plan.candidates
        else ""
    )
    requests = f"{count(plan.rounds, 'request')} to the engine"
    stages = ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in plan.milliseconds.items())
    threshold = (
        "" if plan.relevant_from is None else f"; relevance threshold {plan.relevant_from:.3f}"
    )
    colors = "" if plan.colors is None else f"; {plan.colors} first"
    return f"{candidates}{requests}; {stages}{threshold}{colors}"


def completeness(hits: Hits) -> str:
    """Returns a note on results that are not proved complete; empty if they are."""
    if hits.complete is None:
        return "approximate"
    return "" if hits.complete else "a better image may have been missed"


def file_size(size: float) -> str:
    """Formats a number of bytes with a decimal unit: 37.8 kB."""
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size /= 1000
        units.pop(0)
    digits = 0 if units[0] == "bytes" or size >= 100 else 1
    return f"{size:.{digits}f} {units[0]}"


def spare_bytes(groups: Iterable[DuplicateGroup]) -> int:
    """Sums the file sizes of all copies that are not merely similar."""
    return sum(
        record_of(copy.payload)["bytes"]
        for group in groups
        for copy in group.copies
        if copy.verdict is not Verdict.SIMILAR
    )
