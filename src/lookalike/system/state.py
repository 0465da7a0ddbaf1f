"""The state of the HTTP service that outlives a request: small records, which all the services on
one index share.

Records are changed without locks: a service reads one, and replaces it only if it is still the one
that was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

MAX_DATA = 2**20
"""Bytes that one record may carry. Longer data takes several records: servers limit the size of a
request, and read a record as a whole."""
_REMEMBERED = 16
"""Versions that a record had before."""


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A record of the state.

    Attributes:
        key: its name, unique among those of its kind.
        value: a JSON object.
        order: position among the records of its kind, below 2**53; a negative one sets it aside.
        tags: words to find it by.
        data: up to `MAX_DATA` bytes.
        version: another one for every content.
        before: the versions that it had last, the newest first. A service whose change was changed
            again before it could look knows by them that its own was made.
    """

    key: str
    value: dict[str, Any] = field(default_factory=dict)
    order: int = 0
    tags: tuple[str, ...] = ()
    data: bytes = b""
    version: str = field(default_factory=lambda: uuid4().hex)
    before: tuple[str, ...] = field(default=(), compare=False)

    def changed(self, **changes: Any) -> StateRecord:
        """Returns a copy with other attributes, and its own version."""
        before = (self.version, *self.before[: _REMEMBERED - 1])
        return replace(self, version=uuid4().hex, before=before, **changes)


class StateStore(Protocol):
    """Stores records by kind and key. Thread-safe.

    Methods raise `LookalikeError` where the state cannot be read or written.

    Attributes:
        shared: whether other processes may change it at the same time.
        where: the place, for messages.
    """

    shared: bool
    where: str

    def read(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        """Returns the records that exist, in no particular order."""
        ...

    def scan(self, kind: str, *, start: int = 0, offset: int = 0) -> Iterator[StateRecord]:
        """Yields the records of a kind by their order, those set aside left out.

        Args:
            kind: the kind.
            start: the order from which on; not negative.
            offset: number of records to pass over.
        """
        ...

    def tagged(self, kind: str, tags: Sequence[str]) -> list[StateRecord]:
        """Returns the records with any of these tags, those set aside included, by order."""
        ...

    def count(self, kind: str) -> int:
        """Counts the records of a kind, without those set aside."""
        ...

    def put(self, kind: str, records: Sequence[StateRecord]) -> None:
        """Writes records, whether or not they exist."""
        ...

    def replace(self, kind: str, old: StateRecord | None, new: StateRecord) -> bool:
        """Writes a record if the stored one is still `old`; None: if there is none.

        Args:
            kind: the kind.
            old: the record as it was read.
            new: made by `old.changed`.

        Returns:
            Whether it was written. If it was not, read the record again and decide anew.
        """
        ...

    def delete(self, kind: str, keys: Sequence[str]) -> None:
        """Removes records; unknown keys are ignored."""
        ...

    def clear(self, kind: str) -> None:
        """Removes all records of a kind, those set aside included."""
        ...

    def close(self) -> None:
        """Releases the store. Idempotent."""
        ...


@runtime_checkable
class KeepsState(Protocol):
    """An engine that can keep the state of services beside its points, for any number of them."""

    def open_state(self) -> StateStore:
        """Opens the state, and makes it where there is none.

        Raises:
            AccessDenied: the key does not permit it.
            EngineError: it cannot be reached.
        """
        ...
