"""Resolving duplicates: the copies of each group leave the index, and their files if requested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.duplicates import file_moves
from lookalike.duplicates.file_moves import CleanupReport, HandledFile, IndexedFile
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import InputError
from lookalike.record import record_of

Action: TypeAlias = Literal["remove", "move", "delete"]
"""Remove the copies from the index only, also move their files aside, or also delete them."""


def resolve_duplicates(
    groups: Iterable[DuplicateGroup],
    action: Action,
    remove: Callable[[Sequence[str]], int],
    *,
    move_to: Path | None = None,
    log: Path | None = None,
    dry_run: bool = True,
) -> CleanupReport:
    """Removes all members of the groups but the keepers. Images that are only similar stay.

    A file that changed since it was indexed, or whose keeper changed, stays on disk and in the
    index; the report names it.

    Args:
        groups: as `groups.find_groups` yields them.
        action: fate of the copies.
        remove: removes ids from the index.
        move_to: folder for the files of "move".
        log: log of moved and deleted files, for `file_moves.undo`; by default `undo.jsonl` in
            `move_to`.
        dry_run: report only; change nothing.

    Raises:
        InputError: "move" without a folder, "delete" without a log, or the log is not writable.
    """
    pairs = [
        (copy, group.members[0])
        for group in groups
        for copy in group.copies
        if copy.verdict is not Verdict.SIMILAR
    ]
    if action == "remove":
        report = CleanupReport([HandledFile(copy.uri, None) for copy, _ in pairs])
    elif action == "move":
        if move_to is None:
            raise InputError("Moving copies needs a folder: name it in move_to.")
        keepers = {_file(copy): _file(keeper) for copy, keeper in pairs}
        log = log or move_to / "undo.jsonl"
        report = file_moves.move_aside(
            list(keepers), move_to, log, dry_run=dry_run, keepers=keepers
        )
    else:
        if log is None:
            raise InputError("Deleting copies needs a log of what was deleted: name it in log.")
        files_and_keepers = [(_file(copy), _file(keeper)) for copy, keeper in pairs]
        report = file_moves.delete(files_and_keepers, log, dry_run=dry_run)
    if not dry_run:
        handled = {file.uri for file in report.done}
        remove([copy.id for copy, _ in pairs if copy.uri in handled])
    return report


def _file(duplicate: Duplicate) -> IndexedFile:
    return IndexedFile(duplicate.uri, record_of(duplicate.payload)["sha256"])
