"""The record of an image: what lookalike itself stores in a payload, beside the user's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NotRequired, TypedDict, cast

from lookalike.errors import IndexDamaged
from lookalike.types import Decision, Payload

KEY = "image"
"""Payload key of the record. User fields sit beside it, at the top level."""

ID = "image.id"
URI = "image.uri"
FOLDER = "image.folder"
SHA256 = "image.sha256"
FORMAT = "image.format"
WIDTH = "image.width"
HEIGHT = "image.height"
BYTES = "image.bytes"
TAKEN_AT = "image.taken_at"
GPS = "image.gps"
FRAMES = "image.frames"
ALPHA = "image.alpha"
BIT_DEPTH = "image.bit_depth"
CAMERA_RAW = "image.camera_raw"
CAMERA_METADATA = "image.camera_metadata"
MOTION = "image.motion"
INDEXED_AT = "image.indexed_at"
PHASH = "image.phash"
COPY_OF = "image.copy_of"
MODIFIED_AT = "image.modified_at"
MOVED_FROM = "image.moved_from"
LISTED_IN = "image.listed_in"
LOCATION = (URI, "image.etag", MODIFIED_AT, LISTED_IN)
NOT_DUPLICATES = "image.not_duplicates"
KEEP_ALL = "image.keep_all"
COLORS = "image.colors"
MAIN_COLOR = "image.main_color"
"""Paths of the record's fields, as filters name them."""


class Color(TypedDict):
    """One dominant color: its basic term, a typical shade as `#rrggbb`, its share from 0 to 1, and
    its names in fashion, such as navy; an older version did not store these."""

    name: str
    hex: str
    share: float
    terms: NotRequired[list[str]]


class Place(TypedDict):
    """A place on Earth, in degrees."""

    lat: float
    lon: float


class ImageRecord(TypedDict):
    """Facts about an image.

    Times are RFC 3339 in UTC; `width` and `height` are pixels, upright; `phash` is 16 hexadecimal
    digits. The fields from `frames` to `motion` are those of `types.FileFacts`; they are absent,
    which means unknown, where an older version indexed the image. `not_duplicates` and `keep_all`
    list the SHA-256 of the images a decision was made about; see `types.Decision`. `moved_from` is
    the id of a point that this one replaces, until that one is deleted. `listed_in` is the path or
    address of the list that names an image on the web.
    """

    id: str
    uri: str
    etag: str
    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    phash: str
    colors: list[Color]
    indexed_at: str
    modified_at: NotRequired[str]
    listed_in: NotRequired[str]
    taken_at: NotRequired[str]
    gps: NotRequired[Place]
    frames: NotRequired[int]
    alpha: NotRequired[bool]
    bit_depth: NotRequired[int]
    camera_raw: NotRequired[bool]
    camera_metadata: NotRequired[bool]
    motion: NotRequired[bool]
    copy_of: NotRequired[str]
    moved_from: NotRequired[str]
    not_duplicates: NotRequired[list[str]]
    keep_all: NotRequired[list[str]]


REQUIRED = (
    *("id", "uri", "etag", "sha256", "format", "width", "height"),
    *("bytes", "phash", "colors", "indexed_at"),
)
"""Names in every record."""

RECORD_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("id", "uri", "etag", "sha256", "format", "phash", "indexed_at"), (str,)),
    **dict.fromkeys(("modified_at", "listed_in", "taken_at", "copy_of", "moved_from"), (str,)),
    **dict.fromkeys(("width", "height", "bytes", "frames", "bit_depth"), (int,)),
    **dict.fromkeys(("alpha", "camera_raw", "camera_metadata", "motion"), (bool,)),
    **dict.fromkeys(("colors", "not_duplicates", "keep_all"), (list,)),
    "gps": (dict,),
}
"""Types of the values of a record in JSON, by name."""


def record_of(payload: Payload) -> ImageRecord:
    """The record in a payload.

    Raises:
        IndexDamaged: there is none.
    """
    own = payload.get(KEY)
    if not isinstance(own, dict):
        raise IndexDamaged(
            "The index has lost what it knew of an image; see what is damaged with `lookalike "
            "verify`."
        )
    return cast(ImageRecord, own)


def decided_about(payload: Payload, decision: Decision) -> Sequence[str]:
    """SHA-256 of the images that this one was decided about."""
    record: Mapping[str, Sequence[str]] = payload[KEY]
    return record.get(decision.value, ())
