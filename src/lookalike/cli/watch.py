"""The command that keeps an index up to date with folders: watch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lookalike.cli.console import note, printable
from lookalike.cli.opening import open_index
from lookalike.cli.options import index_option, server_option
from lookalike.errors import InputError, LookalikeError, SourceError
from lookalike.system import patience

if TYPE_CHECKING:
    from lookalike.ingest.report import IngestReport

RETRY = 30
"""Seconds after which an update that failed is tried again."""


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@index_option
@click.option("--model", metavar="NAME", help="Model of a new index; see `index`.")
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option("--prune", is_flag=True, help="Remove images whose files are gone.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Files and folders to pass over, as in a .gitignore file; repeatable.",
)
@click.option(
    "--poll",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Look for changes this often instead of waiting for the system to tell of them. Default: "
    "60 on network drives.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    metavar="MINUTES",
    help="Time between two passes over all files.",
)
@server_option
def watch(
    paths: tuple[str, ...],
    url: str | None,
    model: str | None,
    model_dir: str | None,
    prune: bool,
    exclude: tuple[str, ...],
    poll: float | None,
    every: float,
    server: dict[str, str] | None,
) -> None:
    """Keeps an index up to date with folders, until it is stopped.

    Other commands work between two updates, as the index is open only during them.
    """
    from lookalike.cli.settings import Settings
    from lookalike.engines import is_server
    from lookalike.facade.watching import Watch

    address = url or Settings.from_environment().index
    watched = Watch(
        [str(Path(path).expanduser().resolve()) for path in paths],
        exclude,
        None if is_server(address) else str(Path(address).resolve()),
        poll,
        every * 60,
    )
    told: set[str] = set()

    def update(folders: Sequence[str]) -> None:
        with open_index(url, create=True, server=server, model=model, model_dir=model_dir) as index:
            _report(index.add(*folders, prune=prune, exclude=exclude), told)

    for folders in watched.changes():
        _until_done(partial(update, folders))


def _until_done(update: Callable[[], None]) -> None:
    """Updates the index, again if it cannot be written at the moment: no later event would name
    the same files."""
    while True:
        try:
            return update()
        except SourceError as error:  # nothing is there yet
            return note(str(error))
        except InputError:
            raise
        except LookalikeError as error:
            if patience.is_over():
                raise
            note(f"{error} Trying again in {RETRY} s.")
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
