"""Parts of a backup file, read within bounds: a file may come from anywhere.

Nothing is allocated because the file says so. Each part has a largest size, arrays have the shape
that the manifest and the number of payloads give them, and payloads hold plain JSON.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.fields import INT64, is_unicode
from lookalike.types import VectorSpec

MAX_ROWS = 1000
"""Images in one block."""

MAX_JSON = 16 * 2**20
"""Bytes of a JSON part. Parsed, the worst content takes 30 times as much memory."""

_MAX_DEPTH = 50
"""Lists and objects within each other in a payload."""

_CHUNK = 2**20
_NPY_HEADER = 512
"""Bytes before the numbers of an array, at most; NumPy writes 128."""

_DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "uint8": np.dtype("u1")}


class Parts:
    """The parts of an open ZIP file.

    Args:
        archive: the file.
        size: its bytes.

    Raises:
        ValueError: the file is not a valid backup.
    """

    def __init__(self, archive: zipfile.ZipFile, size: int) -> None:
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}
        if len(self._infos) != len(archive.infolist()):
            raise ValueError("two parts have the same name")
        if any(
            info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
            for info in self._infos.values()
        ):
            raise ValueError("a part is compressed in another way than backups are")
        if sum(info.compress_size for info in self._infos.values()) > size:
            raise ValueError("its parts overlap")

    @property
    def names(self) -> list[str]:
        """Names of the parts in their order."""
        return list(self._infos)

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of a part, piece by piece."""
        with self._archive.open(self._infos[name]) as part:
            while chunk := part.read(_CHUNK):
                yield chunk

    def json(self, name: str) -> Any:
        """The content of a small JSON part."""
        return json.loads(self._read(name, MAX_JSON))

    def payloads(self, name: str) -> list[dict[str, Any]]:
        """The payloads in a part, one a line."""
        lines = self._read(name, MAX_JSON).split(b"\n")
        if len(lines) > MAX_ROWS:
            raise ValueError(f"{name} has more than {MAX_ROWS:,} lines")
        return [_payload(line, name) for line in lines]

    def vectors(self, name: str, rows: int, spec: VectorSpec) -> NDArray[Any]:
        """The vectors in a part, one a row."""
        dtype = _DTYPES[spec.datatype]
        size = rows * spec.size * dtype.itemsize
        data = self._read(name, size + _NPY_HEADER)
        stream = BytesIO(data)
        version = np.lib.format.read_magic(stream)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, fortran, actual = read(stream)
        if (shape, fortran, actual) != ((rows, spec.size), False, dtype):
            raise ValueError(
                f"{name} holds {actual} of shape {shape} instead of {dtype} of shape "
                f"{(rows, spec.size)}"
            )
        if len(data) - stream.tell() != size:
            raise ValueError(f"{name} is cut short")
        numbers: NDArray[Any] = np.frombuffer(data, dtype, offset=stream.tell())
        return numbers.reshape(rows, spec.size)

    def _read(self, name: str, most: int) -> bytes:
        """The content of a part of at most so many bytes."""
        size = self._infos[name].file_size  # no more can be read
        if size > most:
            raise ValueError(f"{name} has {size:,} bytes, more than the {most:,} it can have")
        return self._archive.read(self._infos[name])


def _payload(line: bytes, part: str) -> dict[str, Any]:
    payload = json.loads(line, parse_constant=_refuse)
    if not isinstance(payload, dict):
        raise TypeError(f"a payload in {part} is not an object")
    for value in _values(payload):
        if isinstance(value, str) and not is_unicode(value):
            raise ValueError(f"a text in {part} is not Unicode")
        if isinstance(value, int) and value not in INT64:
            raise ValueError(f"a number in {part} is too large")
    return payload


def _values(payload: dict[str, Any]) -> Iterator[Any]:
    """All keys and plain values at any depth."""
    level: Sequence[Any] = [payload]
    for _ in range(_MAX_DEPTH):
        deeper: list[Any] = []
        for container in level:
            if isinstance(container, dict):
                yield from container
                container = container.values()
            for value in container:
                if isinstance(value, dict | list):
                    deeper.append(value)
                else:
                    yield value
        if not deeper:
            return
        level = deeper
    raise ValueError(f"a payload is more than {_MAX_DEPTH} levels deep")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
