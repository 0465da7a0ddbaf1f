"""The commands `duplicates`, `decide` and `undo`."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import console, note, print_json
from lookalike.cli.opening import open_index, writable
from lookalike.cli.options import filter_options, index_option, json_option, model_dir_option
from lookalike.errors import InputError
from lookalike.system.inputs import is_object
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.duplicates.cleanup import Action
    from lookalike.duplicates.file_moves import CleanupReport
    from lookalike.duplicates.groups import DuplicateGroup
    from lookalike.index import Index


@click.command()
@click.argument("path", required=False)
@click.option("--id", metavar="ID", help="Find the duplicates of this image of the index.")
@index_option
@click.option(
    "--keep",
    default="largest",
    metavar="POLICY",
    show_default=True,
    help="Policy that chooses the image of a group to keep: largest, oldest, best, first.",
)
@filter_options
@click.option("--similar", is_flag=True, help="Also show similar images that are not copies.")
@click.option(
    "--verdict",
    metavar="LIST",
    help="Show and resolve only copies with these verdicts, such as identical,same-pixels.",
)
@click.option(
    "--protect",
    multiple=True,
    metavar="FOLDER",
    help="Folder whose files always stay, and are preferred as keepers; repeatable.",
)
@click.option(
    "--memory",
    default="1G",
    show_default=True,
    metavar="BYTES",
    help="Memory to use; what exceeds it waits on the disk.",
)
@click.option(
    "--work",
    metavar="DIR",
    help="Folder for what has been compared, by which an interrupted command goes on. Default: "
    "beside the thumbnails.",
)
@click.option(
    "--partition",
    metavar="N/M",
    help="Compare only the Nth of M parts of the pairs. After all parts, run the command without "
    "it for the groups.",
)
@click.option(
    "--ray",
    "ray_address",
    metavar="ADDRESS",
    help="Compare on a Ray cluster: auto, local or host:port.",
)
@click.option(
    "--fetch",
    is_flag=True,
    help="Download originals from the web where their thumbnails do not suffice.",
)
@click.option(
    "--private",
    multiple=True,
    metavar="IP:PORT",
    help="Host of a private network that originals may be fetched from; repeatable.",
)
@json_option
@click.option("--csv", "csv_file", metavar="FILE", help="Write a table, one row per image.")
@click.option("--html", metavar="FILE", help="Write a report with the pictures side by side.")
@click.option("--remove", is_flag=True, help="Remove the copies from the index.")
@click.option(
    "--move-to",
    metavar="DIR",
    help="Also move the files of the copies to this folder, or objects to s3://bucket/folder/.",
)
@click.option("--delete-files", is_flag=True, help="Also delete the files of the copies for good.")
@click.option(
    "--even-if-more",
    is_flag=True,
    help="Include copies that hold something their keepers do not, except camera raw.",
)
@click.option("--log", metavar="FILE", help="Log of moved or deleted files, for undo.")
@click.option("--yes", is_flag=True, help="Apply the changes. Without it: a dry run.")
@model_dir_option
def duplicates(
    path: str | None,
    id: str | None,
    url: str | None,
    as_json: bool,
    csv_file: str | None,
    html: str | None,
    model_dir: str | None,
    **chosen: Any,
) -> None:
    """Finds groups of duplicates in the index, or the duplicates of PATH, and can resolve them."""
    action = _action(chosen)
    options = _group_options(url, chosen)
    with open_index(url, model_dir=model_dir) as index:
        if path is not None or id is not None:
            if action or csv_file or html or _others(chosen):
                raise InputError(
                    "PATH and --id look up one image, and combine only with --similar, --fetch and "
                    "--json: leave out either them or the other options."
                )
            _show_duplicates_of(index, path, id, chosen, as_json=as_json)
            return
        if chosen["partition"] is not None:
            if action or csv_file or html or options["similar"]:
                raise InputError(
                    "--partition compares pairs and shows no groups: leave out the options for "
                    "groups until all parts are compared."
                )
            _compare_part(index, chosen["partition"], options, as_json=as_json)
            return
        images = index.count(chosen["where"], chosen["params"])
        with ExitStack() as files:
            table = files.enter_context(writable(csv_file))
            page = files.enter_context(writable(html))
            started = time.perf_counter()
            groups, problems = _find_groups(index, options, show=not as_json)
            milliseconds = (time.perf_counter() - started) * 1e3
            if table:
                _write_csv(table, groups)
            if page:
                page.write(_html(index, groups))
        report = None if action is None else _resolve(index, groups, action, chosen)
        if as_json:
            document = _document(groups, images, problems, milliseconds)
            if report is not None:
                document |= {"dry_run": not chosen["yes"], **asdict(report)}
            print_json(document)
        else:
            _show_summary(groups, problems, report, dry_run=not chosen["yes"])


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@index_option
@click.option(
    "--not-duplicates",
    "decision",
    flag_value="not_duplicates",
    help="The images are not copies of each other.",
)
@click.option(
    "--keep-all",
    "decision",
    flag_value="keep_all",
    help="The images are copies, and all of them stay.",
)
@click.option("--forget", "decision", flag_value="forget", help="Remove earlier decisions.")
def decide(ids: tuple[str, ...], url: str | None, decision: str | None) -> None:
    """Stores a decision about images that look like copies; `duplicates` respects it."""
    from lookalike.types import Decision

    if decision is None:
        raise InputError("A decision is missing: add --not-duplicates, --keep-all or --forget.")
    with open_index(url) as index:
        index.decide(ids, None if decision == "forget" else Decision(decision))
    click.echo(
        "forgotten" if decision == "forget" else f"remembered for {count(len(ids), 'image')}"
    )


@click.command()
@click.argument("log")
def undo(log: str) -> None:
    """Moves files back that `duplicates --move-to` moved, by its LOG."""
    from lookalike.cli.terminal import reports
    from lookalike.duplicates import file_moves
    from lookalike.sources.bucket import open_bucket

    report = file_moves.undo(Path(log), open_bucket)
    for line in reports.file_lines(report, "moved back"):
        click.echo(line)
    if report.done:
        note("Run `lookalike index` on their folder to have them in the index again.")


# --- options --------------------------------------------------------------------------------


def _action(chosen: Mapping[str, Any]) -> Action | None:
    """The action on the copies, if any; options that need one are refused without it."""
    actions: list[Action] = []
    actions += ["remove"] if chosen["remove"] else []
    actions += ["move"] if chosen["move_to"] is not None else []
    actions += ["delete"] if chosen["delete_files"] else []
    if len(actions) > 1:
        raise InputError("Choose one of --remove, --move-to and --delete-files.")
    action = actions[0] if actions else None
    if action not in ("move", "delete") and chosen["log"] is not None:
        raise InputError("--log needs an action on files: add --move-to or --delete-files.")
    for name, flag in (("yes", "--yes"), ("even_if_more", "--even-if-more")):
        if action is None and chosen[name]:
            raise InputError(f"{flag} needs an action: add --remove, --move-to or --delete-files.")
    return action


def _group_options(url: str | None, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `Index.duplicates`, checked before any file is created."""
    from lookalike.cli import quantities
    from lookalike.cli.opening import ray_executor
    from lookalike.duplicates.keepers import policy_of
    from lookalike.duplicates.verdicts import verdicts_of

    verdict, address = chosen["verdict"], chosen["ray_address"]
    named = ("keep", "where", "params", "similar", "work", "fetch", "private")
    options: dict[str, Any] = {
        **{name: chosen[name] for name in named},
        "verdicts": None if verdict is None else [name.strip() for name in verdict.split(",")],
        "protect": [_existing(folder) for folder in chosen["protect"]],
        "memory": quantities.parse_bytes(chosen["memory"]),
        "executor": None if address is None else ray_executor(address, url),
    }
    policy_of(options["keep"])
    verdicts_of(options["verdicts"])
    return options


def _others(chosen: Mapping[str, Any]) -> bool:
    """True for options that do not combine with a look-up of one image."""
    given = ("where", "params", "verdict", "protect", "work", "partition", "ray_address")
    return any(chosen[name] for name in given) or chosen["keep"] != "largest"


def _existing(folder: str) -> str:
    """A folder to protect. A mistyped one would protect nothing, so it must exist."""
    if "://" not in folder and not Path(folder).exists():
        raise InputError(f"The folder to protect does not exist: {folder}")
    return folder


def _log(action: Action, move_to: str | None, log: str | None) -> Path | None:
    """The log; by default that of moves is in their folder, and that of deletions and of moves in a
    bucket in this one."""
    if log is not None:
        return Path(log)
    if action == "delete":
        return Path("lookalike-deleted.jsonl")
    return Path("lookalike-moved.jsonl") if is_object(move_to or "") else None


# --- work and output ------------------------------------------------------------------------


def _show_duplicates_of(
    index: Index, path: str | None, id: str | None, chosen: Mapping[str, Any], *, as_json: bool
) -> None:
    from lookalike.cli.terminal import reports
    from lookalike.output import documents

    started = time.perf_counter()
    options = {name: chosen[name] for name in ("similar", "fetch", "private")}
    matches = index.duplicates_of(path, id=id, **options)
    milliseconds = (time.perf_counter() - started) * 1e3
    if as_json:
        rows = [documents.of_duplicate(match) for match in matches]
        print_json({"matches": rows, "took_ms": round(milliseconds, 3)})
        return
    for match in matches:
        click.echo(reports.duplicate_line(match))
    if not matches:
        click.echo("The index has no copy of it.")
    for line in reports.problem_lines(matches.problems):
        note(line)


def _compare_part(
    index: Index, partition: str, options: Mapping[str, Any], *, as_json: bool
) -> None:
    from lookalike.cli.terminal import bars
    from lookalike.ingest.partition import parse_partition

    names = ("where", "params", "memory", "work", "executor", "fetch", "private")
    shared = {name: options[name] for name in names}
    with bars.stage_bar(console(stderr=True)) as progress:
        report = index.compare_duplicates(
            partition=parse_partition(partition), progress=progress, **shared
        )
    if as_json:
        print_json(asdict(report))
        return
    compared, copies = count(report.pairs, "pair"), count(report.copies, "copy", "copies")
    click.echo(f"{compared} compared in part {partition}: {copies}")
    if report.unfinished:
        note(f"Still to be compared: part {', '.join(report.unfinished)}.")
    else:
        note("All parts are compared. Run the same command without --partition for the groups.")


def _resolve(
    index: Index, groups: Sequence[DuplicateGroup], action: Action, chosen: Mapping[str, Any]
) -> CleanupReport:
    move_to = chosen["move_to"]
    return index.resolve_duplicates(
        groups,
        action,
        move_to=move_to,
        log=_log(action, move_to, chosen["log"]),
        dry_run=not chosen["yes"],
        even_if_more=chosen["even_if_more"],
    )


def _find_groups(
    index: Index, options: Mapping[str, Any], *, show: bool
) -> tuple[list[DuplicateGroup], Mapping[str, str]]:
    """All groups, each shown as soon as it is confirmed, and the problems by address."""
    from lookalike.cli.terminal import bars, reports

    groups = []
    with bars.stage_bar(console(stderr=True)) as progress:
        confirmed = index.duplicates(**options, progress=progress)
        for group in confirmed:
            groups.append(group)
            for line in reports.group_lines(len(groups), group) if show else ():
                click.echo(line)
    return groups, confirmed.problems


def _html(index: Index, groups: Sequence[DuplicateGroup]) -> str:
    from lookalike.output.duplicate_report import duplicate_report

    return duplicate_report(groups, index.thumbnail, index.difference)


def _write_csv(file: Any, groups: Sequence[DuplicateGroup]) -> None:
    from lookalike.output import documents

    writer = csv.DictWriter(file, documents.CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for number, group in enumerate(groups, 1):
        writer.writerows(documents.csv_rows(number, group))


def _document(
    groups: Sequence[DuplicateGroup],
    images: int,
    problems: Mapping[str, str],
    milliseconds: float,
) -> dict[str, Any]:
    from lookalike.output import documents

    return {
        "groups": [documents.of_group(group) for group in groups],
        "images": images,
        "problems": problems,
        "took_ms": round(milliseconds, 3),
    }


def _show_summary(
    groups: Sequence[DuplicateGroup],
    problems: Mapping[str, str],
    report: CleanupReport | None,
    *,
    dry_run: bool,
) -> None:
    from lookalike.cli.terminal import reports

    click.echo(reports.groups_summary(groups))
    for line in reports.problem_lines(problems):
        note(line)
    if report is not None:
        for line in reports.file_lines(report, "would be done" if dry_run else "done"):
            click.echo(line)
        if dry_run:
            note("Nothing was changed. Run the same command with --yes to apply the changes.")
