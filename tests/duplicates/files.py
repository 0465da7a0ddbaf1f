"""Files as an index knows them, and moves of them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from lookalike.duplicates import file_moves
from lookalike.duplicates.file_moves import CleanupReport, FilePlaces
from lookalike.duplicates.file_places import IndexedFile
from lookalike.sources.bucket import open_bucket


def move_aside(
    files: list[IndexedFile], folder: Path | str, log: Path, **options: Any
) -> CleanupReport:
    places = FilePlaces(open_bucket)
    return file_moves.move_aside(files, places.folder(folder), log, places, **options)


def delete(
    pairs: list[tuple[IndexedFile, IndexedFile]], log: Path, **options: Any
) -> CleanupReport:
    return file_moves.delete(pairs, log, FilePlaces(open_bucket), **options)


def undo(log: Path) -> CleanupReport:
    return file_moves.undo(log, open_bucket)


def indexed(path: Path) -> IndexedFile:
    """The file as an index would know it now."""
    return IndexedFile(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def all_indexed(folder: Path) -> list[IndexedFile]:
    return [indexed(path) for path in sorted(folder.rglob("*.jpg"))]


def tree(folder: Path) -> dict[str, bytes]:
    """The content of all files by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
