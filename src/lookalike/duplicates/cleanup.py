"""Resolving duplicates: the copies of each group leave the index, and their files if requested."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from lookalike.duplicates import file_moves
from lookalike.duplicates.bucket_files import OpenBucket
from lookalike.duplicates.file_moves import CleanupReport, FilePlaces, HandledFile, SkippedFile
from lookalike.duplicates.file_places import IndexedFile
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.holdings import CAMERA_RAW
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import InputError
from lookalike.record import record_of
from lookalike.system.inputs import is_object

Action: TypeAlias = Literal["remove", "move", "delete"]
"""Remove the copies from the index only, also move their files aside, or also delete them."""


def resolve_duplicates(
    groups: Iterable[DuplicateGroup],
    action: Action,
    remove: Callable[[Sequence[str]], int],
    *,
    open_bucket: OpenBucket,
    move_to: str | os.PathLike[str] | None = None,
    log: str | os.PathLike[str] | None = None,
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
        open_bucket: opens a bucket with files.
        move_to: folder for the files of "move", on disk or in an object store.
        log: log of moved and deleted files, for `file_moves.undo`; by default `undo.jsonl` in
            `move_to`, if that is on disk.
        dry_run: report only; change nothing.
        even_if_more: include copies that hold something their keeper does not, except camera raw.
        is_indexed: whether the index has an image at an address: a camera raw that it has is no
            companion of the picture beside it.

    Raises:
        InputError: "move" without a folder, "delete" or a move within a bucket without a log, or
            the log is not writable.
    """
    places = FilePlaces(open_bucket)
    log = None if log is None else Path(log)
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
        report = file_moves.move_aside(
            list(keepers),
            places.folder(move_to),
            log or _log_in(move_to),
            places,
            dry_run=dry_run,
            keepers=keepers,
            is_indexed=is_indexed,
        )
    else:
        if log is None:
            raise InputError("Deleting copies needs a log of what was deleted: name it in log.")
        report = file_moves.delete(
            [(_file(copy), _file(keeper)) for copy, keeper in pairs],
            log,
            places,
            dry_run=dry_run,
            is_indexed=is_indexed,
        )
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


def _log_in(folder: str | os.PathLike[str]) -> Path:
    """The log in a folder on disk."""
    if is_object(os.fspath(folder)):
        raise InputError("Moving objects needs a log on this machine: name it in log.")
    return Path(folder, "undo.jsonl")


def _file(duplicate: Duplicate) -> IndexedFile:
    own = record_of(duplicate.payload)
    return IndexedFile(duplicate.uri, own["sha256"], own["etag"])
