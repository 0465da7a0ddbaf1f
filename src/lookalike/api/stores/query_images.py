"""Uploaded query images, kept so that later searches can refer to them.

The images of readers push out none of a writer's. When there are too many of a role, its least
recently used ones are dropped.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import Any

from lookalike.api.auth import Role
from lookalike.api.errors import BodyTooLarge
from lookalike.errors import NotFound
from lookalike.system.iteration import batched
from lookalike.system.state import MAX_DATA, StateRecord, StateStore

UNUSED = 30 * 86_400 * 10**6
"""Microseconds after its last use at which an image is dropped."""
_USE_RESOLUTION = 3_600 * 10**6
"""Microseconds. The last use is recorded to the hour, so that most reads write nothing."""
_TIDY_SHARE = 20
"""A service looks for what is to be dropped once it has added this part of the limit, so that the
images of several services may exceed it by as much for each."""
_PARTS = 4
"""Parts that are read or written at once."""


class QueryImageStore:
    """Image files by token, which is their SHA-256. The file is stored in parts, and a record for
    each role that names it."""

    def __init__(self, state: StateStore, max_bytes: int) -> None:
        """
        Args:
            state: stores the images.
            max_bytes: limit of the images of each role.
        """
        self._state = state
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._added: dict[Role, int] = {}  # bytes since the role's images were last tidied

    def put(self, data: bytes, role: Role) -> str:
        """Stores an image for a caller of this role; returns its token, which any role may use.

        Raises:
            BodyTooLarge: it is larger than the limit.
            DiskFull, LookalikeError: it cannot be stored.
        """
        if len(data) > self._max_bytes:
            raise BodyTooLarge(
                f"The query image exceeds the {self._max_bytes:,} bytes for query images; send it "
                "with each search instead."
            )
        token = hashlib.sha256(data).hexdigest()
        parts = range(0, len(data), MAX_DATA)
        for some in batched(enumerate(parts), _PARTS):
            self._state.put(
                f"query-data:{role}",
                [
                    StateRecord(f"{token}/{i}", data=data[start : start + MAX_DATA])
                    for i, start in some
                ],
            )
        head = StateRecord(token, {"bytes": len(data), "parts": len(parts)}, _now())
        self._state.put(f"query:{role}", [head])
        with self._lock:
            added = self._added.get(role)
            self._added[role] = (added or 0) + len(data)
            due = added is None or self._added[role] > self._max_bytes / _TIDY_SHARE
        if due:
            self._tidy(role)
        return token

    def get(self, token: str) -> bytes:
        """Returns the image of a token.

        Raises:
            NotFound: the token is unknown, or its image was dropped.
        """
        for role in (Role.WRITER, Role.READER):
            for head in self._state.read(f"query:{role}", [token]):
                data = self._data(role, token, head.value)
                if data is None:  # a part was lost
                    self._drop(role, [head])
                    continue
                if _now() - head.order > _USE_RESOLUTION:
                    used = head.changed(order=_now())
                    self._state.replace(f"query:{role}", head, used)
                return data
        raise NotFound(f"There is no upload {token:.64}, or it was dropped; upload it again.")

    def _data(self, role: Role, token: str, facts: dict[str, Any]) -> bytes | None:
        """The content of an image; None if it is not what was stored."""
        data = b""
        for some in batched(range(facts["parts"]), _PARTS):
            keys = [f"{token}/{i}" for i in some]
            found = {one.key: one.data for one in self._state.read(f"query-data:{role}", keys)}
            data += b"".join(found.get(key, b"") for key in keys)
        return data if hashlib.sha256(data).hexdigest() == token else None

    def _tidy(self, role: Role) -> None:
        """Drops images that are not in use, and the least recently used ones beyond the limit."""
        with self._lock:
            self._added[role] = 0
        heads = list(self._state.scan(f"query:{role}"))
        total, now = sum(head.value["bytes"] for head in heads), _now()
        dropped = []
        for head in heads:
            if total <= self._max_bytes and now - head.order < UNUSED:
                break
            total -= head.value["bytes"]
            dropped.append(head)
        self._drop(role, dropped)

    def _drop(self, role: Role, heads: list[StateRecord]) -> None:
        self._state.delete(f"query:{role}", [head.key for head in heads])
        parts = [f"{head.key}/{i}" for head in heads for i in range(head.value["parts"])]
        self._state.delete(f"query-data:{role}", parts)


def _now() -> int:
    """Microseconds since the epoch."""
    return time.time_ns() // 1_000
