"""Writes that survive: a kill, and a power cut.

An atomic write gives a file its new content as a whole, or leaves the old one. The content is
written to a draft beside the file and brought to the disk; then the draft is renamed over the file,
and the folder, which holds the name, is brought to the disk as well.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


class Draft:
    """The new content of a file, under a name of its own until `commit`.

    Callers either pass the whole content to `write`, or write to `path` by themselves and `sync`
    what they wrote.

    Args:
        file: the file to replace; its folder exists.
        private: gives the draft a random name, so that any number of threads can write the same
            file at once, and makes it readable by its owner alone. Otherwise the draft of a killed
            process is overwritten by the next one.

    Attributes:
        path: the draft's own path.
    """

    def __init__(self, file: Path, *, private: bool = False) -> None:
        self._file = file
        self.path = file.with_name(f"{file.name}.new")
        if private:
            opened, name = tempfile.mkstemp(dir=file.parent)
            os.close(opened)
            self.path = Path(name)

    def write(self, content: bytes) -> None:
        """Writes the content, which is on the disk when this returns."""
        with self.path.open("wb") as opened:
            opened.write(content)
            sync(opened)

    def commit(self) -> None:
        """Replaces the file; the new one survives a power cut once this returns."""
        self.switch()
        sync_folder(self._file.parent)

    def switch(self) -> None:
        """Replaces the file, for callers who sync the folder later by themselves."""
        self.path.replace(self._file)

    def discard(self) -> None:
        """Removes the draft if it is there."""
        with suppress(OSError):
            self.path.unlink()


def write_atomically(file: Path, content: bytes, *, private: bool = False) -> None:
    """Replaces the content of a file, or creates the file; for the arguments see `Draft`.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    draft = Draft(file, private=private)
    try:
        draft.write(content)
        draft.commit()
    except BaseException:
        draft.discard()
        raise


def sync(file: IO[Any]) -> None:
    """Brings what was written to a file to the disk."""
    file.flush()
    _sync_descriptor(file.fileno())


def sync_file(path: Path | str) -> None:
    """Brings a file to the disk, whoever wrote to it, by a memory map or otherwise."""
    opened = os.open(path, os.O_RDWR)  # Windows syncs no file that is open for reading alone
    try:
        _sync_descriptor(opened)
    finally:
        os.close(opened)


def sync_content(path: Path) -> None:
    """As `sync_file`, without the time of the last change, which takes a write of its own."""
    if sys.platform != "linux":
        sync_file(path)
        return
    opened = os.open(path, os.O_RDWR)
    try:
        os.fdatasync(opened)
    finally:
        os.close(opened)


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, so that a rename survives a power cut; does nothing
    on Windows, which cannot."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            _sync_descriptor(opened)
        finally:
            os.close(opened)


def files_below(folder: Path) -> Iterator[tuple[str, str]]:
    """The files below a folder: the path of each in the folder, with slashes, and its whole path.

    As texts: a shard has hundreds of files, and making a `Path` takes longer than reading one.
    """
    start = len(str(folder)) + 1
    for path, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(path, name)  # noqa: PTH118
            yield file[start:].replace(os.sep, "/"), file


def sync_tree(folder: Path) -> None:
    """Brings a folder with all that is in it to the disk, and its own name."""
    for _, file in files_below(folder):
        sync_file(file)
    sync_folders(folder)


def sync_folders(folder: Path) -> None:
    """Brings the names of all files below a folder to the disk, and its own name."""
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))
    sync_folder(folder.parent)


def make_folder(folder: Path) -> None:
    """Creates a folder where there is none, with those above it; they survive a power cut."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in new:
        sync_folder(path.parent)


def _sync_descriptor(opened: int) -> None:
    if sys.platform == "darwin":  # whose fsync leaves the data in the disk's own cache
        import fcntl

        fcntl.fcntl(opened, fcntl.F_FULLFSYNC)
    else:
        os.fsync(opened)
