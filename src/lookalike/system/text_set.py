"""A set of texts in a temporary file, as there may be millions."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Sequence


class TextSet:
    """A set of texts that grows on disk, and is gone with the object. Thread-safe."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect("", check_same_thread=False)  # "": a temporary file
        self._db.execute("CREATE TABLE texts (text TEXT PRIMARY KEY) WITHOUT ROWID")
        self.add(texts)

    def add(self, texts: Iterable[str]) -> None:
        with self._lock:
            rows = ((text,) for text in texts)
            self._db.executemany("INSERT OR IGNORE INTO texts VALUES (?)", rows)

    def add_new(self, text: str) -> bool:
        """Adds a text; True if the set did not have it."""
        with self._lock:
            query = "INSERT OR IGNORE INTO texts VALUES (?)"
            return self._db.execute(query, (text,)).rowcount == 1

    def __len__(self) -> int:
        with self._lock:
            (count,) = self._db.execute("SELECT count(*) FROM texts").fetchone()
        return int(count)

    def __contains__(self, text: str) -> bool:
        with self._lock:
            query = "SELECT 1 FROM texts WHERE text = ?"
            return self._db.execute(query, (text,)).fetchone() is not None

    def without(self, texts: Iterable[str]) -> Sequence[str]:
        """Those of some texts that are not in the set."""
        return [text for text in texts if text not in self]
