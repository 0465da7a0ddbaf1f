"""The values that flow through everything: frozen, and without behaviour of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(height, width, 3), sRGB, upright."""

Vector: TypeAlias = NDArray[np.float32] | NDArray[np.uint8]
"""(size,), of the datatype of its `VectorSpec`."""

Payload: TypeAlias = Mapping[str, Any]
"""JSON values: the user's own fields at the top level, ours under `image`."""


# --- images ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where an image lies, and a cheap mark that changes when it does.

    Attributes:
        uri: absolute path of a local file, or the address in its store.
        etag: changes whenever the bytes may have changed.
        size: bytes.
    """

    uri: str
    etag: str
    size: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What the decoder refuses to touch.

    Attributes:
        pixels: width x height of the stored picture.
        bytes: size of the file.
        aspect: longer side divided by the shorter.
        seconds: time to decode one image.
    """

    pixels: int = 128_000_000
    bytes: int = 64 * 2**20
    aspect: float = 100.0
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded picture and what is known of its file.

    Attributes:
        pixels: (h, w, 3) uint8, sRGB, upright, transparent parts composited on white; possibly
            shrunk by a whole factor, never below the side that was asked for.
        alpha: (h, w) uint8, 255 where the picture is opaque; None where it is everywhere.
        width, height: pixels of the whole picture, upright.
        format: "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF" or "HEIF".
        sha256: of the file's bytes, hexadecimal.
        bytes: size of the file.
        taken_at: when the camera took it, RFC 3339, where the file says so.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    width: int
    height: int
    format: str
    sha256: str
    bytes: int
    taken_at: str | None


# --- vectors and points ---------------------------------------------------------------------


class Distance(StrEnum):
    COSINE = "cosine"
    MANHATTAN = "manhattan"


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """A named vector: what the manifest keeps of a descriptor.

    Attributes:
        name: of the vector in the engine, such as "clip-vit-b-32".
        aspect: the kind of likeness it serves, or None where queries cannot weigh it.
        size: number of dimensions.
        distance: how two of them compare.
        datatype: how the engine stores them.
        model: what made it, such as "Qdrant/clip-ViT-B-32-vision".
        revision: changes whenever the same pixels may give another vector.
    """

    name: str
    aspect: str | None
    size: int
    distance: Distance
    datatype: Literal["float32", "uint8"]
    model: str
    revision: str


@dataclass(frozen=True, slots=True)
class Description:
    """What a descriptor says of a batch of images.

    Attributes:
        vectors: (n, size) float32, one row an image.
        payload: one mapping an image, merged into its payload under `image`; or empty.
    """

    vectors: NDArray[np.float32]
    payload: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A picture, and what descriptors said of it, by their names; one row each."""

    image: Image
    descriptions: Mapping[str, Description]


@dataclass(frozen=True, slots=True)
class Point:
    """What the engine stores for an image: its string id, its vectors by name, its payload."""

    id: str
    vectors: Mapping[str, Vector]
    payload: Payload


# --- fields and filters ---------------------------------------------------------------------


class FieldType(StrEnum):
    """Type of a payload field. `KEYWORDS` is a list of keywords."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    KEYWORD = "keyword"
    KEYWORDS = "keywords"


@dataclass(frozen=True, slots=True)
class Match:
    """The field at `path` equals one of `values`; a list matches by any of its elements."""

    path: str
    values: tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """The number or the point in time at `path` lies within the bounds given."""

    path: str
    gt: float | datetime | None = None
    gte: float | datetime | None = None
    lt: float | datetime | None = None
    lte: float | datetime | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """The field at `path` is absent, null or an empty list."""

    path: str


@dataclass(frozen=True, slots=True)
class HasId:
    """The point has one of these string ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds. Without parts it holds for all points."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Filter


Filter: TypeAlias = Match | Range | Missing | HasId | All | AnyOf | Not


def join(*filters: Filter | None) -> Filter | None:
    """The filter that holds where all of these do; None holds everywhere."""
    parts = tuple(filter for filter in filters if filter is not None)
    return All(parts) if len(parts) > 1 else parts[0] if parts else None


# --- queries --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Near:
    """One target of a query: be near `vector` in the named vector `name`, with this weight."""

    name: str
    vector: Vector
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """What an engine is asked: the top of the weighted sum over the points that pass.

    Attributes:
        near: targets; the score of a point is the sum of weight x similarity.
        filter: only points that pass it count.
        limit, offset: which part of the ranking.
        candidates: how many points each target proposes when there are several targets.
    """

    near: tuple[Near, ...]
    filter: Filter | None = None
    limit: int = 10
    offset: int = 0
    candidates: int = 200


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of an engine's answer: the sum, and the similarity to every target in turn."""

    id: str
    score: float
    scores: tuple[float, ...]
    payload: Payload


@dataclass(frozen=True, slots=True)
class Answer:
    """An engine's answer to a `Query`.

    Attributes:
        rows: best first.
        floors: for each target the similarity of the last candidate it proposed: no point
            outside the candidates is nearer; -inf where it proposed every point that passes.
    """

    rows: Sequence[Scored]
    floors: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search.

    Attributes:
        id: the image's id.
        score: higher is better; the weighted sum of `scores`.
        scores: similarity for each aspect that was asked for, by aspect.
        payload: the user's fields, and ours under "image".
    """

    id: str
    score: float
    scores: Mapping[str, float]
    payload: Payload = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The results of a search, best first: a sequence of `Hit`.

    Attributes:
        rows: the hits.
        complete: whether it is proved that no image belongs above the last hit.
        weights: by aspect, as they counted; they add up to 1.
        took_ms: milliseconds from the call to the answer.
    """

    rows: tuple[Hit, ...]
    complete: bool
    weights: Mapping[str, float]
    took_ms: float

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.rows)
