"""Migration: another model takes over an aspect of a living index.

The index gets a further vector. It is filled beside the one that serves, which goes on to answer
all searches; then new images get both, and a change of the manifest decides which one serves. So
the old model is back by one more such change, until the migration ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, runtime_checkable

from lookalike.errors import ImageRejected, InputError, LookalikeError, ModelError
from lookalike.manifest import Calibration, FurtherModel, Manifest, Migration, Phase
from lookalike.manifest.store import ManifestStore
from lookalike.protocols import Descriptor, Engine, ImageDecoder
from lookalike.record import ImageRecord, record_of
from lookalike.system import patience
from lookalike.types import Described, Point, Vector, VectorSpec, point_id

BATCH = 32
"""Images that one thread reads and describes together."""
LISTED = 100
"""Images that a report names."""


@runtime_checkable
class GrowingEngine(Engine, Protocol):
    """An engine that gives a living index another vector, while it is searched and written to."""

    def add_vector(self, spec: VectorSpec) -> None:
        """Begins to add a vector, which no point has yet. Idempotent.

        Raises:
            DiskFull: there is no room for it.
        """
        ...

    def lacking(self, name: str, after: str | None, limit: int) -> list[Point]:
        """Returns up to `limit` points without a vector of this name, in the order of their point
        ids; `after` an image, which need not exist, those that follow."""
        ...

    def count_lacking(self, name: str) -> int:
        """Returns the number of points without a vector of this name."""
        ...

    def set_vectors(self, name: str, updates: Sequence[tuple[str, str, Vector]]) -> None:
        """Sets the vectors of points, each given by image id, SHA-256 and vector; passes over
        those whose image is gone, or has another SHA-256 by now."""
        ...

    def install_vector(self, name: str) -> None:
        """Makes the vector as fast to search by as the others, which may take minutes."""
        ...

    def drop_vector(self, name: str) -> None:
        """Removes a vector from all points. Idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class MissedImage:
    """An image that did not get the new vector.

    Attributes:
        id: of the image.
        detail: the reason.
    """

    id: str
    detail: str


@dataclass(frozen=True, slots=True)
class FillReport:
    """The result of filling a new vector.

    Attributes:
        filled: images that got it in this run.
        missed: number of images that could not get it.
        errors: number of those that the model failed on; the others are gone, or have changed.
        problems: the first of them.
    """

    filled: int = 0
    missed: int = 0
    errors: int = 0
    problems: tuple[MissedImage, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The state of a migration.

    Attributes:
        phase: "filling", "ready", "cut over" or "ending".
        aspect: the aspect whose model is replaced.
        old, new: the models, by the names that the index records.
        images: images in the index.
        lacking: those of them without the new vector.
    """

    phase: Phase
    aspect: str
    old: VectorSpec
    new: VectorSpec
    images: int
    lacking: int


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """The result of a run that describes images by a new model.

    Attributes:
        status: the migration after the run.
        filled: images that this run described.
        missed: images that it could not describe.
        problems: the first of them, with reasons.
    """

    status: MigrationStatus
    filled: int
    missed: int
    problems: tuple[MissedImage, ...]


FillProgress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the current activity, the number of images done, and their total."""


@dataclass(frozen=True, slots=True)
class NewModel:
    """The model that is to take over.

    Attributes:
        descriptor: describes images.
        files: what the index records of it.
        decoded: name by which decoders run the descriptor; None for a model with weights.
    """

    descriptor: Descriptor
    files: FurtherModel
    decoded: str | None = None


# --- filling --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Filler:
    """Describes the images of an index by a new model.

    Attributes:
        engine: holds the index.
        model: the new one.
        decoder: decodes the images.
        read: reads the file of an image; raises LookalikeError if it is gone, or another by now.
        part: number of this process, from 1, and that of all that fill the same vector.
    """

    engine: GrowingEngine
    model: NewModel
    decoder: ImageDecoder
    read: Callable[[ImageRecord], bytes]
    part: tuple[int, int] = (1, 1)

    def fill(self, name: str, progress: FillProgress) -> FillReport:
        """Describes every image without the vector once, in threads; safe to repeat and to run in
        several processes.

        Args:
            name: of the vector.
            progress: called after every batch; may raise to stop.
        """
        total = self.engine.count()
        before = total - self.engine.count_lacking(name)
        problems: list[MissedImage] = []
        filled = missed = errors = 0
        with ThreadPoolExecutor(self.decoder.size + 1, "fill") as pool:
            for done in _bounded(pool, self._work(name), self.decoder.size + 2):
                filled += done.filled
                missed += done.missed
                errors += done.errors
                problems += done.problems[: LISTED - len(problems)]
                progress("describing images", min(before + filled + missed, total), total)
        return FillReport(filled, missed, errors, tuple(problems))

    def _work(self, name: str) -> Iterator[Callable[[], FillReport]]:
        """The images without the vector, as work to do."""
        after = None
        number, parts = self.part
        while page := self.engine.lacking(name, after, BATCH * 4):
            after = page[-1].id
            own = [point for point in page if point_id(point.id).int % parts == number - 1]
            for start in range(0, len(own), BATCH):
                points = own[start : start + BATCH]
                yield patience.carried(lambda points=points: self._describe(name, points))  # type: ignore[misc]

    def _describe(self, name: str, points: Sequence[Point]) -> FillReport:
        problems: list[MissedImage] = []
        read: list[tuple[Point, bytes]] = []
        for point in points:
            try:
                read.append((point, self.read(record_of(point.payload))))
            except LookalikeError as error:
                problems.append(MissedImage(point.id, str(error)))
        images: list[tuple[Point, Described]] = []
        for (point, _), described in zip(
            read, self._decode([data for _, data in read]), strict=True
        ):
            if isinstance(described, ImageRejected):
                problems.append(MissedImage(point.id, str(described)))
            else:
                images.append((point, described))
        updates: list[tuple[str, str, Vector]] = []
        errors = 0
        vectors = self._vectors([described for _, described in images])
        for (point, _), vector in zip(images, vectors, strict=True):
            if isinstance(vector, ModelError):
                problems.append(MissedImage(point.id, str(vector)))
                errors += 1
            else:
                updates.append((point.id, record_of(point.payload)["sha256"], vector))
        self.engine.set_vectors(name, updates)
        return FillReport(len(updates), len(problems), errors, tuple(problems))

    def _decode(self, files: Sequence[bytes]) -> Sequence[Described | ImageRejected]:
        decoded = self.model.decoded
        return self.decoder.describe_many(
            files,
            side=self.model.descriptor.side,
            names=[decoded] if decoded else [],
            pixels=decoded is None,
        )

    def _vectors(self, images: Sequence[Described]) -> Sequence[Vector | ModelError]:
        """The vector of each image, or the reason why the model has none."""
        decoded = self.model.decoded
        if decoded:
            return [described.descriptions[decoded].vectors[0] for described in images]
        if not images:
            return []
        try:
            return list(self.model.descriptor.describe([one.image for one in images]).vectors)
        except ModelError as error:
            if len(images) == 1:
                return [error]
        return [vector for image in images for vector in self._vectors([image])]


def _bounded(
    pool: ThreadPoolExecutor, work: Iterator[Callable[[], FillReport]], most: int
) -> Iterator[FillReport]:
    """The results of work done in threads, of which a few pieces wait at most."""
    pending: list[Future[FillReport]] = []
    for piece in work:
        pending.append(pool.submit(piece))
        if len(pending) >= most:
            yield pending.pop(0).result()
    for future in pending:
        yield future.result()


# --- phases ---------------------------------------------------------------------------------


def plan(manifests: ManifestStore, aspect: str, model: NewModel) -> Migration:
    """The migration to a model: a new one, or the one that was begun with the same model.

    Raises:
        InputError: another one is under way or ending, or the index has this very model.
    """
    target = replace(model.descriptor.spec, aspect=None)
    stored = manifests.read()
    if (current := stored.migration) is not None:
        _refuse_ending(stored)
        if not _is_same(current, aspect, target):
            raise InputError(_under_way(current))
        return current
    source = stored.aspects[aspect]
    own = stored.vectors[source]
    if _kind(own) == _kind(target):
        raise InputError(
            f"The index has {own.model} (revision {own.revision}) for {aspect!r} already: name "
            "another model."
        )
    return Migration(Phase.FILLING, aspect, target, source, model.files)


def begin(manifests: ManifestStore, migration: Migration) -> None:
    """Records a migration that was planned, once there is room for its vector.

    Raises:
        InputError: another one has begun meanwhile.
    """

    def change(manifest: Manifest) -> Manifest:
        if (under_way := manifest.migration) is None:
            return replace(manifest, migration=migration)
        if not _is_same(under_way, migration.aspect, migration.target):
            raise InputError(_under_way(under_way))
        return manifest

    manifests.update(change)


def make_ready(manifests: ManifestStore, errors: int) -> None:
    """From now on new images get both vectors.

    Args:
        manifests: of the index.
        errors: images that the new model failed on.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = replace(current(manifest), errors=errors)
        if migration.phase is not Phase.FILLING:
            return replace(manifest, migration=migration)
        target = migration.target
        return replace(
            manifest,
            vectors={**manifest.vectors, target.name: target},
            further={**manifest.further, target.name: migration.files},
            migration=replace(migration, phase=Phase.READY),
        )

    manifests.update(change)


def require_both(manifest: Manifest) -> Migration:
    """The migration during which the index has both vectors.

    Raises:
        InputError: none is under way, or the index does not have both yet, or any more.
    """
    migration = current(manifest)
    return migration if migration.phase is Phase.CUT_OVER else require_ready(manifest)


def require_ready(manifest: Manifest) -> Migration:
    """The migration that is ready for the cut-over.

    Raises:
        InputError: none is.
    """
    migration = current(manifest)
    _refuse_ending(manifest)
    if migration.phase is not Phase.READY:
        raise InputError(
            f"The migration is {migration.phase}, not ready: run `lookalike migrate start` to its "
            "end first."
        )
    return migration


def cut_over(manifests: ManifestStore, calibration: Calibration | None) -> None:
    """Has the new vector serve the aspect.

    Args:
        manifests: of the index.
        calibration: of the index with the new vector.

    Raises:
        InputError: the migration is not ready.
    """

    def change(manifest: Manifest) -> Manifest:
        require_ready(manifest)
        return _swapped(manifest, Phase.CUT_OVER, calibration)

    manifests.update(change)


def roll_back(manifests: ManifestStore) -> None:
    """Has the old vector serve the aspect again, with the calibration that it had.

    Raises:
        InputError: the new one does not serve.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = current(manifest)
        if migration.phase is not Phase.CUT_OVER:
            raise InputError(f"The migration is {migration.phase}: there is nothing to roll back.")
        return _swapped(manifest, Phase.READY, migration.calibration)

    manifests.update(change)


def end(manifests: ManifestStore, engine: GrowingEngine, *, cancel: bool) -> str:
    """Ends a migration: removes the vector that serves no aspect; returns its name.

    Args:
        manifests: of the index.
        engine: holds the index.
        cancel: keeps the old model; otherwise the new one, which must serve.

    Raises:
        InputError: no migration is under way, the other model serves, or the migration is ending
            in the other way.
    """

    def change(manifest: Manifest) -> Manifest:
        migration = require_end(manifest, cancel=cancel)
        return _without(manifest, migration.target.name if cancel else migration.source)

    manifests.update(change)
    migration = current(manifests.current)
    dropped = migration.target.name if cancel else migration.source
    engine.drop_vector(dropped)
    manifests.update(lambda manifest: replace(manifest, migration=None))
    return dropped


def require_end(manifest: Manifest, *, cancel: bool) -> Migration:
    """The migration, which may end; see `end`.

    Raises:
        InputError: no migration is under way, the other model serves, or the migration is ending
            in the other way.
    """
    migration = current(manifest)
    serves = migration.phase is Phase.CUT_OVER
    if migration.phase is Phase.ENDING:
        if cancel is not _is_canceled(manifest):
            _refuse_ending(manifest)
        return migration
    if serves and cancel:
        raise InputError(
            "The new model serves already: run `lookalike migrate roll-back` before `cancel`."
        )
    if not serves and not cancel:
        raise InputError(
            f"The migration is {migration.phase}: run `lookalike migrate cut-over` before "
            "`finish`, or `cancel` to give it up."
        )
    return migration


def require_growing(engine: Engine) -> GrowingEngine:
    """The engine as one that can be given another vector.

    Raises:
        InputError: the index is open in this very process, which would not answer for minutes.
    """
    if not isinstance(engine, GrowingEngine):
        raise InputError(
            "A migration needs the engine in a process of its own: open the index with "
            "subprocess=True."
        )
    return engine


def _swapped(manifest: Manifest, phase: Phase, calibration: Calibration | None) -> Manifest:
    """The manifest with the other of the two vectors in service."""
    migration = current(manifest)
    name = migration.target.name if phase is Phase.CUT_OVER else migration.source
    return replace(
        manifest.serving(migration.aspect, name),
        calibration=calibration,
        migration=replace(migration, phase=phase, calibration=manifest.calibration),
    )


def _without(manifest: Manifest, name: str) -> Manifest:
    """The manifest without a vector, which is to be removed from the points as well."""
    return replace(
        manifest,
        vectors={one: spec for one, spec in manifest.vectors.items() if one != name},
        further={one: files for one, files in manifest.further.items() if one != name},
        migration=replace(current(manifest), phase=Phase.ENDING),
    )


def current(manifest: Manifest) -> Migration:
    """The migration that is under way.

    Raises:
        InputError: none is.
    """
    if manifest.migration is None:
        raise InputError(
            "No migration is under way: begin one with `lookalike migrate start --model NAME`."
        )
    return manifest.migration


def _is_canceled(manifest: Manifest) -> bool:
    """True if the migration that is ending is one that was given up."""
    return current(manifest).target.name not in manifest.vectors


def _refuse_ending(manifest: Manifest) -> None:
    """Raises InputError for a migration whose end was cut off."""
    if current(manifest).phase is Phase.ENDING:
        command = "cancel" if _is_canceled(manifest) else "finish"
        raise InputError(
            f"The migration is ending: run `lookalike migrate {command}` once more first."
        )


def _is_same(migration: Migration, aspect: str, target: VectorSpec) -> bool:
    return migration.aspect == aspect and _kind(migration.target) == _kind(target)


def _kind(spec: VectorSpec) -> tuple[object, ...]:
    """All of a spec but its name and its aspect, which a migration chooses."""
    return spec.model, spec.revision, spec.size, spec.distance, spec.datatype


def _under_way(migration: Migration) -> str:
    return (
        f"A migration to {migration.target.model} is under way ({migration.phase}): end it with "
        "`lookalike migrate finish` or `cancel` first."
    )
