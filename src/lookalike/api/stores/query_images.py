"""Uploaded query images, kept so that later searches can refer to them.

They are stored in one file beside the index, as thumbnails are. When the file is full, the least
recently used images are dropped.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lookalike.cache.store import Cache
from lookalike.errors import DiskFull, NotFound


class QueryImageStore:
    """Image files by token, which is their SHA-256."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        """
        Args:
            path: the file that holds the images.
            max_bytes: disk budget of that file.
        """
        self._cache = Cache(path, max_bytes)

    def put(self, data: bytes) -> str:
        """Stores an image; returns its token.

        Raises:
            DiskFull: the image cannot be stored.
        """
        token = hashlib.sha256(data).hexdigest()
        self._cache.put_many({token: data})
        if not self._cache.get_many([token]):
            raise DiskFull(
                self._cache.problem
                or f"The query image of {len(data):,} bytes exceeds the space for query images; "
                "send it with each search instead."
            )
        return token

    def get(self, token: str) -> bytes:
        """Returns the image of a token.

        Raises:
            NotFound: the token is unknown, or its image was dropped.
        """
        stored = self._cache.get_many([token])
        if token not in stored:
            raise NotFound(f"There is no upload {token:.64}, or it was dropped; upload it again.")
        return stored[token]

    def close(self) -> None:
        """Closes the file."""
        self._cache.close()
