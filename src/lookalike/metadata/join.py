"""Which row of a metadata file is about which image.

Works in the database of `metadata.py`: `rows` (line, id, name, fields) is given, `refs` and
`links` are made here. Names and addresses are bytes, for a file's name need not be Unicode.
"""

from __future__ import annotations

import posixpath
import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from lookalike.metadata.readers import Problem
from lookalike.types import ImageRef

__all__ = ["MatchSummary", "as_bytes", "as_text", "link", "name_key", "store", "summarize"]

_SCHEMA = """
    CREATE TABLE refs (n INTEGER PRIMARY KEY, uri BLOB UNIQUE, etag TEXT, size INTEGER,
                       modified_at TEXT, whole BLOB, inner BLOB, base BLOB, stem BLOB);
    CREATE TABLE links (line INTEGER PRIMARY KEY, n INTEGER);
"""
_TAKEN = 0
"""Stands in `links` for a row whose image an earlier row has; no image has this number, and a row
that fits several images has NULL."""


@dataclass(frozen=True, slots=True)
class MatchSummary:
    """How rows and images found each other.

    Attributes:
        images: listed images, each address counted once.
        matched: those of them that have a row.
        rows: rows of the file that could be read.
        unmatched: rows whose image is not listed; the first few as examples.
        ambiguous: rows whose name fits several images and is applied to none; likewise.
    """

    images: int
    matched: int
    rows: int
    unmatched: int
    unmatched_examples: tuple[str, ...]
    ambiguous: int
    ambiguous_examples: tuple[str, ...]


def store(
    db: sqlite3.Connection, refs: Iterable[ImageRef], root_of: Callable[[ImageRef], str]
) -> None:
    """Keeps the listing, in its order; an address that comes again is passed over."""
    for statement in filter(str.strip, _SCHEMA.split(";")):
        db.execute(statement)
    db.executemany(
        "INSERT OR IGNORE INTO refs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_entry(ref, root_of(ref)) for ref in refs),
    )
    for column in ("whole", "inner", "base", "stem"):
        db.execute(f"CREATE INDEX ref_{column} ON refs ({column})")


def link(db: sqlite3.Connection, folder: Path, *, by_id: bool) -> Iterator[Problem]:
    """Links each row to the image that it names, and yields what cannot be linked.

    A row is tried as a path from `folder` (or an absolute one, or an address), then from the
    source's root, then as a file's name, then, where rows name images `by_id`, as a name
    without extension. The first way that fits any image counts.
    """
    db.create_function("under", 2, _under, deterministic=True)
    # The source may have resolved links in its addresses, or not.
    for here in dict.fromkeys((folder.absolute(), folder.resolve())):
        _link_by(db, "refs.whole = under(?, rows.name)", as_bytes(str(here)))
    for column in ("inner", "base", "stem") if by_id else ("inner", "base"):
        _link_by(db, f"refs.{column} = rows.name")
    yield from _several(db)
    yield from _taken(db)


# The SQL below is put together from the constants of this file alone, hence the exceptions from
# the linter's rule on injected SQL.


def _link_by(db: sqlite3.Connection, condition: str, *parameters: bytes) -> None:
    db.execute(
        "INSERT INTO links SELECT line, CASE WHEN count(*) = 1 THEN min(n) END"  # noqa: S608
        f" FROM rows JOIN refs ON {condition}"
        " WHERE line NOT IN (SELECT line FROM links) GROUP BY line",
        parameters,
    )


def _several(db: sqlite3.Connection) -> Iterator[Problem]:
    query = "SELECT line, name FROM links JOIN rows USING (line) WHERE n IS NULL"
    for line, name in db.execute(query).fetchall():
        yield Problem(line, "fits several images; left out: write its path", as_text(name))


def _taken(db: sqlite3.Connection) -> Iterator[Problem]:
    """Two rows without ids for one image: the second would overwrite the first."""
    query = (
        "SELECT line, name, first FROM (SELECT line, name, min(line) OVER (PARTITION BY n)"
        " AS first FROM links JOIN rows USING (line) WHERE id IS NULL AND n IS NOT NULL)"
        " WHERE line > first"
    )
    for line, name, first in db.execute(query).fetchall():
        db.execute("UPDATE links SET n = ? WHERE line = ?", (_TAKEN, line))
        detail = f"names the image of line {first} and has no id of its own; left out"
        yield Problem(line, detail, as_text(name))


def summarize(db: sqlite3.Connection) -> MatchSummary:
    """Counts what `link` did."""
    unmatched = "rows WHERE line NOT IN (SELECT line FROM links)"
    ambiguous = "rows JOIN links USING (line) WHERE n IS NULL"
    return MatchSummary(
        images=_count(db, "refs"),
        matched=_count(db, f"(SELECT DISTINCT n FROM links WHERE n <> {_TAKEN})"),  # noqa: S608
        rows=_count(db, "rows"),
        unmatched=_count(db, unmatched),
        unmatched_examples=_names(db, unmatched),
        ambiguous=_count(db, ambiguous),
        ambiguous_examples=_names(db, ambiguous),
    )


def _count(db: sqlite3.Connection, rows: str) -> int:
    (count,) = db.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608
    return int(count)


def _names(db: sqlite3.Connection, rows: str) -> tuple[str, ...]:
    found = db.execute(f"SELECT name FROM {rows} LIMIT 3")  # noqa: S608
    return tuple(as_text(name) for (name,) in found)


# --- names ----------------------------------------------------------------------------------


def name_key(name: str) -> bytes:
    """A path or an address in the one form in which names are compared.

    macOS decomposes accents, Windows writes backslashes, and `./a/../b` is `b`.
    """
    name = unicodedata.normalize("NFC", name)
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    if "://" not in name:
        name = posixpath.normpath(name.replace("\\", "/"))
    return as_bytes(name)


def _under(folder: bytes, name: bytes) -> bytes:
    """What the key `name` means in `folder`, as a key."""
    if b"://" in name or re.match(rb"[A-Za-z]:/", name):
        return name
    return name_key(posixpath.join(as_text(folder), as_text(name)))


def _entry(ref: ImageRef, root: str) -> tuple[Any, ...]:
    """The image as a row of `refs`: whole key, key within its root, file name, its stem."""
    whole, folder = name_key(ref.uri), _folder_key(root)
    inner = whole.removeprefix(folder) if whole.startswith(folder) else None
    base = posixpath.basename(whole)
    facts = as_bytes(ref.uri), ref.etag, ref.size, ref.modified_at
    return *facts, whole, inner, base, posixpath.splitext(base)[0]


@lru_cache(maxsize=64)
def _folder_key(root: str) -> bytes:
    return name_key(root).rstrip(b"/") + b"/"


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def as_text(data: bytes) -> str:
    return data.decode(errors="surrogatepass")
