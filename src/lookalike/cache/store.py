"""What saves time and may be lost: small JPEGs of pictures, sketches of these, and the copies left
out of an index.

It is one SQLite file rather than a file a thumbnail: small blobs are read and written faster there
(https://sqlite.org/fasterthanfs.html), and a million small files are a burden to every backup.

A cache never stops what it serves. Where its file cannot be written or is damaged, what is asked
for is missing, what is given is not kept, and `Cache.problem` says why.
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

from lookalike.cache.skipped import Skipped
from lookalike.cache.sqlite import (
    PAGE,
    STEP,
    NotOurs,
    Useless,
    among,
    bytes_used,
    code,
    connected,
    files,
    make_room,
    number,
    sound,
    transaction,
    write,
)

LIMIT = 10 * 10**9
"""Bytes: room for the thumbnails of about 600,000 pictures."""

RESERVE = 2**30
"""Free bytes that must remain on the disk: the index comes first, which needs room to be sound."""

GRAIN = 3600
"""Seconds: last use is known to the hour, so that most reads write nothing."""

_T = TypeVar("_T")


def cache_file(index: str) -> Path:
    """Where the cache of an index lies: in its folder; for one on a server, in the user's caches.

    Args:
        index: its folder, or its address on a server.
    """
    if index.startswith(("http://", "https://")):
        name = hashlib.sha256(index.rstrip("/").encode()).hexdigest()[:16]
        return platformdirs.user_cache_path("lookalike") / "thumbnails" / f"{name}.sqlite"
    return Path(index) / "thumbnails.sqlite"


class Cache:
    """Thumbnails and sketches by the sha256 of their picture's file, skipped images by their URI.

    Any number of threads and processes on one machine may use the same file. Killed at any moment
    it stays whole. No method raises for what is wrong with the file.

    Attributes:
        path: of the file.
        limit: bytes that the file may take. To make room, the thumbnails that were not used for
            the longest time go: by the hour of their last use, and within it in the order in
            which they came, all sketches before them. 0 keeps none. The few hundred bytes of a
            skipped image never go.
        problem: what last went wrong with the file, as a sentence; None as long as nothing did.
    """

    def __init__(self, path: Path, limit: int | None = None, *, reserve: int = RESERVE) -> None:
        """Opens the file; one that is not there is made when something is put in.

        Args:
            path: of the file.
            limit: bytes that the file may take from now on; it shrinks where it is larger. By
                default what was said when it was last said, else `LIMIT`.
            reserve: free bytes that must remain on its disk.
        """
        self.path = path
        self.limit = LIMIT if limit is None else limit
        self.problem: str | None = None
        self._asked = limit
        self._reserve = reserve
        self._lock = threading.Lock()
        self._used: set[str] = set()  # keys whose use is not written down yet
        self._db: sqlite3.Connection | None = None
        self._tried = False  # whether it was opened, be it in vain
        self._attempt(lambda db: None, None)

    # --- thumbnails -------------------------------------------------------------------------

    def get_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The thumbnails that are there, by key."""
        return self._attempt(lambda db: self._read(db, keys), {})

    def put_many(self, thumbnails: Mapping[str, bytes]) -> None:
        """Keeps thumbnails, in place of those that are there under the same keys."""

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            with transaction(db):
                self._write_used(db)
                free = self.limit - bytes_used(db)
                for key, jpeg in thumbnails.items():
                    free -= len(jpeg) + 2 * PAGE  # at most: its last page, and one of an index
                    if free >= 0 or make_room(db, self.limit - len(jpeg) - PAGE):
                        db.execute(
                            "INSERT INTO thumbnail VALUES (?, ?, ?, ?) ON CONFLICT (key) DO UPDATE "
                            "SET used = excluded.used, crc = excluded.crc, jpeg = excluded.jpeg",
                            (key, _now(), zlib.crc32(jpeg), jpeg),
                        )

        self._attempt(put, None, make=True)

    def forget(self, keys: Iterable[str]) -> None:
        """Drops thumbnails; unknown keys are no error."""
        rows = [(key,) for key in keys]
        self._attempt(lambda db: write(db, "DELETE FROM thumbnail WHERE key = ?", rows), None)

    def __len__(self) -> int:
        """How many thumbnails there are."""

        def count(db: sqlite3.Connection) -> int:
            return int(db.execute("SELECT count(*) FROM thumbnail").fetchone()[0])

        return self._attempt(count, 0)

    # --- sketches ---------------------------------------------------------------------------

    def sketches_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The sketches that are kept of thumbnails as they are now, by key."""

        def read(db: sqlite3.Connection) -> dict[str, bytes]:
            rows = among(
                db,
                "SELECT key, sketch.crc, bytes FROM thumbnail JOIN sketch ON id = thumbnail.rowid "
                "AND of = thumbnail.crc WHERE key IN",
                keys,
            )
            return {key: sketch for key, crc, sketch in rows if zlib.crc32(sketch) == crc}

        return self._attempt(read, {})

    def put_sketches(self, sketches: Mapping[str, bytes]) -> None:
        """Keeps sketches of thumbnails that are there, as long as there is room besides those."""

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            with transaction(db):
                for key, sketch in sketches.items():
                    if bytes_used(db) + len(sketch) + PAGE > self.limit:
                        break
                    db.execute(
                        "INSERT OR REPLACE INTO sketch SELECT rowid, crc, ?, ? FROM thumbnail "
                        "WHERE key = ?",
                        (zlib.crc32(sketch), sketch, key),
                    )

        self._attempt(put, None)

    # --- what ingest left out ---------------------------------------------------------------

    def skipped_many(self, uris: Iterable[str]) -> dict[str, Skipped]:
        """Those of some images that were skipped, by URI."""

        def read(db: sqlite3.Connection) -> dict[str, Skipped]:
            rows = among(db, "SELECT uri, etag, of, verdict FROM skipped WHERE uri IN", uris)
            return {uri: Skipped(*row) for uri, *row in rows}

        return self._attempt(read, {})

    def skip(self, images: Mapping[str, Skipped]) -> None:
        """Remembers images, by URI, as skipped."""
        rows = [(uri, *skipped) for uri, skipped in images.items()]

        def put(db: sqlite3.Connection) -> None:
            self._require_space()
            write(db, "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)", rows)

        self._attempt(put, None, make=True)

    def unskip(self, uris: Iterable[str]) -> None:
        """Forgets that images were skipped; unknown URIs are no error."""
        rows = [(uri,) for uri in uris]
        self._attempt(lambda db: write(db, "DELETE FROM skipped WHERE uri = ?", rows), None)

    # --- the file ---------------------------------------------------------------------------

    @property
    def bytes_on_disk(self) -> int:
        """What the file and its write-ahead log take."""
        return sum(file.stat().st_size for file in files(self.path) if file.exists())

    def close(self) -> None:
        """Lets go of the file. Doing it again is harmless; afterwards there is nothing in here."""
        if self._db is not None:
            self._attempt(self._write_used, None)
        with self._lock:
            self._tried = True
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
        self, work: Callable[[sqlite3.Connection], _T], otherwise: _T, *, make: bool = False
    ) -> _T:
        """What the work returns; `otherwise` where the file does not let it.

        Args:
            make: whether to make the file where there is none.
        """
        with self._lock:
            if not self._tried and (make or self.path.exists()):
                self._tried = True
                self._connect()
            if self._db is None:
                return otherwise
            try:
                return work(self._db)
            except sqlite3.ProgrammingError:  # our own mistake
                raise
            except (sqlite3.DatabaseError, OSError) as error:
                if code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                    self._start_over(error)
                else:
                    self._complain(error)
                return otherwise

    def _connect(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._take(connected(self.path))
            except NotOurs:
                self._set_aside()
            except Useless as error:
                self._start_over(error)
        except (sqlite3.DatabaseError, OSError) as error:
            self._complain(error)

    def _take(self, db: sqlite3.Connection) -> None:
        """Goes on with a file, under the limit that was asked for or else its own."""
        self._db = db
        with sound():
            stored = db.execute("SELECT bytes FROM bound").fetchone()
            if stored is not None and self._asked is None:
                self.limit = stored[0]
            elif stored != (self.limit,):
                with transaction(db):
                    db.execute("DELETE FROM bound")
                    db.execute("INSERT INTO bound VALUES (?)", (self.limit,))
            if self._asked is not None:
                self._shrink(db)

    def _start_over(self, error: Exception) -> None:
        """Replaces a file of ours."""
        self._disconnect()
        try:
            for file in files(self.path):
                file.unlink(missing_ok=True)
            self._take(connected(self.path))
        except (sqlite3.DatabaseError, OSError, NotOurs, Useless) as again:
            self._complain(again)
        else:
            self.problem = (
                f"The thumbnails in {self.path} could not be used ({error}) and are made again as "
                "they are needed: there is nothing to be done."
            )

    def _set_aside(self) -> None:
        """Renames what is no file of ours."""
        self._disconnect()
        aside = self.path.with_name(f"{self.path.name}.aside")
        if aside.exists():
            self.problem = (
                f"No thumbnails are kept, for neither {self.path} nor {aside} holds any: move both "
                "away."
            )
            return
        for file, renamed in zip(files(self.path), files(aside), strict=True):
            if file.exists():
                file.rename(renamed)
        self._take(connected(self.path))
        self.problem = (
            f"{self.path} held no thumbnails, or was damaged beyond recognition, and is now "
            f"{aside}: remove it if nobody needs it."
        )

    def _complain(self, error: Exception) -> None:
        self.problem = (
            f"Thumbnails could not be kept in {self.path} ({error}): see that its disk has room "
            "and that it can be written to."
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
        found: dict[str, bytes] = {}
        for key, used, crc, jpeg in among(
            db, "SELECT key, used, crc, jpeg FROM thumbnail WHERE key IN", keys
        ):
            if zlib.crc32(jpeg) != crc:  # SQLite itself would not notice
                continue
            found[key] = jpeg
            if used != now:
                self._used.add(key)
        if len(self._used) >= STEP:
            with transaction(db):
                self._write_used(db)
        return found

    def _write_used(self, db: sqlite3.Connection) -> None:
        rows, self._used = [(_now(), key) for key in self._used], set()
        db.executemany("UPDATE thumbnail SET used = ? WHERE key = ?", rows)

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Brings the file down to the limit."""
        make_room(db, self.limit)
        # Otherwise free pages are used again. In small steps this would take five times as long.
        if number(db, "page_count") * PAGE > self.limit and number(db, "freelist_count"):
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _now() -> int:
    return int(time.time()) // GRAIN
