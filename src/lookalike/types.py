"""Value types shared by all parts: frozen, without behavior."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.system.distances import Distance as Distance
from lookalike.system.inputs import ImageInput as ImageInput
from lookalike.system.point_ids import PointId as PointId
from lookalike.system.point_ids import point_id as point_id
from lookalike.system.times import format_datetime

Pixels: TypeAlias = NDArray[np.uint8]
"""Shape (height, width, 3), sRGB, upright."""

Vector: TypeAlias = NDArray[np.float32] | NDArray[np.uint8]
"""Shape (size,), in the datatype of its `VectorSpec`."""

Payload: TypeAlias = Mapping[str, Any]
"""JSON values: the user's fields at the top level, lookalike's under `image`; see `record`."""

PayloadPart: TypeAlias = bool | Sequence[str]
"""The part of a payload to read: all of it, the id alone, or the id and fields by their paths."""


# --- images ---------------------------------------------------------------------------------


UNKNOWN_ETAG = "?"
"""Etag of an image whose source must be asked whether it has changed; see `ConditionalSource`."""
ANY_ETAG = "*"
"""Etag of an image that counts as unchanged wherever the index has it."""


@dataclass(frozen=True, slots=True)
class ImageRef:
    """An image's address, and a cheap tag that changes with its bytes.

    Attributes:
        uri: absolute path of a local file, or address in an object store or on the web.
        etag: changes whenever the bytes may have changed; or one of the two above.
        size: bytes; 0 if unknown.
        modified_at: time of the last change, RFC 3339; empty if unknown.
        listed_in: path or address of the list that names an image on the web; empty for others.
    """

    uri: str
    etag: str
    size: int
    modified_at: str = ""
    listed_in: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object of an object store.

    Attributes:
        key: its key.
        size: bytes.
        etag: the store's tag of its content, without quotes; empty if it has none.
        modified: time of its last change.
    """

    key: str
    size: int
    etag: str
    modified: datetime

    @property
    def tag(self) -> str:
        """A tag that changes with its content, whatever the store."""
        return f"{self.size}-{self.etag or format_datetime(self.modified, 'microseconds')}"


@dataclass(frozen=True, slots=True)
class SourceOptions:
    """Options of a source, which ignores those that do not concern it.

    Attributes:
        exclude: patterns of what to pass over, in the syntax of `.gitignore`.
        endpoint: URL of an object store, in place of the cloud's own.
        anonymous: whether to read a public bucket without credentials.
        listing: path or address of a list of a bucket's keys, which is then not listed.
        largest: bytes of the largest file that is to be read, where its size is not listed.
    """

    exclude: Sequence[str] = ()
    endpoint: str | None = None
    anonymous: bool = False
    listing: str | None = None
    largest: int = 2**26


@dataclass(frozen=True, slots=True)
class Word:
    """A word that a model without a text tower can be searched by.

    Attributes:
        name: its usual spelling, in the singular where there is one.
        precision: share of the ten best pictures that show it, measured on pictures that it was
            not learned from.
        measured_with: "labels" of these pictures; or the "teacher" that the model was distilled
            from, where there are too few labels: the pictures that it finds likely count.
        synonyms: other names and irregular plurals.
    """

    name: str
    precision: float
    measured_with: Literal["labels", "teacher"]
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """A word that a text mentions.

    Attributes:
        name: the word as the model knows it, or a color.
        is_color: whether it is a color, which is no matter of what a picture shows.
        wanted: False after "not" or "without".
    """

    name: str
    is_color: bool
    wanted: bool


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """Limits of the decoder; an image beyond one of them is rejected.

    Attributes:
        pixels: width x height as stored.
        bytes: file size.
        aspect: longer side divided by the shorter.
        seconds: time to decode one image.
    """

    pixels: int = 128_000_000
    bytes: int = 64 * 2**20
    aspect: float = 100.0
    seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Facts of a file besides the pixels of its first frame; stored in the record as they are.

    Attributes:
        frames: pages, frames or pictures, without previews, masks and smaller versions.
        alpha: whether any pixel of the first frame is not opaque.
        bit_depth: bits of a channel as stored, at least 8.
        camera_raw: whether it is the data of a camera's sensor.
        camera_metadata: whether the EXIF names a camera or an exposure.
        motion: whether a video follows the picture, as in motion photos.
    """

    frames: int = 1
    alpha: bool = False
    bit_depth: int = 8
    camera_raw: bool = False
    camera_metadata: bool = False
    motion: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded image and the facts of its file.

    Attributes:
        pixels: (h, w, 3) uint8, sRGB, upright, transparency composited on white; possibly shrunk
            by a whole factor, never below the requested side.
        alpha: (h, w) uint8, 255 where the image is opaque; None if it is opaque everywhere.
        width, height: full size in pixels, upright.
        format: "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF" or "RAW".
        sha256: digest of the file's bytes, hexadecimal.
        bytes: file size.
        taken_at: capture time from the file, RFC 3339; None if it has none.
        gps: latitude and longitude from the file, in degrees; None if it has none.
        facts: what else the file holds.
        note: what is wrong with the file although the picture is whole; empty if nothing is.
        halved: cache of pixels and alpha, by the number of times they were halved.
    """

    pixels: Pixels
    alpha: NDArray[np.uint8] | None
    width: int
    height: int
    format: str
    sha256: str
    bytes: int
    taken_at: str | None
    gps: tuple[float, float] | None = None
    facts: FileFacts = FileFacts()
    note: str = ""
    halved: dict[int, tuple[Pixels, NDArray[np.uint8] | None]] = field(
        default_factory=dict, compare=False, repr=False
    )


# --- vectors and points ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """A named vector, as the manifest records it.

    Attributes:
        name: its name in the engine, such as "clip-vit-b-32".
        aspect: the kind of likeness it serves; None if queries cannot weigh it.
        size: number of dimensions.
        distance: the metric that compares two of them.
        datatype: the storage type in the engine.
        model: the model that made it, such as "Qdrant/clip-ViT-B-32-vision".
        revision: changes whenever the same pixels may yield another vector.
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
    """A descriptor's output for a batch of images.

    Attributes:
        vectors: (n, size) float32, one row per image.
        payload: one mapping per image, merged into its record; or empty.
    """

    vectors: NDArray[np.float32]
    payload: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Described:
    """An image with its descriptions.

    Attributes:
        image: the decoded image.
        descriptions: one-row descriptions by descriptor name.
        thumbnail: a small JPEG; empty if none was requested.
    """

    image: Image
    descriptions: Mapping[str, Description]
    thumbnail: bytes = b""


@dataclass(frozen=True, slots=True)
class Point:
    """An image in the engine: its string id, its vectors by name, its payload."""

    id: str
    vectors: Mapping[str, Vector]
    payload: Payload

    def __repr__(self) -> str:
        fields = [name for name in self.payload if name != "image"]
        return f"Point({self.id!r}, fields={fields!r:.80}, vectors={list(self.vectors)})"


class Decision(StrEnum):
    """A person's decision about images that look like copies; also its field in the record.

    Each image stores the SHA-256 of the others, so a decision survives moves and copies of the
    files, and ends when one is edited.
    """

    NOT_DUPLICATES = "not_duplicates"
    KEEP_ALL = "keep_all"


# --- fields and filters ---------------------------------------------------------------------


class FieldType(StrEnum):
    """Type of a payload field. `KEYWORDS` is a list of keywords, `TEXT` a long text that is
    searched by its words, `GEO` a place on Earth, which only `image.gps` is."""

    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    KEYWORD = "keyword"
    KEYWORDS = "keywords"
    TEXT = "text"
    GEO = "geo"


@dataclass(frozen=True, slots=True)
class AnyOfValues:
    """Matches if the field at `path` equals one of `values`, or its list holds one of them."""

    path: str
    values: tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Matches if the number or time at `path` lies within the given bounds."""

    path: str
    gt: float | datetime | None = None
    gte: float | datetime | None = None
    lt: float | datetime | None = None
    lte: float | datetime | None = None


@dataclass(frozen=True, slots=True)
class TextMatch:
    """Matches if the text at `path`, or one in its list, begins with `text`, contains it, or has
    all of its words as whole words in any order and case."""

    path: str
    text: str
    kind: Literal["prefix", "substring", "words"]


@dataclass(frozen=True, slots=True)
class WithinRadius:
    """Matches if the place at `path` is at most `meters` from a point, given in degrees."""

    path: str
    latitude: float
    longitude: float
    meters: float


@dataclass(frozen=True, slots=True)
class AnyElement:
    """Matches if one object in the list at `path` matches `part`."""

    path: str
    part: Filter


@dataclass(frozen=True, slots=True)
class Missing:
    """Matches if the field at `path` is absent, null or an empty list."""

    path: str


@dataclass(frozen=True, slots=True)
class HasVector:
    """Images that have a vector of this name; all do but those that a new model has yet to see."""

    name: str


@dataclass(frozen=True, slots=True)
class HasId:
    """Matches points with one of these string ids."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Matches if every part does; without parts, always."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Matches if at least one part does; without parts, never."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Matches if the part does not."""

    part: Filter


Filter: TypeAlias = (
    AnyOfValues
    | Range
    | TextMatch
    | WithinRadius
    | AnyElement
    | Missing
    | HasVector
    | HasId
    | All
    | AnyOf
    | Not
)


def join(*filters: Filter | None) -> Filter | None:
    """Joins filters with "and"; None matches everything."""
    parts = tuple(filter for filter in filters if filter is not None)
    return All(parts) if len(parts) > 1 else parts[0] if parts else None


# --- queries --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Background:
    """Similarity of unrelated images.

    Attributes:
        mean, spread: mean and standard deviation of the similarity of random pairs.
    """

    mean: float
    spread: float


@dataclass(frozen=True, slots=True)
class WeightedVector:
    """A target vector for one named vector, with its weight in a blend and that one's distance."""

    name: str
    vector: Vector
    weight: float
    distance: Distance = Distance.COSINE


CandidateId: TypeAlias = PointId | str
"""A point's id as an engine's own candidates have it; a server's are texts, which are faster."""
Candidates: TypeAlias = Sequence[tuple[CandidateId, float]]
"""Points with their similarities to one target, nearest first."""


@dataclass(frozen=True, slots=True)
class CandidateQuery:
    """A candidate query: approximate nearest neighbors of one target, from quantized vectors.

    Attributes:
        near: the target; its weight is ignored.
        filter: restricts the points.
        limit: number of candidates.
        explored: number of further points that the graph search explores, against gaps.
        exact: compare every point by its original vector instead.
    """

    near: WeightedVector
    filter: Filter | None
    limit: int
    explored: int = 100
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A ranking query: the top points by the weighted sum of similarities, from original vectors.

    Attributes:
        near: targets; a point's score is the sum of weight x similarity.
        filter: restricts the points.
        limit, offset: the part of the ranking to return.
        among: ids to rank, required with several targets; they are assumed to match `filter`. None
            ranks every point.
        least: the score from which on the rows of `among` are returned; None returns all.
        vectors: names of the vectors to return with each row.
        exact: compare every point by its original vector, without the search graph. Points in
            `among` always are.
    """

    near: tuple[WeightedVector, ...]
    filter: Filter | None = None
    limit: int = 10
    offset: int = 0
    among: Sequence[CandidateId] | None = None
    least: float | None = None
    vectors: Sequence[str] = ()
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Scored:
    """A row of an engine's answer: the weighted sum, and the similarity to each target in order."""

    id: str
    score: float
    scores: tuple[float, ...]
    payload: Payload
    vectors: Mapping[str, Vector] = field(default_factory=dict)
