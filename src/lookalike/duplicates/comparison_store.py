"""Results of comparisons, stored by the contents of the two files: nothing is compared again.

A result depends on the two pictures and on the code alone, so it stays true whatever becomes of the
index. Another version of the code does not use it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Self, TypeAlias

import cv2

import lookalike.comparison
from lookalike.cache.sqlite import select, transaction
from lookalike.comparison.batch import Comparison, RelativeAlignment
from lookalike.comparison.evidence import Evidence

ContentPair: TypeAlias = tuple[str, str]
"""SHA-256 of two files."""

_SUFFIX = ".sqlite"


class StoreInUse(Exception):
    """Another process writes to the store."""


class ComparisonStore:
    """Results of comparisons in one file, and those that other processes have left beside it.

    It never interrupts its users: where its file is damaged or its disk is full, it knows less.

    Attributes:
        writable: whether results are still stored.
    """

    def __init__(self, folder: Path, name: str) -> None:
        """Opens the store, or creates it.

        Args:
            folder: an existing one.
            name: of the file without its suffix; one process at a time has it open.

        Raises:
            StoreInUse: another process has it open.
            OSError: it cannot be created.
        """
        self.writable = True
        file = folder / f"{name}{_SUFFIX}"
        try:
            own = _open(file)
        except StoreInUse:
            raise
        except sqlite3.DatabaseError as error:
            try:
                file.unlink(missing_ok=True)
                own = _open(file)
            except sqlite3.DatabaseError:
                raise OSError(f"{file} cannot be written ({error})") from error
        self._stores = [own, *_others(folder, file)]

    def get_many(self, pairs: Iterable[ContentPair]) -> dict[ContentPair, Comparison | None]:
        """The results that are known; None stands for pairs that are not copies."""
        keys = {_key(pair): pair for pair in pairs}
        known: dict[ContentPair, Comparison | None] = {}
        for store in self._stores:
            try:
                rows = list(
                    select(store, "SELECT pair, evidence FROM comparison WHERE pair IN", keys)
                )
            except sqlite3.DatabaseError:
                continue
            for key, text in rows:
                pair = keys.pop(key)
                known[pair] = None if text is None else _comparison(text, reverse=pair[0] > pair[1])
            if not keys:
                break
        return known

    def put_many(self, results: Mapping[ContentPair, Comparison | None]) -> None:
        """Stores results; each survives a kill of the process once this returns."""
        rows = [
            (_key(pair), None if result is None else _text(result, reverse=pair[0] > pair[1]))
            for pair, result in results.items()
        ]
        if not (rows and self.writable):
            return
        try:
            with transaction(self._stores[0]):
                self._stores[0].executemany("INSERT OR REPLACE INTO comparison VALUES (?, ?)", rows)
        except sqlite3.DatabaseError:
            self.writable = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the files. Closing twice is harmless."""
        for store in self._stores:
            store.close()


def _open(file: Path) -> sqlite3.Connection:
    store = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        store.execute("PRAGMA locking_mode = EXCLUSIVE")
        store.execute("PRAGMA journal_mode = WAL")  # takes the lock
        store.execute("PRAGMA synchronous = OFF")  # a power cut loses what can be found again
        with transaction(store):
            if store.execute("PRAGMA user_version").fetchone()[0] != code_version():
                store.execute("DROP TABLE IF EXISTS comparison")
                store.execute(
                    "CREATE TABLE comparison (pair BLOB PRIMARY KEY, evidence TEXT) WITHOUT ROWID"
                )
                store.execute(f"PRAGMA user_version = {code_version()}")
    except sqlite3.OperationalError as error:
        store.close()
        if "locked" in str(error):
            raise StoreInUse from error
        raise
    except BaseException:
        store.close()
        raise
    return store


def _others(folder: Path, own: Path) -> Iterable[sqlite3.Connection]:
    """The stores of other processes that have ended, and were of the same version."""
    for file in sorted(folder.glob(f"*{_SUFFIX}")):
        if file != own:
            try:
                yield _open(file)
            except (StoreInUse, sqlite3.DatabaseError):
                continue


@cache
def code_version() -> int:
    """A number of 31 bits that changes with the code that compares pictures."""
    digest = hashlib.blake2b(cv2.__version__.encode(), digest_size=4)
    for file in sorted(Path(lookalike.comparison.__file__ or "").parent.glob("*.py")):
        digest.update(file.read_bytes())
    return int.from_bytes(digest.digest()) >> 1


def _key(pair: ContentPair) -> bytes:
    """16 bytes for both orders of a pair."""
    return hashlib.blake2b("".join(sorted(pair)).encode(), digest_size=16).digest()


def _text(comparison: Comparison, *, reverse: bool) -> str:
    evidence, looks_identical, alignment = comparison.reversed() if reverse else comparison
    return json.dumps([asdict(evidence), looks_identical, alignment])


def _comparison(text: str, *, reverse: bool) -> Comparison:
    values, looks_identical, alignment = json.loads(text)
    evidence = Evidence(**{**values, "shown": tuple(values["shown"])})
    if alignment is not None:
        matrix, is_refined = alignment
        alignment = RelativeAlignment(tuple(matrix), is_refined)
    comparison = Comparison(evidence, looks_identical, alignment)
    return comparison.reversed() if reverse else comparison
