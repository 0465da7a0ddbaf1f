"""Protocols: the three plug-in seams, and the services that operations take.

A source lists and reads images, a descriptor turns them into vectors, an engine stores and finds
points. An implementation is one file in `sources/`, `descriptors/` or `engines/`; nothing else
needs to know it. Operations (ingest, search, duplicates, admin) see protocols only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from numpy.typing import ArrayLike

from lookalike.errors import ImageRejected, NotFound
from lookalike.types import (
    CandidateQuery,
    Candidates,
    DecodeLimits,
    Described,
    Description,
    FieldType,
    Filter,
    Image,
    ImageInput,
    ImageRef,
    Mention,
    Payload,
    PayloadPart,
    Point,
    Query,
    Scored,
    Vector,
    VectorSpec,
    Word,
)

# --- plug-ins: sources ----------------------------------------------------------------------


class Source(Protocol):
    """A place with images: a folder, a file, a glob, a bucket.

    Attributes:
        root: base of relative paths in metadata rows.
        readers: images to read at once, ahead of the decoders; 1 where reading takes no time.
    """

    root: str
    readers: int

    @property
    def passed_over(self) -> bool:
        """True if `refs` has passed over anything that is excluded."""
        ...

    @property
    def incomplete(self) -> bool:
        """True if `refs` could not list every image, so that none counts as removed."""
        ...

    def refs(self) -> Iterator[ImageRef]:
        """Lists every image once, in a stable order and in bounded memory.

        Raises:
            SourceError: the source cannot be listed.
        """
        ...

    def read(self, ref: ImageRef) -> bytes:
        """Reads an image's bytes.

        Raises:
            ImageRejected: with reason `unreadable`.
        """
        ...

    def covers(self, uri: str) -> bool:
        """Tells if an image at `uri` would belong to this source, were it there."""
        ...

    def excludes(self, uri: str) -> bool:
        """Tells if `refs` passes over an image at `uri`, which the source covers."""
        ...

    def has(self, uri: str) -> bool:
        """Tells if `refs` would list `uri` now."""
        ...

    def exists(self, uri: str) -> bool:
        """Tells if there is anything at `uri`, in this source or not; True if that is unknown."""
        ...

    def lost_folder(self, uri: str) -> str | None:
        """The highest folder above `uri` that is empty or gone, as where a disk is not mounted."""
        ...


@runtime_checkable
class ConditionalSource(Protocol):
    """A source that lists `types.UNKNOWN_ETAG` or `ANY_ETAG`: reading tells if images changed."""

    def read_if_changed(
        self, ref: ImageRef, known: ImageRef | None
    ) -> tuple[ImageRef, bytes | None]:
        """Reads an image unless it is the one that the index has there; returns it as it is now.

        Raises:
            ImageRejected: with the reason.
            LookalikeError: the run is being stopped.
        """
        ...


# --- plug-ins: descriptors ------------------------------------------------------------------


class Descriptor(Protocol):
    """Turns images into one named vector.

    Attributes:
        spec: the vector it makes.
        side: pixels it wants on the image's shorter side, where the image has them.
    """

    spec: VectorSpec
    side: int

    def describe(self, images: Sequence[Image]) -> Description:
        """Describes images, one row each: finite, and nonzero for cosine. Thread-safe."""
        ...


@runtime_checkable
class DescribesText(Protocol):
    """A descriptor that can also describe text."""

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        """Returns one vector per text, comparable with those of images."""
        ...


@runtime_checkable
class KnowsWords(DescribesText, Protocol):
    """A descriptor that knows certain words of text, and tells colors from things.

    Attributes:
        words: all of them but the colors.
    """

    @property
    def words(self) -> Sequence[Word]: ...

    def mentions(self, text: str) -> Sequence[Mention]:
        """Reads the words of a text.

        Raises:
            QueryError: it does not know one.
        """
        ...


@runtime_checkable
class DescribesColor(Protocol):
    """A descriptor that can also describe a palette."""

    def describe_color(self, colors: Sequence[tuple[tuple[int, int, int], float]]) -> Vector:
        """Returns the vector of an image made of these ((red, green, blue), share) alone."""
        ...


class AspectDescriptor(Protocol):
    """Turns images into the vectors of an own aspect; all that a user writes for one.

    Optional attributes: `name`, the model in messages, by default that of the class; `side`, pixels
    wanted on an image's shorter side, by default 224; `distance`, "cosine" by default, "dot",
    "euclid" or "manhattan"; and a method `describe_text(texts)`, like `describe`, for searches by
    text.

    Attributes:
        size: number of dimensions.
        version: changes whenever the same image may yield another vector.
    """

    size: int
    version: str

    def describe(self, images: Sequence[Image], /) -> ArrayLike:
        """Returns one row of `size` numbers for each image, of `image.pixels` for example: finite,
        for cosine not all zero, and the same whatever else is in the batch."""
        ...


# --- plug-ins: engines ----------------------------------------------------------------------


class Engine(Protocol):
    """Stores points and finds the nearest: the operations common to all engines.

    Ids are strings throughout; an engine derives its own with `point_id`. Methods raise
    `EngineError` or a subclass, never an error of the underlying library.
    """

    def read_manifest(self) -> Mapping[str, Any] | None:
        """Returns the index's manifest, or None where there is no index yet."""
        ...

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces the manifest atomically."""
        ...

    def create(self, vectors: Sequence[VectorSpec]) -> str | None:
        """Creates an empty store for these vectors; returns a notice for the user, if any."""
        ...

    def create_field_index(self, path: str, type: FieldType) -> None:
        """Creates a payload index that makes filters on `path` fast, in place of one of another
        type. Idempotent."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Adds or replaces points; on return they survive a kill and can be found.

        Raises:
            EngineError: a vector of the wrong size, with NaN or infinity, or zero under cosine.
            DiskFull: refused before anything was written.
        """
        ...

    def amend(self, points: Sequence[Point]) -> None:
        """Replaces all vectors of stored points, those that are not named included, and merges
        their payloads as `set_payload` does, so that what others have set meanwhile stays."""
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Removes points; unknown ids are ignored."""
        ...

    def set_payload(self, id: str, fields: Payload) -> None:
        """Merges `fields` into the payload; `image` is merged one level deeper, None removes."""
        ...

    def set_payloads(self, updates: Sequence[tuple[str, Payload]]) -> None:
        """As `set_payload`, for many points at once, by id: one sync of the disk for all."""
        ...

    def retrieve(
        self, ids: Sequence[str], *, payload: PayloadPart = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        """Returns the points that exist among `ids`, in no particular order."""
        ...

    def nearest(self, queries: Sequence[CandidateQuery]) -> list[Candidates]:
        """Returns the candidates of each target, in one request."""
        ...

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        """Returns the best points of each query, best first, in one request."""
        ...

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: PayloadPart = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
        after: str | None = None,
    ) -> Iterator[list[Point]]:
        """Yields all matching points in batches, in the order of their point ids; `after` an
        image, which need not exist, only those that follow."""
        ...

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        """Counts the matching points; not `exact`, estimates them in next to no time."""
        ...

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        """Returns an indexed field's most frequent values with their exact counts, highest first,
        and equal counts by value."""
        ...

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        """Returns the least and the greatest value of an indexed number or datetime field among
        the matching points: ints, floats, or RFC 3339 strings; None if no point has a value."""
        ...

    def ordered(
        self,
        path: str,
        filter: Filter | None,
        limit: int,
        *,
        descending: bool = False,
        vectors: Sequence[str] = (),
    ) -> list[tuple[float | str, Point]]:
        """Returns the first matching points by an indexed number or datetime field, each with its
        value as in `bounds`; those without a value are left out."""
        ...

    def optimize(self) -> None:
        """Builds the search graph now. Without it, searches are correct but slower."""
        ...

    def settled(self) -> Engine:
        """Returns the engine to decide by what is to be written: its reads return only what every
        replica has."""
        ...

    def info(self) -> Mapping[str, Any]:
        """Returns at least `points`, `engine`, and `bytes_on_disk`, None where that is unknown; may
        return `notes`, sentences on what is not as it should be."""
        ...

    def problems(self, *, whole: bool = False) -> list[str]:
        """Describes what the store has lost, as far as the engine can tell; empty if nothing.
        `whole` reads everything that can be compared; otherwise it takes milliseconds."""
        ...

    def close(self) -> None:
        """Flushes and releases the store. Idempotent."""
        ...


@runtime_checkable
class ServedEngine(Protocol):
    """An engine on a server, which finds the vectors of a stored image itself: a request less."""

    @property
    def allows_exact(self) -> bool:
        """True if the server may be asked to compare every point."""
        ...

    def nearest_to(
        self, id: str, candidates: Sequence[CandidateQuery], rankings: Sequence[Query]
    ) -> tuple[Point, list[Candidates], list[list[Scored]]] | None:
        """Answers queries of one target each, whose vectors are those of an image instead of those
        in the queries; also returns the image with these vectors. None if there is no such image.
        """
        ...


@runtime_checkable
class SharedEngine(Protocol):
    """An engine whose points other processes may change at the same time."""

    def set_lists(
        self, id: str, before: Mapping[str, Sequence[str]], after: Mapping[str, Sequence[str]]
    ) -> None:
        """Sets lists in our record of an image, by name, unless another process has changed one of
        them since they were read as `before`."""
        ...


def existing_points(engine: Engine, ids: Sequence[str]) -> list[Point]:
    """The points with these ids, in this order, without those that were deleted."""
    points = {point.id: point for point in engine.retrieve(ids)} if ids else {}
    return [points[id] for id in ids if id in points]


def missing_image(id: str) -> str:
    """The error message for an id that no image has."""
    return f"There is no image with the id {id!r:.200} in this index."


def require_points(
    engine: Engine, ids: Sequence[str], *, vectors: Sequence[str] = ()
) -> list[Point]:
    """The points with these ids, each once, in this order.

    Raises:
        NotFound: no image has one of the ids.
    """
    points = {point.id: point for point in engine.retrieve(ids, vectors=vectors)}
    for id in ids:
        if id not in points:
            raise NotFound(missing_image(id))
    return [points[id] for id in dict.fromkeys(ids)]


# --- services -------------------------------------------------------------------------------


class Descriptors(Protocol):
    """The descriptors of one index; see `descriptors.loader.Models`."""

    @property
    def without_weights(self) -> Sequence[str]:
        """Named vectors whose descriptors need no weights; they run where the image is decoded."""
        ...

    def descriptor(self, name: str) -> Descriptor:
        """Returns the descriptor of a named vector.

        Raises:
            ModelError: its weights are missing, or not those of the index.
        """
        ...

    def is_available(self, name: str) -> bool:
        """Tells if the descriptor of a named vector is at hand; that of an own aspect may not be,
        and then only vectors that are stored serve it."""
        ...


@dataclass(frozen=True, slots=True)
class Describers:
    """The descriptors of an ingest run.

    Attributes:
        names: vectors whose descriptors need no weights; they run where the image is decoded.
        models: descriptors with weights; they run in this process, on batches.
        side: pixels that all of them want on the image's shorter side.
        thumbnail: longer side of the thumbnail in pixels; 0 makes none.
        gps: whether to store where a photo was taken.
    """

    names: Mapping[str, VectorSpec]
    models: Sequence[Descriptor]
    side: int
    thumbnail: int = 0
    gps: bool = False


class ImageDecoder(Protocol):
    """Decodes untrusted image files; see `workers.pool.DecoderPool`.

    Attributes:
        size: images decoded in parallel.
        limits: limits beyond which it rejects an image.
    """

    size: int
    limits: DecodeLimits

    def decode(self, data: bytes, *, side: int) -> Image:
        """Decodes an image, its shorter side at least `side` pixels where it has them.

        Raises:
            ImageRejected: it cannot be decoded.
        """
        ...

    def content_digest(self, data: bytes) -> str:
        """Digests all that a file shows, in every page and frame; empty if it cannot be told."""
        ...

    def describe_many(
        self,
        files: Sequence[bytes],
        *,
        side: int,
        names: Sequence[str] = (),
        pixels: bool = True,
        thumbnail: int = 0,
    ) -> Sequence[Described | ImageRejected]:
        """Decodes and describes files; returns a rejection in place of what cannot be read."""
        ...


class ImageLoader(Protocol):
    """Loads images that a caller gives in any form; see `workers.loader.Loader`.

    Attributes:
        size: images loaded in parallel.
    """

    size: int

    def read(self, image: ImageInput) -> bytes:
        """Reads the bytes of an image; raises what `load` raises."""
        ...

    def load(self, image: ImageInput, side: int) -> Image:
        """Decodes an image, its shorter side at least `side` pixels where it has them.

        Raises:
            SourceError: there is no such file.
            QueryError: the path names more than one file.
            ImageRejected: the image cannot be decoded.
        """
        ...

    def thumbnail_to_store(self, image: ImageInput) -> bytes:
        """The thumbnail that an ingest stores of a file; raises what `load` raises."""
        ...

    def content_digest(self, image: ImageInput) -> str:
        """Digests all that an image shows, in every page and frame; empty if it cannot be told.

        Raises:
            SourceError: there is no such file.
            ImageRejected: the file cannot be read.
        """
        ...
