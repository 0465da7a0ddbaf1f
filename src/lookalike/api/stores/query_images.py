"""Query images that are kept for a while, so that one can be searched by again.

They lie in a file of their own beside the index, as thumbnails do; the least used go first.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from lookalike.cache.store import Cache
from lookalike.errors import DiskFull, NotFound


class Queries:
    """Files by their SHA-256, which is the token that they are asked for by."""

    def __init__(self, path: Path, limit: int) -> None:
        """
        Args:
            path: of the file that holds them.
            limit: bytes that it may take.
        """
        self._cache = Cache(path, limit)

    def put(self, data: bytes) -> str:
        """Keeps a file; returns its token.

        Raises:
            DiskFull: it cannot be kept.
        """
        token = hashlib.sha256(data).hexdigest()
        self._cache.put_many({token: data})
        if not self._cache.get_many([token]):
            raise DiskFull(
                self._cache.problem
                or f"The query image of {len(data):,} bytes is larger than all that may be kept: "
                "send it with each search instead."
            )
        return token

    def get(self, token: str) -> bytes:
        """The file of a token.

        Raises:
            NotFound: there is none, or it is no longer kept.
        """
        found = self._cache.get_many([token])
        if token not in found:
            raise NotFound(f"There is no upload {token:.64}, or not any more: upload it again.")
        return found[token]

    def close(self) -> None:
        self._cache.close()
