"""The contact sheet: searches and their results as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from lookalike.output.labels import completeness, display_name, field_summary, score, search_cost
from lookalike.output.pages import ThumbnailLoader, load_picture, render
from lookalike.record import Color, record_of
from lookalike.search.hits import Hits
from lookalike.types import Payload


@dataclass(frozen=True, slots=True)
class Panel:
    """One search on the sheet.

    Attributes:
        title: the query in words.
        hits: the results.
        query_images: JPEGs of the query images.
        swatches: the query colors, as "#rrggbb".
    """

    title: str
    hits: Hits
    query_images: Sequence[bytes] = ()
    swatches: Sequence[str] = ()


def contact_sheet(panels: Sequence[Panel], thumbnail: ThumbnailLoader) -> str:
    """Returns the sheet as HTML, with the pictures inside it."""
    return render(
        "contact_sheet.html",
        panels=panels,
        thumbnail=partial(load_picture, thumbnail),
        colors=_colors,
        completeness=completeness,
        display_name=display_name,
        score=score,
        field_summary=field_summary,
        search_cost=search_cost,
    )


def _colors(payload: Payload) -> Sequence[Color]:
    return record_of(payload).get("colors", ())
