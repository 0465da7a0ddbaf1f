"""How commands speak: answers on standard output, all else on standard error."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells know it."""


def console(*, stderr: bool = False) -> Console:
    """Where tables and progress bars go."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def print_json(document: Any) -> None:
    """One document, on one line of standard output."""
    click.echo(json.dumps(document, ensure_ascii=False))


def note(line: str) -> None:
    """A line that is no part of the answer."""
    click.echo(line, err=True)


def fail(message: str, code: int) -> NoReturn:
    """Says in one line what went wrong, and ends the command."""
    from lookalike.cli.terminal import printable

    click.echo(f"lookalike: {printable(message)}", err=True)
    sys.exit(code)
