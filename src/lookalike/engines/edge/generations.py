"""Which of an embedded index's shard folders counts.

The engine keeps to the folder that it was opened in, so a shard that is built anew has one of its
own. The file `current` then names the folder that counts; without that file it is `shard`.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path

from lookalike.errors import IndexDamaged
from lookalike.system import files

_FIRST = "shard"
_NAME = re.compile(r"shard(-[0-9a-f]{8})?")


def current(index: Path) -> Path:
    """The folder that counts, which need not exist.

    Raises:
        IndexDamaged: the pointer names nothing that could be one.
    """
    pointer = index / "current"
    try:
        name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        name = _FIRST
    if not _NAME.fullmatch(name):
        raise IndexDamaged(
            f"{pointer} names no shard; restore it from a backup, or delete the index folder and "
            "index again."
        )
    return index / name


def new(index: Path) -> Path:
    """A folder for another shard. Its name never comes again, so that a builder which has outlived
    its parent cannot write into a later one's."""
    return index / f"{_FIRST}-{secrets.token_hex(4)}"


class Pointer:
    """Makes another shard the one that counts, in two steps: what may take long, then a rename."""

    def __init__(self, shard: Path) -> None:
        self._index = shard.parent
        self._draft = files.Draft(self._index / "current")
        self._draft.write(shard.name.encode())

    def set(self) -> None:
        self._draft.commit()

    def settle(self) -> None:
        """Waits until the rename would survive a power cut, too."""
        files.sync_folder(self._index)


def forget(index: Path) -> None:
    """Removes every shard; the first one counts again."""
    (index / "current").unlink(missing_ok=True)
    tidy(index, None)


def tidy(index: Path, keep: Path | None) -> None:
    """Removes what builds and switches that were cut off have left beside the shard `keep`."""
    for folder in index.glob(f"{_FIRST}*"):
        if folder != keep and _NAME.fullmatch(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    files.Draft(index / "current").discard()
