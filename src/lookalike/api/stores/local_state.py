"""The state of a service that is alone on its index: one SQLite file."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from lookalike.errors import DiskFull, LookalikeError
from lookalike.system.state import StateRecord

RESERVE = 2**30
"""Bytes that must remain free on the disk for the index, which comes first, when data is stored."""
_VERSION = 1
_APPLICATION_ID = 0x6C6B7374
_PAGE = 100
"""Records that are read at once."""
_TABLES = (
    "CREATE TABLE record (kind TEXT, key TEXT, version TEXT NOT NULL, position INTEGER NOT NULL, "
    "value TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (kind, key))",
    "CREATE INDEX record_position ON record (kind, position)",
    "CREATE TABLE tag (kind TEXT, tag TEXT, key TEXT, PRIMARY KEY (kind, tag, key)) WITHOUT ROWID",
    "CREATE INDEX tag_key ON tag (kind, key)",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)
_COLUMNS = (
    "SELECT key, value, position, data, version, (SELECT json_group_array(tag) FROM tag "
    "WHERE tag.kind = record.kind AND tag.key = record.key) FROM record WHERE kind = ?"
)
_DAMAGE = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN)

_T = TypeVar("_T")
_log = logging.getLogger("lookalike.api")


class LocalState:
    """Implements `system.state.StateStore`.

    A file that cannot be read is set aside, and the service goes on with a new one.

    Args:
        path: the file, which need not exist.
    """

    shared = False

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None

    # --- reading ----------------------------------------------------------------------------

    def read(self, kind: str, keys: Sequence[str]) -> list[StateRecord]:
        def select(db: sqlite3.Connection) -> list[StateRecord]:
            found = (db.execute(f"{_COLUMNS} AND key = ?", (kind, key)) for key in keys)
            return [_record(row) for rows in found for row in rows]

        return self._do(select)

    def scan(self, kind: str, *, start: int = 0, offset: int = 0) -> Iterator[StateRecord]:
        query = f"{_COLUMNS} AND position >= ? ORDER BY position, key LIMIT {_PAGE} OFFSET ?"
        seen = set[str]()
        while True:
            page = (kind, start, offset)
            rows = self._do(lambda db, page=page: db.execute(query, page).fetchall())  # type: ignore[misc]
            new = [record for record in map(_record, rows) if record.key not in seen]
            yield from new
            if len(rows) < _PAGE or not new:
                return
            start, offset, seen = new[-1].order, 0, {row[0] for row in rows}

    def tagged(self, kind: str, tags: Sequence[str]) -> list[StateRecord]:
        query = _COLUMNS + " AND key IN (SELECT key FROM tag WHERE kind = ? AND tag = ?)"  # noqa: S608

        def select(db: sqlite3.Connection) -> dict[str, StateRecord]:
            rows = (row for tag in tags for row in db.execute(query, (kind, kind, tag)))
            return {record.key: record for record in map(_record, rows)}

        return sorted(self._do(select).values(), key=lambda record: record.order)

    def count(self, kind: str) -> int:
        query = "SELECT count(*) FROM record WHERE kind = ? AND position >= 0"
        return self._do(lambda db: int(db.execute(query, (kind,)).fetchone()[0]))

    # --- writing ----------------------------------------------------------------------------

    def put(self, kind: str, records: Sequence[StateRecord]) -> None:
        self._require_space(records)

        def write(db: sqlite3.Connection) -> None:
            for record in records:
                _write(db, kind, record)

        self._do(write, changes=True)

    def replace(self, kind: str, old: StateRecord | None, new: StateRecord) -> bool:
        self._require_space([new])

        def write(db: sqlite3.Connection) -> bool:
            query = "SELECT version FROM record WHERE kind = ? AND key = ?"
            stored = db.execute(query, (kind, new.key)).fetchone()
            if (stored and stored[0]) != (old and old.version):
                return False
            _write(db, kind, new)
            return True

        return self._do(write, changes=True)

    def delete(self, kind: str, keys: Sequence[str]) -> None:
        rows = [(kind, key) for key in keys]

        def remove(db: sqlite3.Connection) -> None:
            for table in ("record", "tag"):
                db.executemany(f"DELETE FROM {table} WHERE kind = ? AND key = ?", rows)  # noqa: S608

        self._do(remove, changes=True)

    def clear(self, kind: str) -> None:
        def remove(db: sqlite3.Connection) -> None:
            for table in ("record", "tag"):
                db.execute(f"DELETE FROM {table} WHERE kind = ?", (kind,))  # noqa: S608

        self._do(remove, changes=True)

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    # --- the file ---------------------------------------------------------------------------

    def _do(self, work: Callable[[sqlite3.Connection], _T], *, changes: bool = False) -> _T:
        """Works with the file, in a transaction if that changes it."""
        with self._lock:
            for attempt in range(2):
                try:
                    db = self._connection()
                    return _within_transaction(db, work) if changes else work(db)
                except sqlite3.Error as error:
                    damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE
                    if attempt or not damaged or not self._set_aside(error):
                        raise self._failure(error) from error
                except OSError as error:
                    raise self._failure(error) from error
        raise AssertionError

    def _connection(self) -> sqlite3.Connection:
        """The connection to the file; another one if the file was replaced."""
        if self._db is not None and self._opened != _identity(self._path):
            _log.error("%s is gone or another file; what it held is lost.", self._path)
            self._disconnect()
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _open(self._path)
            self._opened = _identity(self._path)
        return self._db

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _set_aside(self, error: Exception) -> bool:
        """Renames an unreadable file; returns False if it cannot be renamed."""
        self._disconnect()
        aside = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
        try:
            self._path.rename(aside)
        except OSError:
            return False
        _log.error(
            "%s cannot be read (%s) and is now %s; jobs and searches for duplicates have to be "
            "started again.",
            self._path,
            error,
            aside,
        )
        return True

    def _failure(self, error: Exception) -> LookalikeError:
        reason = getattr(error, "strerror", None) or error
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            return DiskFull(
                f"The state of the service cannot be stored in {self._path}, as the disk is full; "
                "free some space and try again."
            )
        return LookalikeError(
            f"The state of the service cannot be stored in {self._path} ({reason}); let the "
            "service write there and try again."
        )

    def _require_space(self, records: Sequence[StateRecord]) -> None:
        data = sum(len(record.data) for record in records)
        if data and shutil.disk_usage(_existing(self._path)).free < RESERVE + data:
            raise DiskFull(
                f"{self._path} takes no more data, as less than {RESERVE >> 30} GiB is free on its "
                "disk; free some space and try again."
            )


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        if not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            _within_transaction(db, lambda db: [db.execute(table) for table in _TABLES])
        known = [db.execute(f"PRAGMA {name}").fetchone()[0] for name in _MARKS]
        if known != list(_MARKS.values()):
            error = sqlite3.DatabaseError("another version of lookalike wrote it")
            error.sqlite_errorcode = sqlite3.SQLITE_NOTADB
            raise error
    except BaseException:
        db.close()
        raise
    return db


_MARKS = {"application_id": _APPLICATION_ID, "user_version": _VERSION}


def _within_transaction(db: sqlite3.Connection, work: Callable[[sqlite3.Connection], _T]) -> _T:
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work(db)
        db.execute("COMMIT")
        return result
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _write(db: sqlite3.Connection, kind: str, record: StateRecord) -> None:
    row = (kind, record.key, record.version, record.order, json.dumps(record.value), record.data)
    db.execute("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?, ?)", row)
    db.execute("DELETE FROM tag WHERE kind = ? AND key = ?", (kind, record.key))
    tags = [(kind, tag, record.key) for tag in record.tags]
    db.executemany("INSERT OR IGNORE INTO tag VALUES (?, ?, ?)", tags)


def _record(row: tuple[Any, ...]) -> StateRecord:
    key, value, order, data, version, tags = row
    return StateRecord(key, json.loads(value), order, tuple(json.loads(tags)), data, version)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tells a file from another one of the same name."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _existing(path: Path) -> Path:
    """The nearest folder above a file that exists."""
    return next(parent for parent in path.parents if parent.exists())
