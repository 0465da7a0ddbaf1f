"""Rows of a CSV, JSON Lines or Parquet file, one at a time."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from lookalike.errors import MetadataError
from lookalike.fields import kind_of, kind_of_text, quoted
from lookalike.system.times import format_datetime, to_utc
from lookalike.types import FieldType

__all__ = ["Cells", "Format", "Problem", "format_of", "is_missing", "not_utf8"]

Cells: TypeAlias = dict[str, Any]
"""JSON values by column."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a metadata file that was left out: reported, not guessed.

    Attributes:
        line: of the file, from 1; in Parquet, where there are no lines, the row.
        row: the file or the id that the row names, as far as it could be read.
        column: the column, where it is about one.
        value: the value as it stands there.
        detail: what is wrong with it.
    """

    line: int
    detail: str
    row: str | None = None
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        of = f" ({self.row})" if self.row is not None else ""
        column = f"{self.column}: " if self.column is not None else ""
        return f"line {self.line}{of}: {column}{self.detail}"


@dataclass(frozen=True, slots=True)
class Format:
    """How one kind of file is read.

    Attributes:
        rows: each row with its line, or a problem in its place; the columns' names come from
            the cells. Raises MetadataError, OSError or UnicodeDecodeError.
        kind: the narrowest type of one cell's value.
    """

    rows: Callable[[Path], Iterator[tuple[int, Cells] | Problem]]
    kind: Callable[[Any], FieldType | None]


def format_of(path: Path) -> Format:
    """The format that the file's extension names.

    Raises:
        MetadataError: it names none that is known.
    """
    try:
        return _FORMATS[path.suffix.lower()]
    except KeyError:
        raise MetadataError(
            f"{path} is not a metadata file: use .csv, .tsv, .jsonl, .ndjson or .parquet."
        ) from None


def is_missing(value: Any) -> bool:
    """Whether a cell says nothing: empty, null, an empty list, or not a number."""
    return value is None or value in ("", []) or (isinstance(value, float) and math.isnan(value))


# --- CSV ------------------------------------------------------------------------------------


def _csv_rows(path: Path) -> Iterator[tuple[int, Cells] | Problem]:
    limit = csv.field_size_limit(2**31 - 1)  # the module's own, 128 KB, is one for all readers
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            delimiter = _delimiter(file.readline())
            file.seek(0)
            yield from _csv_cells(csv.reader(file, delimiter=delimiter, strict=True), path)
    finally:
        csv.field_size_limit(limit)


def _delimiter(header: str) -> str:
    """Spreadsheets write semicolons where the decimal sign is a comma."""
    return max(",;\t", key=header.count)


def _csv_cells(reader: Any, path: Path) -> Iterator[tuple[int, Cells] | Problem]:
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1  # a quoted cell may hold line breaks: this is the row's first
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as error:
            raise MetadataError(
                f"{path}, line {line}: {error}: close its quotes, and double a quote in a cell."
            ) from error
        if not any(cells):
            continue
        if header is None:
            header = cells
            _check_header(header, path)
            continue
        named, extra = cells[: len(header)], cells[len(header) :]
        if any(extra) or len(named) < len(header):  # spreadsheets pad rows with empty cells
            yield Problem(line, f"has {len(cells)} cells under {len(header)} columns; left out")
        else:
            yield line, dict(zip(header, named, strict=True))


def _check_header(header: Sequence[str], path: Path) -> None:
    for name in filter(None, header):
        if header.count(name) > 1:
            raise MetadataError(f'{path} has two columns "{name}": rename one of them.')


# --- JSON Lines -----------------------------------------------------------------------------


def _json_rows(path: Path) -> Iterator[tuple[int, Cells] | Problem]:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                cells = json.loads(text)
            except (ValueError, RecursionError):
                cells = None
            if isinstance(cells, dict):
                yield line, cells
            else:
                yield Problem(line, "is not a JSON object; left out", value=quoted(text.strip()))


# --- Parquet --------------------------------------------------------------------------------


def _parquet_rows(path: Path) -> Iterator[tuple[int, Cells] | Problem]:
    try:
        import pyarrow as arrow  # type: ignore[import-untyped]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ImportError as error:
        raise MetadataError(
            f"Reading {path} needs pyarrow: pip install 'lookalike[parquet]', or save it as CSV."
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            _check_header(file.schema_arrow.names, path)
            line = 0
            for batch in file.iter_batches(batch_size=4096):
                columns = [_from_arrow(column) for column in batch.columns]
                for values in zip(*columns, strict=True):
                    line += 1
                    yield line, dict(zip(batch.schema.names, values, strict=True))
    except arrow.ArrowException as error:
        raise MetadataError(f"{path} is no sound Parquet file ({error}): write it anew.") from error


def _from_arrow(column: Any) -> list[Any]:
    """The column's values as JSON has them."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python's datetime ends at microseconds, and so does the engine's.
        column = column.cast(arrow.timestamp("us", tz=column.type.tz), safe=False)
    return [_plain(value) for value in column.to_pylist()]


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return format_datetime(to_utc(value))
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_plain(part) for part in value]
    return {"": repr(value)}  # bytes, structs, maps, times: nothing a field can hold


_CSV = Format(_csv_rows, kind_of_text)
_JSON = Format(_json_rows, kind_of)
_PARQUET = Format(_parquet_rows, kind_of)
_FORMATS = {
    ".csv": _CSV,
    ".tsv": _CSV,
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}


# --- encoding -------------------------------------------------------------------------------


def not_utf8(path: Path) -> MetadataError:
    """The error for a text file in another encoding: names the first byte that is not UTF-8."""
    at = 0
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            try:
                text.decode()
            except UnicodeDecodeError as error:
                return MetadataError(
                    f"{path} is not UTF-8: byte {at + error.start} (line {line}) is "
                    f"0x{text[error.start]:02x}; save it as UTF-8."
                )
            at += len(text)
    return MetadataError(f"{path} is not UTF-8: save it as UTF-8.")
