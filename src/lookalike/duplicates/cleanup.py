"""Acting on duplicates: the copies of each group leave the index, and their files where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.duplicates import file_moves
from lookalike.duplicates.check import Duplicate
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.file_moves import Done, File, Report
from lookalike.duplicates.groups import Group
from lookalike.errors import InputError
from lookalike.record import record_of

Action: TypeAlias = Literal["remove", "move", "delete"]
"""Of the copies: take them out of the index alone; move their files aside, too; or delete them."""


def clean(
    groups: Iterable[Group],
    action: Action,
    remove: Callable[[Sequence[str]], int],
    *,
    folder: Path | None = None,
    log: Path | None = None,
    dry_run: bool = True,
) -> Report:
    """Does away with all members of the groups but the keepers. What is only similar stays.

    A file that changed since it was indexed, or whose keeper's did, stays where it is and in the
    index; the report says so.

    Args:
        groups: as `groups.find` yields them.
        action: what to do.
        remove: takes ids out of the index.
        folder: where files are moved to.
        log: what was done, for `moves.undo`; by default `undo.jsonl` in the folder.
        dry_run: only say what would be done.

    Raises:
        InputError: no folder to move to, no log for what is deleted, or it cannot be written.
    """
    pairs = [
        (copy, group.members[0])
        for group in groups
        for copy in group.copies
        if copy.verdict is not Verdict.SIMILAR
    ]
    if action == "remove":
        report = Report([Done(copy.uri, None) for copy, _ in pairs])
    elif action == "move":
        if folder is None:
            raise InputError("Name the folder that the copies shall be moved to.")
        keepers = {_file(copy): _file(keeper) for copy, keeper in pairs}
        log = log or folder / "undo.jsonl"
        report = file_moves.move_aside(list(keepers), folder, log, dry_run=dry_run, keepers=keepers)
    else:
        if log is None:
            raise InputError("Name a log, which says what was deleted.")
        files_and_keepers = [(_file(copy), _file(keeper)) for copy, keeper in pairs]
        report = file_moves.delete(files_and_keepers, log, dry_run=dry_run)
    if not dry_run:
        done = {one.uri for one in report.done}
        remove([copy.id for copy, _ in pairs if copy.uri in done])
    return report


def _file(match: Duplicate) -> File:
    return File(match.uri, record_of(match.payload)["sha256"])
