"""What a metadata file says of images: its rows, their types, and which image each one means.

The rows lie in a temporary database on disk, so that a million of them need little memory.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from lookalike.errors import InputError, MetadataError
from lookalike.fields import choose_type, is_unicode, parse_value, quoted, user_field
from lookalike.metadata.join import (
    MatchSummary,
    as_bytes,
    as_text,
    link,
    name_key,
    store,
    summarize,
)
from lookalike.metadata.readers import Cells, Problem, format_of, is_missing, not_utf8
from lookalike.types import FieldType, ImageRef

__all__ = ["MatchSummary", "MetadataTable", "Problem", "Row", "read_metadata"]

FILE_COLUMNS = ("file", "path", "uri")
"""The columns that may name a row's image, the first that is there wins."""

_NO_TYPES: Mapping[str, FieldType] = MappingProxyType({})

_SCHEMA = """
    PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA cache_size = -16384;
    CREATE TABLE raw (line INTEGER PRIMARY KEY, cells TEXT);
    CREATE TABLE rows (line INTEGER PRIMARY KEY, id BLOB, name BLOB, fields TEXT);
    CREATE TABLE problems (line INTEGER, detail TEXT, row TEXT, column TEXT, value TEXT);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says of its image.

    Attributes:
        id: the row's own id, or None where it has none.
        fields: values by field name, as the payload holds them.
    """

    id: str | None
    fields: Mapping[str, Any]


def read_metadata(
    path: Path,
    *,
    id_field: str | None = None,
    known: Mapping[str, FieldType] = _NO_TYPES,
    declared: Mapping[str, FieldType] = _NO_TYPES,
) -> MetadataTable:
    """Reads a CSV, JSON Lines or Parquet file in bounded memory. Close the result.

    Args:
        path: the file; its extension names its format.
        id_field: the column that holds the ids; by default `id`, if there is one.
        known: types that fields already have in the index.
        declared: types that the user sets; they win over `known`, and both over inference.

    Raises:
        MetadataError: the file cannot be used as it is.
    """
    table = MetadataTable(path)
    try:
        table._read(id_field, known, declared)
    except UnicodeDecodeError as error:
        table.close()
        raise not_utf8(path) from error
    except OSError as error:
        table.close()
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except BaseException:
        table.close()
        raise
    return table


class MetadataTable:
    """The rows of a metadata file; made by `read_metadata`, used as a context manager.

    One thread at a time, but not always the same one.

    Attributes:
        path: the file.
        fields: types by field name, in the order of the columns.
        id_field: the column that holds the ids, or None.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: dict[str, FieldType] = {}
        self.id_field: str | None = None
        self._file_field: str | None = None
        # A database without a name is a temporary file that vanishes with the connection, even
        # when the process is killed.
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
    def problems(self) -> Iterator[Problem]:
        """Everything that was left out, by line: misfits, ragged rows, and after `match` rows
        that name several images or the same one as another row."""
        query = "SELECT line, detail, row, column, value FROM problems ORDER BY line, rowid"
        return itertools.starmap(Problem, self._db.execute(query))

    # --- reading ---

    def _read(
        self,
        id_field: str | None,
        known: Mapping[str, FieldType],
        declared: Mapping[str, FieldType],
    ) -> None:
        with self._writing():
            kinds = self._store_raw()
        columns = list(kinds)
        if not columns:
            raise MetadataError(self._says_nothing())
        self._locate(columns, id_field)
        for name in declared:
            if name not in columns:
                raise MetadataError(self._no_column(name, columns))
        with self._writing():
            self._choose_types(kinds, {**known, **declared})
            self._store_rows()
        self._check()

    def _store_raw(self) -> dict[str, Counter[FieldType | None]]:
        """Copies the file, and counts the kinds of values in each column."""
        format = format_of(self.path)
        kind_of = format.kind
        kinds: dict[str, Counter[FieldType | None]] = defaultdict(Counter)

        def entries() -> Iterator[tuple[int, str]]:
            for entry in format.rows(self.path):
                if isinstance(entry, Problem):
                    self._report(entry)
                    continue
                line, cells = entry
                for name, value in cells.items():
                    count = kinds[name]
                    if not is_missing(value):
                        count[kind_of(value)] += 1
                yield line, json.dumps(cells)

        self._db.executemany("INSERT INTO raw VALUES (?, ?)", entries())
        return kinds

    def _locate(self, columns: list[str], id_field: str | None) -> None:
        """Finds the columns that name a row's image and its id."""
        by_lower = {name.lower(): name for name in reversed(columns)}
        self.id_field = by_lower.get("id") if id_field is None else id_field
        if id_field is not None and id_field not in columns:
            raise MetadataError(self._no_column(id_field, columns))
        found = (by_lower[name] for name in FILE_COLUMNS if name in by_lower)
        self._file_field = next(found, None)
        if self.id_field is None and self._file_field is None:
            raise MetadataError(
                f"{self.path} has no column that names an image: call one of them file, path, "
                f"uri or id, or name the id's with --id-field; its columns are "
                f"{', '.join(columns)}."
            )

    def _no_column(self, name: str, columns: list[str]) -> str:
        near = difflib.get_close_matches(name, columns, n=1)
        guess = f'; did you mean "{near[0]}"?' if near else "."
        return f'{self.path} has no column "{name}"{guess} Its columns are {", ".join(columns)}.'

    def _choose_types(
        self, kinds: Mapping[str, Counter[FieldType | None]], given: Mapping[str, FieldType]
    ) -> None:
        for name, count in kinds.items():
            if name in (self.id_field, self._file_field) or not count.total():
                continue
            if not name:
                self._report(Problem(1, "a column without a name is left out"))
                continue
            type = given.get(name) or choose_type(count)
            try:
                user_field(name, type or FieldType.KEYWORD)
            except InputError as error:
                raise MetadataError(f"{self.path}: {error}") from None
            if type is None:
                detail = "holds objects or lists that fit no field; the column is left out"
                self._report(Problem(1, detail, column=name))
            else:
                self.fields[name] = type

    def _store_rows(self) -> None:
        raw = self._db.execute("SELECT line, cells FROM raw ORDER BY line")
        rows = (self._row(line, json.loads(cells)) for line, cells in raw)
        self._db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?)", filter(None, rows))
        self._db.execute("DELETE FROM raw")

    def _row(self, line: int, cells: Cells) -> tuple[int, bytes | None, bytes, str] | None:
        id = _name(cells.get(self.id_field)) if self.id_field else None
        id = id if id is None or is_unicode(id) else None
        name = _name(cells.get(self._file_field)) if self._file_field else id
        if name is None:
            column = self._file_field or self.id_field
            self._report(Problem(line, "is empty; the row is left out", id, column))
            return None
        if self.id_field and id is None:
            self._report(
                Problem(
                    line, "is empty or no text; the image goes by its address", name, self.id_field
                )
            )
        fields = {}
        for column, type in self.fields.items():
            value = cells.get(column)
            if not is_missing(value):
                try:
                    fields[column] = parse_value(type, value)
                except InputError as error:
                    detail = f"{error} ({type}); left out"
                    self._report(Problem(line, detail, name, column, quoted(value)))
        return line, None if id is None else as_bytes(id), name_key(name), json.dumps(fields)

    def _check(self) -> None:
        if not self._db.execute("SELECT 1 FROM rows LIMIT 1").fetchone():
            raise MetadataError(self._says_nothing())
        self._db.execute("CREATE INDEX ids ON rows (id)")
        twice = self._db.execute(
            "SELECT id, min(line), max(line) FROM rows WHERE id IS NOT NULL"
            " GROUP BY id HAVING count(*) > 1 ORDER BY 2 LIMIT 1"
        ).fetchone()
        if twice:
            id, first, again = twice
            raise MetadataError(
                f'{self.path} has the id "{as_text(id)}" on line {first} and on line {again}: '
                "give each row its own."
            )

    def _says_nothing(self) -> str:
        first = next(self.problems, None)
        why = f"for one thing, {first}" if first else "it has no rows"
        return f"{self.path} says nothing of any image: {why}."

    # --- matching ---

    def match(self, refs: Iterable[ImageRef], root_of: Callable[[ImageRef], str]) -> MatchSummary:
        """Stores the listing and finds each row's image in it. Call it once.

        Args:
            refs: the images; an address that comes again counts once.
            root_of: of an image, what its source's relative paths are relative to.

        Raises:
            MetadataError: there are images, and no row is about any of them.
        """
        with self._writing():
            store(self._db, refs, root_of)
            for problem in link(self._db, self.path.parent, by_id=self._file_field is None):
                self._report(problem)
        summary = summarize(self._db)
        if summary.images and not summary.matched:
            raise MetadataError(self._no_match(summary))
        return summary

    def matched(self) -> Iterator[tuple[ImageRef, list[Row]]]:
        """The listing that `match` stored, in its order, each image with its rows."""
        found = self._db.execute(
            "SELECT refs.n, uri, etag, size, modified_at, rows.line, rows.id, fields FROM refs"
            " LEFT JOIN links USING (n) LEFT JOIN rows USING (line) ORDER BY refs.n, rows.line"
        )
        for _, group in itertools.groupby(found, key=lambda entry: entry[0]):
            entries = list(group)
            _, uri, etag, size, modified_at, *_ = entries[0]
            yield (
                ImageRef(as_text(uri), etag, size, modified_at),
                [
                    Row(None if id is None else as_text(id), json.loads(fields))
                    for *_, line, id, fields in entries
                    if line is not None
                ],
            )

    def named(self, ids: Sequence[str]) -> set[str]:
        """Those of the ids that rows give to images of the listing."""
        marks = ", ".join("?" * len(ids))
        found = self._db.execute(
            "SELECT id FROM rows JOIN links USING (line) JOIN refs USING (n)"  # noqa: S608
            f" WHERE id IN ({marks})",
            [as_bytes(id) for id in ids],
        )
        return {as_text(id) for (id,) in found}

    def _no_match(self, summary: MatchSummary) -> str:
        column = self._file_field or self.id_field
        start = f"{self.path} matches none of the {summary.images} images: its {column}"
        if summary.ambiguous:
            return f'{start} "{summary.ambiguous_examples[0]}" fits several; write whole paths.'
        (name,) = self._db.execute("SELECT coalesce(inner, uri) FROM refs LIMIT 1").fetchone()
        return (
            f'{start} is such as "{summary.unmatched_examples[0]}", an image is such as '
            f'"{as_text(name)}"; write paths from the folder of {self.path.name} or from the '
            "folder that is indexed."
        )

    # --- the database ---

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction; without one each row would be its own."""
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise MetadataError(
                f"The rows of {self.path} could not be set aside in the folder for temporary "
                f"files ({error}): make room there, or point TMPDIR elsewhere."
            ) from error

    def _report(self, problem: Problem) -> None:
        texts = (problem.detail, problem.row, problem.column, problem.value)
        self._db.execute(
            "INSERT INTO problems VALUES (?, ?, ?, ?, ?)",
            (problem.line, *(text and text.encode(errors="replace").decode() for text in texts)),
        )


def _name(value: Any) -> str | None:
    """An id or a file as text: data frames write the id 5 as 5.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    return text or None
