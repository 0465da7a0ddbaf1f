"""Copies of whole indexes: from one engine to another, into a backup file, and back.

Two rules make a copy safe. An incomplete copy is never taken for an index: until everything was
compared, the target engine holds a mark in place of the manifest, and a backup file has another
name. And a copy that was cut off starts again from the beginning, but sends only what the target
lacks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lookalike.admin.archive import Archive, archive_chunks, open_archive
from lookalike.admin.backup_files import BackupFile, DiskFile
from lookalike.admin.integrity import flaws
from lookalike.admin.verification import Digest, find_mismatch, mismatches
from lookalike.errors import EngineError, IndexDamaged, InputError, NotFound
from lookalike.fields import indexed_fields
from lookalike.manifest import UNFINISHED, Manifest
from lookalike.protocols import Engine
from lookalike.system.text_set import TextSet
from lookalike.types import Point

BATCH = 1000
_PAYLOAD = 1500
"""Approximate bytes of an image's payload in a backup."""
ROUNDS = 3
"""Passes for images that were added during the one before, each of which takes less time."""

TransferProgress: TypeAlias = Callable[[int, int], None]
"""Called after every batch with the number of images done and their total."""


@dataclass(frozen=True, slots=True)
class NamedEngine:
    """An engine, and the address that messages name it by.

    Attributes:
        salvage: whether the index may be damaged; then its sound images are copied.
    """

    name: str
    engine: Engine
    salvage: bool = False


@dataclass(frozen=True, slots=True)
class Transfer:
    """The result of a copy, a backup or a restore.

    Attributes:
        images: images in the copy.
        sent: images that this run wrote; an earlier run that was cut off wrote the others.
        checksum: over ids and payloads in any order, with numbers rounded to 12 digits.
        seconds: duration of this run.
        notice: a sentence on how the target was made; None if there is nothing to say.
    """

    images: int
    sent: int
    checksum: str
    seconds: float
    notice: str | None = None


def copy(
    source: NamedEngine, target: NamedEngine, *, progress: TransferProgress | None = None
) -> Transfer:
    """Copies an index into an engine that holds none, or an unfinished copy of it.

    Raises:
        NotFound: there is no index at the source.
        InputError: the target holds an index, or an unfinished copy of another one.
        EngineError: the copy differs from the source; it stays unfinished, the source untouched.
    """
    return _fill(target, _engine_source(source), progress)


def restore(
    file: str | os.PathLike[str] | BackupFile,
    target: NamedEngine,
    *,
    progress: TransferProgress | None = None,
) -> Transfer:
    """Copies an index from a backup file into an engine, as `copy` does.

    Raises:
        IndexDamaged: the file is damaged or cut short; nothing was written.
        SchemaTooNew: a newer lookalike wrote the file.
        InputError, EngineError: as for `copy`, or the file cannot be read.
    """
    with open_archive(_backup_file(file)) as archive:
        source = _archive_source(archive)
        archive.check(source.manifest)  # before anything is written
        return _fill(target, source, progress)


def backup(
    source: NamedEngine,
    file: str | os.PathLike[str] | BackupFile,
    *,
    progress: TransferProgress | None = None,
) -> Transfer:
    """Writes an index into one file, which replaces an older backup once it is complete.

    Others may change the index meanwhile. An image that they change or delete is in the file as it
    was before or after; one that they add may be missing if it comes at the very end.

    Raises:
        NotFound: there is no index at the source.
        InputError: the file cannot be written, or exists and is not a backup.
        EngineError: the index has another model by now.
        DiskFull: the disk has no room for the file.
    """
    started = time.monotonic()
    index, to, digest = _engine_source(source), _backup_file(file), Digest()
    _require_free(to)
    batches = _digested(_with_additions(index, source), digest, progress)
    runs = (run for points in batches for run in _runs(points))

    def manifest() -> Mapping[str, Any]:
        _require_intact(source)  # before the file is complete
        return _stored_now(source, index)

    to.replace(archive_chunks(manifest, index.images, runs), _about(index), _check)
    return Transfer(digest.images, digest.images, digest.checksum, time.monotonic() - started)


def _backup_file(file: str | os.PathLike[str] | BackupFile) -> BackupFile:
    return DiskFile(Path(file)) if isinstance(file, str | os.PathLike) else file


def _about(index: _SourceIndex) -> int:
    """Approximate bytes of a backup."""
    vectors = sum(
        spec.size * np.dtype(spec.datatype).itemsize for spec in index.manifest.vectors.values()
    )
    return index.images * (vectors + _PAYLOAD)


def _check(file: BackupFile) -> None:
    with open_archive(file) as written:
        written.check()


# --- source ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SourceIndex:
    """An index to copy, which can be read from the start any number of times.

    Attributes:
        name: the address that messages name it by.
        stored: the manifest as it is stored, and copied.
        manifest: the same, parsed.
        images: number of images at the start.
        batches: reads all points with all vectors.
    """

    name: str
    stored: Mapping[str, Any]
    manifest: Manifest
    images: int
    batches: Callable[[], Iterator[list[Point]]]


def _engine_source(source: NamedEngine) -> _SourceIndex:
    stored = source.engine.read_manifest()
    if stored is None:
        raise NotFound(f"There is no index at {source.name}; choose an existing one.")
    manifest = Manifest.from_json(stored, source.name)

    def batches() -> Iterator[list[Point]]:
        for points in source.engine.scroll(vectors=list(manifest.vectors), batch=BATCH):
            sound = _sound(points, manifest, source)
            if sound:
                yield [_typed(point, manifest) for point in sound]

    return _SourceIndex(source.name, stored, manifest, source.engine.count(), batches)


def _with_additions(index: _SourceIndex, source: NamedEngine) -> _SourceIndex:
    """The index with the images that others add while it is read."""

    def batches() -> Iterator[list[Point]]:
        read = TextSet()
        for points in index.batches():
            read.add(point.id for point in points)
            yield points
        for _ in range(ROUNDS):
            before = len(read)
            for page in source.engine.scroll(payload=False, batch=BATCH):
                if ids := read.without(point.id for point in page):
                    points = source.engine.retrieve(ids, vectors=list(index.manifest.vectors))
                    read.add(ids)
                    yield [
                        _typed(point, index.manifest)
                        for point in _sound(points, index.manifest, source)
                    ]
            if len(read) == before:
                return

    return replace(index, batches=batches)


def _stored_now(source: NamedEngine, index: _SourceIndex) -> Mapping[str, Any]:
    """The manifest after reading, with the fields of images that were added meanwhile."""
    stored = source.engine.read_manifest() or {}
    if Manifest.from_json(stored, source.name).vectors != index.manifest.vectors:
        raise EngineError(
            f"{source.name} got other vectors while it was backed up; run the same command again."
        )
    return stored


def _archive_source(archive: Archive) -> _SourceIndex:
    manifest = Manifest.from_json(archive.manifest, archive.name)
    return _SourceIndex(
        archive.name,
        {**archive.manifest, "restored": True},
        manifest,
        archive.images,
        lambda: archive.batches(manifest),
    )


def _sound(points: list[Point], manifest: Manifest, source: NamedEngine) -> list[Point]:
    """The points that are not damaged.

    Raises:
        IndexDamaged: one is, and only a copy of the whole index will do.
    """
    damaged = {}
    for point, flaw in flaws(points, manifest):
        if not source.salvage:
            raise IndexDamaged(
                f"The index {source.name} is damaged: {flaw} ({point.id!r}); see how to mend it "
                "with `lookalike verify`."
            )
        damaged[point.id] = flaw
    return [point for point in points if point.id not in damaged]


def _typed(point: Point, manifest: Manifest) -> Point:
    """The point with its vectors in the manifest's order and datatypes.

    An engine may return floats whatever it stores.
    """
    vectors = {
        name: np.asarray(point.vectors[name], spec.datatype)
        for name, spec in manifest.vectors.items()
        if name in point.vectors
    }
    return replace(point, vectors=vectors)


def _digested(
    index: _SourceIndex, digest: Digest, progress: TransferProgress | None
) -> Iterator[list[Point]]:
    """The points of an index, added to a digest on their way."""
    for points in index.batches():
        digest.add(points)
        yield points
        if progress:
            progress(digest.images, index.images)


def _require_intact(source: NamedEngine) -> None:
    """Raises IndexDamaged if the index has lost something that reading it does not show."""
    if problems := source.engine.problems(whole=True):
        raise IndexDamaged(
            f"The index {source.name} is damaged, so it was not backed up: {'; '.join(problems)}; "
            "see how to mend it with `lookalike verify`."
        )


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points in their order, split into runs with the same vectors.

    While a model is being replaced, some images lack the new one's vector.
    """
    for _, run in groupby(points, key=lambda point: tuple(point.vectors)):
        yield list(run)


# --- target ---------------------------------------------------------------------------------


def _fill(target: NamedEngine, index: _SourceIndex, progress: TransferProgress | None) -> Transfer:
    started = time.monotonic()
    engine, digest, sent = target.engine, Digest(), 0
    notice = _begin(target, index)
    settled = engine.settled()
    empty = engine.count() == 0
    for points in _digested(index, digest, progress):
        missing = points if empty else [point for point, _ in mismatches(points, settled)]
        for run in _runs(missing):
            engine.upsert(run)
        sent += len(missing)
    engine.optimize()
    if difference := find_mismatch(settled, digest, index.batches):
        raise EngineError(
            f"{target.name} differs from {index.name}, which is untouched: {difference}; delete "
            f"{target.name} and run the same command again."
        )
    engine.write_manifest(index.stored)  # from now on it is an index
    seconds = time.monotonic() - started
    return Transfer(digest.images, sent, digest.checksum, seconds, notice)


def _begin(target: NamedEngine, index: _SourceIndex) -> str | None:
    """Prepares the target for the points, and marks it as unfinished; returns a notice."""
    notice = None
    engine, stored = target.engine, target.engine.read_manifest()
    if stored is not None and UNFINISHED not in stored:
        raise InputError(
            f"{target.name} already holds an index; choose another target, or delete it first."
        )
    if stored is None:
        notice = engine.create(list(index.manifest.vectors.values()))
    elif Manifest.from_json(stored[UNFINISHED], target.name).vectors != index.manifest.vectors:
        raise InputError(
            f"{target.name} is an unfinished copy of another index; choose another target, or "
            "delete it first."
        )
    for field in indexed_fields(index.manifest.fields, gps=index.manifest.gps):
        engine.create_field_index(field.path, field.type)
    engine.write_manifest({UNFINISHED: index.stored})
    return notice


def _require_free(file: BackupFile) -> None:
    """Raises InputError if there is a file that is not a backup, which a new one may replace."""
    try:
        if file.exists():
            with open_archive(file):
                pass
    except IndexDamaged as error:
        raise InputError(
            f"{file.name} exists and is not a complete backup; choose another file, or delete it "
            "first."
        ) from error
