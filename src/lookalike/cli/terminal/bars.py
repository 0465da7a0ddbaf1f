"""Progress bars; on anything but a terminal they yield None in place of a callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from lookalike.ingest.report import IngestCounts, IngestProgress
from lookalike.system import patience


class StageColumn(ProgressColumn):
    """The stage, or what is being waited for; drawn again several times a second."""

    def render(self, task: Task) -> Text:
        """The text of the column."""
        return Text(patience.current_wait() or task.description)


@contextmanager
def ingest_bar(console: Console) -> Iterator[IngestProgress | None]:
    """A bar with the number of images, images per second, remaining time and rejects."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        StageColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]:,.0f} images/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[rejected]:,} rejected"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None, speed=0.0, rejected=0)

        def show(counts: IngestCounts, total: int | None) -> None:
            last = counts.done == total
            bar.update(
                task,
                # The engine blocks this process during the build, so draw this at once.
                description="building the search graph" if last else "reading",
                refresh=last,
                completed=counts.done,
                total=total,
                speed=counts.images_per_second,
                rejected=counts.rejected,
            )

        yield show


@contextmanager
def stage_bar(
    console: Console, first: str = "reading"
) -> Iterator[Callable[[str, int, int | None], None] | None]:
    """A bar that starts again for each stage; `first` is the name of the first one."""
    if not console.is_terminal:
        yield None
        return
    columns = (
        StageColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(first, total=None)

        def show(stage: str, done: int, total: int | None) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        yield show


@contextmanager
def count_bar(console: Console, label: str) -> Iterator[Callable[[int, int], None] | None]:
    """A bar for work with a single stage."""
    with stage_bar(console, label) as show:
        yield None if show is None else partial(show, label)
