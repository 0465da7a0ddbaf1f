"""Objects of buckets: copied by their store, compared, and only then deleted where they were.

A kill leaves a move undone, done, or with the object at both addresses; `move_back` tells which.
An object is unchanged while its tag is the one in the index; with another tag, its bytes decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath
from typing import Protocol, TypeAlias

from lookalike.duplicates.file_places import FileState, IndexedFile, Skip
from lookalike.errors import SourceError, StoreRefusal
from lookalike.types import StoredObject

_MD5 = re.compile(r"[0-9a-f]{32}")
"""A tag that stores compute from the bytes, or that differs for every object."""


class Bucket(Protocol):
    """A bucket whose objects can be moved. Its methods raise SourceError."""

    def require_access(self, folder: str) -> None:
        """Fails within seconds if the objects of a folder cannot be listed."""
        ...

    def head(self, key: str) -> StoredObject | None:
        """An object's state; None if there is none."""
        ...

    def sha256(self, found: StoredObject) -> str:
        """Reads an object for its hash; FileNotFoundError if it is gone or has changed."""
        ...

    def keys_starting(self, start: str) -> list[str]:
        """The keys that begin with a text and lie in the same folder."""
        ...

    def copy(self, key: str, to: str) -> None:
        """Copies an object with its metadata; FileExistsError if the key is taken."""
        ...

    def copy_to(self, bucket: str, found: StoredObject, to: str) -> None:
        """As `copy`, into another bucket of the store."""
        ...

    def delete(self, key: str) -> None:
        """Deletes an object."""
        ...


OpenBucket: TypeAlias = Callable[[str, str], Bucket]
"""Opens a bucket by its scheme and its name. Raises SourceError."""


class BucketFiles:
    """The objects of a store, each at the path of its bucket and key. See
    `file_places.FilePlace`.

    Args:
        scheme: `s3`, `gs` or `az`.
        open_bucket: opens its buckets.
    """

    def __init__(self, scheme: str, open_bucket: OpenBucket) -> None:
        self._scheme = scheme
        self._open_bucket = open_bucket
        self._buckets: dict[str, Bucket | SourceError] = {}

    def address(self, path: PurePath) -> str:
        return f"{self._scheme}://{path.as_posix()}"

    def state(self, path: PurePath) -> FileState:
        return self._state(path, self._existing(path))

    def require_unchanged(self, path: PurePath, file: IndexedFile) -> FileState:
        found = self._existing(path)
        if found.tag != file.etag and self._hash(path, found) != file.sha256:
            raise Skip("changed since it was indexed or moved: index it again")
        return self._state(path, found)

    def sha256(self, path: PurePath) -> str:
        return self._hash(path, self._existing(path))

    def neighbors(self, path: PurePath) -> list[PurePath]:
        bucket, key = self._located(path)
        start = key.removesuffix(path.suffix)
        named = {start} if path.suffix and bucket.head(start) else set()
        named.update(bucket.keys_starting(f"{start}."))
        return [PurePosixPath(path.parts[0], one) for one in named - {key}]

    def is_taken(self, path: PurePath) -> bool:
        return self._head(path) is not None

    def move(self, path: PurePath, to: PurePath, state: FileState, sha256: str, token: str) -> None:
        found = self._existing(path)
        if self._state(path, found) != state:
            raise Skip("changed while it was checked")
        if self.is_taken(to):
            raise FileExistsError(to)
        self._copy(path, to, found)
        copied = self._existing(to)
        is_whole = _are_equal(found, copied) or self._hash(to, copied) == sha256
        if not is_whole or self._head(path) != found:
            raise Skip(f"changed while it was moved: compare it with {self.address(to)}")
        try:
            self.delete(path)
        except StoreRefusal:  # take the step back
            if self._head(path) == found and self._head(to) == copied:
                self.delete(to)
            raise
        except SourceError as error:  # the store may still delete it, so the copy stays
            copy, detail = self.address(to), str(error).rstrip(".")
            raise Skip(f"is copied to {copy}, and perhaps not deleted: {detail}") from None

    def move_back(self, path: PurePath, to: PurePath, sha256: str, token: str) -> bool:
        aside, back = self._head(path), self._head(to)
        if aside is None:
            if back is None:
                raise Skip(f"cannot be restored: {self.address(path)} no longer exists")
            return False  # moved back, or never moved
        if back is None:
            if self._hash(path, aside) != sha256:
                raise Skip(f"cannot be restored: {self.address(path)} changed since it was moved")
            try:
                self.move(path, to, self._state(path, aside), sha256, token)
            except FileExistsError:
                raise Skip(
                    f"is taken by another object: the moved one is still {self.address(path)}"
                ) from None
            return True
        if path != to and self._hash(path, aside) == self._hash(to, back) == sha256:
            self.delete(path)  # killed before the original was deleted
            return True
        raise Skip(
            f"exists, and so does {self.address(path)}: compare them, and delete the one you do "
            "not need"
        )

    def delete(self, path: PurePath) -> None:
        bucket, key = self._located(path)
        bucket.delete(key)

    def _copy(self, path: PurePath, to: PurePath, found: StoredObject) -> None:
        (bucket, key), (_, new_key) = self._located(path), self._located(to)
        try:
            if path.parts[0] == to.parts[0]:
                bucket.copy(key, new_key)
            else:
                bucket.copy_to(to.parts[0], found, new_key)
        except FileNotFoundError:
            raise Skip("no longer exists") from None

    def _hash(self, path: PurePath, found: StoredObject) -> str:
        try:
            return self._located(path)[0].sha256(found)
        except FileNotFoundError:
            raise Skip("changed while it was read: run the same command again") from None

    def _existing(self, path: PurePath) -> StoredObject:
        found = self._head(path)
        if found is None:
            raise Skip("no longer exists")
        return found

    def _head(self, path: PurePath) -> StoredObject | None:
        bucket, key = self._located(path)
        return bucket.head(key)

    def _state(self, path: PurePath, found: StoredObject) -> FileState:
        return FileState(self.address(path), found)

    def _located(self, path: PurePath) -> tuple[Bucket, str]:
        """The bucket of an object, and its key. A bucket that fails at first is not asked again."""
        name, *parts = path.parts
        key = "/".join(parts)
        if name not in self._buckets:
            try:
                bucket = self._open_bucket(self._scheme, name)
                bucket.require_access("".join(f"{part}/" for part in parts[:-1]))
                self._buckets[name] = bucket
            except SourceError as error:
                self._buckets[name] = error
        opened = self._buckets[name]
        if isinstance(opened, SourceError):
            raise opened
        return opened, key


def _are_equal(found: StoredObject, copied: StoredObject) -> bool:
    """True if the tags say that two objects have the same bytes; False if they do not tell."""
    same = (found.size, found.etag) == (copied.size, copied.etag)
    return same and _MD5.fullmatch(found.etag) is not None
