"""The SQLite file of `thumbnails.Cache`: its tables, opening it, and making room in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

VERSION = 1
"""Of the tables and of what is in them: another way to make thumbnails is another version, and a
file of another version is made anew."""

APPLICATION = 0x6C6F6F6B
"""Marks the file as ours ("look")."""

PAGE = 4096
"""Bytes. With pages of 16 KiB the same thumbnails take 12 % more."""

JOURNAL = 2500
"""Pages that the write-ahead log gathers: 10 MB. With SQLite's 1,000 a put takes half as long
again, for each time the log is written back the disk must be waited for."""

STEP = 500
"""Keys in one statement, and thumbnails that go in one."""

_TABLES = (
    "CREATE TABLE thumbnail (key TEXT PRIMARY KEY, used INTEGER NOT NULL, crc INTEGER NOT NULL, "
    "jpeg BLOB NOT NULL)",
    "CREATE INDEX thumbnail_used ON thumbnail (used)",
    "CREATE TABLE skipped (uri TEXT PRIMARY KEY, etag TEXT NOT NULL, of TEXT NOT NULL, "
    "verdict TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE bound (bytes INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

# A file may be from before sketches were kept. What is kept is of the thumbnail with this checksum.
_SKETCHES = (
    "CREATE TABLE IF NOT EXISTS sketch (id INTEGER PRIMARY KEY, of INTEGER NOT NULL, "
    "crc INTEGER NOT NULL, bytes BLOB NOT NULL)",
    "CREATE TRIGGER IF NOT EXISTS sketch_goes AFTER DELETE ON thumbnail "
    "BEGIN DELETE FROM sketch WHERE id = OLD.rowid; END",
)

_OLDEST_SKETCHES = "DELETE FROM sketch WHERE id IN (SELECT id FROM sketch ORDER BY id LIMIT ?)"
_OLDEST = (
    "DELETE FROM thumbnail WHERE rowid IN "
    "(SELECT rowid FROM thumbnail ORDER BY used, rowid LIMIT ?)"
)


class NotOurs(Exception):
    """Somebody else's file, or one of which nothing can be told."""


class Useless(Exception):
    """A file of ours that is damaged, or that another version wrote."""


def connected(path: Path) -> sqlite3.Connection:
    """A connection to the file, which is made if there is none.

    Raises:
        sqlite3.DatabaseError: it cannot be opened.
        NotOurs, Useless: it holds something else.
    """
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
    try:
        with sound():
            db.execute(f"PRAGMA page_size = {PAGE}")
            if not is_empty(db):  # a file that is not ours must stay as it is
                if number(db, "application_id") != APPLICATION:
                    raise NotOurs
                if number(db, "user_version") != VERSION:
                    raise Useless("another version of lookalike wrote them")
            db.execute("PRAGMA journal_mode = WAL")
            # Waiting for the disk would take two thirds of the time. Killed, it stays whole all
            # the same; what a power cut may damage is noticed and made again.
            db.execute("PRAGMA synchronous = OFF")
            db.execute(f"PRAGMA wal_autocheckpoint = {JOURNAL}")
            db.execute(f"PRAGMA journal_size_limit = {2 * JOURNAL * PAGE}")
            with transaction(db):
                if is_empty(db):
                    for statement in _TABLES:
                        db.execute(statement)
                for statement in _SKETCHES:
                    db.execute(statement)
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def sound() -> Iterator[None]:
    """What SQLite says of damaged files, told from what else it says."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if code(error) == sqlite3.SQLITE_NOTADB:
            raise NotOurs from error
        if code(error) == sqlite3.SQLITE_CORRUPT:
            raise Useless(error) from error
        raise


def files(path: Path) -> list[Path]:
    """What SQLite makes of a file: itself, its write-ahead log, the index of that."""
    return [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]


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
    with transaction(db):
        db.executemany(statement, rows)


def among(db: sqlite3.Connection, select: str, keys: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    remaining = iter(keys)
    while part := list(islice(remaining, STEP)):
        yield from db.execute(f"{select} ({', '.join('?' * len(part))})", part).fetchall()


def make_room(db: sqlite3.Connection, limit: int) -> bool:
    """Drops the oldest until the rest takes no more than the limit, sketches before thumbnails;
    False if nothing is left."""
    while (taken := bytes_used(db)) > limit:
        some = (min(STEP, 8 + (taken - limit) // 2**16),)
        if not (db.execute(_OLDEST_SKETCHES, some).rowcount or db.execute(_OLDEST, some).rowcount):
            return False
    return True


def bytes_used(db: sqlite3.Connection) -> int:
    """Bytes that are taken: free pages are used again, and so do not count."""
    return (number(db, "page_count") - number(db, "freelist_count")) * PAGE


def is_empty(db: sqlite3.Connection) -> bool:
    return not db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]


def number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])


def code(error: BaseException) -> int:
    """SQLite's primary result code, https://sqlite.org/rescode.html; 0 of any other error."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
