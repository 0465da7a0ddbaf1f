"""The values that flow through everything: frozen, and without behavior of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias, overload
from uuid import UUID, uuid5

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(height, width, 3), sRGB, upright."""

Vector: TypeAlias = NDArray[np.float32] | NDArray[np.uint8]
"""(size,), of the datatype of its `VectorSpec`."""

Payload: TypeAlias = Mapping[str, Any]
"""JSON values: the user's own fields at the top level, ours under `image`."""


# --- images ---------------------------------------------------------------------------------


ImageInput: TypeAlias = str | os.PathLike[str] | bytes
"""An image from a caller: a path, or the bytes of a file."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """Where an image lies, and a cheap mark that changes when it does.

    Attributes:
        uri: absolute path of a local file, or the address in its store.
        etag: changes whenever the bytes may have changed.
        size: bytes.
        modified_at: when the bytes last changed, RFC 3339; empty where nobody knows.
    """

    uri: str
    etag: str
    size: int
    modified_at: str = ""


@dataclass(frozen=True, slots=True)
class DecodeLimits:
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
        halved: pixels and alpha halved so many times, as far as descriptors wanted them so far.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    width: int
    height: int
    format: str
    sha256: str
    bytes: int
    taken_at: str | None
    halved: dict[int, tuple[Pixels, NDArray[np.uint8] | None]] = field(
        default_factory=dict, compare=False, repr=False
    )


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
    """A picture, and what was made of it.

    Attributes:
        image: the picture.
        descriptions: what descriptors said of it, by their names; one row each.
        thumbnail: a small JPEG of it; empty where none was asked for.
    """

    image: Image
    descriptions: Mapping[str, Description]
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Point:
    """What the engine stores for an image: its string id, its vectors by name, its payload."""

    id: str
    vectors: Mapping[str, Vector]
    payload: Payload


class Decision(StrEnum):
    """What someone said of images that look like copies: names of fields under `image`.

    Each image keeps the contents (sha256) of the others that it was said of, so a decision holds
    wherever the files lie, and ends where one is edited.
    """

    NOT_DUPLICATES = "not_duplicates"
    KEEP_ALL = "keep_all"


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
class AnyOfValues:
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


Filter: TypeAlias = AnyOfValues | Range | Missing | HasId | All | AnyOf | Not


def join(*filters: Filter | None) -> Filter | None:
    """The filter that holds where all of these do; None holds everywhere."""
    parts = tuple(filter for filter in filters if filter is not None)
    return All(parts) if len(parts) > 1 else parts[0] if parts else None


# --- queries --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Background:
    """How similar images are that have nothing to do with each other.

    Attributes:
        mean, spread: mean and standard deviation of the similarity of random pairs.
    """

    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class WeightedVector:
    """One target of a query: be near `vector` in the named vector `name`, with this weight."""

    name: str
    vector: Vector
    weight: float


PointId: TypeAlias = UUID
"""What an engine calls a point by; made from the image's string id."""

_NAMESPACE = UUID("6f6b1f5e-0f9c-5c1b-8f0e-6c6f6f6b616c")


def point_id(id: str) -> PointId:
    """The engine's id of an image: UUIDv5 of its string id, the same in every engine.

    A shell may hand over bytes that are no UTF-8; no image has such an id, and asking is no error.
    """
    return uuid5(_NAMESPACE, id.encode("utf-8", "backslashreplace").decode())


Candidates: TypeAlias = Sequence[tuple[PointId, float]]
"""Points with their similarity to one target, nearest first."""


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """What an engine is asked for candidates: the nearest to one target, by quantized vectors.

    Attributes:
        near: the target; its weight does not matter.
        filter: only points that pass it count.
        limit: how many.
        explored: how many points beyond them the graph is explored for, so that the list has no
            gaps near its end.
    """

    near: WeightedVector
    filter: Filter | None
    limit: int
    explored: int = 100


@dataclass(frozen=True, slots=True)
class Query:
    """What an engine is asked for rows: the top of the weighted sum, by the original vectors.

    Attributes:
        near: targets; the score of a point is the sum of weight x similarity.
        filter: only points that pass it count.
        limit, offset: which part of the ranking.
        among: the points that compete; required where there are several targets, and `filter` is
            then taken to hold for them. None: every point.
        vectors: names of the vectors that rows shall carry.
    """

    near: tuple[WeightedVector, ...]
    filter: Filter | None = None
    limit: int = 10
    offset: int = 0
    among: Sequence[PointId] | None = None
    vectors: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """One row of an engine's answer: the sum, and the similarity to every target in turn."""

    id: str
    score: float
    scores: tuple[float, ...]
    payload: Payload
    vectors: Mapping[str, Vector] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search.

    Attributes:
        id: the image's id.
        score: higher is better; the sum of `scores`, each times the weight that counted.
        scores: similarity for each aspect that was asked for, by aspect.
        payload: the user's fields, and ours under "image".
        calibrated: how far it stands above a random image, in standard deviations: the weighted
            mean over the aspects. Hits rank by it as they do by `score`. Without calibration the
            same as `raw`.
        raw: the sum of `scores`, each times the weight that was asked for.
        shares: what part of `calibrated` each aspect brought; they add up to 1, and an aspect in
            which the image is no nearer than a random one brought 0.
        variants: ids of near-identical images that stand behind this one, where they were
            collapsed.
    """

    id: str
    score: float
    scores: Mapping[str, float]
    payload: Payload = field(default_factory=dict)
    calibrated: float = 0.0
    raw: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    variants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AspectPlan:
    """How one aspect entered a search.

    Attributes:
        vector: name of the vector that was compared.
        target: what it was compared with, in words.
        weight: as it was asked for.
        mean, spread: of the similarities of random images to such a target; None without
            calibration.
        effective: the weight that similarities were multiplied with: `weight` divided by
            `spread`, and scaled so that all add up to 1.
    """

    vector: str
    target: str
    weight: float
    mean: float | None
    spread: float | None
    effective: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """How an answer came about.

    Attributes:
        aspects: the plan, by aspect.
        candidates: how many points each aspect proposed in the last round.
        compared: how many of them were compared by their original vectors in it.
        rounds: requests to the engine.
        relevant_from: hits with a `calibrated` up to this were dropped as no closer than
            chance; None where nothing was to be dropped, or of fewer than 30 images.
        milliseconds: by stage: `targets` (reading and describing what is searched by), `engine`,
            `ranking` (all that happens to its answers).
    """

    aspects: Mapping[str, AspectPlan]
    candidates: int
    compared: int
    rounds: int
    relevant_from: float | None
    milliseconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The results of a search, best first: a sequence of `Hit`.

    Attributes:
        rows: the hits.
        complete: whether it is proved that no image belongs above the last hit.
        weights: by aspect, as they were asked for; they add up to 1.
        took_ms: milliseconds from the call to the answer.
        explanation: the plan, what it cost, and the weights that counted.
    """

    rows: tuple[Hit, ...]
    complete: bool
    weights: Mapping[str, float]
    took_ms: float
    explanation: Explanation

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
