"""The join of metadata rows and images, by the names that the rows give.

Works in the database of `table.py`: that module fills `rows` (line, id, fields) and `names` (line,
place, text, name), this one links names to images and makes `refs` and `links`. A name that fits
one image has its number in both `n` and `other`; one that fits several has the first and the last.
"""

from __future__ import annotations

import posixpath
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lookalike.metadata.names import (
    as_bytes,
    as_text,
    fold,
    name_key,
    path_of,
    root_kind,
    split_names,
    stem_of,
    tail,
    under,
)
from lookalike.metadata.readers import MetadataWarning
from lookalike.types import ImageRef

__all__ = [
    "MatchSummary",
    "insert_name",
    "link_rows",
    "points_without_row",
    "repeated_link",
    "store_listing",
    "summarize",
]

_SCHEMA = """
    CREATE TABLE refs (n INTEGER PRIMARY KEY, uri BLOB UNIQUE, etag TEXT, size INTEGER,
                       modified_at TEXT, listed_in TEXT, full BLOB, relative BLOB, base BLOB,
                       stem BLOB);
    CREATE TABLE links (line INTEGER, n INTEGER, id BLOB, point BLOB, PRIMARY KEY (line, n));
    CREATE TABLE doubtful (n INTEGER PRIMARY KEY);
    CREATE TABLE points (id BLOB, uri BLOB);
"""
_RIVALS = 0
"""In `names.other`, marks names that fit one image together; no image has this number."""


@dataclass(frozen=True, slots=True)
class MatchSummary:
    """The result of the join.

    Attributes:
        images: number of listed images; each address counts once.
        matched: number of them that have a row.
        rows: number of rows that could be read.
        unmatched: number of rows whose image is not listed.
        unmatched_examples: names from the first few of them.
        partly_matched: number of rows that name listed images and others.
        partly_matched_examples: the first few names of the others.
        ambiguous: number of rows whose name fits several images, and that are not used.
        ambiguous_examples: names from the first few of them.
        without_row: number of readable images that no row names, alone or among others.
    """

    images: int
    matched: int
    rows: int
    unmatched: int
    unmatched_examples: tuple[str, ...]
    partly_matched: int
    partly_matched_examples: tuple[str, ...]
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
        "INSERT OR IGNORE INTO refs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (_listing_row(ref, root_of(ref)) for ref in refs),
    )


def link_rows(db: sqlite3.Connection, folder: Path, *, by_id: bool) -> Iterator[MetadataWarning]:
    """Links each row to the images that it names, and yields the rows that cannot be linked.

    A name is tried as a path relative to `folder` (or an absolute path, or an address), then as a
    path relative to the source's root, then as a file name, then as a file name without extension,
    then in these ways without regard to case. The first of these that fits any image counts. If no
    path from the same root fits, the last parts of the paths do.

    Args:
        db: holds `rows`, `names` and `refs`.
        folder: folder of the metadata file.
        by_id: whether rows name images by their ids.
    """
    _create_functions(db)
    # The source may have resolved links in its addresses, or not.
    folders = dict.fromkeys(as_bytes(str(here)) for here in (folder.absolute(), folder.resolve()))
    stem = "names.name" if by_id else "stem_of(names.name)"
    ways = [
        *(_Way("refs.full", "under(?, names.name)", (here,)) for here in folders),
        _Way("refs.relative", "names.name"),
        _Way("refs.base", "names.name"),
        _Way("refs.stem", stem),
    ]
    _link_by_all(db, ways, first_level=1)
    if not by_id and _split_names(db):
        _link_by_all(db, ways, first_level=1)
    _link_by_all(db, [way.folded for way in ways], first_level=10)
    _link_by_tails(db, first_level=20)
    _store_links(db)
    yield from _unclear_rows(db)
    yield from _repeated_rows(db)


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to compare names with images.

    Attributes:
        image: expression of an image's key; there is an index on it.
        name: expression of the key of a name.
        parameters: those of `name`.
    """

    image: str
    name: str
    parameters: tuple[bytes, ...] = ()

    @property
    def folded(self) -> _Way:
        return _Way(f"fold({self.image})", f"fold({self.name})", self.parameters)


def _create_functions(db: sqlite3.Connection) -> None:
    for function in (fold, path_of, root_kind, stem_of):
        db.create_function(function.__name__, 1, function, deterministic=True)
    db.create_function("tail", 2, tail, deterministic=True)
    db.create_function("under", 2, under, deterministic=True)


# The SQL below is composed of constants from this file only, so S608 does not apply.


def _link_by_all(db: sqlite3.Connection, ways: Sequence[_Way], *, first_level: int) -> None:
    for level, way in enumerate(ways, start=first_level):
        if _count(db, "names WHERE n IS NULL"):
            _link_by(db, way, level)


def _link_by(db: sqlite3.Connection, way: _Way, level: int, *, only: str = "true") -> None:
    """Links the names that are not linked yet in one way."""
    index = re.sub(r"\W+", "_", way.image)
    column = way.image.replace("refs.", "")
    db.execute(f"CREATE INDEX IF NOT EXISTS {index} ON refs ({column})")
    fits = f"FROM refs WHERE {way.image} = {way.name}"
    # Two queries, as SQLite finds either end of an index without reading what is between.
    db.execute(
        f"UPDATE names SET level = ?, n = (SELECT min(n) {fits}), other = (SELECT max(n) {fits})"  # noqa: S608
        f" WHERE n IS NULL AND {only}",
        (level, *way.parameters, *way.parameters),
    )
    if level >= 10:  # an image that a name fits exactly is not another's
        db.execute(
            "UPDATE names SET n = NULL, other = NULL WHERE level = ? AND n = other"
            " AND n IN (SELECT n FROM names WHERE level < ? AND n = other)",
            (level, level),
        )
    db.execute(
        f"INSERT OR IGNORE INTO doubtful SELECT n FROM refs WHERE {way.image} IN"  # noqa: S608
        f" (SELECT {way.name} FROM names WHERE level = ? AND n <> other)",
        (*way.parameters, level),
    )


def _split_names(db: sqlite3.Connection) -> bool:
    """Splits the names that fit no image and may be several in one cell."""
    query = "SELECT line, place, text FROM names WHERE n IS NULL"
    several = [
        (line, place, parts)
        for line, place, text in db.execute(query)
        if len(parts := split_names(as_text(text))) > 1
    ]
    for line, place, parts in several:
        db.execute("DELETE FROM names WHERE line = ? AND place = ?", (line, place))
        for i, part in enumerate(parts):
            insert_name(db, line, place + (i + 1) / (len(parts) + 1), part)
    return bool(several)


def insert_name(db: sqlite3.Connection, line: int, place: float, text: str) -> None:
    """Stores a name of a row's image."""
    db.execute(
        "INSERT INTO names (line, place, text, name) VALUES (?, ?, ?, ?)",
        (line, place, as_bytes(text), name_key(text)),
    )


def _link_by_tails(db: sqlite3.Connection, *, first_level: int) -> None:
    """Links names by the last parts of their paths: of a root from which no other name fits, such
    as the drive or the host that the images come from."""
    fitting = {
        kind
        for (kind,) in db.execute("SELECT DISTINCT root_kind(name) FROM names WHERE n IS NOT NULL")
    }
    others = [
        kind
        for (kind,) in db.execute("SELECT DISTINCT root_kind(name) FROM names WHERE n IS NULL")
        if kind is not None and kind not in fitting
    ]
    for kind in others:
        for level, parts in enumerate((3, 2, 1), start=first_level):
            if not _count(db, "names WHERE n IS NULL"):
                return
            way = _Way(f"tail(refs.full, {parts})", f"tail(names.name, {parts})")
            _link_by(db, way, level, only="root_kind(name) = " + _sql_text(kind))
            _part_rivals(db, level)


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _part_rivals(db: sqlite3.Connection, level: int) -> None:
    """Marks different paths that fit one image by their last parts: one of them is another's."""
    rivals = (
        "SELECT n FROM names WHERE level = ? AND n = other"
        " GROUP BY n HAVING min(path_of(name)) <> max(path_of(name))"
    )
    db.execute(f"INSERT OR IGNORE INTO doubtful {rivals}", (level,))
    db.execute(
        f"UPDATE names SET other = {_RIVALS} WHERE level = ? AND n IN ({rivals})",  # noqa: S608
        (level, level),
    )


def _store_links(db: sqlite3.Connection) -> None:
    """Stores the links, each image once a row. The first image of a row has the row's id, and the
    others have ids made of it."""
    db.execute("""
        INSERT INTO links SELECT line, n, id, CASE WHEN nth > 1 AND id IS NOT NULL
            THEN CAST(id || '#' || nth AS BLOB) ELSE id END
        FROM (SELECT line, n, id, row_number() OVER (PARTITION BY line ORDER BY min(place)) AS nth
              FROM names JOIN rows USING (line) WHERE n = other GROUP BY line, n)
    """)
    db.execute("CREATE INDEX link_n ON links (n)")
    db.execute("CREATE INDEX link_point ON links (point)")


def repeated_link(db: sqlite3.Connection) -> tuple[str, int, int] | None:
    """An id made for a row's further image that another row has, with both lines; or None."""
    found = db.execute(
        "SELECT point, links.line, rows.line FROM links JOIN rows ON rows.id = point"
        " WHERE rows.line <> links.line LIMIT 1"
    ).fetchone()
    return found and (as_text(found[0]), found[1], found[2])


def _unclear_rows(db: sqlite3.Connection) -> Iterator[MetadataWarning]:
    query = (
        "SELECT line, text, one.uri, other.uri FROM names JOIN refs AS one USING (n)"
        " LEFT JOIN refs AS other ON other.n = names.other WHERE names.n <> names.other"
    )
    for line, name, one, other in db.execute(query).fetchall():
        if other is None:
            detail = f"fits {as_text(one)}, as other rows do; left out: write its path"
        else:
            detail = (
                f"fits several images, such as {as_text(one)} and {as_text(other)}; left out: "
                "write its path"
            )
        yield MetadataWarning(line, detail, as_text(name))


def _repeated_rows(db: sqlite3.Connection) -> Iterator[MetadataWarning]:
    """Unlinks rows without ids whose image an earlier such row names: they would overwrite it."""
    query = (
        "SELECT line, n, uri, first FROM (SELECT line, n, min(line) OVER (PARTITION BY n)"
        " AS first FROM links WHERE id IS NULL) JOIN refs USING (n) WHERE line > first"
    )
    for line, n, uri, first in db.execute(query).fetchall():
        db.execute("DELETE FROM links WHERE line = ? AND n = ?", (line, n))
        detail = f"names the image of line {first} and has no id of its own; left out"
        yield MetadataWarning(line, detail, posixpath.basename(as_text(uri)))


def summarize(db: sqlite3.Connection) -> MatchSummary:
    """Counts the results of `link_rows`."""
    lost = "names WHERE n IS NULL AND line {} (SELECT line FROM names WHERE n IS NOT NULL)"
    unmatched = lost.format("NOT IN")
    ambiguous = "names WHERE n <> other"
    linked = "SELECT n FROM links"
    without_row = f"refs WHERE etag <> '' AND n NOT IN doubtful AND n NOT IN ({linked})"
    return MatchSummary(
        images=_count(db, "refs"),
        matched=_count(db, f"refs WHERE n IN ({linked})"),
        rows=_count(db, "rows"),
        unmatched=_count(db, unmatched, "DISTINCT line"),
        unmatched_examples=_names(db, unmatched),
        partly_matched=_count(db, lost.format("IN"), "DISTINCT line"),
        partly_matched_examples=_names(db, lost.format("IN")),
        ambiguous=_count(db, ambiguous, "DISTINCT line"),
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
        " WHERE n NOT IN doubtful"
        " AND NOT EXISTS (SELECT 1 FROM rows WHERE rows.id = points.id)"
        " AND NOT EXISTS (SELECT 1 FROM links WHERE links.point = points.id)"
        # A row without an id describes all points of its image.
        " AND (EXISTS (SELECT 1 FROM links WHERE links.n = refs.n AND links.id IS NOT NULL)"
        "  OR NOT EXISTS (SELECT 1 FROM links WHERE links.n = refs.n))"
    )
    return {as_text(id) for (id,) in found}


def _count(db: sqlite3.Connection, rows: str, what: str = "*") -> int:
    (count,) = db.execute(f"SELECT count({what}) FROM {rows}").fetchone()  # noqa: S608
    return int(count)


def _names(db: sqlite3.Connection, rows: str) -> tuple[str, ...]:
    names = db.execute(f"SELECT text FROM {rows} LIMIT 3")  # noqa: S608
    return tuple(as_text(name) for (name,) in names)


def _listing_row(ref: ImageRef, root: str) -> tuple[Any, ...]:
    """An image as a row of `refs`, with the keys of all names that it may go by."""
    full, folder = name_key(ref.uri), _folder_key(root)
    relative = full.removeprefix(folder) if full.startswith(folder) else None
    base = posixpath.basename(full)
    stem, _ = posixpath.splitext(base)
    facts = ref.etag, ref.size, ref.modified_at, ref.listed_in
    return as_bytes(ref.uri), *facts, full, relative, base, stem


@lru_cache(maxsize=64)
def _folder_key(root: str) -> bytes:
    return name_key(root).rstrip(b"/") + b"/"
