"""The commands `duplicates`, `decide` and `undo`."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import console, note, print_json
from lookalike.cli.opening import open_index, writable
from lookalike.cli.options import index_option, json_option, model_dir_option, where_option
from lookalike.errors import InputError

if TYPE_CHECKING:
    from lookalike.duplicates.cleanup import Action
    from lookalike.duplicates.file_moves import Report
    from lookalike.duplicates.groups import Group
    from lookalike.index import Index


@click.command()
@click.argument("path", required=False)
@click.option("--id", metavar="ID", help="The copies of this image of the index.")
@index_option
@click.option(
    "--keep",
    default="largest",
    metavar="POLICY",
    show_default=True,
    help="Which member of a group stays: largest, oldest, best, first.",
)
@where_option
@click.option("--similar", is_flag=True, help="Show what is similar and no copy, too.")
@json_option
@click.option("--csv", "csv_file", metavar="FILE", help="Write a row for each image of a group.")
@click.option("--html", metavar="FILE", help="Write a report with the pictures side by side.")
@click.option("--remove", is_flag=True, help="Take the copies out of the index.")
@click.option("--move-to", metavar="FOLDER", help="Move the copies' files there, too.")
@click.option("--delete-files", is_flag=True, help="Delete the copies' files, for good.")
@click.option("--log", metavar="FILE", help="What is moved or deleted, for undo.")
@click.option("--yes", is_flag=True, help="Do it; otherwise it is only said what would be done.")
@model_dir_option
def duplicates(
    path: str | None,
    id: str | None,
    url: str | None,
    keep: str,
    where: str | None,
    similar: bool,
    as_json: bool,
    csv_file: str | None,
    html: str | None,
    remove: bool,
    move_to: str | None,
    delete_files: bool,
    log: str | None,
    yes: bool,
    model_dir: str | None,
) -> None:
    """Finds copies in the index, or the copies of PATH; says why, and what to do with them."""
    from lookalike.duplicates.keepers import policy_of

    action = _action(remove, move_to, delete_files)
    if action is None and yes:
        raise InputError("--yes does what --remove, --move-to or --delete-files says: name one.")
    if action not in ("move", "delete") and log is not None:
        raise InputError("--log takes what --move-to or --delete-files does: name one.")
    policy_of(keep)  # before any file is made
    with open_index(url, model_dir=model_dir) as index:
        if path is not None or id is not None:
            if action or csv_file or html or where or keep != "largest":
                raise InputError("One image is only looked up: leave out PATH or the options.")
            _check(index, path, id, similar=similar, as_json=as_json)
            return
        images = index.count(where)
        with ExitStack() as files:
            rows = files.enter_context(writable(csv_file))
            page = files.enter_context(writable(html))
            problems: dict[str, str] = {}
            started = time.perf_counter()
            groups = _groups(index, keep, where, problems, similar=similar, shown=not as_json)
            milliseconds = (time.perf_counter() - started) * 1e3
            if rows:
                _write_csv(rows, groups)
            if page:
                page.write(_report(index, groups))
        report = None
        if action is not None:
            folder = None if move_to is None else Path(move_to)
            report = index.resolve_duplicates(
                groups, action, folder=folder, log=_log(action, log), dry_run=not yes
            )
        if as_json:
            document = _document(groups, images, problems, milliseconds)
            if report is not None:
                document |= {"dry_run": not yes, **asdict(report)}
            print_json(document)
        else:
            _conclude(groups, problems, report, done=yes)


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@index_option
@click.option("--not-duplicates", "decision", flag_value="not", help="They are no copies.")
@click.option("--keep-all", "decision", flag_value="keep", help="Copies, and all of them stay.")
@click.option("--forget", "decision", flag_value="forget", help="Forget what was said of them.")
def decide(ids: tuple[str, ...], url: str | None, decision: str | None) -> None:
    """Remembers what you say of images that look like copies; `duplicates` respects it."""
    from lookalike.types import Decision

    if decision is None:
        raise InputError("Say what they are: --not-duplicates, --keep-all or --forget.")
    said = {"not": Decision.NOT_DUPLICATES, "keep": Decision.KEEP_ALL, "forget": None}[decision]
    with open_index(url) as index:
        index.decide(ids, said)
    click.echo(f"remembered for {len(ids):,} images" if said else "forgotten")


@click.command()
@click.argument("log")
def undo(log: str) -> None:
    """Moves files back that `duplicates --move-to` moved, by its LOG."""
    from lookalike.cli.terminal import reports
    from lookalike.duplicates import file_moves

    report = file_moves.undo(Path(log))
    for line in reports.file_lines(report, "moved back"):
        click.echo(line)
    if report.done:
        note("Run `lookalike index` on their folder to have them in the index again.")


# --- what duplicates does -------------------------------------------------------------------


def _action(remove: bool, move_to: str | None, delete_files: bool) -> Action | None:
    chosen: list[Action] = []
    chosen += ["remove"] if remove else []
    chosen += ["move"] if move_to is not None else []
    chosen += ["delete"] if delete_files else []
    if len(chosen) > 1:
        raise InputError("Choose one of --remove, --move-to and --delete-files.")
    return chosen[0] if chosen else None


def _log(action: Action, log: str | None) -> Path | None:
    """Moves have theirs in the folder they go to; deletions here."""
    return Path(log) if log else Path("lookalike-deleted.jsonl") if action == "delete" else None


def _check(index: Index, path: str | None, id: str | None, *, similar: bool, as_json: bool) -> None:
    from lookalike.cli.terminal import reports
    from lookalike.output import documents

    started = time.perf_counter()
    problems: dict[str, str] = {}
    matches = index.duplicates_of(path, id=id, similar=similar, problems=problems)
    milliseconds = (time.perf_counter() - started) * 1e3
    if as_json:
        found = [documents.of_duplicate(match) for match in matches]
        print_json({"matches": found, "took_ms": round(milliseconds, 3)})
        return
    for match in matches:
        click.echo(reports.duplicate_line(match))
    if not matches:
        click.echo("The index holds no copy of it.")
    for line in reports.problem_lines(problems):
        note(line)


def _groups(
    index: Index,
    keep: str,
    where: str | None,
    problems: dict[str, str],
    *,
    similar: bool,
    shown: bool,
) -> list[Group]:
    """All groups; each is shown as soon as it is found."""
    from lookalike.cli.terminal import bars, reports

    groups = []
    with bars.stage_bar(console(stderr=True)) as progress:
        for group in index.duplicates(
            keep=keep, where=where, similar=similar, problems=problems, progress=progress
        ):
            groups.append(group)
            for line in reports.group_lines(len(groups), group) if shown else ():
                click.echo(line)
    return groups


def _report(index: Index, groups: Sequence[Group]) -> str:
    from lookalike.output.duplicate_report import duplicate_report

    return duplicate_report(groups, index.thumbnail, index.difference)


def _write_csv(file: Any, groups: Sequence[Group]) -> None:
    from lookalike.output import documents

    writer = csv.DictWriter(file, documents.CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, group in enumerate(groups, 1):
        writer.writerows(documents.csv_rows(number, group))


def _document(
    groups: Sequence[Group], images: int, problems: dict[str, str], milliseconds: float
) -> dict[str, Any]:
    from lookalike.output import documents

    return {
        "groups": [documents.of_group(group) for group in groups],
        "images": images,
        "problems": problems,
        "took_ms": round(milliseconds, 3),
    }


def _conclude(
    groups: Sequence[Group], problems: dict[str, str], report: Report | None, *, done: bool
) -> None:
    from lookalike.cli.terminal import reports

    click.echo(reports.groups_summary(groups))
    for line in reports.problem_lines(problems):
        note(line)
    if report is not None:
        for line in reports.file_lines(report, "done" if done else "would be done"):
            click.echo(line)
        if not done:
            note("Nothing was changed. Run the same command with --yes to do it.")
