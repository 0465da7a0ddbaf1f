"""Backup files: an index as a ZIP file that NumPy and any JSON reader can read.

00000000/payload.jsonl   the payloads of some images, one per line; their ids are in `image.id`
00000000/NAME.npy        the vectors of one name of these images, one row per image
00000001/…
backup.json              {"version", "images", "manifest"}
end.json                 {"sha256"} of all parts above, uncompressed
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from lookalike.admin.backup_files import BackupFile
from lookalike.admin.integrity import flaws
from lookalike.admin.parts import MAX_JSON, Parts
from lookalike.errors import IndexDamaged, InputError, SchemaTooNew, SourceError
from lookalike.manifest import Manifest
from lookalike.record import record_of
from lookalike.types import Point, Vector

ARCHIVE_VERSION = 1

_BLOCK = MAX_JSON // 4
"""Bytes of payloads from which on a block is divided."""

_COMPRESSION = 1
"""zlib's fastest level: vectors hardly shrink, and higher levels spend their time on 1 %."""


class _Sink(io.RawIOBase):
    """Takes what a ZIP writer writes, which never goes back in it."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        """All that was written since the last call."""
        written, self._written = self._written, []
        return b"".join(written)


def archive_chunks(
    manifest: Callable[[], Mapping[str, Any]], images: int, batches: Iterable[Sequence[Point]]
) -> Iterator[bytes]:
    """The content of a file with an index, with one batch in memory.

    Args:
        manifest: returns the manifest of the index once all points are written, as new fields may
            come with them.
        images: approximate number of images.
        batches: all points with all their vectors; points of one batch have the same vectors.
    """
    digest, sink = hashlib.sha256(), _Sink()
    with zipfile.ZipFile(
        sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION, strict_timestamps=False
    ) as archive:

        def put(name: str, data: bytes) -> bytes:
            digest.update(data)
            archive.writestr(name, data)
            return sink.taken()

        for block, (points, lines) in enumerate(_blocks(batches)):
            yield put(f"{block:08}/payload.jsonl", lines)
            for name in points[0].vectors:
                yield put(f"{block:08}/{name}.npy", _npy([point.vectors[name] for point in points]))
        about = {"version": ARCHIVE_VERSION, "images": images, "manifest": manifest()}
        yield put("backup.json", _json(about))
        archive.writestr("end.json", _json({"sha256": digest.hexdigest()}))
    yield sink.taken()


@contextmanager
def open_archive(file: BackupFile) -> Iterator[Archive]:
    """Opens a file with the content of `archive_chunks`.

    Raises:
        InputError: the file does not exist or cannot be read.
        IndexDamaged: the file is not a backup, or was cut short.
        SchemaTooNew: a newer lookalike wrote the file.
    """
    name = file.name
    with file.open() as stream:
        with _damage_reported(name):
            parts = Parts(zipfile.ZipFile(stream), stream.seek(0, os.SEEK_END))
            about = parts.json("backup.json")
            if int(about["version"]) > ARCHIVE_VERSION:
                raise SchemaTooNew(
                    f"The backup {name} has version {about['version']}, and this lookalike reads "
                    f"up to {ARCHIVE_VERSION}; upgrade it with `pip install -U lookalike`."
                )
            archive = Archive(name, about["manifest"], int(about["images"]), parts)
        yield archive


@dataclass(frozen=True, slots=True)
class Archive:
    """A backup, open for reading.

    Attributes:
        name: path or address of the file.
        manifest: the manifest of the index.
        images: approximate number of images.
    """

    name: str
    manifest: Mapping[str, Any]
    images: int
    _parts: Parts

    def check(self, manifest: Manifest | None = None) -> None:
        """Reads the whole file and compares its checksum.

        Args:
            manifest: of the index, parsed; with it, every image is read as well.

        Raises:
            IndexDamaged: a part is damaged or missing.
        """
        with _damage_reported(self.name):
            *names, end = self._parts.names
            digest = hashlib.sha256()
            for part in names:
                for chunk in self._parts.chunks(part):
                    digest.update(chunk)
            if self._parts.json(end)["sha256"] != digest.hexdigest():
                raise ValueError("a part is missing")
        if manifest is not None:
            for _ in self.batches(manifest):
                pass

    def batches(self, manifest: Manifest) -> Iterator[list[Point]]:
        """All points with all vectors, in the order of writing.

        Args:
            manifest: of the index, parsed.

        Raises:
            IndexDamaged: a part is damaged; the batches before it were sound.
        """
        parts = set(self._parts.names)
        for block in count():
            if f"{block:08}/payload.jsonl" not in parts:
                return
            with _damage_reported(self.name):
                payloads = self._parts.payloads(f"{block:08}/payload.jsonl")
                vectors = {
                    name: self._parts.vectors(part, len(payloads), spec)
                    for name, spec in manifest.vectors.items()
                    if (part := f"{block:08}/{name}.npy") in parts
                }
                points = [
                    Point(record_of(payload)["id"], dict(zip(vectors, row, strict=True)), payload)
                    for payload, *row in zip(payloads, *vectors.values(), strict=True)
                ]
                for point, flaw in flaws(points, manifest):
                    raise ValueError(f"{flaw} ({point.id!r})")
            yield points


def _blocks(batches: Iterable[Sequence[Point]]) -> Iterator[tuple[Sequence[Point], bytes]]:
    """The points, in blocks whose payloads are small enough to be read again, and the payloads.

    Raises:
        InputError: one payload is too large.
    """
    for points in batches:
        lines = b"\n".join(_json(point.payload) for point in points)
        if len(lines) <= _BLOCK:
            yield points, lines
        elif len(points) > 1:
            half = len(points) // 2
            yield from _blocks([points[:half], points[half:]])
        elif len(lines) <= MAX_JSON:
            yield points, lines
        else:
            raise InputError(
                f"The fields of {points[0].id!r} take {len(lines):,} bytes, and a backup holds up "
                f"to {MAX_JSON:,} an image; shorten them with `lookalike update`."
            )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _npy(vectors: Sequence[Vector]) -> bytes:
    data = io.BytesIO()
    rows = np.stack(vectors)
    np.save(data, rows.astype(rows.dtype.newbyteorder("<")), allow_pickle=False)
    return data.getvalue()


@contextmanager
def _damage_reported(name: str) -> Iterator[None]:
    """Turns all errors of reading a damaged file, of which there are many kinds, into one."""
    try:
        yield
    except (SchemaTooNew, SourceError):
        raise
    except Exception as error:
        raise IndexDamaged(
            f"{name} is not a backup, or it is cut short or damaged ({error}); use another copy."
        ) from error
