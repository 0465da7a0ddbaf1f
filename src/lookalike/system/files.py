"""The atomic write: a file gets its new content as a whole, or keeps the old one.

The content is written to a draft beside the file and brought to the disk; then the draft is renamed
over the file. A process killed in between leaves the file as it was.
"""

from __future__ import annotations

import os
import tempfile
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
        """Replaces the file."""
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
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Brings the names in a folder to the disk, so that a rename survives a power cut; does nothing
    on Windows, which cannot."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
