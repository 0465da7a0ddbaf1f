"""Files as an index knows them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lookalike.duplicates.file_moves import IndexedFile


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
