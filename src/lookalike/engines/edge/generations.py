"""Generations of an embedded index: its shard folders, and the pointer to the current one.

The engine cannot move a shard to another folder, so a rebuilt shard stays in the folder that it was
built in. The file `current` then names that folder; without the file it is `shard`. The file `next`
names one that is being filled over days, and is to become the current one.
"""

from __future__ import annotations

import re
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from lookalike.engines.edge import ledger
from lookalike.errors import IndexDamaged
from lookalike.system import files

_FIRST = "shard"
_NAME = re.compile(r"shard(-[0-9a-f]{8})?")
_REMOVED = ".old"
"""Suffix of a shard that is being removed."""
_DRAFT = ".new"
"""Suffix of a shard that is being created."""


def current(index: Path) -> Path:
    """The current shard's folder, which need not exist.

    Raises:
        IndexDamaged: the pointer does not hold a shard's name.
    """
    return _named(index / "current") or index / _FIRST


def upcoming(index: Path) -> Path | None:
    """The folder of the shard that is to become the current one; None if there is none.

    Raises:
        IndexDamaged: the pointer does not hold a shard's name.
    """
    shard = _named(index / "next")
    return shard if shard and shard != current(index) and shard.is_dir() else None


def announce(shard: Path | None, index: Path) -> None:
    """Names the shard that is to become the current one; None takes that back."""
    pointer = index / "next"
    if shard is None:
        pointer.unlink(missing_ok=True)
    else:
        files.write_atomically(pointer, shard.name.encode())


def _named(pointer: Path) -> Path | None:
    """The shard that a file names; None if there is no such file."""
    try:
        name = pointer.read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not _NAME.fullmatch(name):
        raise IndexDamaged(
            f"{pointer} does not name a shard; restore it from a backup, or delete the index "
            "folder and index again."
        )
    return pointer.parent / name


def new(index: Path) -> Path:
    """A folder for another shard.

    No name is ever used twice, so that a builder that outlived its parent cannot write into a later
    one's folder.
    """
    return index / f"{_FIRST}-{secrets.token_hex(4)}"


def draft(shard: Path) -> Path:
    """The folder in which a shard is created, before it gets its name."""
    return shard.with_name(f"{shard.name}{_DRAFT}")


class Pointer:
    """Makes another shard the current one, in two steps: a write that may take long, and a rename.

    Creating it writes the name to disk; `switch` is the rename.
    """

    def __init__(self, shard: Path) -> None:
        self._index = shard.parent
        self._draft = files.Draft(self._index / "current")
        self._draft.write(shard.name.encode())

    def switch(self) -> None:
        self._draft.switch()

    def sync(self) -> None:
        """Waits until the rename would survive a power cut, too."""
        files.sync_folder(self._index)


def forget(index: Path) -> None:
    """Removes every shard and the pointers."""
    (index / "next").unlink(missing_ok=True)
    (index / "current").unlink(missing_ok=True)
    tidy(index, None)


def discard(shard: Path) -> None:
    """Removes a shard that is not the current one, and its ledger."""
    shutil.rmtree(shard, ignore_errors=True)
    ledger.ledger_file(shard).unlink(missing_ok=True)


def tidy(index: Path, keep: Path | None) -> None:
    """Removes all shards but `keep` and the upcoming one: leftovers of builds, creations and
    switches that were cut off."""
    after = upcoming(index)
    if after is None:
        (index / "next").unlink(missing_ok=True)
    kept = [shard for shard in (keep, after) if shard is not None]
    for folder in index.glob(f"{_FIRST}*"):
        name = folder.name.removesuffix(_REMOVED).removesuffix(_DRAFT)
        if folder not in kept and _NAME.fullmatch(name):
            _remove(folder, index / f"{name}{_REMOVED}")
    ledgers = list(map(ledger.ledger_file, kept))
    for file in index.glob("ledger-*.json"):
        if file not in ledgers:
            file.unlink(missing_ok=True)
    files.Draft(index / "current").discard()


def _remove(folder: Path, aside: Path) -> None:
    """Removes a shard. It loses its name first: half a shard under its name would count as damage
    if the removal were cut off."""
    if folder != aside:
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):
            folder.rename(aside)
            folder = aside
    shutil.rmtree(folder, ignore_errors=True)
