"""Resolving duplicates: the copies of each group leave the index, and their files if requested."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.duplicates import file_moves
from lookalike.duplicates.file_moves import CleanupReport, HandledFile, IndexedFile, SkippedFile
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.holdings import CAMERA_RAW
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
    even_if_more: bool = False,
    is_indexed: Callable[[str], bool] = lambda uri: False,
) -> CleanupReport:
    """Removes all members of the groups but the keepers. Images that are only similar stay, and so
    do protected files and those that hold something their keeper does not.

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
        even_if_more: include copies that hold something their keeper does not, except camera raw.
        is_indexed: whether the index has an image at an address: a camera raw that it has is no
            companion of the picture beside it.

    Raises:
        InputError: "move" without a folder, "delete" without a log, or the log is not writable.
    """
    pairs, staying = [], []
    for group in groups:
        for copy in group.copies:
            if copy.verdict is not Verdict.SIMILAR:
                reason = _reason_to_stay(copy, even_if_more=even_if_more)
                if reason:
                    staying.append(SkippedFile(copy.uri, f"{copy.uri} stays because it {reason}."))
                else:
                    pairs.append((copy, group.members[0]))
    if action == "remove":
        report = CleanupReport([HandledFile(copy.uri, None) for copy, _ in pairs])
    elif action == "move":
        if move_to is None:
            raise InputError("Moving copies needs a folder: name it in move_to.")
        keepers = {_file(copy): _file(keeper) for copy, keeper in pairs}
        log = log or move_to / "undo.jsonl"
        report = file_moves.move_aside(
            list(keepers), move_to, log, dry_run=dry_run, keepers=keepers, is_indexed=is_indexed
        )
    else:
        if log is None:
            raise InputError("Deleting copies needs a log of what was deleted: name it in log.")
        files_and_keepers = [(_file(copy), _file(keeper)) for copy, keeper in pairs]
        report = file_moves.delete(files_and_keepers, log, dry_run=dry_run, is_indexed=is_indexed)
    report.skipped[:0] = staying
    if not dry_run:
        handled = {file.uri for file in report.done}
        remove([copy.id for copy, _ in pairs if copy.uri in handled])
    return report


def _reason_to_stay(copy: Duplicate, *, even_if_more: bool) -> str:
    """Why a copy is not removed; empty if it may be."""
    if copy.protected:
        return "is in a protected folder"
    if CAMERA_RAW in copy.holds_more or (copy.holds_more and not even_if_more):
        return f"holds more than its keeper: {', '.join(copy.holds_more)}"
    return ""


def _file(duplicate: Duplicate) -> IndexedFile:
    return IndexedFile(duplicate.uri, record_of(duplicate.payload)["sha256"])
