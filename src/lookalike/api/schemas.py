"""What requests hold, and what answers hold for the OpenAPI document. Nothing else is taken."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from lookalike.types import FieldType

Text: TypeAlias = Annotated[str, Field(max_length=2_000)]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_000)]
Where: TypeAlias = Annotated[str, Field(max_length=100_000)]
Token: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Side: TypeAlias = Annotated[int, Field(ge=16, le=1024)]

FEW = 16
"""Pictures that one search may be about: each is read and described."""
MANY = 100
"""Ids, words or examples that one search may be about."""


class Body(BaseModel):
    """What a client sends: other fields, other types, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Ranking(Body):
    """What searches of every kind have."""

    weights: dict[str, float] | Text | None = Field(
        None, description="By aspect, or the name of a preset.", examples=["style"]
    )
    calibration: Literal["spread", "none"] = Field(
        "spread", description="Weights mean influence, or are plain factors."
    )
    where: Where | None = Field(None, description="A filter.", examples=["price < 100"])
    filter: dict[str, Any] | None = Field(
        None, description="The same as Qdrant's JSON.", examples=[{"must": []}]
    )
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10_000)
    diversity: float = Field(0.0, ge=0, le=1, description="How unlike hits should be.")
    collapse: bool = Field(False, description="WeightedVector-identical images once.")
    relevant: bool = Field(False, description="Without what is no closer than chance.")
    exact: bool = Field(False, description="Search on until the answer is proved.")


class Search(Ranking):
    """A search by images, words, colors, or any blend of them."""

    id: Id | Annotated[list[Id], Field(max_length=MANY)] | None = Field(
        None, description="Images of the index."
    )
    text: Text | Annotated[list[Text], Field(max_length=MANY)] | None = None
    negative_text: Text | Annotated[list[Text], Field(max_length=MANY)] | None = None
    color: Text | Annotated[list[Text], Field(max_length=MANY)] | dict[Text, float] | None = Field(
        None, examples=["navy", ["navy=0.6", "#ffffff"], {"navy": 0.6}]
    )
    upload: Token | Annotated[list[Token], Field(max_length=FEW)] | None = Field(
        None, description="Tokens of query images: POST /v1/uploads."
    )
    url: Text | Annotated[list[Text], Field(max_length=FEW)] | None = Field(
        None, description="Addresses of query images, where the service fetches them."
    )
    crop: Annotated[list[float], Field(min_length=4, max_length=4)] | None = Field(
        None,
        description="The part of the one picture that counts: x, y, width, height from 0 to 1.",
    )


class Recommend(Ranking):
    """A search by examples: ids, "text:WORDS" or "upload:TOKEN"."""

    like: list[Id] = Field([], max_length=MANY, examples=[["sku-17", "text:a red dress"]])
    unlike: list[Id] = Field([], max_length=MANY)
    strategy: Literal["average", "best", "sum"] = "average"


class Conditions(Body):
    """Conditions that must all hold: texts of the `where` language, and Qdrant's in JSON."""

    conditions: list[Where | dict[str, Any]] = Field(
        max_length=MANY,
        examples=[["price < 100", {"key": "category", "match": {"value": "dress"}}]],
    )


class Batch(Body):
    """Many searches together."""

    queries: list[Recommend | Search] = Field(max_length=100)


class Item(Body):
    """What is known of an image that is added."""

    id: Id | None = Field(default=None, description="By default the SHA-256 of the file.")
    fields: dict[str, Any] | None = None


class Fields(Body):
    """Values by name; null removes a field."""

    fields: dict[str, Any] = Field(examples=[{"price": 49.0, "color": None}])


class Ids(Body):
    ids: list[Id] = Field(max_length=10_000)


# --- answers --------------------------------------------------------------------------------


class Fault(BaseModel):
    where: str
    what: str


class Problem(BaseModel):
    """What went wrong: RFC 9457."""

    type: str = Field(examples=["urn:lookalike:error:NotFound"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str
    error: str = Field(description="The error's name in the library.", examples=["NotFound"])
    reason: str | None = Field(None, description="Why an image was rejected.")
    fields: list[Fault] | None = Field(None, description="What is wrong with the request.")


class ColorAnswer(BaseModel):
    name: str = Field(description="The basic term.", examples=["blue"])
    hex: str
    share: float


class RecordAnswer(BaseModel):
    """What lookalike itself stores of an image: `record.ImageRecord`."""

    id: str
    uri: str
    etag: str
    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    phash: str
    colors: list[ColorAnswer]
    indexed_at: str
    modified_at: str | None = None
    taken_at: str | None = None
    copy_of: str | None = None
    not_duplicates: list[str] | None = None
    keep_all: list[str] | None = None


class PayloadAnswer(BaseModel):
    """The user's fields at the top level, ours under `image`."""

    model_config = ConfigDict(extra="allow")

    image: RecordAnswer


class HitAnswer(BaseModel):
    id: str
    score: float
    scores: dict[str, float]
    calibrated: float
    raw: float
    shares: dict[str, float]
    variants: list[str]
    payload: PayloadAnswer


class HitsAnswer(BaseModel):
    hits: list[HitAnswer]
    complete: bool
    weights: dict[str, float]
    took_ms: float
    explanation: dict[str, Any]


class Failed(BaseModel):
    problem: Problem


class BatchAnswer(BaseModel):
    answers: list[HitsAnswer | Failed]


class ConditionAnswer(BaseModel):
    where: str
    filter: dict[str, Any] = Field(description="The same as Qdrant's JSON, by names of fields.")


class WhereAnswer(BaseModel):
    where: str = Field(description="All conditions as one text; empty where there are none.")
    conditions: list[ConditionAnswer]


class UploadAnswer(BaseModel):
    upload: str = Field(description="The token to search by.")
    width: int
    height: int
    format: str


class ValueCount(BaseModel):
    value: str | int | bool
    count: int


class FacetsAnswer(BaseModel):
    field: str
    values: list[ValueCount]


class BinAnswer(BaseModel):
    low: float | str
    high: float | str
    count: int


class HistogramAnswer(BaseModel):
    field: str
    low: float | str | None
    high: float | str | None
    count: int
    missing: int
    bins: list[BinAnswer]


class ImageAnswer(BaseModel):
    id: str
    payload: PayloadAnswer
    vectors: dict[str, list[float]] | None = None


class ImagesAnswer(BaseModel):
    images: list[ImageAnswer]
    total: int


class RejectAnswer(BaseModel):
    uri: str = Field(description="The name of the file.")
    reason: str
    detail: str


class ReportAnswer(BaseModel):
    """What became of images that were read into the index."""

    model_config = ConfigDict(extra="allow")

    added: int
    updated: int
    unchanged: int
    rejected: int
    rejects: list[RejectAnswer]


class IngestAnswer(ReportAnswer):
    ids: list[str | None] = Field(description="Of each file; null where it was rejected.")


class PutAnswer(BaseModel):
    id: str
    added: bool


class DeletedAnswer(BaseModel):
    deleted: int


class VectorAnswer(BaseModel):
    size: int
    model: str
    aspect: str | None = Field(description="Null for perceptual hashes, which only find copies.")


class FieldAnswer(BaseModel):
    type: FieldType
    values: int | None = Field(description="Distinct values; null for a field of ranges.")


class StatsAnswer(BaseModel):
    model_config = ConfigDict(extra="allow")

    images: int
    bytes_on_disk: int
    indexed_vectors: int
    vectors: dict[str, VectorAnswer]
    fields: dict[str, FieldAnswer] = Field(description="The user's fields.")
    engine: str
    aspects: list[str]
    presets: dict[str, dict[str, float]]
    text: bool
    thumbnails: int
    memory: int
    building: bool
    roots: bool
    write: bool
    version: str


class HealthAnswer(BaseModel):
    status: str
