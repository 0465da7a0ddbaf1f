"""Output of commands: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import click

from lookalike.errors import LookalikeError
from lookalike.system import interrupts, patience

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_UNBOUNDED = 100_000
"""Width of tables in files and pipes, whose lines are neither wrapped nor cut."""


def print_table(table: Table, title: str | None = None) -> None:
    """Prints a table, which fits a terminal's width; elsewhere every value is whole, and each row
    one line."""
    from rich.text import Text

    output = console()
    heading = None if title is None else Text(printable(title), style="bold")
    if output.is_terminal:
        table.title, table.title_justify = heading, "left"
        output.print(table)
        return
    if heading is not None:
        click.echo(heading.plain)
    table.expand = False
    for column in table.columns:
        column.no_wrap, column.overflow, column.ratio = True, "ignore", None
    for line in output.render_lines(table, output.options.update_width(_UNBOUNDED), pad=False):
        click.echo("".join(segment.text for segment in line).rstrip())


def console(*, stderr: bool = False) -> Console:
    """Returns the console for tables and progress bars."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def printable(text: str) -> str:
    """Escapes characters that would control a terminal: cursor, color, text direction."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_json(document: Any) -> None:
    """Prints a document on one line of standard output."""
    click.echo(json.dumps(document, ensure_ascii=False))


def note(line: str) -> None:
    """Prints a line on standard error."""
    click.echo(line, err=True)


def stopped() -> NoReturn:
    """Ends a command that was interrupted, and that goes on where it stopped."""
    note("Stopped. Run the same command again to continue.")
    sys.exit(interrupts.exit_code())


@contextmanager
def resumable() -> Iterator[None]:
    """Ends the command as `stopped` does if the work within is interrupted."""
    try:
        yield
    except KeyboardInterrupt:
        stopped()
    except LookalikeError:
        if not patience.is_over():
            raise
        stopped()


def fail(message: str, code: int) -> NoReturn:
    """Prints an error on one line and exits."""
    click.echo(f"lookalike: {printable(message)}", err=True)
    sys.exit(code)
