"""Integrity of an index: whether it holds what it should, and is as it was written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.cache.store import Cache
from lookalike.errors import EngineError, InputError
from lookalike.manifest import Manifest
from lookalike.protocols import Engine
from lookalike.record import KEY, RECORD_TYPES, REQUIRED
from lookalike.system.times import parse_datetime
from lookalike.types import Distance, FieldType, HasId, Point, VectorSpec

BATCH = 1000

VerificationProgress: TypeAlias = Callable[[int, int], None]
"""Called after every batch with the number of images read and their total."""

_NORM_TOLERANCE = 0.01
"""Tolerance for the length of a cosine vector, which engines normalize to 1 when writing it."""

_LISTED = 3
"""Images that one problem names at most."""

_RESTORE = (
    "restore a backup, or copy what is left with `lookalike copy --salvage` and run `lookalike "
    "index` on the copy, which adds what is missing"
)
_AGAIN = "remove these images with `lookalike delete`, and index them again"
_DESCRIBE = "run `lookalike migrate start` once more, and see the images that it names"


@dataclass(frozen=True, slots=True)
class Problem:
    """Damage, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification.

    Attributes:
        images: number of images read.
        problems: what is wrong; empty if nothing.
        seconds: its duration.
    """

    images: int
    problems: Sequence[Problem]
    seconds: float


def verify(
    engine: Engine,
    manifest: Manifest,
    cache: Cache,
    *,
    full: bool = True,
    progress: VerificationProgress | None = None,
) -> Verification:
    """Looks for damage of an index.

    Args:
        engine: of the index.
        manifest: of the index.
        cache: of the index.
        full: reads every image, vector and thumbnail; otherwise it takes milliseconds.
        progress: see there.
    """
    started = time.monotonic()
    images = 0
    problems: list[Problem] = []
    if full:
        images, problems = _read_all(engine, manifest, progress)
        problems += _thumbnails(cache)
    lost = [Problem(what, _RESTORE) for what in engine.problems(whole=full)]
    problems = [*lost, *problems]
    return Verification(images, problems, time.monotonic() - started)


def flaws(points: Sequence[Point], manifest: Manifest) -> Iterator[tuple[Point, str]]:
    """Points that no version of lookalike writes, and for each what is wrong with it."""
    bent = _bent_vectors(points, manifest)
    for point in points:
        flaw = _payload_flaw(point.payload, manifest) or bent.get(point.id)
        if flaw:
            yield point, flaw


# --- points ---------------------------------------------------------------------------------


def _read_all(
    engine: Engine, manifest: Manifest, progress: VerificationProgress | None
) -> tuple[int, list[Problem]]:
    """Reads every image with its vectors; returns their number, and the problems."""
    images, total = 0, 0
    found: dict[str, list[str]] = {}
    lacking: dict[str, list[str]] = {}
    try:
        total = engine.count()
        for points in engine.scroll(vectors=list(manifest.vectors), batch=BATCH):
            images += len(points)
            flawed = {point.id: flaw for point, flaw in flaws(points, manifest)}
            for point in _misplaced(points, engine):
                flawed.setdefault(point.id, "the image cannot be found by its id")
            for id, flaw in flawed.items():
                found.setdefault(flaw, []).append(id)
            for name in manifest.vectors.keys() - {manifest.idle_vector}:
                ids = [point.id for point in points if name not in point.vectors]
                lacking.setdefault(name, []).extend(ids)
            if progress:
                progress(images, total)
    except EngineError as error:
        return images, [Problem(f"only {images:,} images can be read ({error})", _RESTORE)]
    problems = [Problem(_described(flaw, ids), _AGAIN) for flaw, ids in found.items()]
    migrating = manifest.migration.target.name if manifest.migration else None
    problems += [
        Problem(
            _described(f"{len(ids):,} images have no {name!r} vector", ids),
            _DESCRIBE if name == migrating else _AGAIN,
        )
        for name, ids in lacking.items()
        if ids
    ]
    if images != total == engine.count():  # otherwise something was written meanwhile
        problems.append(Problem(f"{images:,} of {total:,} images can be read", _RESTORE))
    return images, problems


def _described(flaw: str, ids: Sequence[str]) -> str:
    named = ", ".join(map(repr, ids[:_LISTED]))
    more = f" and {len(ids) - _LISTED:,} more" if len(ids) > _LISTED else ""
    return f"{flaw}: {named}{more}"


def _misplaced(points: Sequence[Point], engine: Engine) -> Iterator[Point]:
    """Points that cannot be found by the id in their payload."""
    ids = [point.id for point in points]
    if engine.count(HasId(tuple(ids))) == len(points):
        return
    present = {point.id for point in engine.retrieve(ids, payload=False)}
    for point in points:
        if point.id not in present:
            yield point


def _payload_flaw(payload: Mapping[str, Any], manifest: Manifest) -> str | None:
    own = payload.get(KEY)
    if not isinstance(own, dict):
        return "the record is missing"
    for name in REQUIRED:
        if name not in own:
            return f"the record lacks {name!r}"
    for name, value in own.items():
        types = RECORD_TYPES.get(name, (object,))
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            return f"{name!r} in the record has the wrong type"
    for name, type in manifest.fields.items():
        if not _fits(payload.get(name), type):
            return f"the value of {name!r} does not fit its type, {type}"
    return None


def _fits(value: Any, type: FieldType) -> bool:
    match type:
        case _ if value is None:
            return True
        case FieldType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case FieldType.FLOAT:
            return isinstance(value, int | float) and not isinstance(value, bool)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.KEYWORDS:
            return isinstance(value, list) and all(isinstance(one, str) for one in value)
        case FieldType.DATETIME:
            return isinstance(value, str) and _is_datetime(value)
    return isinstance(value, str)


def _is_datetime(value: str) -> bool:
    try:
        return parse_datetime(value) is not None
    except (InputError, ValueError):
        return False


def _bent_vectors(points: Sequence[Point], manifest: Manifest) -> dict[str, str]:
    """Problems with the vectors of points, by id."""
    flawed: dict[str, str] = {}
    for name, spec in manifest.vectors.items():
        holders = [point for point in points if name in point.vectors]
        sized = [point for point in holders if np.shape(point.vectors[name]) == (spec.size,)]
        flawed |= {
            point.id: f"the {name!r} vector does not have {spec.size} dimensions"
            for point in holders
            if np.shape(point.vectors[name]) != (spec.size,)
        }
        if sized:
            vectors = np.stack([point.vectors[name] for point in sized]).astype(np.float64)
            for point, sound in zip(sized, _are_sound(vectors, spec), strict=True):
                if not sound:
                    flawed[point.id] = f"the {name!r} vector is damaged"
    return flawed


def _are_sound(vectors: NDArray[np.float64], spec: VectorSpec) -> NDArray[np.bool_]:
    finite: NDArray[np.bool_] = np.all(np.isfinite(vectors), axis=1)
    if spec.distance is not Distance.COSINE:
        return finite
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(vectors, axis=1)
    sound: NDArray[np.bool_] = finite & (np.abs(lengths - 1) <= _NORM_TOLERANCE)
    return sound


# --- thumbnails -----------------------------------------------------------------------------


def _thumbnails(cache: Cache) -> list[Problem]:
    """Thumbnails are a cache: damaged ones are removed and made again."""
    removed = cache.remove_damaged()
    problems = []
    if removed:
        problems.append(
            Problem(
                f"{removed:,} thumbnails were damaged and have been removed",
                "nothing to do, they are made again as needed",
            )
        )
    if cache.problem:
        what, _, remedy = cache.problem.rstrip(".").partition(": ")
        problems.append(Problem(what, remedy or "look after the file"))
    return problems
