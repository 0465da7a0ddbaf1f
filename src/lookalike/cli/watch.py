"""The command that keeps an index up to date with folders and buckets: watch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.console import note, printable
from lookalike.cli.opening import open_index
from lookalike.cli.options import exclude_option, index_option, server_option, store_options
from lookalike.errors import InputError, LookalikeError, SourceError
from lookalike.system import patience

if TYPE_CHECKING:
    from lookalike.facade.watching.changes import Change
    from lookalike.ingest.report import IngestReport

RETRY = 30
"""Seconds after which an update that failed is tried again."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@index_option
@click.option("--model", metavar="NAME", help="Model of a new index; see `index`.")
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option("--prune", is_flag=True, help="Remove images whose files are gone.")
@exclude_option
@store_options
@click.option(
    "--poll",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Look for changes this often instead of waiting for the system to tell of them. Default: "
    "60 on network drives.",
)
@click.option(
    "--queue",
    metavar="URL",
    help="Queue of Amazon SQS to which S3 sends notifications about the bucket.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MINUTES",
    help="Time between two passes over all files. Default: 60, or 1440 with --queue.",
)
@server_option
def watch(
    paths: tuple[str, ...],
    url: str | None,
    model: str | None,
    model_dir: str | None,
    prune: bool,
    exclude: tuple[str, ...],
    endpoint: str | None,
    anonymous: bool,
    poll: float | None,
    queue: str | None,
    every: float | None,
    server: dict[str, str] | None,
) -> None:
    """Keeps an index up to date with folders or buckets, until it is stopped.

    Other commands work between two updates, as the index is open only during them.
    """
    from lookalike.cli.settings import Settings
    from lookalike.engines import is_server
    from lookalike.facade.watching.changes import WatchOptions
    from lookalike.facade.watching.opening import open_watch
    from lookalike.system.inputs import is_object
    from lookalike.types import SourceOptions

    address = url or Settings.from_environment().index
    options = WatchOptions(prune, SourceOptions(exclude, endpoint, anonymous))
    watched = open_watch(
        [path if is_object(path) else str(Path(path).expanduser().resolve()) for path in paths],
        options.source,
        index=None if is_server(address) else str(Path(address).resolve()),
        poll=poll,
        every=None if every is None else every * 60,
        queue=queue,
        tell=note,
    )
    told: set[str] = set()

    def update(change: Change) -> None:
        with open_index(url, create=True, server=server, model=model, model_dir=model_dir) as index:
            report = change.add_to(index, options)
        _report(report, told)
        change.done()

    for change in watched.changes():
        _until_done(partial(update, change), is_told_again=change.is_told_again)


def _until_done(update: Callable[[], None], *, is_told_again: bool) -> None:
    """Updates the index, again if it cannot be written at the moment.

    Args:
        update: updates the index.
        is_told_again: whether a folder in which nothing is yet may be left to a later event.
    """
    said = ""
    while True:
        try:
            return update()
        except LookalikeError as error:
            if isinstance(error, SourceError) and is_told_again:
                return note(str(error))
            is_passing = not isinstance(error, InputError) or isinstance(error, SourceError)
            if patience.is_over() or not is_passing:
                raise
            if str(error) != said:
                note(f"{error} Trying again every {RETRY} s.")
            said = str(error)
            patience.pause(RETRY)


def _report(report: IngestReport, told: set[str]) -> None:
    """Prints what an update changed, and each reason for images that were left out once."""
    from lookalike.system.times import now

    counts = ("added", "updated", "moved", "removed")
    changed = [f"{name} {number:,}" for name in counts if (number := getattr(report, name))]
    if changed:
        click.echo(f"{now()} {' · '.join(changed)}")
    reasons = [f"  {one.uri}: {one.reason}: {one.detail}" for one in report.rejects]
    for line in [*reasons, *filter(None, [report.prune_refused])]:
        if line not in told:
            click.echo(printable(line))
            told.add(line)
