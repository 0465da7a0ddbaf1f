"""The command line: commands parse options, call the index, and print.

There is one module per topic. Heavy imports stay inside the commands, so that `--help` is fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from lookalike.cli import (
    capacity,
    changes,
    cluster,
    demo,
    duplicates,
    evaluate,
    ingest,
    inspect,
    mcp,
    migrate,
    models,
    search,
    serve,
    transfer,
    watch,
    words,
)
from lookalike.cli.console import fail
from lookalike.errors import InputError, LookalikeError
from lookalike.system import interrupts, patience


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lookalike", message="lookalike %(version)s")
def cli() -> None:
    """Finds images that look alike: by picture, words, color, texture, or any mix of them.

    \b
      lookalike index photos/ --metadata catalog.csv
      lookalike search --image query.jpg --where "price < 100" --html result.html
    """


for command in (
    ingest.index_command,
    watch.watch,
    changes.update,
    changes.delete,
    ingest.optimize,
    inspect.show,
    inspect.facets,
    inspect.stats,
    words.words,
    models.models,
    models.precision,
    inspect.verify,
    inspect.doctor,
    inspect.export,
    search.search,
    search.recommend,
    search.batch,
    evaluate.evaluate,
    duplicates.duplicates,
    duplicates.decide,
    duplicates.undo,
    transfer.copy_command,
    transfer.backup_command,
    transfer.restore_command,
    capacity.plan_command,
    cluster.cluster,
    migrate.migrate,
    serve.serve,
    mcp.mcp,
    demo.demo,
):
    cli.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command and exits: code 0 for success, 1 for failure, 2 for misuse, 130 for Ctrl-C,
    143 for SIGTERM.

    Args:
        arguments: by default those of the process.
    """
    with interrupts.handled():
        sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    """Runs a command; returns its exit code, or exits."""
    try:
        code = cli.main(arguments, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        fail(error.format_message(), 2)
    except InputError as error:
        fail(str(error), 2)
    except LookalikeError as error:
        if patience.is_over():  # so a wait ended
            return interrupts.exit_code()
        fail(str(error), 1)
    except (KeyboardInterrupt, click.Abort):
        return interrupts.exit_code()
    return code if isinstance(code, int) else 0
