"""Moves a whole index: from engine to engine, from an engine to a file, and back.

Two rules make it safe. What is not whole is no index: until everything was compared, an engine
holds a mark in place of the manifest, and a file has another name. And a copy that was cut off is
gone through again from the start, but what already stands there as it should is not sent twice.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lookalike.admin import archive
from lookalike.errors import DiskFull, EngineError, IndexDamaged, InputError, NotFound
from lookalike.fields import indexed_fields
from lookalike.manifest import UNFINISHED, Manifest
from lookalike.protocols import Engine
from lookalike.system.files import Draft
from lookalike.types import Point

BATCH = 1000
SAMPLE = 500
"""Images whose vectors are compared at the end, drawn at random from all."""

SAME_FLOAT = 1e-12
"""Relative. Of a number with more than 15 digits an engine may return the last bit changed."""

SAME_VECTOR = 1e-6
"""Of each element: engines bring cosine vectors to length 1, each in its own arithmetic."""

Progress: TypeAlias = Callable[[int, int], None]
"""Called after every batch with the number of images done, and that of all."""


@dataclass(frozen=True, slots=True)
class Place:
    """An engine, and the address by which messages name it."""

    name: str
    engine: Engine


@dataclass(frozen=True, slots=True)
class Transfer:
    """What was moved.

    Attributes:
        images: how many the copy holds.
        sent: how many this run wrote; the others stood there from one that was cut off.
        checksum: over ids and payloads, whatever their order, numbers to 12 digits.
        seconds: what it took.
    """

    images: int
    sent: int
    checksum: str
    seconds: float


def copy(source: Place, target: Place, *, progress: Progress | None = None) -> Transfer:
    """Copies an index into an engine that holds none, or an unfinished copy of it.

    Raises:
        NotFound: there is no index at the source.
        InputError: the target holds an index, or an unfinished copy of another one.
        EngineError: the copy is not like the source; it stays unfinished, the source untouched.
    """
    return _fill(target, _in_engine(source), progress)


def restore(
    file: str | os.PathLike[str], target: Place, *, progress: Progress | None = None
) -> Transfer:
    """Copies an index out of a backup into an engine, as `copy` does.

    Raises:
        IndexDamaged: the file is damaged or cut short; then nothing was written.
        SchemaTooNew: a newer lookalike wrote it.
        InputError, EngineError: as of `copy`, or the file cannot be read.
    """
    with archive.read(Path(file)) as opened:
        opened.check()  # before anything of it goes anywhere
        return _fill(target, _in_file(opened), progress)


def backup(
    source: Place, file: str | os.PathLike[str], *, progress: Progress | None = None
) -> Transfer:
    """Writes an index into one file; an older backup of that name gives way once this is whole.

    Raises:
        NotFound: there is no index at the source.
        InputError: the file cannot be written, or is there and no backup.
        EngineError: the index was changed meanwhile.
        DiskFull: there is no room for the file.
    """
    started = time.monotonic()
    origin, path, tally = _in_engine(source), Path(file), _Tally()
    draft = Draft(path)
    try:
        if path.exists():
            _require_backup(path)
        passing = _passing(origin, tally, progress)
        batches = (run for points in passing for run in _alike(points))
        archive.write(draft.path, origin.stored, origin.images, batches)
        with archive.read(draft.path) as written:
            written.check()
        if source.engine.count() != tally.images:
            raise EngineError(
                f"{source.name} was changed while it was backed up: run the same command again "
                "when nothing writes to it."
            )
        draft.commit()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull(
                f"The disk has no room for the backup {path}: free some space, or name a file on "
                "another disk."
            ) from error
        raise InputError(
            f"{path} cannot be written ({error.strerror}): name another file."
        ) from error
    finally:
        draft.discard()
    return Transfer(tally.images, tally.images, tally.checksum, time.monotonic() - started)


# --- where it comes from --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Origin:
    """An index that can be read from the start as often as is needed.

    Attributes:
        stored: the manifest as it lies there, and as it goes over.
        manifest: the same, understood.
        images: how many there are at the start.
        batches: all points with all vectors.
    """

    name: str
    stored: Mapping[str, Any]
    manifest: Manifest
    images: int
    batches: Callable[[], Iterator[list[Point]]]


def _in_engine(place: Place) -> _Origin:
    stored = place.engine.read_manifest()
    if stored is None:
        raise NotFound(f"There is no index at {place.name}: name one that is there.")
    manifest = Manifest.from_json(stored, place.name)

    def batches() -> Iterator[list[Point]]:
        for points in place.engine.scroll(vectors=list(manifest.vectors), batch=BATCH):
            yield [_typed(point, manifest) for point in points]

    return _Origin(place.name, stored, manifest, place.engine.count(), batches)


def _in_file(opened: archive.Archive) -> _Origin:
    name = str(opened.file)
    manifest = Manifest.from_json(opened.manifest, name)
    return _Origin(
        name, opened.manifest, manifest, opened.images, lambda: opened.batches(manifest.vectors)
    )


def _typed(point: Point, manifest: Manifest) -> Point:
    """The point with its vectors in the manifest's order and datatypes: an engine may answer with
    floats whatever it stores."""
    vectors = {
        name: np.asarray(point.vectors[name], spec.datatype)
        for name, spec in manifest.vectors.items()
        if name in point.vectors
    }
    return replace(point, vectors=vectors)


def _require_backup(file: Path) -> None:
    """Raises InputError unless the file is what a new backup may replace."""
    try:
        with archive.read(file):
            pass
    except IndexDamaged as error:
        raise InputError(
            f"{file} is there and no whole backup: name another file, or delete it first."
        ) from error


# --- where it goes --------------------------------------------------------------------------


def _fill(target: Place, origin: _Origin, progress: Progress | None) -> Transfer:
    started = time.monotonic()
    engine, tally, sent = target.engine, _Tally(), 0
    _take(target, origin)
    fresh = engine.count() == 0
    for points in _passing(origin, tally, progress):
        differing = points if fresh else [point for point, _ in _differences(points, engine)]
        for run in _alike(differing):
            engine.upsert(run)
        sent += len(differing)
    engine.optimize()
    if what := _unlike(origin, tally, engine):
        raise EngineError(
            f"{target.name} is not like {origin.name}, which is untouched: {what}; delete "
            f"{target.name} and run the same command again."
        )
    engine.write_manifest(origin.stored)  # from here on it is an index
    return Transfer(tally.images, sent, tally.checksum, time.monotonic() - started)


def _take(target: Place, origin: _Origin) -> None:
    """Makes the target ready to be filled, and marks it as not whole."""
    engine, there = target.engine, target.engine.read_manifest()
    if there is not None and UNFINISHED not in there:
        raise InputError(
            f"{target.name} already holds an index: name another place, or delete it first."
        )
    if there is None:
        engine.create(list(origin.manifest.vectors.values()))
    elif Manifest.from_json(there[UNFINISHED], target.name).vectors != origin.manifest.vectors:
        raise InputError(
            f"{target.name} is an unfinished copy of another index: name another place, or delete "
            "it first."
        )
    for known in indexed_fields(origin.manifest.fields):
        engine.create_field_index(known.path, known.type)
    engine.write_manifest({UNFINISHED: origin.stored})


def _passing(origin: _Origin, tally: _Tally, progress: Progress | None) -> Iterator[list[Point]]:
    for points in origin.batches():
        tally.add(points)
        yield points
        if progress:
            progress(tally.images, origin.images)


def _alike(points: Sequence[Point]) -> Iterator[list[Point]]:
    """The points in their order, in runs that have the same vectors: while a model is replaced,
    some images lack the new one's."""
    for _, run in groupby(points, key=lambda point: tuple(point.vectors)):
        yield list(run)


# --- whether it is the same -----------------------------------------------------------------


@dataclass(slots=True)
class _Tally:
    """What is known of points that passed by.

    Attributes:
        sample: some of them, each as likely as the others (Vitter's algorithm R, 1985,
            https://doi.org/10.1145/3147.3165).
    """

    images: int = 0
    sample: list[Point] = field(default_factory=list)
    _sum: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def add(self, points: Sequence[Point]) -> None:
        for point in points:
            self._sum += _fingerprint(point)
            place = self.images if self.images < SAMPLE else self._random.randint(0, self.images)
            if place < SAMPLE:
                self.sample[place : place + 1] = [point]
            self.images += 1

    @property
    def checksum(self) -> str:
        return f"{self._sum % 2**256:064x}"


def _fingerprint(point: Point) -> int:
    text = json.dumps([point.id, _rounded(point.payload)], sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode()).digest())


def _rounded(value: Any) -> Any:
    match value:
        case float():
            return float(f"{value:.12g}")
        case dict():
            return {name: _rounded(part) for name, part in value.items()}
        case list():
            return [_rounded(part) for part in value]
    return value


def _unlike(origin: _Origin, tally: _Tally, engine: Engine) -> str | None:
    """What the engine holds otherwise than the origin, in words; None if it is a true copy."""
    if (images := engine.count()) != tally.images:
        return f"it holds {images:,} images and not {tally.images:,}"
    found = _Tally()
    for points in engine.scroll(batch=BATCH):
        found.add(points)
    if found.checksum != tally.checksum:
        # Rounding may part two numbers that are neighbors, so a look at each image decides.
        for points in origin.batches():
            for _, what in _differences(points, engine):
                return what
    return _other_vectors(tally.sample, engine)


def _differences(points: Sequence[Point], engine: Engine) -> Iterator[tuple[Point, str]]:
    """Those that the engine lacks or whose payload is another there, and what differs."""
    there = {point.id: point.payload for point in engine.retrieve([point.id for point in points])}
    for point in points:
        own, other = point.payload, there.get(point.id)
        if other is None:
            yield point, f"{point.id!r} is missing"
            continue
        for name in sorted(own.keys() | other.keys()):
            if name not in own or name not in other or not _same(own[name], other[name]):
                yield point, f"{name!r} of {point.id!r} is another"
                break


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    match one:
        case float():
            return math.isclose(one, other, rel_tol=SAME_FLOAT)
        case dict():
            return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
        case list():
            return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _other_vectors(sample: Sequence[Point], engine: Engine) -> str | None:
    ids, names = (
        [point.id for point in sample],
        sorted({name for p in sample for name in p.vectors}),
    )
    there = {
        point.id: point.vectors for point in engine.retrieve(ids, payload=False, vectors=names)
    }
    for point in sample:
        for name, vector in point.vectors.items():
            other = there.get(point.id, {}).get(name)
            if other is None or not np.allclose(vector, other, rtol=0, atol=SAME_VECTOR):
                return f"the {name!r} vector of {point.id!r} is another"
    return None
