"""Lists of a bucket's keys: CSV and Parquet files, and S3 Inventories, which are many of them.

The columns are those of S3 Inventory: a key, and if it is known its bucket, size, time and ETag. A
list that has been cut off, or that does not say what its columns are, is an error: half a list must
not pass for a whole one.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
import posixpath
import re
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

from lookalike.errors import SourceError
from lookalike.sources._object_store import Bucket
from lookalike.system.times import format_datetime, parse_datetime

_COLUMNS = {
    **{name: name for name in ("bucket", "key", "size", "etag", "address")},
    **dict.fromkeys(("uri", "url"), "address"),
    **dict.fromkeys(("lastmodified", "lastmodifieddate"), "modified"),
    "islatest": "latest",
    "isdeletemarker": "deleted",
}
"""Columns that say something, by their names in lower case without signs."""
_INVENTORY = ("bucket", "key", "size", "modified", "etag")
"""Columns of a file with several and without a header."""
_MANIFEST = ".json"
FILES = 8
"""Files of an inventory for each part, so that parts are about equal."""


class ListedKey(NamedTuple):
    """A row of a list.

    Attributes:
        uri: address of the object.
        size, etag: those of the object when the list was made; None and empty if it does not tell.
        modified_at: time of its last change, RFC 3339; empty likewise.
    """

    uri: str
    size: int | None
    etag: str
    modified_at: str


class _Manifest(NamedTuple):
    """The manifest of an inventory.

    Attributes:
        files: keys and checksums of its files.
        columns: those of CSV files; None for files that name theirs.
        bucket: where the files are.
    """

    files: Sequence[tuple[str, str]]
    columns: Sequence[str] | None
    bucket: str


class KeyList:
    """A list of keys.

    Args:
        name: path or address of a CSV or Parquet file, or of the `manifest.json` of an inventory.
        open_bucket: opens the bucket of an address, by scheme and name.
    """

    def __init__(self, name: str, open_bucket: Callable[[str, str], Bucket]) -> None:
        self.name = name
        self._open_bucket = open_bucket

    @property
    def is_inventory(self) -> bool:
        """True for an inventory, which names each key once."""
        return self.name.endswith(_MANIFEST)

    def keys(self, bucket: str) -> Iterator[ListedKey]:
        """Reads the list, in bounded memory.

        Args:
            bucket: address of the bucket of rows that name none.

        Raises:
            SourceError: it cannot be read, or is not whole.
        """
        if self.is_inventory:
            yield from self._of_files(self._manifest(), bucket)
        else:
            with self._file(self.name) as path:
                yield from _keys(path, self.name, bucket, None)

    def keys_of_files(self, bucket: str, part: tuple[int, int]) -> Iterator[ListedKey] | None:
        """As `keys`, from the files of an inventory that belong to a part, given by its number,
        from 1, and the number of parts; None if there are too few files."""
        if not self.is_inventory:
            return None
        number, count = part
        manifest = self._manifest()
        if len(manifest.files) < count * FILES:
            return None
        return self._of_files(manifest._replace(files=manifest.files[number - 1 :: count]), bucket)

    def _manifest(self) -> _Manifest:
        with self._file(self.name) as path:
            try:
                manifest = json.loads(path.read_bytes())
                kind, schema = manifest["fileFormat"], manifest["fileSchema"]
                files = [(one["key"], one["MD5checksum"]) for one in manifest["files"]]
                target = manifest["destinationBucket"].rpartition(":")[2]
            except (ValueError, KeyError, TypeError, AttributeError):
                raise SourceError(f"{self.name} is not the manifest of an S3 Inventory.") from None
        if kind not in ("CSV", "Parquet"):
            raise SourceError(
                f"{self.name} is an inventory of the format {kind}: choose CSV or Parquet for it."
            )
        return _Manifest(files, _known(schema.split(",")) if kind == "CSV" else None, target)

    def _of_files(self, manifest: _Manifest, bucket: str) -> Iterator[ListedKey]:
        for key, md5 in manifest.files:
            name = self._beside(manifest.bucket, key)
            with self._file(name, md5) as path:
                yield from _keys(path, name, bucket, manifest.columns)

    def _beside(self, target: str, key: str) -> str:
        """The path or address of an inventory's file: where it was written, or, for a manifest on
        this machine, in its folder, or where a copy of the whole inventory has it."""
        scheme, separator, _ = self.name.partition("://")
        if separator:
            return f"{scheme}://{target}/{key}"
        folder, name = Path(self.name).parent, posixpath.basename(key)
        places = (folder / name, folder / "data" / name, folder.parent / "data" / name)
        found = next(filter(Path.is_file, places), None)
        if found is None:
            raise SourceError(f"{self.name} names the file {name}, which is not beside it.")
        return str(found)

    @contextmanager
    def _file(self, name: str, md5: str = "") -> Iterator[Path]:
        """A file on this machine, downloaded if it is elsewhere.

        Raises:
            SourceError: there is none, or it has another checksum.
        """
        scheme, separator, rest = name.partition("://")
        with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
            path = Path(name)
            if separator:
                path = Path(folder) / "list"
                bucket, _, key = rest.partition("/")
                _download(self._open_bucket(scheme, bucket), key, path)
            elif not path.is_file():
                raise SourceError(f"{name} does not exist: give a file with keys.")
            if md5:
                with path.open("rb") as file:
                    if hashlib.file_digest(file, "md5").hexdigest() != md5:
                        raise SourceError(f"{name} is not the file that the inventory names.")
            yield path


def _download(bucket: Bucket, key: str, path: Path) -> None:
    found = bucket.head(key)
    if found is None:
        raise SourceError(f"{bucket.address}{key} does not exist: give a file with keys.")
    with bucket.open(found) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 2**20)


def _keys(path: Path, name: str, bucket: str, columns: Sequence[str] | None) -> Iterator[ListedKey]:
    """The keys of one file."""
    try:
        if name.lower().endswith(".parquet"):
            yield from _parquet_keys(path, name, bucket)
        else:
            yield from _csv_keys(path, name, bucket, columns)
    except (csv.Error, EOFError, OSError, UnicodeDecodeError, zlib.error) as error:
        raise SourceError(f"{name} cannot be read as a list of keys ({error!s:.200}).") from None


def _csv_keys(
    path: Path, name: str, bucket: str, columns: Sequence[str] | None
) -> Iterator[ListedKey]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    opener: Callable[..., Any] = gzip.open if is_packed else open
    with opener(path, "rt", encoding="utf-8-sig", newline="") as text:
        lines = csv.reader(text, strict=True)
        is_encoded = columns is not None
        for row in lines:
            if not row:
                continue
            if columns is None:
                columns, is_header = _columns_of(row, name)
                is_encoded = not is_header and len(columns) > 1
                if is_header:
                    continue
            if len(row) != len(columns):
                raise SourceError(
                    f"{name}, line {lines.line_num}: {len(row)} columns instead of {len(columns)}."
                )
            key = _key(dict(zip(columns, row, strict=True)), bucket, is_encoded)
            if key is not None:
                yield key


def _columns_of(row: Sequence[str], name: str) -> tuple[Sequence[str], bool]:
    """The columns of a file, by its first row, and whether this is a header."""
    columns = _known(row)
    if "key" in columns or "address" in columns:
        return columns, True
    if len(row) == 1:
        return ("address",), False
    if len(row) > len(_INVENTORY) or not all(size.isdigit() for size in row[2:3]):
        raise SourceError(
            f"{name} does not say what its columns are: give the inventory's manifest.json, or add "
            "a header with a column key."
        )
    return _INVENTORY[: len(row)], False


def _known(names: Sequence[str]) -> list[str]:
    return [_COLUMNS.get(re.sub("[^a-z]", "", name.lower()), "") for name in names]


def _parquet_keys(path: Path, name: str, bucket: str) -> Iterator[ListedKey]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise SourceError(f"{name} needs a library: pip install 'lookalike[parquet]'.") from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            wanted = {own: known for own in names if (known := _known([own])[0])}
            if not {"key", "address"} & set(wanted.values()):
                raise SourceError(f"{name} has no column key.")
            for batch in file.iter_batches(8192, columns=list(wanted)):
                values = [batch.column(own).to_pylist() for own in wanted]
                for row in zip(*values, strict=True):
                    key = _key(dict(zip(wanted.values(), row, strict=True)), bucket, False)
                    if key is not None:
                        yield key
    except pyarrow.ArrowException as error:
        raise SourceError(f"{name} cannot be read as a list of keys ({error!s:.200}).") from None


def _key(row: dict[str, Any], bucket: str, is_encoded: bool) -> ListedKey | None:
    """The key in a row; None if it names none, or an object that has been replaced or deleted."""
    key = row.get("key") or row.get("address") or ""
    if not key or _is(row.get("deleted"), "true") or _is(row.get("latest"), "false"):
        return None
    if "address" not in row or "://" not in key:
        key = unquote_plus(key) if is_encoded else key
        named = row.get("bucket")
        key = (f"{bucket.partition('://')[0]}://{named}/" if named else bucket) + key
    size = str(row.get("size"))
    etag = (row.get("etag") or "").strip('"')
    time = _time(row.get("modified"))
    return ListedKey(key, int(size) if size.isdecimal() else None, etag, time)


def _is(value: object, word: str) -> bool:
    return str(value).lower() == word


def _time(value: object) -> str:
    moment = value if isinstance(value, datetime) else None
    if isinstance(value, str):
        with suppress(ValueError, OverflowError):
            moment = parse_datetime(value)
    return format_datetime(moment, "microseconds") if moment else ""
