"""The demo: a catalog, an index of it, and three searches that show what an index can do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import platformdirs

from lookalike.errors import NotFound
from lookalike.index import Index
from lookalike.output.contact_sheet import Panel
from lookalike.output.labels import display_name
from lookalike.record import record_of
from lookalike.search.colors import swatches
from lookalike.types import Point

_EXAMPLES = ("sneaker-004", "t-shirt-006", "dress-007")
"""Query images of the drawn catalog, one for each search."""


def workspace() -> Path:
    """Returns the folder for the drawn catalog, the demo's indexes and the contact sheet."""
    folder = platformdirs.user_data_path("lookalike") / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def choose_images(
    folder: str | None, workspace: Path, progress: Callable[[int, int], None] | None = None
) -> tuple[str, Path | None]:
    """Returns the folder to index and its metadata table; draws a catalog if no folder is given."""
    if folder is not None:
        table = Path(folder) / "catalog.csv"
        return folder, table if table.is_file() else None
    from lookalike.demo.catalog import draw_catalog

    table = draw_catalog(workspace / "catalog", progress=progress)
    return str(table.parent), table


def index_path(images: str, workspace: Path) -> Path:
    """Returns the path of the demo's index of a folder."""
    digest = hashlib.sha256(str(Path(images).resolve()).encode()).hexdigest()[:12]
    return workspace / f"index-{digest}"


def searches(index: Index) -> list[Panel]:
    """Runs three searches: like one image; like one but in blue; in the style of one, filtered."""
    try:
        first, second, third = (index.get(id) for id in _EXAMPLES)
        where = 'price < 100 and category in ("dress", "skirt") and in_stock'
    except NotFound:  # another catalog
        points = list(islice(index.scroll(), 200))
        first, second, third = points[0], points[len(points) // 2], points[-1]
        where = f'image.format = "{record_of(third.payload)["format"]}"'
    index.search(color="blue", limit=1)  # loads what the first search loads, so that times compare
    return [
        _panel(index, f"Like “{_name(first)}”", id=first.id),
        _panel(
            index,
            f"Like “{_name(second)}”, but in blue",
            swatches=swatches("blue"),
            id=second.id,
            color="blue",
        ),
        _panel(
            index,
            f"In the style of “{_name(third)}”, where {where}",
            id=third.id,
            weights="style",
            where=where,
        ),
    ]


def _panel(
    index: Index, title: str, *, id: str, swatches: Sequence[str] = (), **options: Any
) -> Panel:
    return Panel(title, index.search(id=id, **options), [index.thumbnail(id)], swatches)


def _name(point: Point) -> str:
    return display_name(point.id, point.payload)
