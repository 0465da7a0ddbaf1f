"""Metadata files for tests, opened as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MetadataError
from lookalike.metadata.table import MetadataTable, Row, read_metadata
from lookalike.types import ImageRef


@contextmanager
def open_table(path: Path, content: str | bytes, **options: Any) -> Iterator[MetadataTable]:
    """Writes a metadata file and reads it; the options are those of `read_metadata`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with read_metadata(path, **options) as table:
        yield table


def ref(uri: Path | str) -> ImageRef:
    return ImageRef(str(uri), "etag", 1)


def rows_of(table: MetadataTable, root: Path, *names: str) -> dict[str, list[Row]]:
    """The rows of images below `root`, by name."""
    table.match((ref(root / name) for name in names), lambda _: str(root))
    return {Path(found.uri).relative_to(root).as_posix(): rows for found, rows in table.matched()}


def one_row(table: MetadataTable, root: Path, name: str = "a.jpg") -> Mapping[str, Any]:
    """The fields of the only row of an image."""
    (row,) = rows_of(table, root, name)[name]
    return row.fields


def error_message(path: Path, content: str | bytes, **options: Any) -> str:
    """The error for a metadata file that cannot be used: one sentence."""
    with pytest.raises(MetadataError) as caught, open_table(path, content, **options):
        pass
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message
