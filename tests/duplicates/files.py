"""Files as an index knows them, and moves of them."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
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


_CHILD = """
import json, sys
from pathlib import Path
from lookalike.duplicates.file_places import IndexedFile
from tests.duplicates.files import move_aside, undo
what, log, *rest = sys.argv[1:]
print("ready", flush=True)
if what == "undo":
    undo(Path(log))
else:
    files = [IndexedFile(*file) for file in json.loads(Path(rest[1]).read_text())]
    move_aside(files, rest[0], Path(log), dry_run=False)
"""


def killed(*arguments: Path | str, after: float) -> bool:
    """Runs the child and kills it `after` seconds of work; False if it had finished."""
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, *map(str, arguments)], stdout=subprocess.PIPE
    )
    assert child.stdout
    assert child.stdout.readline() == b"ready\n"
    time.sleep(after)
    child.kill()
    child.stdout.close()
    return child.wait() != 0
