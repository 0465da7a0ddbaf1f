"""Uploaded query images, kept so that later searches can refer to them.

They are stored in files beside the index, as thumbnails are: one file for each role, so that the
images of readers push out none of a writer's. When a file is full, its least recently used images
are dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lookalike.api.auth import Role
from lookalike.api.errors import BodyTooLarge
from lookalike.cache.store import Cache
from lookalike.errors import DiskFull, NotFound

_FILES: Mapping[Role, str] = {Role.READER: "queries-read.sqlite", Role.WRITER: "queries.sqlite"}


class QueryImageStore:
    """Image files by token, which is their SHA-256."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        """
        Args:
            folder: the folder for the files that hold the images.
            max_bytes: disk budget of each file.
        """
        self._max_bytes = max_bytes
        self._caches = {role: Cache(folder / name, max_bytes) for role, name in _FILES.items()}

    def put(self, data: bytes, role: Role) -> str:
        """Stores an image for a caller of this role; returns its token, which any role may use.

        Raises:
            BodyTooLarge: it is larger than the disk budget.
            DiskFull: it cannot be stored.
        """
        if len(data) > self._max_bytes:
            raise BodyTooLarge(
                f"The query image exceeds the {self._max_bytes:,} bytes for query images; send it "
                "with each search instead."
            )
        token = hashlib.sha256(data).hexdigest()
        cache = self._caches[role]
        for _ in range(2):  # a damaged file is replaced by the first attempt
            cache.put_many({token: data})
            if cache.get_many([token]):
                return token
        raise DiskFull(
            f"The query image cannot be stored in {cache.path}; check that the file can be written "
            "and that its disk has room."
        )

    def get(self, token: str) -> bytes:
        """Returns the image of a token.

        Raises:
            NotFound: the token is unknown, or its image was dropped.
        """
        for cache in self._caches.values():
            if stored := cache.get_many([token]):
                return stored[token]
        raise NotFound(f"There is no upload {token:.64}, or it was dropped; upload it again.")

    def close(self) -> None:
        """Closes the files."""
        for cache in self._caches.values():
            cache.close()
