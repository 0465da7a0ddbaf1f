"""The three seams: an engine stores and finds, a descriptor describes, a source lists and reads.

An implementation is one file in `engines/`, `descriptors/` or `sources/`; nothing else needs to
know it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from lookalike.errors import ImageRejected
from lookalike.types import (
    CandidateQuery,
    Candidates,
    Described,
    Description,
    FieldType,
    Filter,
    Image,
    ImageInput,
    ImageRef,
    Payload,
    Point,
    Query,
    Scored,
    Vector,
    VectorSpec,
)


class Source(Protocol):
    """Where images come from: a folder, a file, a glob.

    Attributes:
        root: what a metadata row's relative path may be relative to.
    """

    root: str

    def refs(self) -> Iterator[ImageRef]:
        """Every image once, in an order that does not change between runs, in bounded memory.

        Raises:
            SourceError: the source cannot be listed.
        """
        ...

    def read(self, ref: ImageRef) -> bytes:
        """The image's bytes.

        Raises:
            ImageRejected: with reason `unreadable`.
        """
        ...

    def covers(self, uri: str) -> bool:
        """Whether an image at `uri` would belong to this source, were it there."""
        ...

    def has(self, uri: str) -> bool:
        """Whether `refs` would list `uri` now."""
        ...


class Descriptor(Protocol):
    """WriteLock pixels into one named vector.

    Attributes:
        spec: the vector it makes.
        side: pixels that the shorter side should have at least, where the picture has them.
    """

    spec: VectorSpec
    side: int

    def describe(self, images: Sequence[Image]) -> Description:
        """One row an image: finite, and not zero under the cosine distance. Thread-safe."""
        ...


@runtime_checkable
class DescribesText(Protocol):
    """A descriptor whose vectors can also be had from words."""

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        """One vector a text, comparable with those of images."""
        ...


@runtime_checkable
class DescribesColor(Protocol):
    """A descriptor whose vectors can also be had from colors."""

    def describe_color(self, colors: Sequence[tuple[tuple[int, int, int], float]]) -> Vector:
        """The vector of a picture made of these ((red, green, blue), share) alone."""
        ...


@dataclass(frozen=True, slots=True)
class Describers:
    """What makes the vectors of a point.

    Attributes:
        names: descriptors that need no weights, by name; they run where the picture is decoded.
        models: descriptors that have weights; they run here, on several pictures at a time.
        side: pixels that the shorter side should have for all of them.
        thumbnail: pixels that the longer side of a thumbnail has; 0 makes none.
    """

    names: Mapping[str, VectorSpec]
    models: Sequence[Descriptor]
    side: int
    thumbnail: int = 0


class ImageDecoder(Protocol):
    """Decodes untrusted image files; see `workers.pool.DecoderPool`.

    Attributes:
        size: images decoded in parallel.
    """

    size: int

    def decode(self, data: bytes, *, side: int) -> Image:
        """The image in `data`, its shorter side at least `side` pixels where it has them.

        Raises:
            ImageRejected: it cannot be decoded.
        """
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
        """Each file decoded and described, or its rejection."""
        ...


class ImageLoader(Protocol):
    """Loads images that a caller passed as paths or bytes; see `sources.inputs.Loader`.

    Attributes:
        size: images loaded in parallel.
    """

    size: int

    def load(self, image: ImageInput, side: int) -> Image:
        """The decoded image, its shorter side at least `side` pixels where it has them.

        Raises:
            SourceError: no such file.
            QueryError: the path names more than one file.
            ImageRejected: the image cannot be decoded.
        """
        ...


class Descriptors(Protocol):
    """The descriptors of one index; see `descriptors.loader.Models`."""

    def descriptor(self, name: str) -> Descriptor:
        """The descriptor that makes the vectors of this name.

        Raises:
            ModelError: its weights are missing, or not those of the index.
        """
        ...


class Engine(Protocol):
    """Stores points and finds the nearest: what the embedded shard and the server both can do.

    String ids throughout; an engine turns them into its own with `point_id`. Methods raise
    `EngineError` or one of its children, never an error of the library below.
    """

    def read_manifest(self) -> Mapping[str, Any] | None:
        """The index's manifest, or None where there is no index yet."""
        ...

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replaces the manifest, all or nothing."""
        ...

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        """Makes an empty store for these vectors."""
        ...

    def create_field_index(self, path: str, type: FieldType) -> None:
        """Makes filters on `path` fast. Doing it again is harmless."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """Adds or replaces points; when it returns they survive a kill and are found.

        Raises:
            EngineError: a vector of the wrong size, with NaN or infinity, or zero under cosine.
            DiskFull: refused before anything was written.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Removes points; unknown ids are no error."""
        ...

    def set_payload(self, id: str, fields: Payload) -> None:
        """Merges `fields` into the payload; `image` is merged one level deeper, None removes."""
        ...

    def retrieve(
        self, ids: Sequence[str], *, payload: bool = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        """The points that exist among `ids`, in no particular order."""
        ...

    def nearest(self, asked: Sequence[CandidateQuery]) -> list[Candidates]:
        """Candidates for each target, in one request."""
        ...

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        """The best points of each query, best first, in one request."""
        ...

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: bool = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
    ) -> Iterator[list[Point]]:
        """All points that pass, in batches, in the order of their point ids."""
        ...

    def count(self, filter: Filter | None = None) -> int:
        """How many points pass, exactly."""
        ...

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        """The most frequent values of an indexed field with their counts, most frequent first."""
        ...

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        """The least and the greatest value of an indexed number or date-time among the points
        that pass: ints, floats, or RFC 3339 texts; None where no point has a value."""
        ...

    def optimize(self) -> None:
        """Builds the search graph now. Searches are right without it, only slower."""
        ...

    def info(self) -> Mapping[str, Any]:
        """At least `points`, `bytes_on_disk` and `engine`."""
        ...

    def close(self) -> None:
        """Flushes and lets go. Doing it again is harmless."""
        ...


OVERSAMPLING = 2.0
LEAST_RESCORED = 100
"""Of a single target's nearest by the quantized vectors, twice as many as are wanted and at least
so many are compared again by the originals: where likeness is dense, as with colors, the error
of int8 moves a point by dozens of ranks."""


def oversampling(query: Query) -> float:
    """How many times the wanted rows of a single target are compared by the originals."""
    return max(OVERSAMPLING, LEAST_RESCORED / (query.offset + query.limit))
