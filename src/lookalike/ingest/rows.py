"""Rows of tables and data sets, as images to put into an index.

A table is a data frame of pandas or Polars, an Arrow table, or any iterable of mappings; a data set
is one of Hugging Face or torchvision, or any iterable of pairs of an image and a label; or a file
with rows. Rows are read one after the other, so that a generator is never held in memory.

Columns named `vector.` and an aspect, as an export has them, hold vectors; so does a column
`vector` or `embedding`, of the aspect semantic, unless it holds texts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from lookalike import record
from lookalike.errors import InputError, MetadataError
from lookalike.fields import OWN_FIELDS
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.uploads import Upload, UploadSource
from lookalike.metadata.readers import MetadataWarning, encoding_error, reader_for
from lookalike.metadata.table import Row
from lookalike.protocols import Source
from lookalike.system.inputs import id_of, plain_image
from lookalike.system.text import with_article
from lookalike.types import ImageRef

OpenFile: TypeAlias = Callable[[str], tuple[Source, ImageRef]]
"""Opens the source of one file, and refers to it."""

IMAGE_COLUMNS = ("image", "img", "picture", "file", "path", "uri", "filename", "file_name")
"""Columns that hold images or their paths, the likeliest first."""

VECTOR_PREFIX = "vector."
VECTOR_COLUMNS = ("vector", "embedding")
"""Columns that may hold vectors of the aspect semantic."""

_CHUNK = 1_000
"""Rows of a data frame that are converted together."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table, and their meaning.

    Attributes:
        image: column of the images; None for the first of `IMAGE_COLUMNS` that a row has.
        id: column of the ids; None for `id` where a row has it.
        fields: columns to store as fields; None for all others.
    """

    image: str | None = None
    id: str | None = None
    fields: Sequence[str] | None = None

    def image_of(self, row: Mapping[str, Any]) -> str:
        """The column of the image."""
        likely = ("uri",) if _is_exported(row) else IMAGE_COLUMNS
        for name in likely if self.image is None else (self.image,):
            if name in row:
                return name
        raise InputError(
            f"No column holds images: name one of {', '.join(map(str, row)) or 'none'} with "
            "image_field."
        )

    def id_of(self, row: Mapping[str, Any]) -> str | None:
        """The id of a row; None if it has none."""
        if self.id is not None and self.id not in row:
            raise InputError(f"There is no column {self.id!r}: name one of {', '.join(row)}.")
        value = _plain(row.get(self.id or "id"))
        if isinstance(value, float) and value.is_integer():  # pandas, in a column with gaps
            value = int(value)
        return None if value in (None, "") else id_of(value)

    def fields_of(self, row: Mapping[str, Any], image: str) -> dict[str, Any]:
        """The values to store."""
        own = OWN_FIELDS if _is_exported(row) else ()
        taken = (image, self.id or "id", *own)
        others = [name for name in row if name not in taken and not is_vector(name, row[name])]
        names = others if self.fields is None else self.fields
        missing = [name for name in names if name not in row]
        if missing:
            raise InputError(f"There is no column {missing[0]!r}: use {', '.join(map(str, row))}.")
        return {str(name): _plain(row[name]) for name in names}

    def vectors_of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The vectors of a row by aspect."""
        return {
            str(name).removeprefix(VECTOR_PREFIX) if name not in VECTOR_COLUMNS else "semantic": one
            for name, one in row.items()
            if is_vector(name, one) and one is not None
        }


def is_vector(name: Any, value: Any) -> bool:
    """Tells if a cell belongs to a column of vectors."""
    if name in VECTOR_COLUMNS:
        return not isinstance(value, str | Real)
    return isinstance(name, str) and name.startswith(VECTOR_PREFIX)


def _is_exported(row: Mapping[str, Any]) -> bool:
    """Tells if a row is of a table that an index has exported, with the fields of its record."""
    return record.SHA256 in row and record.INDEXED_AT in row


# --- reading --------------------------------------------------------------------------------


def read_images(images: Any, columns: Columns, open_file: OpenFile) -> Iterator[ListedImage]:
    """Lists uploads, rows, pairs or pictures, each with its fields.

    Raises:
        InputError: something holds no image, or a column does not exist.
    """
    labels, base = _labels_of(images), None
    if isinstance(images, str | os.PathLike):
        base = Path(images).parent
        images = read_rows(Path(images))
    for entry in _entries(images):
        if isinstance(entry, Upload):
            yield list_upload(entry)
            continue
        if isinstance(entry, tuple) and len(entry) == 2:
            entry = {"image": entry[0], "label": entry[1]}
        row = entry if isinstance(entry, Mapping) else {"image": entry}
        yield _listed(_with_names(row, labels), columns, open_file, base)


def read_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Reads the rows of a Parquet or JSON Lines file.

    Raises:
        MetadataError: it has another format, or cannot be read as it is.
    """
    if path.suffix.lower() not in (".parquet", ".pq", ".jsonl", ".ndjson"):
        raise MetadataError(
            f"{path} is not a Parquet or JSON Lines file: use .parquet or .jsonl; add images and "
            "the rows of a CSV file with `add`."
        )
    try:
        for entry in reader_for(path).rows(path, None):
            if isinstance(entry, MetadataWarning):
                raise MetadataError(f"{path}: {entry}.")
            yield entry[1]
    except OSError as error:
        raise MetadataError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise encoding_error(path, None) from error


def list_upload(upload: Upload) -> ListedImage:
    """An upload with a row of its id and its fields."""
    source = UploadSource(upload)
    id, fields = upload.id or upload.sha256, upload.fields or {}
    row = Row(id, fields, complete=False, vectors=upload.vector or {})
    return ListedImage(source, source.ref, [row])


def _listed(
    row: Mapping[str, Any], columns: Columns, open_file: OpenFile, base: Path | None
) -> ListedImage:
    name = columns.image_of(row)
    id, fields, vectors = columns.id_of(row), columns.fields_of(row, name), columns.vectors_of(row)
    image = _content(row[name])
    if isinstance(image, bytes):
        return list_upload(Upload(image, id=id, fields=fields, vector=vectors))
    path = os.fspath(image)
    if base is not None and (base / path).exists():
        path = str(base / path)
    source, ref = open_file(path)
    return ListedImage(source, ref, [Row(id, fields, complete=False, vectors=vectors)])


def _content(value: Any) -> str | os.PathLike[str] | bytes:
    """The path or the bytes of an image; data sets may hold both in a mapping."""
    if isinstance(value, Mapping) and {"bytes", "path"} & set(value):
        value = value.get("bytes") or value.get("path")
    return plain_image(value)


def _entries(images: Any) -> Iterator[Any]:
    """The rows or the entries of a table or a data set."""
    if isinstance(images, Upload | Mapping | bytes):
        raise InputError("`put` takes several images: give a list, a table or a data set.")
    if hasattr(images, "iter_rows"):  # Polars
        yield from images.iter_rows(named=True)
    elif hasattr(images, "to_batches"):  # Arrow
        for batch in images.to_batches(max_chunksize=_CHUNK):
            yield from batch.to_pylist()
    elif hasattr(images, "iloc") and hasattr(images, "columns"):  # pandas
        for start in range(0, len(images), _CHUNK):
            yield from images.iloc[start : start + _CHUNK].to_dict("records")
    elif isinstance(images, Iterable):
        yield from images
    elif hasattr(images, "__getitem__") and hasattr(images, "__len__"):  # torchvision
        yield from (images[i] for i in range(len(images)))
    else:
        raise InputError(
            "`put` takes uploads, a table or a data set (got "
            f"{with_article(type(images).__name__)})."
        )


def _labels_of(images: Any) -> Mapping[str, Sequence[str]]:
    """The names that stand for the numbers in columns of labels."""
    features = getattr(images, "features", None)  # Hugging Face
    if isinstance(features, Mapping):
        names = {column: getattr(kind, "names", None) for column, kind in features.items()}
        return {column: several for column, several in names.items() if several}
    classes = getattr(images, "classes", None)  # torchvision
    return {"label": classes} if isinstance(classes, list | tuple) and classes else {}


def _with_names(row: Mapping[str, Any], labels: Mapping[str, Sequence[str]]) -> Mapping[str, Any]:
    names = {
        column: several[row[column]]
        for column, several in labels.items()
        if isinstance(row.get(column), Integral) and 0 <= row[column] < len(several)
    }
    return {**row, **names}


def _plain(value: Any) -> Any:
    """A value as JSON has it; None for the missing values of every library."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, datetime | date | time):
        return None if value != value else value.isoformat()
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real | Decimal):
        return None if value != value else float(value)
    if hasattr(value, "tolist"):  # numbers and arrays of NumPy, and tensors
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set):
        return [_plain(part) for part in value]
    return None if type(value).__name__ in ("NAType", "NaTType") else value
