"""Files of catalog feeds: XML, JSON and tables, told apart by their contents."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias
from xml.parsers import expat

from lookalike.errors import MetadataError
from lookalike.fields import kind_of
from lookalike.metadata.notation import Decimal
from lookalike.metadata.products import Entry, dialect_of, products, shopify_products
from lookalike.metadata.readers import Cells, MetadataWarning, Reader, detect_encoding, reader_for

FEED_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "xml",
        "rss",
        "atom",
        "csv",
        "tsv",
        "txt",
        "json",
        "jsonl",
        "ndjson",
        "parquet",
        "pq",
    )
)
"""Extensions of files that are feeds where they are named in place of images."""

_START = 2_048
_SAMPLE = 100
"""Rows by which a dialect is recognized: in XML, a row has only the columns that it fills."""
_CHUNK = 2**16
_MAX_JSON = 2**28
_MAX_CELL = 2**20
_ITEMS = frozenset({"item", "entry"})

_Conversion: TypeAlias = Callable[[Iterable[Entry]], Iterator[Entry]]


def feed_reader(path: Path, encoding: str | None, decimal: Decimal | None) -> Reader:
    """The reader of a feed. A plain table keeps its columns, others have those of products.

    Raises:
        MetadataError: the file is not a feed.
        OSError, UnicodeDecodeError: it cannot be read.
    """
    raw = _raw_reader(path, encoding)
    entries = raw.rows(path, encoding)
    sample = islice((e for e in entries if not isinstance(e, MetadataWarning)), _SAMPLE)
    columns = {column for _, cells in sample for column in cells}
    dialect = dialect_of(columns)
    if {"handle", "images"} <= columns:
        convert: _Conversion = partial(shopify_products, decimal=decimal)
    elif dialect is not None:
        convert = partial(products, dialect=dialect, decimal=decimal)
    else:
        return replace(raw, skips=True)
    return Reader(
        lambda path, encoding: convert(raw.rows(path, encoding)),
        kind_of,
        exact=True,
        skips=True,
    )


def _raw_reader(path: Path, encoding: str | None) -> Reader:
    """The reader of the rows as they are in the file, by its first characters."""
    with path.open("rb") as file:
        start = file.read(_START)
    text = start.decode(encoding or detect_encoding(path), "replace").lstrip("\ufeff \t\r\n")
    if text[:15].lower().startswith(("<!doctype html", "<html")):
        raise _html(path)
    if text.startswith("<"):
        return Reader(_xml_rows, kind_of)
    if start.startswith(b"PAR1"):
        return reader_for(path.with_suffix(".parquet"))
    if text.startswith(("{", "[")):
        lines = path.suffix.lower() in (".jsonl", ".ndjson")
        return Reader(_json_lines if lines else _json_rows, kind_of)
    if not text:
        raise MetadataError(f"{path} is empty: give a feed with rows.")
    if start[:2] == b"PK":
        raise MetadataError(f"{path} is a ZIP archive: unpack it first, or compress it by gzip.")
    return reader_for(path.with_suffix(".csv"))


def _html(path: Path) -> MetadataError:
    return MetadataError(
        f"{path} is an HTML page, not a feed: open it in a browser to see whether it asks for a "
        "login or shows an error."
    )


# --- JSON -----------------------------------------------------------------------------------


def _json_rows(path: Path, encoding: str | None) -> Iterator[Entry]:
    """The rows of one JSON document: a list of objects, or an object with such a list."""
    if path.stat().st_size > _MAX_JSON:
        raise MetadataError(
            f"{path} has more than {_MAX_JSON:,} bytes in one JSON document: write it as JSON "
            "Lines (.jsonl), one object a line."
        )
    text = path.read_text(encoding or detect_encoding(path))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MetadataError(
            f"{path} is not valid JSON ({error}): it may have been cut off; download it again."
        ) from None
    if isinstance(document, dict):
        document = next(filter(_is_rows, document.values()), [])
    for line, cells in enumerate(document, start=1):
        yield _json_entry(line, cells)


def _json_lines(path: Path, encoding: str | None) -> Iterator[Entry]:
    for entry in reader_for(path).rows(path, encoding):
        yield entry if isinstance(entry, MetadataWarning) else _json_entry(*entry)


def _json_entry(line: int, cells: Any) -> Entry:
    if not isinstance(cells, dict):
        return MetadataWarning(line, "is not a JSON object; left out")
    return line, cells


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


# --- XML ------------------------------------------------------------------------------------


def _xml_rows(path: Path, encoding: str | None) -> Iterator[Entry]:
    """The items of RSS or Atom, in bounded memory. Documents that declare entities, which could
    expand to any size or name other files, are refused."""
    parser = expat.ParserCreate(encoding)
    items = _Items(path)
    parser.buffer_text = True
    parser.StartElementHandler = items.start
    parser.EndElementHandler = items.end
    parser.CharacterDataHandler = items.text
    parser.StartDoctypeDeclHandler = items.doctype
    parser.EntityDeclHandler = items.entity
    try:
        with path.open("rb") as file:
            for chunk in chain(iter(partial(file.read, _CHUNK), b""), [b""]):
                parser.Parse(chunk, not chunk)
                while items.done:
                    yield items.done.popleft()
    except expat.ExpatError as error:
        raise MetadataError(_broken(path, error)) from None
    except (LookupError, ValueError):
        raise MetadataError(
            f"{path} is in an encoding that is not known: name it with --encoding."
        ) from None


def _broken(path: Path, error: expat.ExpatError) -> str:
    why = expat.ErrorString(error.code)
    cut_off = error.code in (
        expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS],
        expat.errors.codes[expat.errors.XML_ERROR_UNCLOSED_TOKEN],
    )
    if cut_off:
        return f"{path} ends early, on line {error.lineno}: download it again."
    return (
        f"{path} is not valid XML (line {error.lineno}: {why}): mend that line, or name the "
        "file's encoding with --encoding."
    )


class _Items:
    """Collects the items of a document as a parser calls it.

    Attributes:
        done: items that are complete, with their numbers: all may be on one line.
    """

    def __init__(self, path: Path) -> None:
        self.done: deque[Entry] = deque()
        self._count = 0
        self._path = path
        self._item: Cells | None = None
        self._depth = 0
        self._nested = False
        self._parts: list[str] = []
        self._size = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._item is None:
            if name.rpartition(":")[2] in _ITEMS:
                self._item, self._depth = {}, 0
                self._count += 1
            return
        self._depth += 1
        if self._depth == 1:
            self._parts, self._size, self._nested = [attributes.get("href", "")], 0, False
        else:
            self._nested = True

    def end(self, name: str) -> None:
        if self._item is None:
            return
        if self._depth == 0:
            self.done.append((self._count, self._item))
            self._item = None
        elif self._depth == 1 and not self._nested:
            text = "".join(self._parts).strip()
            before = self._item.get(name)
            if isinstance(before, list):
                before.append(text)
            else:
                self._item[name] = text if before is None else [before, text]
        self._depth -= 1

    def text(self, text: str) -> None:
        if self._item is not None and self._depth == 1:
            self._size += len(text)
            if self._size <= _MAX_CELL:
                self._parts.append(text)

    def doctype(self, name: str, *_: object) -> None:
        if name.lower() == "html":
            raise _html(self._path)

    def entity(self, name: str, *_: object) -> None:
        raise MetadataError(
            f'{self._path} declares the entity "{name}", which feeds do not need and lookalike '
            "does not read: remove its document type declaration."
        )
