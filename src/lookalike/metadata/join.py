"""The join of metadata rows and images, by the names that the rows give.

Works in the database of `table.py`: that module fills `rows` (line, id, name, fields), this one
makes `refs` and `links`. Names and addresses are stored as bytes, because a file's name need not be
valid Unicode.
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

from lookalike.metadata.readers import MetadataWarning
from lookalike.types import ImageRef

__all__ = [
    "MatchSummary",
    "as_bytes",
    "as_text",
    "link_rows",
    "name_key",
    "points_without_row",
    "store_listing",
    "summarize",
]

_SCHEMA = """
    CREATE TABLE refs (n INTEGER PRIMARY KEY, uri BLOB UNIQUE, etag TEXT, size INTEGER,
                       modified_at TEXT, full BLOB, relative BLOB, base BLOB, stem BLOB);
    CREATE TABLE links (line INTEGER PRIMARY KEY, n INTEGER);
    CREATE TABLE doubtful (n INTEGER PRIMARY KEY);
    CREATE TABLE points (id BLOB, uri BLOB);
"""
_REPEATED = 0
"""In `links`, marks a row whose image an earlier row names; no image has this number. NULL marks a
row that fits several images, which are in `doubtful`."""


@dataclass(frozen=True, slots=True)
class MatchSummary:
    """The result of the join.

    Attributes:
        images: number of listed images; each address counts once.
        matched: number of them that have a row.
        rows: number of rows that could be read.
        unmatched: number of rows whose image is not listed.
        unmatched_examples: names from the first few of them.
        ambiguous: number of rows whose name fits several images, and that are not used.
        ambiguous_examples: names from the first few of them.
        without_row: number of readable images that no row names, alone or among others.
    """

    images: int
    matched: int
    rows: int
    unmatched: int
    unmatched_examples: tuple[str, ...]
    ambiguous: int
    ambiguous_examples: tuple[str, ...]
    without_row: int


def store_listing(
    db: sqlite3.Connection, refs: Iterable[ImageRef], root_of: Callable[[ImageRef], str]
) -> None:
    """Stores the listing in its order; repeated addresses are ignored."""
    for statement in filter(str.strip, _SCHEMA.split(";")):
        db.execute(statement)
    db.executemany(
        "INSERT OR IGNORE INTO refs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_listing_row(ref, root_of(ref)) for ref in refs),
    )
    for column in ("full", "relative", "base", "stem"):
        db.execute(f"CREATE INDEX ref_{column} ON refs ({column})")


def link_rows(db: sqlite3.Connection, folder: Path, *, by_id: bool) -> Iterator[MetadataWarning]:
    """Links each row to the image that it names, and yields the rows that cannot be linked.

    A name is tried as a path relative to `folder` (or an absolute path, or an address), then as a
    path relative to the source's root, then as a file name, then as a file name without extension.
    The first of these that fits any image counts.

    Args:
        db: holds `rows` and `refs`.
        folder: folder of the metadata file.
        by_id: whether rows name images by their ids; only then extensions may be missing.
    """
    db.create_function("under", 2, _under, deterministic=True)
    # The source may have resolved links in its addresses, or not.
    for here in dict.fromkeys((folder.absolute(), folder.resolve())):
        _link_by(db, "refs.full = under(?, rows.name)", as_bytes(str(here)))
    for column in ("relative", "base", "stem") if by_id else ("relative", "base"):
        _link_by(db, f"refs.{column} = rows.name")
    yield from _ambiguous_rows(db)
    yield from _repeated_rows(db)
    db.execute("CREATE INDEX link_n ON links (n)")


# The SQL below is composed of constants from this file only, so S608 does not apply.


def _link_by(db: sqlite3.Connection, condition: str, *parameters: bytes) -> None:
    db.execute(
        "INSERT INTO links SELECT line, CASE WHEN count(*) = 1 THEN min(n) END"  # noqa: S608
        f" FROM rows JOIN refs ON {condition}"
        " WHERE line NOT IN (SELECT line FROM links) GROUP BY line",
        parameters,
    )
    db.execute(
        "INSERT OR IGNORE INTO doubtful SELECT refs.n FROM links JOIN rows USING (line)"  # noqa: S608
        f" JOIN refs ON {condition} WHERE links.n IS NULL",
        parameters,
    )


def _ambiguous_rows(db: sqlite3.Connection) -> Iterator[MetadataWarning]:
    query = "SELECT line, name FROM links JOIN rows USING (line) WHERE n IS NULL"
    for line, name in db.execute(query).fetchall():
        yield MetadataWarning(line, "fits several images; left out: write its path", as_text(name))


def _repeated_rows(db: sqlite3.Connection) -> Iterator[MetadataWarning]:
    """Unlinks rows without ids whose image an earlier such row names: they would overwrite it."""
    query = (
        "SELECT line, name, first FROM (SELECT line, name, min(line) OVER (PARTITION BY n)"
        " AS first FROM links JOIN rows USING (line) WHERE id IS NULL AND n IS NOT NULL)"
        " WHERE line > first"
    )
    for line, name, first in db.execute(query).fetchall():
        db.execute("UPDATE links SET n = ? WHERE line = ?", (_REPEATED, line))
        detail = f"names the image of line {first} and has no id of its own; left out"
        yield MetadataWarning(line, detail, as_text(name))


def summarize(db: sqlite3.Connection) -> MatchSummary:
    """Counts the results of `link_rows`."""
    unmatched = "rows WHERE line NOT IN (SELECT line FROM links)"
    ambiguous = "rows JOIN links USING (line) WHERE n IS NULL"
    linked = f"SELECT n FROM links WHERE n <> {_REPEATED}"  # noqa: S608
    without_row = f"refs WHERE etag <> '' AND n NOT IN doubtful AND n NOT IN ({linked})"
    return MatchSummary(
        images=_count(db, "refs"),
        matched=_count(db, f"refs WHERE n IN ({linked})"),
        rows=_count(db, "rows"),
        unmatched=_count(db, unmatched),
        unmatched_examples=_names(db, unmatched),
        ambiguous=_count(db, ambiguous),
        ambiguous_examples=_names(db, ambiguous),
        without_row=_count(db, without_row),
    )


def points_without_row(db: sqlite3.Connection, points: Iterable[tuple[str, str]]) -> set[str]:
    """Returns the ids of those stored points whose image is listed and that no row describes.

    Args:
        db: holds the results of `link_rows`.
        points: the ids and addresses of the points.
    """
    db.execute("DELETE FROM points")
    db.executemany(
        "INSERT INTO points VALUES (?, ?)", ((as_bytes(id), as_bytes(uri)) for id, uri in points)
    )
    found = db.execute(
        "SELECT points.id FROM points JOIN refs USING (uri)"
        " WHERE n NOT IN doubtful AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.id = points.id)"
        # A row without an id describes all points of its image.
        " AND (EXISTS (SELECT 1 FROM links JOIN rows USING (line)"
        "             WHERE links.n = refs.n AND rows.id IS NOT NULL)"
        "  OR NOT EXISTS (SELECT 1 FROM links WHERE links.n = refs.n))"
    )
    return {as_text(id) for (id,) in found}


def _count(db: sqlite3.Connection, rows: str) -> int:
    (count,) = db.execute(f"SELECT count(*) FROM {rows}").fetchone()  # noqa: S608
    return int(count)


def _names(db: sqlite3.Connection, rows: str) -> tuple[str, ...]:
    names = db.execute(f"SELECT name FROM {rows} LIMIT 3")  # noqa: S608
    return tuple(as_text(name) for (name,) in names)


# --- names ----------------------------------------------------------------------------------


def name_key(name: str) -> bytes:
    """Normalizes a path or an address, so that equal names compare equal.

    macOS decomposes accented letters, Windows writes backslashes, and `./a/../b` is `b`.
    """
    name = unicodedata.normalize("NFC", name)
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    if "://" not in name:
        name = posixpath.normpath(name.replace("\\", "/"))
    return as_bytes(name)


def _under(folder: bytes, name: bytes) -> bytes:
    """The key of a name that is relative to a folder; other names keep their key."""
    if b"://" in name or re.match(rb"[A-Za-z]:/", name):
        return name
    return name_key(posixpath.join(as_text(folder), as_text(name)))


def _listing_row(ref: ImageRef, root: str) -> tuple[Any, ...]:
    """An image as a row of `refs`, with the keys of all names that it may go by."""
    full, folder = name_key(ref.uri), _folder_key(root)
    relative = full.removeprefix(folder) if full.startswith(folder) else None
    base = posixpath.basename(full)
    stem, _ = posixpath.splitext(base)
    return as_bytes(ref.uri), ref.etag, ref.size, ref.modified_at, full, relative, base, stem


@lru_cache(maxsize=64)
def _folder_key(root: str) -> bytes:
    return name_key(root).rstrip(b"/") + b"/"


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def as_text(data: bytes) -> str:
    return data.decode(errors="surrogatepass")
