"""Metadata files and feeds that are compressed by gzip, as `.csv.gz`."""

from __future__ import annotations

import gzip
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from lookalike.errors import MetadataError

LARGEST = 2**35
"""Bytes that a file may inflate to."""

_SIGN = b"\x1f\x8b"
_CHUNK = 2**20


def plain_name(path: Path) -> Path:
    """The path without `.gz`."""
    return path.with_suffix("") if path.suffix.lower() == ".gz" else path


@contextmanager
def uncompressed(path: Path) -> Iterator[Path]:
    """The file itself or, if it is compressed, a temporary file with its content. Errors within the
    block that name the latter name the former instead.

    Raises:
        MetadataError: the compressed data is damaged, cut off or too large.
        OSError: the file cannot be read, or the disk for temporary files is full.
    """
    with path.open("rb") as file:
        is_compressed = file.read(len(_SIGN)) == _SIGN
    if not is_compressed:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        plain = Path(folder, plain_name(path).name)
        with plain.open("wb") as target:
            _inflate(path, target)
        try:
            yield plain
        except MetadataError as error:
            raise MetadataError(str(error).replace(str(plain), str(path))) from error


def _inflate(path: Path, target: IO[bytes]) -> None:
    try:
        with gzip.open(path, "rb") as source:
            while chunk := source.read(_CHUNK):
                if target.tell() + len(chunk) > LARGEST:
                    raise MetadataError(
                        f"{path} inflates to more than {LARGEST // 2**30} GiB: split it."
                    )
                target.write(chunk)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise MetadataError(
            f"{path} is a gzip file that is cut off or damaged ({error}): get it again."
        ) from error
