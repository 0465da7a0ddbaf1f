"""The SQLite file of `store.Cache`: its tables, connections, and eviction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

CACHE_VERSION = 1
"""Version of the tables and of their content. Another way to make thumbnails needs another version;
a file of another version is created anew."""

APPLICATION_ID = 0x6C6F6F6B
"""Marks the file as a cache of lookalike ("look")."""

PAGE_BYTES = 4096
"""With pages of 16 KiB the same thumbnails take 12 % more."""

_JOURNAL_PAGES = 2500
"""Pages in the write-ahead log before it is written back: 10 MB. With SQLite's default of 1,000 a
write takes half as long again, as each write-back waits for the disk."""

MAX_KEYS = 500
"""Maximum number of keys in one statement, and of thumbnails evicted by one."""

_TABLES = (
    "CREATE TABLE thumbnail (key TEXT PRIMARY KEY, used INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "jpeg BLOB NOT NULL)",
    "CREATE INDEX thumbnail_used ON thumbnail (used)",
    "CREATE TABLE skipped (uri TEXT PRIMARY KEY, etag TEXT NOT NULL, of TEXT NOT NULL, "
    "verdict TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE bound (bytes INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {CACHE_VERSION}",
)

# Created in older files, too, which lack them. `of` is the checksum of the thumbnail that a sketch
# was made of.
_LATER_TABLES = (
    "CREATE TABLE IF NOT EXISTS sketch (id INTEGER PRIMARY KEY, of INTEGER NOT NULL, "
    "crc INTEGER NOT NULL, bytes BLOB NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS sketch_goes AFTER DELETE ON thumbnail "
    "BEGIN DELETE FROM sketch WHERE id = OLD.rowid; END",
    "CREATE TABLE IF NOT EXISTS rejected (uri TEXT PRIMARY KEY, reason TEXT NOT NULL, "
    "detail TEXT NOT NULL) WITHOUT ROWID",
)

_EVICT_SKETCHES = "DELETE FROM sketch WHERE id IN (SELECT id FROM sketch ORDER BY id LIMIT ?)"
_EVICT_THUMBNAILS = (
    "DELETE FROM thumbnail WHERE rowid IN "
    "(SELECT rowid FROM thumbnail ORDER BY used, rowid LIMIT ?)"
)


class ForeignFile(Exception):
    """A file that is not a cache, or is damaged beyond recognition."""


class UnusableCache(Exception):
    """A cache that is damaged, or was written by another version."""


def open_database(path: Path) -> sqlite3.Connection:
    """Opens the file, or creates it.

    Raises:
        sqlite3.DatabaseError: it cannot be opened.
        ForeignFile, UnusableCache: see there.
    """
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        with damage_recognized():
            db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            if not _is_empty(db):  # checked first, as a foreign file must stay untouched
                if pragma(db, "application_id") != APPLICATION_ID:
                    raise ForeignFile
                if pragma(db, "user_version") != CACHE_VERSION:
                    raise UnusableCache("another version of lookalike wrote them")
            db.execute("PRAGMA journal_mode = WAL")
            # Syncing would take two thirds of the time. A killed process leaves the file intact all
            # the same; damage by a power cut is recognized and repaired.
            db.execute("PRAGMA synchronous = OFF")
            db.execute(f"PRAGMA wal_autocheckpoint = {_JOURNAL_PAGES}")
            db.execute(f"PRAGMA journal_size_limit = {2 * _JOURNAL_PAGES * PAGE_BYTES}")
            with transaction(db):
                if _is_empty(db):
                    for statement in _TABLES:
                        db.execute(statement)
                for statement in _LATER_TABLES:
                    db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def damage_recognized() -> Iterator[None]:
    """Turns SQLite's errors about damaged files into `ForeignFile` and `UnusableCache`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if error_code(error) == sqlite3.SQLITE_NOTADB:
            raise ForeignFile from error
        if error_code(error) == sqlite3.SQLITE_CORRUPT:
            raise UnusableCache(error) from error
        raise


def database_files(path: Path) -> list[Path]:
    """Returns the files of a database: itself, its write-ahead log, and the log's index."""
    return [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def write(db: sqlite3.Connection, statement: str, rows: Iterable[tuple[str, ...]]) -> None:
    """Executes a statement for each row, in one transaction."""
    with transaction(db):
        db.executemany(statement, rows)


def select(
    db: sqlite3.Connection, query: str, keys: Iterable[str | bytes]
) -> Iterator[tuple[Any, ...]]:
    """Yields the rows of a query that ends in `IN`, for any number of keys."""
    remaining = iter(keys)
    while batch := list(islice(remaining, MAX_KEYS)):
        yield from db.execute(f"{query} ({', '.join('?' * len(batch))})", batch).fetchall()


def make_room(db: sqlite3.Connection, limit: int) -> bool:
    """Evicts the oldest content until the rest takes at most `limit` bytes: sketches first, then
    thumbnails. Returns False if nothing is left to evict."""
    while (used := bytes_used(db)) > limit:
        count = (min(MAX_KEYS, 8 + (used - limit) // 2**16),)
        evicted = db.execute(_EVICT_SKETCHES, count).rowcount
        if not (evicted or db.execute(_EVICT_THUMBNAILS, count).rowcount):
            return False
    return True


def bytes_used(db: sqlite3.Connection) -> int:
    """Returns the bytes in use, without free pages, which are used again."""
    return (pragma(db, "page_count") - pragma(db, "freelist_count")) * PAGE_BYTES


def pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def error_code(error: BaseException) -> int:
    """Returns SQLite's primary result code (https://sqlite.org/rescode.html), or 0 for any other
    error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
