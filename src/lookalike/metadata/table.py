"""Metadata tables: the rows of a metadata file with their types, and the images they name.

The rows are in a temporary database on disk, so that a million of them need little memory.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookalike import record
from lookalike.errors import InputError, MetadataError
from lookalike.fields import OWN_FIELDS, is_missing, is_unicode, quoted, user_field
from lookalike.metadata.columns import Column, Evidence, Rules
from lookalike.metadata.compressed import uncompressed
from lookalike.metadata.feed_files import feed_reader
from lookalike.metadata.join import (
    MatchSummary,
    insert_name,
    link_rows,
    points_without_row,
    repeated_link,
    store_listing,
    summarize,
)
from lookalike.metadata.names import (
    as_bytes,
    as_text,
    image_columns,
    name_texts,
    single_name,
    split_names,
)
from lookalike.metadata.notation import Decimal
from lookalike.metadata.packed import pack, unpack
from lookalike.metadata.readers import (
    Cells,
    MetadataWarning,
    Reader,
    check_encoding,
    encoding_error,
    reader_for,
)
from lookalike.system.inputs import is_url
from lookalike.types import FieldType, ImageRef

__all__ = ["MatchSummary", "MetadataTable", "MetadataWarning", "Row", "read_metadata"]

SAMPLE = 1000
"""Rows by which the columns that name images are recognized."""

_NO_TYPES: Mapping[str, FieldType] = MappingProxyType({})

_SCHEMA = """
    PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -16384;
    CREATE TABLE raw (line INTEGER PRIMARY KEY, cells BLOB);
    CREATE TABLE rows (line INTEGER PRIMARY KEY, id BLOB, fields BLOB, unread BLOB);
    CREATE TABLE names (line INTEGER, place REAL, text BLOB, name BLOB, level INTEGER, n INTEGER,
                        other INTEGER, PRIMARY KEY (line, place));
    CREATE TABLE addresses (n INTEGER PRIMARY KEY, uri BLOB UNIQUE);
    CREATE TABLE warnings (line INTEGER, detail TEXT, row TEXT, column TEXT, value TEXT);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A metadata row of an image.

    Attributes:
        id: id of the image; None if the row has none.
        fields: values by field name, as the payload holds them; None clears a field.
        unread: fields whose values could not be read; an image keeps those that it has.
        complete: whether the image has no other fields than these; otherwise it keeps the others.
        vectors: vectors of the caller's, in place of those that the descriptors would make.
    """

    id: str | None
    fields: Mapping[str, Any]
    unread: Collection[str] = ()
    complete: bool = True
    vectors: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(
    path: Path,
    *,
    id_field: str | None = None,
    known: Mapping[str, FieldType] = _NO_TYPES,
    declared: Mapping[str, FieldType] = _NO_TYPES,
    encoding: str | None = None,
    decimal: Decimal | None = None,
    feed: str | None = None,
) -> MetadataTable:
    """Reads a CSV, JSON Lines or Parquet file, or a catalog feed, in bounded memory. Close the
    result.

    Args:
        path: the file, which may be compressed by gzip; its extension determines its format.
        id_field: the column with the ids; by default `id`, if there is one.
        known: types of the index's fields.
        declared: types that the user declares. They override `known`, and both override inference.
        encoding: encoding of a text file; by default it is detected.
        decimal: decimal sign of columns whose values leave it open.
        feed: path or address of the feed that the file is; None for other files.

    Raises:
        MetadataError: the file cannot be used as it is.
    """
    encoding = encoding and check_encoding(encoding)
    table = MetadataTable(path, feed or str(path.absolute()))
    try:
        with uncompressed(path) as plain:
            reader = feed_reader(plain, encoding, decimal) if feed else reader_for(plain)
            table._read(reader, plain, id_field, known, declared, encoding, decimal)
    except UnicodeDecodeError as error:
        table.close()
        raise encoding_error(path, encoding) from error
    except OSError as error:
        table.close()
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except BaseException:
        table.close()
        raise
    return table


class MetadataTable:
    """The rows of a metadata file; made by `read_metadata`, used as a context manager.

    It serves one thread at a time, not necessarily the same one.

    Attributes:
        path: the file.
        name: its path or address, as the list that names images on the web.
        fields: types by field name, in the order of the columns.
        id_field: the column with the ids, or None.
        unread_rows: number of rows that could not be read at all.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = name
        self.fields: dict[str, FieldType] = {}
        self.id_field: str | None = None
        self.unread_rows = 0
        self._file_fields: tuple[str, ...] = ()
        self._columns: dict[str, Column] = {}
        self._unusable: list[str] = []
        self._skips = False
        # A database without a name is a temporary file. It vanishes with the connection, even if
        # the process is killed.
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._db.executescript(_SCHEMA)

    def __enter__(self) -> MetadataTable:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the temporary database."""
        self._db.close()

    @property
    def warnings(self) -> Iterator[MetadataWarning]:
        """Everything that was left out, by line: values that do not fit their column, rows with
        too many or too few cells, and after `match`, rows that name several images or the image of
        an earlier row."""
        query = "SELECT line, detail, row, column, value FROM warnings ORDER BY line, rowid"
        return itertools.starmap(MetadataWarning, self._db.execute(query))

    # --- reading ---

    def _read(
        self,
        reader: Reader,
        file: Path,
        id_field: str | None,
        known: Mapping[str, FieldType],
        declared: Mapping[str, FieldType],
        encoding: str | None,
        decimal: Decimal | None,
    ) -> None:
        self._skips = reader.skips
        with self._writing():
            evidence = self._store_raw(reader, file, encoding)
        columns = list(evidence)
        if not columns:
            raise MetadataError(self._no_rows())
        self._locate(columns, id_field)
        for name in declared:
            if name not in columns and name not in known:
                raise MetadataError(self._no_column(name, columns))
        rules = Rules(known, declared, decimal, reader.texts)
        with self._writing():
            self._choose_columns(evidence, rules)
            self._store_rows()
        self._check()

    def _store_raw(self, reader: Reader, file: Path, encoding: str | None) -> dict[str, Evidence]:
        """Copies the file, and collects the evidence about each column."""
        kind_of = reader.kind
        columns: dict[str, Evidence] = defaultdict(Evidence)

        def entries() -> Iterator[tuple[int, bytes]]:
            for entry in reader.rows(file, encoding):
                if isinstance(entry, MetadataWarning):
                    self._report(entry)
                    self.unread_rows += 1
                    continue
                line, cells = entry
                for name, value in cells.items():
                    evidence = columns[name]
                    if reader.exact and isinstance(value, str):
                        evidence.kinds[FieldType.KEYWORD] += 1
                    elif not is_missing(value):
                        evidence.add(value, kind_of(value))
                yield line, pack(cells)

        self._db.executemany("INSERT INTO raw VALUES (?, ?)", entries())
        return columns

    def _locate(self, columns: list[str], id_field: str | None) -> None:
        """Finds the columns that name a row's images and its id."""
        by_lower = {name.lower(): name for name in reversed(columns)}
        self.id_field = by_lower.get("id") if id_field is None else id_field
        if id_field is not None and id_field not in columns:
            raise MetadataError(self._no_column(id_field, columns))
        sample = self._db.execute("SELECT cells FROM raw ORDER BY line LIMIT ?", (SAMPLE,))
        rows = [unpack(cells) for (cells,) in sample]
        others = [name for name in columns if name != id_field]
        self._file_fields = image_columns(others, rows)
        if self._skips and not self._file_fields:
            raise MetadataError(
                f"{self.path} names no images: none of its rows has a value in a column such as "
                f"image_link; its columns are {', '.join(columns)}."
            )
        if self.id_field is None and not self._file_fields:
            raise MetadataError(
                f"{self.path} has no column that names an image: call one of them file, path, "
                f"uri, image or id, or use --id-field (in Python, id_field); its columns are "
                f"{', '.join(columns)}."
            )

    def _no_column(self, name: str, columns: list[str]) -> str:
        similar = difflib.get_close_matches(name, columns, n=1)
        guess = f'; did you mean "{similar[0]}"?' if similar else "."
        return f'{self.path} has no column "{name}"{guess} Its columns are {", ".join(columns)}.'

    def _choose_columns(self, evidence: Mapping[str, Evidence], rules: Rules) -> None:
        users = {
            name: column
            for name, column in evidence.items()
            if name != self.id_field and name not in self._file_fields
        }
        if record.SHA256 in users and record.INDEXED_AT in users:  # a table that we exported
            users = {name: column for name, column in users.items() if name not in OWN_FIELDS}
        for name, column in rules.decide(users).items():
            if not name:
                self._report(MetadataWarning(1, "a column without a name is left out"))
                continue
            try:
                user_field(name, FieldType.KEYWORD)
            except InputError as error:
                raise MetadataError(f"{self.path}: {error}") from None
            if column is None:
                detail = "has objects or lists that no field can hold; the column is left out"
                self._report(MetadataWarning(1, detail, column=name))
                self._unusable.append(name)
                continue
            self._columns[name] = column
            self.fields[name] = column.type
            if column.note:
                self._report(MetadataWarning(0, column.note, column=name))

    def _store_rows(self) -> None:
        raw = self._db.execute("SELECT line, cells FROM raw ORDER BY line")
        rows = (self._row(line, unpack(cells)) for line, cells in raw)
        self._db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", filter(None, rows))
        self._db.execute("DELETE FROM raw")

    def _row(self, line: int, cells: Cells) -> tuple[int, bytes | None, bytes, bytes] | None:
        id = single_name(cells.get(self.id_field)) if self.id_field else None
        id = id if id is None or is_unicode(id) else None
        names = self._names(cells)
        if not names:
            column = self._file_fields[0] if self._file_fields else self.id_field
            self._report(MetadataWarning(line, "is empty; the row is left out", id, column))
            self.unread_rows += not (self._skips and id is not None)
            return None
        name = names[0]
        if self.id_field and id is None:
            detail = "is empty or not text; the image's address is its id"
            self._report(MetadataWarning(line, detail, name, self.id_field))
        for place, text in enumerate(dict.fromkeys(names)):
            insert_name(self._db, line, place, text)
        fields = {}
        unread = [column for column in self._unusable if not is_missing(cells.get(column))]
        for column, type in self.fields.items():
            value = cells.get(column)
            try:
                parsed = self._columns[column].parse(value)
                if parsed is not None:
                    fields[column] = parsed
            except InputError as error:
                detail = f"{error} ({type}); left out"
                self._report(MetadataWarning(line, detail, name, column, quoted(value)))
                unread.append(column)
        key = None if id is None else as_bytes(id)
        return line, key, pack(fields), pack(unread)

    def _names(self, cells: Cells) -> list[str]:
        """The names of a row's images; without a column for them, its id."""
        columns = self._file_fields or filter(None, [self.id_field])
        return [text for column in columns for text in name_texts(cells.get(column))]

    def _check(self) -> None:
        if not self._db.execute("SELECT 1 FROM rows LIMIT 1").fetchone():
            raise MetadataError(self._no_rows())
        self._db.execute("CREATE INDEX ids ON rows (id)")
        if self._skips:
            self._leave_out_repeated()
        repeated = self._db.execute(
            "SELECT id, min(line), max(line) FROM rows WHERE id IS NOT NULL"
            " GROUP BY id HAVING count(*) > 1 ORDER BY 2 LIMIT 1"
        ).fetchone()
        if repeated:
            id, first, second = repeated
            raise MetadataError(
                f'{self.path} has the id "{as_text(id)}" on line {first} and on line {second}: '
                "give each row an id of its own."
            )

    def _leave_out_repeated(self) -> None:
        """Leaves out rows with the id of an earlier one."""
        repeated = self._db.execute(
            "SELECT line, id, first FROM (SELECT line, id, min(line) OVER (PARTITION BY id)"
            " AS first FROM rows WHERE id IS NOT NULL) WHERE line > first"
        ).fetchall()
        for line, id, first in repeated:
            detail = f"has the id of line {first}; left out"
            self._report(MetadataWarning(line, detail, as_text(id), self.id_field))
            self._db.execute("DELETE FROM rows WHERE line = ?", (line,))
            self._db.execute("DELETE FROM names WHERE line = ?", (line,))

    def _no_rows(self) -> str:
        first = next(self.warnings, None)
        why = f"the first problem is: {first}" if first else "it has no rows"
        return f"{self.path} describes no images: {why}."

    # --- addresses ---

    def addresses(self) -> Iterator[str]:
        """The addresses of images on the web that the rows name, each once, in their order."""
        if not self._db.execute("SELECT 1 FROM addresses LIMIT 1").fetchone():
            names = self._db.execute("SELECT text FROM names ORDER BY line, place")
            parts = (part for (text,) in names for part in split_names(as_text(text)))
            self._db.executemany(
                "INSERT OR IGNORE INTO addresses (uri) VALUES (?)",
                ((as_bytes(part),) for part in parts if is_url(part)),
            )
        for (uri,) in self._db.execute("SELECT uri FROM addresses ORDER BY n"):
            yield as_text(uri)

    def has_address(self, uri: str) -> bool:
        """True if rows name an image at this address on the web."""
        found = self._db.execute("SELECT 1 FROM addresses WHERE uri = ?", (as_bytes(uri),))
        return found.fetchone() is not None

    # --- matching ---

    def match(self, refs: Iterable[ImageRef], root_of: Callable[[ImageRef], str]) -> MatchSummary:
        """Stores the listing and finds each row's image in it. Call it once.

        Args:
            refs: the images; repeated addresses count once.
            root_of: returns the root of an image's source, which relative paths may start from.

        Raises:
            MetadataError: there are images, and no row names any of them.
        """
        with self._writing():
            store_listing(self._db, refs, root_of)
            by_id = not self._file_fields
            for warning in link_rows(self._db, self.path.parent, by_id=by_id):
                self._report(warning)
        if repeated := repeated_link(self._db):
            id, one, other = repeated
            raise MetadataError(
                f'{self.path}: the id "{id}" on line {other} is also that of a further image on '
                f"line {one}: give the row another id."
            )
        summary = summarize(self._db)
        if summary.images and not summary.matched:
            raise MetadataError(self._no_match(summary))
        return summary

    def matched(self, *, named: bool = False) -> Iterator[tuple[ImageRef, list[Row]]]:
        """The images that `match` stored, in their order, each with its rows.

        Args:
            named: whether to leave out images that no row names. Entries that cannot be read, such
                as a forbidden folder, stay, so that the run reports them.
        """
        joined = self._db.execute(
            "SELECT refs.n, uri, etag, size, modified_at, listed_in, rows.line, point, fields,"
            " unread FROM refs LEFT JOIN links USING (n) LEFT JOIN rows USING (line)"
            " WHERE NOT ? OR line IS NOT NULL OR refs.n IN doubtful OR etag = ''"
            " ORDER BY refs.n, rows.line",
            (named,),
        )
        for _, group in itertools.groupby(joined, key=lambda entry: entry[0]):
            entries = list(group)
            _, *ref, _, _, _, _ = entries[0]
            yield (
                ImageRef(as_text(ref[0]), *ref[1:]),
                [
                    Row(id and as_text(id), unpack(fields), tuple(unpack(unread)))
                    for *_, line, id, fields, unread in entries
                    if line is not None
                ],
            )

    def listed(self, *, named: bool = False) -> Iterator[str]:
        """The addresses of the images that `matched` gives, in no particular order."""
        found = self._db.execute(
            "SELECT uri FROM refs WHERE NOT ? OR n IN doubtful OR etag = ''"
            " OR EXISTS (SELECT 1 FROM links WHERE links.n = refs.n)",
            (named,),
        )
        for (uri,) in found:
            yield as_text(uri)

    def rows(self) -> Iterator[Row]:
        """All rows in their order, whichever images they name."""
        for id, fields, unread in self._db.execute(
            "SELECT id, fields, unread FROM rows ORDER BY line"
        ):
            yield Row(id and as_text(id), unpack(fields), tuple(unpack(unread)))

    def named(self, ids: Sequence[str]) -> set[str]:
        """Returns those of the ids that rows give to listed images."""
        marks = ", ".join("?" * len(ids))
        named = self._db.execute(
            f"SELECT point FROM links WHERE point IN ({marks})",  # noqa: S608
            [as_bytes(id) for id in ids],
        )
        return {as_text(id) for (id,) in named}

    def without_row(self, points: Iterable[tuple[str, str]]) -> set[str]:
        """Returns the ids of those stored points, given by id and address, whose image is listed
        and that no row describes any longer. An image that an ambiguous row may name keeps its."""
        with self._writing():
            return points_without_row(self._db, points)

    def _no_match(self, summary: MatchSummary) -> str:
        column = self._file_fields[0] if self._file_fields else self.id_field
        start = f"{self.path} matches none of the {summary.images:,} images: its {column}"
        if summary.ambiguous:
            return f'{start} "{summary.ambiguous_examples[0]}" fits several: write full paths.'
        (name,) = self._db.execute("SELECT coalesce(relative, uri) FROM refs LIMIT 1").fetchone()
        return (
            f'{start} is, for example, "{summary.unmatched_examples[0]}", and an image is '
            f'"{as_text(name)}": write paths relative to the folder of {self.path.name} or to the '
            "indexed folder."
        )

    # --- the database ---

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction: without it, each row would be a transaction of its own."""
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise MetadataError(
                f"The rows of {self.path} cannot be stored in the folder for temporary files "
                f"({error}): free some space there, or set TMPDIR to another folder."
            ) from error

    def _report(self, warning: MetadataWarning) -> None:
        texts = (warning.detail, warning.row, warning.column, warning.value)
        self._db.execute(
            "INSERT INTO warnings VALUES (?, ?, ?, ?, ?)",
            (warning.line, *(text and text.encode(errors="replace").decode() for text in texts)),
        )
