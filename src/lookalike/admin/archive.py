"""One file that holds an index: a ZIP file that NumPy and any JSON reader understand.

backup.json              {"version", "images", "manifest"}
00000000/payload.jsonl   the payloads of some images, one a line; their ids are in `image.id`
00000000/NAME.npy        their vectors, one row an image; for each name of a vector
00000001/…
end.json                 {"sha256"}: of all the above as it was before it was compressed
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import IndexDamaged, InputError, SchemaTooNew
from lookalike.record import record_of
from lookalike.system import files
from lookalike.types import Point, Vector

VERSION = 1

FASTEST = 1
"""Of zlib's levels: vectors hardly shrink, and higher levels take time for 1 % of them."""


def write(
    file: Path, manifest: Mapping[str, Any], images: int, batches: Iterable[Sequence[Point]]
) -> None:
    """Writes an index down, in memory for one batch; it lies on the disk when this returns.

    Args:
        file: what it is written to.
        manifest: the index's.
        images: about how many there will be.
        batches: all points with all their vectors; the points of a batch have the same ones.

    Raises:
        OSError: the file cannot be written.
    """
    seen = hashlib.sha256()
    with file.open("wb") as opened:
        with zipfile.ZipFile(
            opened, "w", zipfile.ZIP_DEFLATED, compresslevel=FASTEST, strict_timestamps=False
        ) as archive:

            def put(name: str, data: bytes) -> None:
                seen.update(data)
                archive.writestr(name, data)

            put("backup.json", _json({"version": VERSION, "images": images, "manifest": manifest}))
            for block, points in enumerate(batches):
                put(f"{block:08}/payload.jsonl", b"\n".join(_json(one.payload) for one in points))
                for name in points[0].vectors:
                    put(f"{block:08}/{name}.npy", _npy([point.vectors[name] for point in points]))
            archive.writestr("end.json", _json({"sha256": seen.hexdigest()}))
        files.sync(opened)


@contextmanager
def read(file: Path) -> Iterator[Archive]:
    """Opens what `write` wrote.

    Raises:
        InputError: there is no such file, or it cannot be read.
        IndexDamaged: it is something else, or was cut short.
        SchemaTooNew: a newer lookalike wrote it.
    """
    try:
        opened = file.open("rb")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): name another file.") from error
    with opened:
        with _sound(file):
            archive = zipfile.ZipFile(opened)
            about = json.loads(archive.read("backup.json"))
            if int(about["version"]) > VERSION:
                raise SchemaTooNew(
                    f"The backup {file} has version {about['version']} and this lookalike knows up "
                    f"to {VERSION}: upgrade it with `pip install -U lookalike`."
                )
            found = Archive(file, about["manifest"], int(about["images"]), archive)
        yield found


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup that is open for reading.

    Attributes:
        file: its path.
        manifest: the index's.
        images: about how many there are.
    """

    file: Path
    manifest: Mapping[str, Any]
    images: int
    _archive: zipfile.ZipFile

    def check(self) -> None:
        """Reads all of it.

        Raises:
            IndexDamaged: a part is damaged or gone.
        """
        with _sound(self.file):
            *parts, end = self._archive.namelist()
            seen = hashlib.sha256()
            for part in parts:
                seen.update(self._archive.read(part))
            if json.loads(self._archive.read(end))["sha256"] != seen.hexdigest():
                raise ValueError("a part of it is gone")

    def batches(self, names: Iterable[str]) -> Iterator[list[Point]]:
        """All points with all vectors, in the order in which they were written.

        Args:
            names: of the vectors.

        Raises:
            IndexDamaged: a part is damaged; the points before it were as they should be.
        """
        parts = set(self._archive.namelist())
        for block in count():
            if f"{block:08}/payload.jsonl" not in parts:
                return
            with _sound(self.file):
                lines = self._archive.read(f"{block:08}/payload.jsonl").split(b"\n")
                payloads = [json.loads(line) for line in lines]
                vectors = {
                    name: np.load(io.BytesIO(self._archive.read(part)), allow_pickle=False)
                    for name in names
                    if (part := f"{block:08}/{name}.npy") in parts
                }
                points = [
                    Point(record_of(payload)["id"], dict(zip(vectors, row, strict=True)), payload)
                    for payload, *row in zip(payloads, *vectors.values(), strict=True)
                ]
            yield points


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _npy(vectors: Sequence[Vector]) -> bytes:
    data = io.BytesIO()
    rows = np.stack(vectors)
    np.save(data, rows.astype(rows.dtype.newbyteorder("<")), allow_pickle=False)
    return data.getvalue()


@contextmanager
def _sound(file: Path) -> Iterator[None]:
    """What reading a damaged file raises, as one error; there is no end to the kinds of it."""
    try:
        yield
    except SchemaTooNew:
        raise
    except Exception as error:
        raise IndexDamaged(
            f"{file} is no backup, or cut short or damaged ({error}): take another copy of it."
        ) from error
