"""Read consistency: how many replicas a read asks, and what it asks while one is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from qdrant_client import models

from lookalike.engines.server.errors import FAILURES, failure_of

ALL = models.ReadConsistencyType.ALL

_MEMORY = 10.0
"""Seconds for which replicas that were away are not asked again."""
_LACKING = ("not have enough active replicas", "read operations failed")
"""Parts of the errors with which a server refuses a read that not enough replicas can answer."""

T = TypeVar("T")


class Consistency:
    """The read consistency of an engine. Thread-safe.

    Args:
        collection: the collection's name.
        levels: the read consistencies to try, from the strictest; None asks one replica.
    """

    def __init__(
        self, collection: str, levels: Sequence[int | models.ReadConsistencyType | None]
    ) -> None:
        self._collection = collection
        self._levels = levels
        self._level = 0
        self._until = 0.0

    @classmethod
    def of(cls, collection: str, consistency: int | str | None) -> Consistency:
        """One that is used whatever happens, from `ServerOptions.read_consistency`."""
        if isinstance(consistency, str):
            return cls(collection, [models.ReadConsistencyType(consistency)])
        return cls(collection, [consistency])

    @classmethod
    def settled(cls, collection: str, replicas: int) -> Consistency:
        """Of all replicas, or where some are away, of all others.

        A replica that is away takes no part: the server copies one that missed a write from the
        others when it is back.
        """
        return cls(collection, [ALL, *range(replicas - 1, 0, -1)])

    def read(self, work: Callable[[Mapping[str, Any]], T]) -> T:
        """Carries out a read, which takes the collection's name and the read consistency."""
        if time.monotonic() > self._until:
            self._level = 0
        for level in range(self._level, len(self._levels) - 1):
            try:
                return work(self._reading(level))
            except FAILURES as error:
                failure = failure_of(error, self._collection, 0)
                if not (failure.timed_out or any(part in str(error) for part in _LACKING)):
                    raise
                self._level, self._until = level + 1, time.monotonic() + _MEMORY
        return work(self._reading(len(self._levels) - 1))

    def _reading(self, level: int) -> Mapping[str, Any]:
        return {"collection_name": self._collection, "consistency": self._levels[level]}
