"""The contents of an index as a table: CSV, JSON Lines, Parquet, Arrow."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from lookalike import record
from lookalike.errors import InputError
from lookalike.fields import Field
from lookalike.record import record_of
from lookalike.system.files import Draft, sync
from lookalike.system.iteration import batched
from lookalike.system.times import parse_datetime
from lookalike.types import FieldType, Point, VectorSpec

STANDARD_OUTPUT = "-"
BATCH = 1_000
"""Rows that are converted together."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table.

    Attributes:
        name: its name: a field's, or `vector.` and the name of an aspect.
        type: the type of its values; the size of its vectors for a column of these.
        value: returns the value of a row.
    """

    name: str
    type: FieldType | int
    value: Callable[[Point], Any]


Columns: TypeAlias = Sequence[TableColumn]


def columns_of(
    fields: Mapping[str, Field], vectors: Mapping[str, VectorSpec], *, with_vectors: bool
) -> list[TableColumn]:
    """The columns: id and address, the user's fields, those of the record, and the vectors."""
    users = [name for name in fields if not name.startswith(f"{record.KEY}.")]
    own = [name for name in fields if name not in (*users, record.ID, record.URI, record.FOLDER)]
    columns = [
        TableColumn("id", FieldType.KEYWORD, lambda point: point.id),
        TableColumn("uri", FieldType.KEYWORD, lambda point: record_of(point.payload)["uri"]),
        *(TableColumn(n, fields[n].type, _user_value(n)) for n in users if n not in ("id", "uri")),
        *(TableColumn(name, fields[name].type, _own_value(name)) for name in own),
    ]
    for name, spec in vectors.items() if with_vectors else ():
        column = f"vector.{spec.aspect or name}"
        columns.append(TableColumn(column, spec.size, _vector(name)))
    return columns


def _user_value(name: str) -> Callable[[Point], Any]:
    return lambda point: point.payload.get(name)


def _own_value(name: str) -> Callable[[Point], Any]:
    key = name.removeprefix(f"{record.KEY}.")

    def value(point: Point) -> Any:
        own: Mapping[str, Any] = point.payload[record.KEY]
        found = own.get(key)
        if found and name == record.GPS:
            return f"{found['lat']}, {found['lon']}"
        return [color["name"] for color in found or ()] if name == record.COLORS else found

    return value


def _vector(name: str) -> Callable[[Point], Any]:
    return lambda point: point.vectors[name].tolist() if name in point.vectors else None


# --- Arrow ----------------------------------------------------------------------------------


def arrow_table(points: Iterable[Point], columns: Columns) -> Any:
    """An Arrow table of some points.

    Raises:
        InputError: pyarrow is not installed.
    """
    arrow = _arrow()
    batches = list(_arrow_batches(points, columns))
    return arrow.Table.from_batches(batches, schema=_schema(columns))


def _arrow() -> Any:
    try:
        import pyarrow  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise InputError(
            "Arrow tables and Parquet files need a library: pip install 'lookalike[parquet]'."
        ) from None
    return pyarrow


def _schema(columns: Columns) -> Any:
    arrow = _arrow()
    types = {
        FieldType.INTEGER: arrow.int64(),
        FieldType.FLOAT: arrow.float64(),
        FieldType.BOOLEAN: arrow.bool_(),
        FieldType.DATETIME: arrow.timestamp("us", tz="UTC"),
        FieldType.KEYWORD: arrow.string(),
        FieldType.KEYWORDS: arrow.list_(arrow.string()),
        FieldType.TEXT: arrow.string(),
        FieldType.GEO: arrow.string(),
    }
    return arrow.schema(
        [
            (
                column.name,
                types[column.type]
                if isinstance(column.type, FieldType)
                else arrow.list_(arrow.float32(), column.type),
            )
            for column in columns
        ]
    )


def _arrow_batches(points: Iterable[Point], columns: Columns) -> Iterator[Any]:
    arrow, schema = _arrow(), _schema(columns)
    for several in batched(points, BATCH):
        arrays = [
            arrow.array([_arrow_value(column, point) for point in several], type=field.type)
            for column, field in zip(columns, schema, strict=True)
        ]
        yield arrow.RecordBatch.from_arrays(arrays, schema=schema)


def _arrow_value(column: TableColumn, point: Point) -> Any:
    value = column.value(point)
    if column.type is FieldType.DATETIME and isinstance(value, str):
        return parse_datetime(value)
    return value


# --- files ----------------------------------------------------------------------------------


def check_target(file: str, *, with_vectors: bool, replace: bool) -> None:
    """Checks that a table can be written, before any work.

    Raises:
        InputError: the format is unknown or holds no vectors, or the file exists.
    """
    suffix = _suffix(file)
    if suffix not in _WRITERS:
        raise InputError(f"{file} has no format: end its name in {', '.join(_WRITERS)}.")
    if suffix == ".csv" and with_vectors:
        raise InputError("CSV holds no vectors: write a .parquet or a .jsonl file, or leave them.")
    if suffix == ".parquet":
        _arrow()
    if file != STANDARD_OUTPUT and not replace and Path(file).exists():
        raise InputError(f"{file} exists: add --replace, or name another file.")


def write_table(points: Iterable[Point], columns: Columns, file: str) -> int:
    """Writes a table to a file whole, or to standard output; returns the number of its rows.

    Raises:
        InputError: the file cannot be written.
    """
    count = 0

    def counted() -> Iterator[Point]:
        nonlocal count
        for point in points:
            count += 1
            yield point

    try:
        with _opened(file) as output:
            _WRITERS[_suffix(file)](counted(), columns, output)
    except OSError as error:
        raise InputError(f"{file} cannot be written ({error.strerror}): name another.") from None
    return count


def _suffix(file: str) -> str:
    return ".jsonl" if file == STANDARD_OUTPUT else Path(file).suffix.lower()


def _opened(file: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdout.buffer) if file == STANDARD_OUTPUT else _draft(Path(file))


@contextmanager
def _draft(file: Path) -> Iterator[IO[bytes]]:
    draft = Draft(file)
    try:
        with draft.path.open("wb") as output:
            yield output
            sync(output)
        draft.commit()
    except BaseException:
        draft.discard()
        raise


def _write_csv(points: Iterable[Point], columns: Columns, output: IO[bytes]) -> None:
    def line(values: Iterable[Any]) -> None:
        writer.writerow(values)
        output.write(buffer.take().encode())

    buffer = _Buffer()
    writer = csv.writer(buffer, lineterminator="\n")
    line(column.name for column in columns)
    for point in points:
        line(_cell(column.value(point)) for column in columns)


class _Buffer:
    """The text that a CSV writer has written last."""

    def __init__(self) -> None:
        self._text = ""

    def write(self, text: str) -> int:
        self._text += text
        return len(text)

    def take(self) -> str:
        text, self._text = self._text, ""
        return text


def _cell(value: Any) -> str:
    """A value as metadata files spell it: lists as `a|b`, or as JSON where a part has a `|`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        plain = len(value) > 1 and not any("|" in part or not part.strip() for part in value)
        return "|".join(value) if plain else json.dumps(value, ensure_ascii=False) if value else ""
    return repr(value) if isinstance(value, float) else str(value)


def _write_lines(points: Iterable[Point], columns: Columns, output: IO[bytes]) -> None:
    for point in points:
        values = {column.name: column.value(point) for column in columns}
        row = {name: value for name, value in values.items() if value not in (None, [])}
        output.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _write_parquet(points: Iterable[Point], columns: Columns, output: IO[bytes]) -> None:
    from pyarrow import parquet

    with parquet.ParquetWriter(output, _schema(columns)) as writer:
        for batch in _arrow_batches(points, columns):
            writer.write_batch(batch)


_WRITERS: Mapping[str, Callable[[Iterable[Point], Columns, IO[bytes]], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_lines,
    ".parquet": _write_parquet,
}
