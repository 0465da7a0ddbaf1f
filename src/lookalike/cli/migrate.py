"""The commands that replace a model of an index: migrate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import console, note, print_json, printable, resumable
from lookalike.cli.opening import open_index, writable
from lookalike.cli.options import index_option, json_option, server_option
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.admin.migration import MigrationReport, MigrationStatus
    from lookalike.index import Index
    from lookalike.search.gates import GateResult
    from lookalike.search.model_comparison import ModelComparison

_NAMED = 5
"""Images without the new vector that `start` names."""


@click.group()
def migrate() -> None:
    """Replaces the model of an index while the index is in use.

    \b
      lookalike migrate start --model siglip2     describe all images by another model
      lookalike migrate report --html report.html compare the results of both
      lookalike migrate cut-over                  let the new one serve, if it passes the gates
      lookalike migrate roll-back                 let the old one serve again
      lookalike migrate finish                    remove the old one's vectors
    """


def _comparison_options(command: Any) -> Any:
    for option in (
        click.option(
            "--by", metavar="FIELD", help="Field whose values judge results. Default: chosen."
        ),
        click.option(
            "-k", "--limit", type=click.IntRange(1, 100), default=10, show_default=True,
            metavar="N", help="Results of a search that count.",
        ),
        click.option(
            "--queries", type=click.IntRange(2, 10_000), default=200, show_default=True,
            metavar="N", help="Stored images to search by.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@migrate.command()
@click.option(
    "--model",
    metavar="NAME",
    help="The new model; see `models`. Default: the newest revision of the index's own.",
)
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Precision of the model's weights, where its files have several.",
)
@click.option(
    "--aspect",
    default="semantic",
    show_default=True,
    metavar="NAME",
    help="Aspect whose model is replaced.",
)
@click.option(
    "--device", default="auto", metavar="DEVICE", help="Device that runs it. Default: auto."
)
@click.option("--fetch", is_flag=True, help="Read originals on the web again, too.")
@click.option(
    "--private",
    multiple=True,
    metavar="HOST:PORT",
    help="Host of a private network that may be read; repeatable.",
)
@click.option(
    "--partition",
    metavar="I/N",
    help="Describe the Ith of N parts, as several machines can at once; a run without it completes "
    "the migration. On a server alone.",
)
@index_option
@server_option
@json_option
def start(
    url: str | None,
    server: dict[str, str] | None,
    partition: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Describes all images by another model, and goes on where an earlier run stopped.

    The old model goes on to serve. Run it again before the cut-over if images were added by
    processes that did not know of the migration.
    """
    from lookalike.cli.terminal import bars
    from lookalike.ingest.partition import parse_partition
    from lookalike.output.documents import of_migration_report

    part = None if partition is None else parse_partition(partition)
    with (
        resumable(),
        _opened(url, server) as index,
        bars.stage_bar(console(stderr=True), "loading the model") as progress,
    ):
        report = index.migrate(**options, partition=part, progress=progress)
    if as_json:
        print_json(of_migration_report(report))
    else:
        _print_report(report)
    if report.status.lacking:
        sys.exit(1)


@migrate.command()
@index_option
@server_option
@json_option
def status(url: str | None, server: dict[str, str] | None, as_json: bool) -> None:
    """Shows the migration that is under way."""
    from lookalike.output.documents import of_migration

    with _opened(url, server) as index:
        found = index.migration()
    if as_json:
        print_json(None if found is None else of_migration(found))
    elif found is None:
        click.echo("no migration is under way")
    else:
        _print_status(found)


@migrate.command()
@_comparison_options
@click.option("--html", metavar="FILE", help="Write the comparison as an HTML file with pictures.")
@index_option
@server_option
@json_option
def report(
    url: str | None,
    server: dict[str, str] | None,
    html: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Compares the results of both models for the same queries, and checks the gates."""
    from lookalike.output.documents import of_comparison, of_gates
    from lookalike.output.migration_report import migration_report

    with writable(html) as sheet, _opened(url, server) as index:
        comparison, gates = index.review_migration(**options)
        if html:
            sheet.write(migration_report(comparison, gates, index.thumbnail))
    if as_json:
        print_json(of_comparison(comparison) | {"gates": of_gates(gates)})
    else:
        _print_comparison(comparison)
        _print_gates(gates)
    if html:
        note(f"report with pictures: {html}")


@migrate.command("cut-over")
@click.option(
    "--require",
    metavar="GATE=BOUND,…",
    help="Other bounds of the gates, or further gates: filled, errors, p95, precision, overlap, "
    "rank_overlap.",
)
@click.option(
    "--missing",
    type=click.Choice(["keep", "drop"]),
    help="Images without the new vector, such as those whose files are gone: keep them in the "
    "index, where the aspect does not find them, or drop them from it.",
)
@_comparison_options
@index_option
@server_option
@json_option
def cut_over(url: str | None, server: dict[str, str] | None, as_json: bool, **options: Any) -> None:
    """Has the new model serve from now on, if it passes all gates; else ends with code 1.

    The gates: 99.9 % of the images have its vector, it failed on none, its searches take at most
    1.2 times as long, and their label precision is at most 0.01 lower.
    """
    with _opened(url, server) as index:
        result = index.cut_over(**options)
    if as_json:
        from lookalike.output.documents import of_gates

        print_json({"done": result.done, "gates": of_gates(result.gates)})
    else:
        _print_gates(result.gates)
        click.echo(
            "the new model serves; `lookalike migrate roll-back` undoes that"
            if result.done
            else "the old model goes on to serve"
        )
    if not result.done:
        sys.exit(1)


@migrate.command("roll-back")
@index_option
@server_option
def roll_back(url: str | None, server: dict[str, str] | None) -> None:
    """Has the old model serve again, as before the cut-over."""
    with _opened(url, server) as index:
        index.roll_back()
    click.echo("the old model serves again")


@migrate.command()
@index_option
@server_option
def finish(url: str | None, server: dict[str, str] | None) -> None:
    """Removes the vectors of the old model, after which there is no way back."""
    with _opened(url, server) as index:
        index.finish_migration()
    click.echo("the vectors of the old model are removed")


@migrate.command()
@index_option
@server_option
def cancel(url: str | None, server: dict[str, str] | None) -> None:
    """Gives the migration up, and removes the vectors of the new model."""
    with _opened(url, server) as index:
        index.cancel_migration()
    click.echo("the vectors of the new model are removed")


@contextmanager
def _opened(url: str | None, server: dict[str, str] | None) -> Iterator[Index]:
    """An index whose engine answers during a migration: that of a server, or one in a process of
    its own, perhaps a service's."""
    index = open_index(url, server=server)
    if not index.can_migrate:
        index.close()
        index = open_index(url, subprocess=True)
    with index:
        yield index


def _print_report(report: MigrationReport) -> None:
    click.echo(f"{count(report.filled, 'image')} described")
    for problem in report.problems[:_NAMED]:
        note(printable(f"  {problem.id}: {problem.detail}"))
    if report.missed > _NAMED:
        note(f"  and {count(report.missed - _NAMED, 'more image')}")
    _print_status(report.status)


def _print_status(status: MigrationStatus) -> None:
    click.echo(f"{status.aspect}: {status.old.model} → {status.new.model}, {status.phase}")
    lacking = f", {status.lacking:,} of them without its vector" if status.lacking else ""
    click.echo(f"{count(status.images, 'image')}{lacking}")


def _print_comparison(comparison: ModelComparison) -> None:
    click.echo(
        f"{count(comparison.queries, 'query', 'queries')}, the first {comparison.limit:,} results"
    )
    click.echo(f"  overlap          {comparison.overlap.mean:.3f}")
    click.echo(f"  rank overlap     {comparison.rank_overlap.mean:.3f}")
    if (precision := comparison.precision) is not None:
        both = f"{precision.old.mean:.3f} → {precision.new.mean:.3f}"
        click.echo(f"  label precision  {both} ({precision.field})")
    click.echo(f"  p95              {comparison.old.p95:.1f} → {comparison.new.p95:.1f} ms")
    for line in comparison.notes:
        note(line)


def _print_gates(gates: tuple[GateResult, ...]) -> None:
    for gate in gates:
        passed = "-" if gate.measured is None else "passed"
        click.echo(f"  {passed if gate.passed else 'FAILED':<6}  {gate.sentence}")
