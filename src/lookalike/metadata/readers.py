"""Readers of metadata files: the rows of CSV, JSON Lines and Parquet, one at a time."""

from __future__ import annotations

import codecs
import csv
import json
import re
import string
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

__all__ = ["Cells", "MetadataWarning", "Reader", "check_encoding", "encoding_error", "reader_for"]

Cells: TypeAlias = dict[str, Any]
"""JSON values by column."""


@dataclass(frozen=True, slots=True)
class MetadataWarning:
    """A part of a metadata file that was left out.

    Attributes:
        line: line of the file, from 1; in Parquet, XML and JSON documents, the row. 0 stands for
            the whole file.
        detail: the problem.
        row: the file or id that the row names, if it could be read.
        column: the column, if the problem is in one.
        value: the value in the file.
    """

    line: int
    detail: str
    row: str | None = None
    column: str | None = None
    value: str | None = None

    def __str__(self) -> str:
        row = f" ({self.row})" if self.row is not None else ""
        line = f"line {self.line}{row}: " if self.line else ""
        column = f"{self.column}: " if self.column is not None else ""
        return f"{line}{column}{self.detail}"


@dataclass(frozen=True, slots=True)
class Reader:
    """The functions that read one file format.

    Attributes:
        rows: takes the file and its encoding, None to detect it. Yields each row with its line, or
            a warning in its place. Columns are the keys of the cells. Raises MetadataError, OSError
            or UnicodeDecodeError.
        kind: returns the narrowest type of a cell's value.
        texts: whether all cells are texts, so that a text may be a number.
        exact: whether all values have the types that they are to have, so that no text is read.
        skips: whether rows without images, and with ids of earlier rows, are passed over, as in
            feeds. Elsewhere they are mistakes.
    """

    rows: Callable[[Path, str | None], Iterator[tuple[int, Cells] | MetadataWarning]]
    kind: Callable[[Any], FieldType | None]
    texts: bool = False
    exact: bool = False
    skips: bool = False


def reader_for(path: Path) -> Reader:
    """The reader for a file, by its extension.

    Raises:
        MetadataError: the extension is unknown.
    """
    try:
        return _READERS[path.suffix.lower()]
    except KeyError:
        raise MetadataError(
            f"{path} is not a metadata file: use .csv, .tsv, .jsonl, .ndjson or .parquet."
        ) from None


# --- CSV ------------------------------------------------------------------------------------


_SEP_LINE = re.compile(r'"?sep=(?P<sign>.)"?\s*', re.IGNORECASE)
"""The line before the header in which Excel declares the delimiter."""
_BLANKS = string.whitespace + "\0\u00a0\u3000"
"""Characters around a cell that mean nothing; some programs fill cells up with NUL."""
_QUOTED = re.compile(r'"[^"]*"')


def _csv_rows(path: Path, encoding: str | None) -> Iterator[tuple[int, Cells] | MetadataWarning]:
    limit = csv.field_size_limit(2**31 - 1)  # the default, 128 KB, is the whole process's
    try:
        with path.open(encoding=encoding or detect_encoding(path), newline="") as file:
            first = file.readline()
            declared = _SEP_LINE.fullmatch(first)
            delimiter = declared["sign"] if declared else _delimiter(first)
            if not declared:
                file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            yield from _csv_cells(reader, path, lines_before=1 if declared else 0)
    finally:
        csv.field_size_limit(limit)


def _delimiter(header: str) -> str:
    """Guesses the delimiter: spreadsheets write semicolons where decimals have commas."""
    return max(",;\t|", key=_QUOTED.sub("", header).count)


def _csv_cells(
    reader: Any, path: Path, *, lines_before: int
) -> Iterator[tuple[int, Cells] | MetadataWarning]:
    header: list[str] | None = None
    while True:
        line = (
            lines_before + reader.line_num + 1
        )  # the row's first line: quoted cells may have more
        try:
            cells = [cell.strip(_BLANKS) for cell in next(reader)]
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
            found = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
            columns = "1 column" if len(header) == 1 else f"{len(header)} columns"
            yield MetadataWarning(line, f"has {found} under {columns}; left out")
        else:
            yield line, dict(zip(header, named, strict=True))


def _check_header(header: Sequence[str], path: Path) -> None:
    for name in filter(None, header):
        if "\0" in name:
            raise MetadataError(
                f"{path} has NUL bytes in its header: save it as UTF-8, or name its encoding with "
                "--encoding."
            )
        if header.count(name) > 1:
            raise MetadataError(f'{path} has two columns "{name}": rename one of them.')


# --- JSON Lines -----------------------------------------------------------------------------


def _json_rows(path: Path, encoding: str | None) -> Iterator[tuple[int, Cells] | MetadataWarning]:
    with path.open(encoding=encoding or detect_encoding(path)) as file:
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
                yield MetadataWarning(
                    line, "is not a JSON object on one line; left out", value=quoted(text.strip())
                )


# --- Parquet --------------------------------------------------------------------------------


def _parquet_rows(
    path: Path, encoding: str | None
) -> Iterator[tuple[int, Cells] | MetadataWarning]:
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
        raise MetadataError(
            f"{path} is not a valid Parquet file ({error}): write it again."
        ) from error


def _from_arrow(column: Any) -> list[Any]:
    """Converts a column to JSON values."""
    import pyarrow as arrow

    if arrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if arrow.types.is_timestamp(column.type) and column.type.unit == "ns":
        # Python and the engine keep microseconds.
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
    return {"": repr(value)}  # bytes, structs, maps, times: no field can hold them


_CSV = Reader(_csv_rows, kind_of_text, texts=True)
_JSON = Reader(_json_rows, kind_of)
_PARQUET = Reader(_parquet_rows, kind_of)
_READERS = {
    ".csv": _CSV,
    ".tsv": _CSV,
    ".jsonl": _JSON,
    ".ndjson": _JSON,
    ".parquet": _PARQUET,
    ".pq": _PARQUET,
}


# --- encoding -------------------------------------------------------------------------------


_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def detect_encoding(path: Path) -> str:
    """The encoding that the first bytes of a text file show: UTF-16, or else UTF-8."""
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _MARKS.items():
        if start.startswith(mark):
            return encoding
    if len(start) == 4 and start[1::2] == b"\0\0":
        return "utf-16-le"
    return "utf-16-be" if len(start) == 4 and start[::2] == b"\0\0" else "utf-8"


def check_encoding(name: str) -> str:
    """Returns the name of an encoding.

    Raises:
        MetadataError: there is no such encoding of text.
    """
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise MetadataError(
            f"{name!r} is not an encoding: use utf-8, utf-16, cp1252 or latin-1, for example."
        ) from None
    return name


def encoding_error(path: Path, encoding: str | None) -> MetadataError:
    """The error for a text file in another encoding; names the first byte that is not UTF-8."""
    name = encoding or detect_encoding(path)
    remedy = "save it as UTF-8, or name its encoding with --encoding, such as cp1252"
    offset = 0
    with path.open("rb") as file:
        for line, text in enumerate(file if name.startswith("utf-8") else (), start=1):
            try:
                text.decode()
            except UnicodeDecodeError as error:
                return MetadataError(
                    f"{path} is not UTF-8: byte {offset + error.start} (line {line}) is "
                    f"0x{text[error.start]:02x}; {remedy}."
                )
            offset += len(text)
    return MetadataError(f"{path} is not {name.upper()}: {remedy}.")
