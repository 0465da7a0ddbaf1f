"""The demonstration: a catalog, an index of it, three searches that show what it can do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import platformdirs

from lookalike.index import Index
from lookalike.output.contact_sheet import Panel
from lookalike.output.labels import caption
from lookalike.record import record_of
from lookalike.search.colors import swatches
from lookalike.types import Point

_EXAMPLES = ("sneaker-004", "shirt-012", "dress-007")
"""Images of our own catalog that show well what a search does."""


def workspace() -> Path:
    """The folder that keeps the drawn catalog, the demo's indexes and the contact sheet."""
    folder = platformdirs.user_data_path("lookalike") / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def catalog(
    folder: str | None, workspace: Path, progress: Callable[[int, int], None] | None = None
) -> tuple[str, Path | None]:
    """The folder to index and its metadata: the one given, or the drawn one."""
    if folder is not None:
        table = Path(folder) / "catalog.csv"
        return folder, table if table.is_file() else None
    from lookalike.demo.catalog import draw_catalog

    table = draw_catalog(workspace / "catalog", progress=progress)
    return str(table.parent), table


def index_path(images: str, workspace: Path) -> Path:
    """Where the demo's index of this folder goes: one a folder."""
    mark = hashlib.sha256(str(Path(images).resolve()).encode()).hexdigest()[:12]
    return workspace / f"index-{mark}"


def searches(index: Index) -> list[Panel]:
    """Three searches: like one image, like one but in blue, and in the style of one, filtered."""
    ours = [point for id in _EXAMPLES for point in index.get_many([id])]
    if len(ours) == len(_EXAMPLES):
        first, second, third = ours
        where = 'price < 100 and category in ("dress", "skirt") and in_stock'
    else:
        some = list(islice(index.scroll(), 200))
        first, second, third = some[0], some[len(some) // 2], some[-1]
        where = f'image.format = "{record_of(third.payload)["format"]}"'
    index.search(color="blue", limit=1)  # loads what is loaded once, so that times are a search's
    return [
        _panel(index, f"Like {_name(first)}", id=first.id),
        _panel(
            index,
            f"Like {_name(second)}, but in blue",
            swatches=swatches("blue"),
            id=second.id,
            color="blue",
            weights={"semantic": 0.5, "color": 0.5},
        ),
        _panel(
            index,
            f"In the style of {_name(third)}, where {where}",
            id=third.id,
            weights="style",
            where=where,
        ),
    ]


def _panel(
    index: Index, title: str, *, id: str, swatches: Sequence[str] = (), **asked: Any
) -> Panel:
    return Panel(title, index.search(id=id, **asked), [index.thumbnail(id)], swatches)


def _name(point: Point) -> str:
    return caption(point.id, point.payload)
