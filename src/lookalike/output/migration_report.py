"""The migration report: two models side by side as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from lookalike.output.labels import display_name
from lookalike.output.pages import Picture, ThumbnailLoader, load_picture, render
from lookalike.search.gates import GateResult
from lookalike.search.model_comparison import ComparedQuery, ModelComparison, Neighbor
from lookalike.system.text import clip, count

_LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a row.

    Attributes:
        hit: the result.
        elsewhere: its rank in the other row; 0 if it is not there.
        label: its value of the field that judges results, as text.
        matches: whether it has a value of the query's.
    """

    hit: Neighbor
    elsewhere: int
    label: str
    matches: bool


def migration_report(
    comparison: ModelComparison, gates: Sequence[GateResult], thumbnail: ThumbnailLoader
) -> str:
    """Returns the report as HTML, with the pictures of the queries side by side inside it."""
    field = comparison.precision.field if comparison.precision else None
    return render(
        "migration_report.html",
        comparison=comparison,
        gates=gates,
        refused=[gate for gate in gates if not gate.passed],
        most=max(comparison.shared, default=0),
        rows=partial(_rows, field),
        label=partial(_label, field),
        thumbnail=cache(partial(_picture, thumbnail)),
        display_name=display_name,
        count=count,
    )


def _picture(load: ThumbnailLoader, id: str) -> Picture:
    return load_picture(load, id)


def _rows(field: str | None, pair: ComparedQuery) -> dict[str, list[Tile]]:
    """The tiles of both models, by the name of the row."""
    return {
        "old": _tiles(field, pair.payload, pair.old, pair.new),
        "new": _tiles(field, pair.payload, pair.new, pair.old),
    }


def _tiles(
    field: str | None, query: Mapping[str, Any], row: Sequence[Neighbor], other: Sequence[Neighbor]
) -> list[Tile]:
    ranks = {hit.id: rank for rank, hit in enumerate(other, 1)}
    wanted = _values(field, query)
    return [
        Tile(
            hit,
            ranks.get(hit.id, 0),
            _label(field, hit.payload),
            bool(wanted & _values(field, hit.payload)),
        )
        for hit in row
    ]


def _values(field: str | None, payload: Mapping[str, Any]) -> set[Any]:
    value = payload.get(field) if field else None
    return set(value) if isinstance(value, list) else set() if value is None else {value}


def _label(field: str | None, payload: Mapping[str, Any]) -> str:
    """The value of the field as text, lists joined; empty without one."""
    value = payload.get(field) if field else None
    values = value if isinstance(value, list) else [] if value is None else [value]
    return clip(", ".join(map(str, values)), _LONGEST_LABEL)
