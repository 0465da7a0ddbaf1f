"""The cache of an index: thumbnails, their sketches, and the images that an ingest left out.

It is one SQLite file instead of a file for each thumbnail: small blobs are read and written faster
there (https://sqlite.org/fasterthanfs.html), and a million small files burden every backup.

The cache never interrupts its users. If its file is damaged or cannot be written, reads find
nothing, writes do nothing, and `Cache.problem` tells the reason.
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import platformdirs

from lookalike.cache.records import Rejected, Skipped
from lookalike.cache.sqlite import (
    MAX_KEYS,
    PAGE_BYTES,
    ForeignFile,
    UnusableCache,
    bytes_used,
    damage_recognized,
    database_files,
    error_code,
    make_room,
    open_database,
    pragma,
    select,
    transaction,
    write,
)

DEFAULT_LIMIT = 10 * 10**9
"""Bytes: room for the thumbnails of about 600,000 pictures."""

_MIN_FREE = 2**30
"""Bytes that must remain free on the disk, for the index, which comes first."""

_USE_RESOLUTION = 3600
"""Seconds. The last use is recorded to the hour, so that most reads write nothing."""

_T = TypeVar("_T")


def cache_file(index: str) -> Path:
    """Returns the path of an index's cache: in its folder, or in the user's cache folder for an
    index on a server.

    Args:
        index: the folder, or the address on a server.
    """
    if index.startswith(("http://", "https://")):
        name = hashlib.sha256(index.rstrip("/").encode()).hexdigest()[:16]
        return platformdirs.user_cache_path("lookalike") / "thumbnails" / f"{name}.sqlite"
    return Path(index) / "thumbnails.sqlite"


def state_folder(index: str) -> Path:
    """Returns the folder for what a service alone knows: that of the index, or one in the user's
    cache folder for an index on a server.

    Args:
        index: the folder, or the address on a server.
    """
    file = cache_file(index)
    return file.parent if file.parent == Path(index) else file.with_suffix("")


class Cache:
    """Thumbnails and sketches by the SHA-256 of the picture's file; skipped and rejected images by
    their URI.

    Any number of threads and processes on one machine can use the same file. A process killed at
    any moment leaves it intact. No method raises an error because of the file.

    Attributes:
        path: path of the file.
        limit: maximum bytes of the file; 0 keeps no thumbnails. To make room, all sketches are
            evicted, and then the least recently used thumbnails: by the hour of their last use, and
            within it in the order of their arrival. Skipped and rejected images, a few hundred
            bytes each, are never evicted.
        problem: a sentence about the last problem with the file; None if there was none.
    """

    def __init__(self, path: Path, limit: int | None = None, *, reserve: int = _MIN_FREE) -> None:
        """Opens the file. A missing one is created by the first write.

        Args:
            path: path of the file.
            limit: maximum bytes of the file from now on; a larger file shrinks. By default the
                limit that was last set, else `DEFAULT_LIMIT`.
            reserve: bytes that must remain free on its disk.
        """
        self.path = path
        self.limit = DEFAULT_LIMIT if limit is None else limit
        self.problem: str | None = None
        self._new_limit = limit
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used: set[str] = set()  # keys whose use is not recorded yet
        self._db: sqlite3.Connection | None = None
        self._tried_to_open = False
        self._attempt(lambda db: None, None)

    # --- thumbnails -------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Returns the thumbnails that exist, by key."""
        return self._attempt(lambda db: self._read(db, keys), {})

    def put_many(self, thumbnails: Mapping[str, bytes]) -> None:
        """Stores thumbnails, and replaces those with the same keys."""

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            with transaction(db):
                self._write_used(db)
                free = self.limit - bytes_used(db)
                for key, jpeg in thumbnails.items():
                    free -= len(jpeg) + 2 * PAGE_BYTES  # at most: its last page, and an index page
                    if free >= 0 or make_room(db, self.limit - len(jpeg) - PAGE_BYTES):
                        db.execute(
                            "INSERT INTO thumbnail VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
                            "SET used = excluded.used, crc = excluded.crc, jpeg = excluded.jpeg",
                            (key, _now(), zlib.crc32(jpeg), jpeg),
                        )

        self._attempt(put, None, create=True)

    def forget(self, keys: Iterable[str]) -> None:
        """Removes thumbnails. Unknown keys are ignored."""
        rows = [(key,) for key in keys]
        self._attempt(lambda db: write(db, "DELETE FROM thumbnail WHERE key = ?", rows), None)

    def remove_damaged(self) -> int:
        """Reads every thumbnail, and removes those that are damaged; returns their number."""

        def remove(db: sqlite3.Connection) -> int:
            rows = db.execute("SELECT key, crc, jpeg FROM thumbnail")
            damaged = [(key,) for key, crc, jpeg in rows if zlib.crc32(jpeg) != crc]
            write(db, "DELETE FROM thumbnail WHERE key = ?", damaged)
            return len(damaged)

        return self._attempt(remove, 0)

    def __len__(self) -> int:
        """Returns the number of thumbnails."""

        def count(db: sqlite3.Connection) -> int:
            return int(db.execute("SELECT count(*) FROM thumbnail").fetchone()[0])

        return self._attempt(count, 0)

    # --- sketches ---------------------------------------------------------------------------

    def get_sketches(self, keys: Iterable[str]) -> dict[str, bytes]:
        """Returns the sketches of the present thumbnails, by key."""

        def read(db: sqlite3.Connection) -> dict[str, bytes]:
            rows = select(
                db,
                "SELECT key, sketch.crc, bytes FROM thumbnail JOIN sketch ON id = thumbnail.rowid "
                "AND of = thumbnail.crc WHERE key IN",
                keys,
            )
            return {key: sketch for key, crc, sketch in rows if zlib.crc32(sketch) == crc}

        return self._attempt(read, {})

    def put_sketches(self, sketches: Mapping[str, bytes]) -> None:
        """Stores sketches of present thumbnails while there is room for them."""

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            with transaction(db):
                for key, sketch in sketches.items():
                    if bytes_used(db) + len(sketch) + PAGE_BYTES > self.limit:
                        break
                    db.execute(
                        "INSERT OR REPLACE INTO sketch SELECT rowid, crc, ?, ? FROM thumbnail "
                        "WHERE key = ?",
                        (zlib.crc32(sketch), sketch, key),
                    )

        self._attempt(put, None)

    # --- skipped images ---------------------------------------------------------------------

    def get_skipped(self, uris: Iterable[str]) -> dict[str, Skipped]:
        """Returns the skipped images among these, by URI."""

        def read(db: sqlite3.Connection) -> dict[str, Skipped]:
            rows = select(db, "SELECT uri, etag, of, verdict FROM skipped WHERE uri IN", uris)
            return {uri: Skipped(*row) for uri, *row in rows}

        return self._attempt(read, {})

    def put_skipped(self, images: Mapping[str, Skipped]) -> None:
        """Records skipped images, by URI."""
        rows = [(uri, *skipped) for uri, skipped in images.items()]

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            write(db, "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)", rows)

        self._attempt(put, None, create=True)

    # --- rejected images --------------------------------------------------------------------

    def rejected(self) -> list[Rejected]:
        """Returns the images that the last runs over their sources rejected, by URI."""

        def read(db: sqlite3.Connection) -> list[Rejected]:
            rows = db.execute("SELECT uri, reason, detail FROM rejected ORDER BY uri")
            return [Rejected(*row) for row in rows]

        return self._attempt(read, [])

    def put_rejected(self, images: Iterable[Rejected], gone: Iterable[str]) -> None:
        """Records rejected images, and forgets those with the URIs in `gone`."""

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            with transaction(db):
                db.executemany("DELETE FROM rejected WHERE uri = ?", ((uri,) for uri in gone))
                db.executemany("INSERT OR REPLACE INTO rejected VALUES (?, ?, ?)", images)

        self._attempt(put, None, create=True)

    # --- the file ---------------------------------------------------------------------------

    @property
    def bytes_on_disk(self) -> int:
        """Size of the file and its write-ahead log."""
        return sum(file.stat().st_size for file in database_files(self.path) if file.exists())

    def close(self) -> None:
        """Closes the file; from then on the cache is empty. Closing twice is harmless."""
        if self._db is not None:
            self._attempt(self._write_used, None)
        with self._lock:
            self._tried_to_open = True
            self._disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------

    def _attempt(
        self, work: Callable[[sqlite3.Connection], _T], default: _T, *, create: bool = False
    ) -> _T:
        """Returns the result of the work, or the default if the file prevents it.

        Args:
            work: called with the connection, by one thread at a time.
            default: the result without a usable file.
            create: creates a missing file.
        """
        with self._lock:
            if not self._tried_to_open and (create or self.path.exists()):
                self._tried_to_open = True
                self._open()
            if self._db is None:
                return default
            try:
                return work(self._db)
            except sqlite3.ProgrammingError:  # a bug in our code
                raise
            except (sqlite3.DatabaseError, OSError) as error:
                if error_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    self._recreate(error)
                else:
                    self._report(error)
                return default

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._use(open_database(self.path))
            except ForeignFile:
                self._set_aside()
            except UnusableCache as error:
                self._recreate(error)
        except (sqlite3.DatabaseError, OSError) as error:
            self._report(error)

    def _use(self, db: sqlite3.Connection) -> None:
        """Works with this connection, under the new limit or the one stored in the file."""
        self._db = db
        with damage_recognized():
            stored = db.execute("SELECT bytes FROM bound").fetchone()
            if stored is not None and self._new_limit is None:
                self.limit = stored[0]
            elif stored != (self.limit,):
                with transaction(db):
                    db.execute("DELETE FROM bound")
                    db.execute("INSERT INTO bound VALUES (?)", (self.limit,))
            if self._new_limit is not None:
                self._shrink(db)

    def _recreate(self, error: Exception) -> None:
        """Replaces an unusable cache by an empty one."""
        self._disconnect()
        try:
            for file in database_files(self.path):
                file.unlink(missing_ok=True)
            self._use(open_database(self.path))
        except (sqlite3.DatabaseError, OSError, ForeignFile, UnusableCache) as again:
            self._report(again)
        else:
            self.problem = (
                f"The thumbnails in {self.path} could not be used ({error}) and are made again as "
                "needed: there is nothing to do."
            )

    def _set_aside(self) -> None:
        """Renames a foreign file."""
        self._disconnect()
        aside = self.path.with_name(f"{self.path.name}.aside")
        if aside.exists():
            self.problem = (
                f"No thumbnails are kept, because neither {self.path} nor {aside} is a thumbnail "
                "cache: move both away."
            )
            return
        for file, renamed in zip(database_files(self.path), database_files(aside), strict=True):
            if file.exists():
                file.rename(renamed)
        self._use(open_database(self.path))
        self.problem = (
            f"{self.path} was not a thumbnail cache, or was damaged beyond recognition, and is now "
            f"{aside}: remove it if nobody needs it."
        )

    def _report(self, error: Exception) -> None:
        self.problem = (
            f"Thumbnails could not be kept in {self.path} ({error}): check that it can be written "
            "and that its disk has room."
        )

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _require_space(self) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < self._reserve:
            raise OSError(f"its disk has only {free // 2**20:,} MiB left")

    def _read(self, db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, bytes]:
        now = _now()
        thumbnails: dict[str, bytes] = {}
        for key, used, crc, jpeg in select(
            db, "SELECT key, used, crc, jpeg FROM thumbnail WHERE key IN", keys
        ):
            if zlib.crc32(jpeg) != crc:  # SQLite itself would not notice
                continue
            thumbnails[key] = jpeg
            if used != now:
                self._used.add(key)
        if len(self._used) >= MAX_KEYS:
            with transaction(db):
                self._write_used(db)
        return thumbnails

    def _write_used(self, db: sqlite3.Connection) -> None:
        rows, self._used = [(_now(), key) for key in self._used], set()
        db.executemany("UPDATE thumbnail SET used = ? WHERE key = ?", rows)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Reduces the file to the limit."""
        make_room(db, self.limit)
        # VACUUM returns free pages to the disk, which would otherwise be used again. Many small
        # steps in its place would take five times as long.
        if pragma(db, "page_count") * PAGE_BYTES > self.limit and pragma(db, "freelist_count"):
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _now() -> int:
    return int(time.time()) // _USE_RESOLUTION
