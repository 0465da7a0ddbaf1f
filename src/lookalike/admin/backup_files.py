"""Files that backups are written to and read from: on disk, or objects of a bucket.

New content takes the place of the old as a whole: on disk by renaming, in a bucket by completing an
upload in parts.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Protocol

from lookalike.errors import DiskFull, EngineError, InputError
from lookalike.system.files import Draft, sync
from lookalike.types import StoredObject


class BackupFile(Protocol):
    """A file for a backup.

    Attributes:
        name: its path or address.
    """

    @property
    def name(self) -> str: ...

    def exists(self) -> bool: ...

    def open(self) -> IO[bytes]:
        """Opens it for reading at any place.

        Raises:
            InputError: it does not exist or cannot be read.
        """
        ...

    def replace(
        self, chunks: Iterable[bytes], about: int, check: Callable[[BackupFile], None]
    ) -> None:
        """Gives the file new content; where that fails, it is as it was.

        Args:
            chunks: the content.
            about: its approximate size in bytes.
            check: raises an error if what was written is not a sound backup.

        Raises:
            InputError: the file cannot be written.
            DiskFull: the disk has no room for it.
        """
        ...


class DiskFile:
    """A file on a disk of this machine. See `BackupFile`."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path

    def exists(self) -> bool:
        return self._path.exists()

    def open(self) -> IO[bytes]:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise InputError(
                f"{self.name} cannot be read ({error.strerror}); choose another file."
            ) from error

    def replace(
        self, chunks: Iterable[bytes], about: int, check: Callable[[BackupFile], None]
    ) -> None:
        draft = Draft(self._path)
        try:
            with draft.path.open("wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
                sync(stream)
            check(DiskFile(draft.path))
            draft.commit()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise DiskFull(
                    f"The disk has no room for the backup {self.name}; free some space, or choose "
                    "a file on another disk."
                ) from error
            raise InputError(
                f"{self.name} cannot be written ({error.strerror}); choose another file."
            ) from error
        finally:
            draft.discard()


class Bucket(Protocol):
    """A bucket that holds backups. Its methods raise SourceError."""

    @property
    def address(self) -> str: ...

    def require_access(self, folder: str) -> None:
        """Fails within seconds if the objects of a folder cannot be listed."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """An object's state; None if there is none."""
        ...

    def open(self, found: StoredObject) -> IO[bytes]:
        """Opens an object in this state for reading at any place."""
        ...

    def sha256(self, found: StoredObject) -> str:
        """Reads an object for its hash; FileNotFoundError if it is gone or has changed."""
        ...

    def upload(self, key: str, chunks: Iterable[bytes], part: int) -> None:
        """Writes an object in parts of so many bytes, completely or not at all."""
        ...


class BucketFile:
    """An object of a bucket. See `BackupFile`. No copy of it is made on this machine.

    Raises:
        SourceError: the bucket cannot be listed.
    """

    def __init__(self, bucket: Bucket, key: str) -> None:
        bucket.require_access(key[: key.rfind("/") + 1])
        self.name = bucket.address + key
        self._bucket = bucket
        self._key = key

    def exists(self) -> bool:
        return self._bucket.head(self._key) is not None

    def open(self) -> IO[bytes]:
        found = self._bucket.head(self._key)
        if found is None:
            raise InputError(f"{self.name} does not exist; choose another file.")
        return self._bucket.open(found)

    def replace(
        self, chunks: Iterable[bytes], about: int, check: Callable[[BackupFile], None]
    ) -> None:
        digest = hashlib.sha256()
        self._bucket.upload(self._key, _hashed(chunks, digest.update), _part_size(about))
        if self._sha256() != digest.hexdigest():
            raise EngineError(
                f"{self.name} is not what was written to it; run the same command again, while "
                "nothing else writes there."
            )

    def _sha256(self) -> str:
        found = self._bucket.head(self._key)
        try:
            return "" if found is None else self._bucket.sha256(found)
        except FileNotFoundError:
            return ""


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk


_LEAST_PART = 8 * 2**20
_MOST_PARTS = 10_000
"""Limit of S3."""


def _part_size(about: int) -> int:
    """Bytes of a part, so that twice the expected size can be uploaded."""
    return max(_LEAST_PART, 2 * about // _MOST_PARTS)
