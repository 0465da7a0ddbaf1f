"""Commands that copy whole indexes: copy, backup, restore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.console import console, note, print_json, resumable
from lookalike.cli.opening import open_named_engine
from lookalike.cli.options import (
    index_option,
    json_option,
    server_option,
    store_options,
    wait_option,
)
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.admin.copy import Transfer, TransferProgress


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--salvage", is_flag=True, help="Copy what can be read of a damaged index.")
@wait_option
@server_option
@json_option
def copy_command(
    source: str, target: str, salvage: bool, server: dict[str, str] | None, as_json: bool
) -> None:
    """Copies the index FROM to TO, and compares them.

    Each is a folder or the address of a collection. If the command is interrupted, run it again: it
    continues where it stopped.
    """
    from lookalike.admin.copy import copy

    with (
        open_named_engine(source, salvage=salvage) as here,
        open_named_engine(target, server) as there,
    ):
        _run("copying", lambda progress: copy(here, there, progress=progress), target, as_json)


@click.command("backup")
@click.argument("file")
@index_option
@store_options
@json_option
def backup_command(
    file: str, url: str | None, endpoint: str | None, anonymous: bool, as_json: bool
) -> None:
    """Writes the whole index into FILE, or an object such as s3://bucket/shop.backup."""
    from lookalike.admin.copy import backup
    from lookalike.facade.inputs import backup_file

    to = backup_file(file, endpoint, anonymous=anonymous)
    with open_named_engine(url) as here:
        _run("writing", lambda progress: backup(here, to, progress=progress), file, as_json)


@click.command("restore")
@click.argument("file")
@index_option
@store_options
@server_option
@json_option
def restore_command(
    file: str,
    url: str | None,
    endpoint: str | None,
    anonymous: bool,
    server: dict[str, str] | None,
    as_json: bool,
) -> None:
    """Makes a new index from the backup FILE, or an object such as s3://bucket/shop.backup.

    If the command is interrupted, run it again: it continues where it stopped.
    """
    from lookalike.admin.copy import restore
    from lookalike.facade.inputs import backup_file

    saved = backup_file(file, endpoint, anonymous=anonymous)
    with open_named_engine(url, server) as there:
        _run(
            "restoring",
            lambda progress: restore(saved, there, progress=progress),
            there.name,
            as_json,
        )


def _run(
    label: str,
    transfer: Callable[[TransferProgress | None], Transfer],
    target: str,
    as_json: bool,
) -> None:
    """Runs a transfer with a progress bar, and prints its result."""
    from lookalike.cli.terminal import bars

    with resumable(), bars.count_bar(console(stderr=True), label) as progress:
        done = transfer(progress)
    if done.notice:
        note(done.notice)
    if as_json:
        speed = round(done.images / done.seconds, 1)
        print_json(asdict(done) | {"images_per_second": speed})
        return
    earlier = done.images - done.sent
    before = f", {earlier:,} of them from an earlier run" if earlier else ""
    click.echo(f"{count(done.images, 'image')} in {target}{before}; it took {done.seconds:.1f} s")
    click.echo(f"checksum of ids and payloads: {done.checksum}")
