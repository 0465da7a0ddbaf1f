"""Files as moves see them, in whichever place they are stored: a disk, or an object store."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple, Protocol


@dataclass(frozen=True, slots=True)
class IndexedFile:
    """A file as the index knows it.

    Attributes:
        uri: its address in the index; for a local file the absolute path.
        sha256: of its bytes, hexadecimal.
        etag: tag of its content in an object store.
    """

    uri: str
    sha256: str
    etag: str = ""


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file, as far as its place tells.

    Attributes:
        file: the same for two names of one file.
        content: changes with its content.
    """

    file: Hashable
    content: Hashable


class Skip(Exception):
    """The reason why a file is skipped, as the end of a sentence about it."""


class FilePlace(Protocol):
    """A place within which files can be moved. Its methods raise Skip, or OSError."""

    def address(self, path: PurePath) -> str:
        """The address of a file in the index and in the log."""
        ...

    def state(self, path: PurePath) -> FileState:
        """The state of a file. Raises Skip if there is no regular file."""
        ...

    def require_unchanged(self, path: PurePath, file: IndexedFile) -> FileState:
        """The state of a file. Raises Skip if its bytes are not those that are known."""
        ...

    def sha256(self, path: PurePath) -> str:
        """Reads a regular file for its hash."""
        ...

    def neighbors(self, path: PurePath) -> list[PurePath]:
        """The other files in its folder whose names begin with its own without the suffix."""
        ...

    def is_taken(self, path: PurePath) -> bool:
        """True if there is anything at a path."""
        ...

    def move(self, path: PurePath, to: PurePath, state: FileState, sha256: str, token: str) -> None:
        """Moves a file, completely or not at all.

        Args:
            path: of the file.
            to: its new path.
            state: of the file when it was checked; it has not changed since, or is skipped.
            sha256: of its bytes.
            token: a random name for what is not complete yet.

        Raises:
            FileExistsError: the new path is taken; nothing has changed.
        """
        ...

    def move_back(self, path: PurePath, to: PurePath, sha256: str, token: str) -> bool:
        """Undoes a complete or partial move from `to` to `path`; False if there is nothing to
        undo."""
        ...

    def delete(self, path: PurePath) -> None:
        """Deletes a file for good."""
        ...


class Location(NamedTuple):
    """A file, or a folder."""

    place: FilePlace
    path: PurePath

    @property
    def address(self) -> str:
        return self.place.address(self.path)
