"""Commands that move whole indexes: copy, backup, restore."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.console import INTERRUPTED, console, note, print_json
from lookalike.cli.opening import open_place
from lookalike.cli.options import index_option, json_option, server_option

if TYPE_CHECKING:
    from lookalike.admin.copy import Progress, Transfer


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@server_option
@json_option
def copy(source: str, target: str, server: dict[str, str] | None, as_json: bool) -> None:
    """Copies the index FROM to TO, each a folder or a server's address, and compares them.

    Stopped or cut off, the same command goes on where it stopped.
    """
    from lookalike.admin import copy

    with open_place(source) as here, open_place(target, server) as there:
        _move("copying", lambda told: copy.copy(here, there, progress=told), target, as_json)


@click.command()
@click.argument("file")
@index_option
@json_option
def backup(file: str, url: str | None, as_json: bool) -> None:
    """Writes the whole index into FILE."""
    from lookalike.admin import copy

    with open_place(url) as here:
        _move("writing", lambda told: copy.backup(here, file, progress=told), file, as_json)


@click.command()
@click.argument("file")
@index_option
@server_option
@json_option
def restore(file: str, url: str | None, server: dict[str, str] | None, as_json: bool) -> None:
    """Makes a new index out of a backup.

    Stopped or cut off, the same command goes on where it stopped.
    """
    from lookalike.admin import copy

    with open_place(url, server) as there:
        _move(
            "restoring",
            lambda told: copy.restore(file, there, progress=told),
            there.name,
            as_json,
        )


def _move(
    what: str, move: Callable[[Progress | None], Transfer], target: str, as_json: bool
) -> None:
    """Moves an index, and says what came of it."""
    from lookalike.cli.terminal import bars

    try:
        with bars.count_bar(console(stderr=True), what) as progress:
            done = move(progress)
    except KeyboardInterrupt:
        note("Stopped. Run the same command again.")
        sys.exit(INTERRUPTED)
    if as_json:
        speed = round(done.images / done.seconds, 1)
        print_json(asdict(done) | {"images_per_second": speed})
        return
    before = f", {done.images - done.sent:,} of them before" if done.sent < done.images else ""
    click.echo(f"{done.images:,} images are in {target}{before}; it took {done.seconds:.1f} s")
    click.echo(f"checksum of ids and payloads: {done.checksum}")
