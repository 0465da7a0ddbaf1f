"""The stored manifest of an open index, which threads and other processes change, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from lookalike.errors import InputError
from lookalike.manifest import Manifest
from lookalike.protocols import Engine

MAX_FIELDS = 200
"""Fields of an index: each has a payload index, and every point is read to build it."""


class ManifestStore:
    """Reads and writes the manifest of an open index.

    Several processes may write to an index on a server, so every update starts from the stored
    manifest, not from the copy in memory.

    Args:
        engine: stores the manifest.
        current: the manifest that was read when the index was opened.
        on_update: called with the manifest after every update.
        max_fields: number of fields from which on new ones are refused.

    Attributes:
        current: the manifest as this process last read or wrote it.
    """

    def __init__(
        self,
        engine: Engine,
        current: Manifest,
        on_update: Callable[[Manifest], None],
        max_fields: int = MAX_FIELDS,
    ) -> None:
        self.current = current
        self._engine = engine
        self._on_update = on_update
        self._max_fields = max_fields
        self._lock = threading.RLock()

    def read(self) -> Manifest:
        """Returns the stored manifest, which another process may have changed."""
        stored = self._engine.read_manifest()
        return self.current if stored is None else Manifest.from_json(stored, "that is open")

    def require_room(self, fields: Iterable[str]) -> None:
        """Checks that the index may have these fields besides its own.

        Raises:
            InputError: they would be too many; the message names the first that is.
        """
        known = self.read().fields
        new = [name for name in fields if name not in known]
        room = max(self._max_fields - len(known), 0)
        if len(new) > room:
            raise InputError(
                f"There is no room for the field {new[room]!r}: this index has {len(known):,} "
                f"fields and may have {self._max_fields:,}; use fewer, or raise --max-fields."
            )

    def reload(self) -> None:
        """Takes over what another process has changed; otherwise `current` stays what it is, and
        so do fields that another process has overwritten."""
        while True:
            known = self.current
            stored = _with_fields_of(known, self.read())
            with self._lock:
                if self.current is not known:  # what was read may be older
                    continue
                if stored != known:
                    self.current = stored
                    self._on_update(stored)
                return

    def update(self, change: Callable[[Manifest], Manifest] = lambda manifest: manifest) -> None:
        """Applies a change to the stored manifest, and writes it if it differs. Threads of this
        process take turns.

        Two processes that update at the same moment can overwrite each other's change. Every
        update therefore writes all fields that this process knows, and a run ends with an update
        that restores those that were lost. A type that another process has changed stays changed.
        """
        with self._lock:
            stored = self.read()
            manifest = change(_with_fields_of(self.current, stored))
            if manifest != stored:
                self._engine.write_manifest(manifest.to_json())
            self.current = manifest
            self._on_update(manifest)


def _with_fields_of(known: Manifest, stored: Manifest) -> Manifest:
    """The stored manifest with the fields that this process knows besides."""
    return stored.with_fields({**known.fields, **stored.fields})
