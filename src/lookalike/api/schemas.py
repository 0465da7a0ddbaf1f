"""Request and response bodies. Requests are validated; responses are only documented."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, create_model

from lookalike.manifest import Phase
from lookalike.options import Option, is_union, options_of
from lookalike.search.request import ExampleOptions, RecommendOptions, SearchOptions
from lookalike.types import FieldType

Text: TypeAlias = Annotated[str, Field(max_length=2_000)]
Id: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_000)]
Where: TypeAlias = Annotated[str, Field(max_length=100_000)]
ParamsText: TypeAlias = Annotated[
    str,
    Field(
        max_length=100_000,
        description="Values that the filter names, as a JSON object.",
        examples=['{"max": 100}'],
    ),
]
Numbers: TypeAlias = Annotated[list[float], Field(min_length=1, max_length=8_192)]
Token: TypeAlias = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Side: TypeAlias = Annotated[int, Field(ge=16, le=1024)]

FEW = 16
"""Pictures that one search may be about: each is read and described."""
MANY = 100
"""Ids, words or examples that one search may be about."""


class Body(BaseModel):
    """A request body. Unknown fields, other types, NaN, and infinity are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Ranking(Body):
    """A body with the options of a search."""

    filter: dict[str, Any] | None = Field(
        None,
        description="Filter as Qdrant's JSON, instead of `where`.",
        examples=[{"must": []}],
    )


class Pictured(Ranking):
    """A body that can name pictures."""

    upload: Token | Annotated[list[Token], Field(max_length=FEW)] | None = Field(
        None, description="Tokens of query images: POST /v1/uploads."
    )
    url: Text | Annotated[list[Text], Field(max_length=FEW)] | None = Field(
        None, description="Addresses of query images, where the service fetches them."
    )


_TYPES: Mapping[str, Any] = {
    "id": Id | Annotated[list[Id], Field(max_length=MANY)] | None,
    "vector": dict[Text, Numbers] | Numbers | None,
    "where": Where | None,
    "crop": Annotated[list[float], Field(min_length=4, max_length=4)] | None,
    "limit": Annotated[int, Field(ge=1, le=1000)],
    "offset": Annotated[int, Field(ge=0, le=10_000)],
    "like": Annotated[list[Id], Field(max_length=MANY)],
    "unlike": Annotated[list[Id], Field(max_length=MANY)],
}
"""Types of options whose limits over HTTP are their own; the others follow the declarations."""

_EXAMPLES: Mapping[str, list[Any]] = {
    "color": ["navy", ["navy=0.6", "#ffffff"], {"navy": 0.6}],
    "weights": ["style"],
    "where": ["price < 100"],
    "params": [{"max": 100}],
    "like": [["sku-17", "text:a red dress"]],
}


def declared(
    *declarations: type,
    base: type[Body],
    types: Mapping[str, Any] = _TYPES,
    without: Collection[str] = (),
    only: Collection[str] | None = None,
) -> Any:
    """A model with the options of declarations as its fields; see `options`.

    Args:
        declarations: where the options are declared.
        base: the model to extend.
        types: types of options whose limits over HTTP are their own.
        without: options that requests do not have.
        only: options that requests have, where a new one must not become theirs by itself.
    """
    fields: dict[str, Any] = {}
    for name, option in [one for each in declarations for one in options_of(each).items()]:
        if name not in without and (only is None or name in only):
            default = [] if option.default == () else option.default
            field = Field(default, description=option.help, examples=_EXAMPLES.get(name))
            fields[name] = (types.get(name) or _json_type(option.type, option), field)
    return create_model("Declared", __base__=base, **fields)


def _json_type(hint: Any, option: Option) -> Any:
    """The type of an option in JSON, with limits."""
    origin, arguments = get_origin(hint) or hint, get_args(hint)
    if is_union(hint):
        return Union[tuple(_json_type(part, option) for part in arguments)]  # noqa: UP007
    if origin is Sequence:
        items: Any = GenericAlias(list, _json_type(arguments[0], option))
        return Annotated[items, Field(max_length=MANY)]
    if origin is Mapping:
        return GenericAlias(dict, (Text, _json_type(arguments[1], option)))
    if hint in (int, float):
        return Annotated[hint, Field(ge=option.least, le=option.most)]
    return Text if hint is str else hint


if TYPE_CHECKING:
    _SearchOptions: TypeAlias = Pictured
    _RecommendOptions: TypeAlias = Pictured
else:
    _SearchOptions = declared(SearchOptions, base=Pictured, without=["image"])
    _RecommendOptions = declared(ExampleOptions, RecommendOptions, base=Pictured, without=["image"])


class Search(_SearchOptions):
    """A search by images, text, colors, or any blend of them."""


class Recommend(_RecommendOptions):
    """A search by examples: ids, "text:WORDS" or "upload:TOKEN", and by all a search takes."""


class Conditions(Body):
    """Filter conditions that must all hold, as `where` expressions or in Qdrant's JSON."""

    conditions: list[Where | dict[str, Any]] = Field(
        max_length=MANY,
        examples=[["price < 100", {"key": "category", "match": {"value": "dress"}}]],
    )


class Batch(Body):
    """Many searches together."""

    queries: list[SkipValidation[Recommend | Search]] = Field(
        max_length=100, description="Each is validated by itself."
    )


class Item(Body):
    """Id and fields of an image to add."""

    id: Id | None = Field(default=None, description="Default: the SHA-256 of the file.")
    fields: dict[str, Any] | None = None


class Fields(Body):
    """Field values by name; null removes a field."""

    fields: dict[str, Any] = Field(examples=[{"price": 49.0, "color": None}])


class Ids(Body):
    ids: list[Id] = Field(max_length=10_000)


# --- responses ------------------------------------------------------------------------------


class InvalidField(BaseModel):
    location: str = Field(examples=["body.limit"])
    detail: str


class Problem(BaseModel):
    """An error, as defined by RFC 9457."""

    type: str = Field(examples=["urn:lookalike:error:NotFound"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str
    error: str = Field(description="Name of the error in the library.", examples=["NotFound"])
    reason: str | None = Field(None, description="Why an image was rejected.")
    fields: list[InvalidField] | None = Field(None, description="Invalid fields of the request.")


class ColorResponse(BaseModel):
    name: str = Field(description="The basic color term.", examples=["blue"])
    hex: str
    share: float
    terms: list[str] | None = Field(None, description="Names in fashion.", examples=[["navy"]])


class PlaceResponse(BaseModel):
    """A place on Earth, in degrees."""

    lat: float
    lon: float


class RecordResponse(BaseModel):
    """The fields that lookalike itself stores for an image: `record.ImageRecord`."""

    id: str
    uri: str
    etag: str
    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    phash: str
    colors: list[ColorResponse]
    indexed_at: str
    modified_at: str | None = None
    taken_at: str | None = None
    gps: PlaceResponse | None = None
    frames: int | None = None
    alpha: bool | None = None
    bit_depth: int | None = None
    camera_raw: bool | None = None
    camera_metadata: bool | None = None
    motion: bool | None = None
    copy_of: str | None = None
    not_duplicates: list[str] | None = None
    keep_all: list[str] | None = None
    moved_from: str | None = None
    listed_in: str | None = None


class PayloadResponse(BaseModel):
    """The user's fields at the top level, lookalike's own under `image`."""

    model_config = ConfigDict(extra="allow")

    image: RecordResponse


class HitResponse(BaseModel):
    id: str
    score: float
    scores: dict[str, float]
    calibrated: float
    raw: float
    shares: dict[str, float]
    variants: list[str]
    others: int
    payload: PayloadResponse


class HitsResponse(BaseModel):
    hits: list[HitResponse]
    complete: bool | None = Field(
        description="True if it is proved that no image belongs above the last hit; null if the "
        "engine searched approximately; false if the search stopped early. "
        "`explanation.reason` says why."
    )
    weights: dict[str, float]
    took_ms: float
    explanation: dict[str, Any]


class FailedQuery(BaseModel):
    problem: Problem


class BatchResponse(BaseModel):
    results: list[HitsResponse | FailedQuery] = Field(description="In the order of the queries.")


class ConditionResponse(BaseModel):
    where: str
    filter: dict[str, Any] = Field(description="The same in Qdrant's JSON, with field names.")


class WhereResponse(BaseModel):
    where: str = Field(description="All conditions as one expression; empty without any.")
    conditions: list[ConditionResponse]


class UploadResponse(BaseModel):
    upload: str = Field(description="Token for later searches.")
    width: int
    height: int
    format: str


class ValueCount(BaseModel):
    value: str | int | bool
    count: int


class FacetsResponse(BaseModel):
    field: str
    values: list[ValueCount]


class WordResponse(BaseModel):
    name: str
    precision: float = Field(description="Share of the ten best pictures that show it.")
    measured_with: Literal["labels", "teacher"]
    synonyms: list[str]


class WordsResponse(BaseModel):
    words: list[WordResponse] = Field(description="Empty where the model takes any text, or none.")


class BinResponse(BaseModel):
    low: float | str
    high: float | str
    count: int


class HistogramResponse(BaseModel):
    field: str
    low: float | str | None
    high: float | str | None
    count: int
    missing: int
    bins: list[BinResponse]


class ImageResponse(BaseModel):
    id: str
    payload: PayloadResponse
    vectors: dict[str, list[float]] | None = None


class ImagesResponse(BaseModel):
    images: list[ImageResponse]
    cursor: str | None = Field(description="Leads to the next page; null on the last.")
    total: int


class RejectResponse(BaseModel):
    uri: str = Field(description="Name of the file.")
    reason: str
    detail: str


class FileNoteResponse(BaseModel):
    uri: str = Field(description="Name of the file.")
    detail: str


class CopyResponse(BaseModel):
    uri: str = Field(description="Name of the file.")
    of: str = Field(description="Id of the image that it is a copy of.")
    verdict: str


class ReportResponse(BaseModel):
    """The report of an ingest."""

    model_config = ConfigDict(extra="allow")

    added: int
    updated: int
    moved: int = Field(description="Files with another address and the same content.")
    unchanged: int
    rejected: int
    prune_refused: str | None = Field(description="Why nothing was pruned.")
    incomplete: bool = Field(description="Whether a part of a bucket could not be listed.")
    rejects: list[RejectResponse]
    skipped: int = Field(description="Copies that were left out.")
    removed: int = Field(description="Images that their source or the metadata no longer has.")
    cleared: int = Field(description="Values that the metadata no longer gives.")
    outdated: int = Field(
        description="Values that could not be read, and whose older ones stay in the index."
    )
    copies: list[CopyResponse]
    notes: list[FileNoteResponse] = Field(
        description="Files that were used although something is wrong with them."
    )


class MigrationResponse(BaseModel):
    """The state of a migration."""

    phase: Phase
    aspect: str = Field(description="The aspect whose model is replaced.")
    old: str
    new: str
    images: int
    lacking: int = Field(description="Images without the new vector.")


class MissedImageResponse(BaseModel):
    id: str
    detail: str


class MigrationReportResponse(MigrationResponse):
    """The report of a job that describes images by a new model."""

    filled: int = Field(description="Images that the job described.")
    missed: int = Field(description="Images that it could not describe.")
    problems: list[MissedImageResponse]


class IngestResponse(ReportResponse):
    ids: list[str | None] = Field(description="One per file; null where it was rejected.")


class PutResponse(BaseModel):
    id: str
    added: bool


class DeletedResponse(BaseModel):
    deleted: int


class VectorResponse(BaseModel):
    size: int
    model: str
    aspect: str | None = Field(description="Null for perceptual hashes, which only find copies.")


class FieldResponse(BaseModel):
    type: FieldType
    values: int | None = Field(description="Distinct values; null for a field with ranges.")


class StatsResponse(BaseModel):
    model_config = ConfigDict(extra="allow")

    images: int
    bytes_on_disk: int | None = Field(description="Null where the engine is a server.")
    indexed_vectors: int
    vectors: dict[str, VectorResponse]
    fields: dict[str, FieldResponse] = Field(description="The user's fields.")
    engine: str
    aspects: list[str]
    presets: dict[str, dict[str, float]]
    supports_text: bool = Field(description="Whether the model can search by text.")
    thumbnails: int = Field(description="Bytes on disk.")
    problems: list[str] = Field(description="Damage to the index; empty if there is none.")
    memory: int = Field(description="Resident bytes of all processes.")
    building: bool = Field(description="Whether the search graph is being built.")
    roots: bool = Field(description="Whether jobs may index folders of the machine.")
    write: bool = Field(description="Whether the caller may change the index.")
    version: str


class HealthResponse(BaseModel):
    status: str
