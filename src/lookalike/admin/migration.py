"""Migration: another model takes over an aspect of a living index.

The index gets a further vector. It is filled beside the one that serves, which goes on to answer
all searches; then new images get both, and a change of the manifest decides which one serves. So
the old model is back by one more such change, until the migration ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeAlias, runtime_checkable

from lookalike.errors import ImageRejected, InputError, LookalikeError, ModelError
from lookalike.manifest import FurtherModel, Phase
from lookalike.protocols import Descriptor, Engine, ImageDecoder
from lookalike.record import ImageRecord, record_of
from lookalike.system import patience
from lookalike.system.parts import is_of_part
from lookalike.types import Described, Point, Vector, VectorSpec

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
        while page := self.engine.lacking(name, after, BATCH * 4):
            after = page[-1].id
            own = [point for point in page if is_of_part(point.id, self.part)]
            for start in range(0, len(own), BATCH):
                points = own[start : start + BATCH]
                yield patience.carried(partial(self._describe, name, points))

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
