"""Progress of long calls as a bar, in a notebook or a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from lookalike.ingest.report import IngestCounts

ProgressCallback: TypeAlias = Callable[..., None]
"""A callback for any `progress=`: takes counts and a total, or a stage, the work done and a
total."""

_SECONDS = 0.2
"""Least time between two updates of a bar in a notebook."""


@contextmanager
def progress_bar() -> Iterator[ProgressCallback]:
    """A bar for the `progress` of `Index.add`, `put` and `duplicates`, while a block runs.

        with progress_bar() as progress:
            index.add("photos/", progress=progress)

    In a notebook it is shown below the cell and stays, in a terminal it goes with the block, and
    elsewhere nothing is shown.
    """
    display = _notebook_display()
    if display is not None:
        yield _callback(_notebook_bar(display))
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("", total=None)

        def show(text: str, done: int, total: int | None) -> None:
            bar.update(task, description=text, completed=done, total=total)

        yield _callback(show)


_Show: TypeAlias = Callable[[str, int, int | None], None]


def _callback(show: _Show) -> ProgressCallback:
    """A callback that takes what every kind of progress is called with."""

    def progress(first: IngestCounts | str, *numbers: Any) -> None:
        if isinstance(first, IngestCounts):
            rejected = f", {first.rejected:,} rejected" if first.rejected else ""
            show(f"{first.images_per_second:,.0f} images/s{rejected}", first.done, *numbers)
        else:
            show(first, *numbers)

    return progress


# --- notebooks ------------------------------------------------------------------------------


def _notebook_display() -> Any:
    """IPython's module of that name inside a notebook; None elsewhere."""
    if "IPython" not in sys.modules:
        return None
    from IPython import display, get_ipython  # type: ignore[import-not-found, unused-ignore]

    return display if hasattr(get_ipython(), "kernel") else None


def _notebook_bar(display: Any) -> _Show:
    """A bar below the cell, of plain HTML, which needs no widgets."""
    shown: Any = None
    last = 0.0

    def show(text: str, done: int, total: int | None) -> None:
        nonlocal shown, last
        now = time.monotonic()
        if shown is not None and now - last < _SECONDS and done != total:
            return
        last, content = now, display.HTML(_bar_html(text, done, total))
        if shown is None:
            shown = display.display(content, display_id=True)
        else:
            shown.update(content)

    return show


def _bar_html(text: str, done: int, total: int | None) -> str:
    from lookalike.output.pages import render

    return render("notebook_progress.html", text=text, done=done, total=total)
