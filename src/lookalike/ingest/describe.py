"""Some inputs of an ingest, read, decoded and described: what is to be written for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from lookalike import record
from lookalike.errors import ImageRejected
from lookalike.imaging.decode import check_size
from lookalike.protocols import Describers, ImageDecoder, Source
from lookalike.record import record_of
from lookalike.system.times import now
from lookalike.types import (
    DecodeLimits,
    Described,
    Image,
    ImageRef,
    Payload,
    Point,
    Vector,
)

TOGETHER = 2**20
"""Bytes that files have together to be decoded in one go: more is not faster, and all are held."""


@dataclass(frozen=True, slots=True)
class Reject:
    """An image that was refused, and why."""

    uri: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Copied:
    """An incoming image that is a copy of one in the index.

    Attributes:
        uri: of the incoming image.
        of: id of the one in the index.
        verdict: what kind of copy.
    """

    uri: str
    of: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One point to be: where its picture is, its id and fields, and what the index has of it.

    Attributes:
        fields: the user's fields from the metadata; None where there is no row.
        old: the point as it stands, or None.
        stale: id of an entry that this one replaces, or None.
    """

    source: Source
    ref: ImageRef
    id: str
    fields: Payload | None
    old: Point | None
    stale: str | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A new image that a gate must see first."""

    ref: ImageRef
    point: Point
    thumbnail: bytes


@dataclass(slots=True)
class Batch:
    """What is to be written for some entries, and how they count."""

    points: list[Point] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    copies: list[Copied] = field(default_factory=list)
    changes: list[tuple[str, Payload]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0


_Read: TypeAlias = bytes | ImageRejected | None
"""A file; None where the index has described these very bytes."""


class Worker:
    """Reads, decodes and describes; safe to use from several threads."""

    def __init__(
        self, decoder: ImageDecoder, describers: Describers, limits: DecodeLimits, *, gated: bool
    ) -> None:
        self._decoder = decoder
        self._describers = describers
        self._limits = limits
        self._gated = gated

    def describe(self, entries: Sequence[Entry]) -> Batch:
        batch = Batch()
        fresh: list[tuple[Entry, Described]] = []
        for part in self._parts(entries):
            decoded = iter(self._decode([data for _, data in part if isinstance(data, bytes)]))
            for entry, data in part:
                match next(decoded) if isinstance(data, bytes) else data:
                    case None:
                        self._same_bytes(entry, batch)
                    case ImageRejected() as error:
                        batch.rejects.append(Reject(entry.ref.uri, error.reason, error.detail))
                    case Described() as described:
                        fresh.append((entry, described))
        if fresh:
            self._describe(fresh, batch)
        return batch

    def _parts(self, entries: Sequence[Entry]) -> Iterator[list[tuple[Entry, _Read]]]:
        """The entries with their files, as many in one go as are small."""
        part: list[tuple[Entry, _Read]] = []
        size = 0
        for entry in entries:
            data = self._read(entry)
            part.append((entry, data))
            size += len(data) if isinstance(data, bytes) else 0
            if size > TOGETHER:
                yield part
                part, size = [], 0
        yield part

    def _read(self, entry: Entry) -> _Read:
        try:
            if entry.ref.size:  # what has none, or an unknown one, is told by reading it
                check_size(entry.ref.size, self._limits)
            data = entry.source.read(entry.ref)
            check_size(len(data), self._limits)
        except ImageRejected as error:
            return error
        return None if _is_the_same(entry, data) else data

    def _decode(self, files: Sequence[bytes]) -> Sequence[Described | ImageRejected]:
        describers = self._describers
        return self._decoder.describe_many(
            files,
            side=describers.side,
            names=list(describers.names),
            pixels=bool(describers.models),
            thumbnail=describers.thumbnail,
        )

    def _same_bytes(self, entry: Entry, batch: Batch) -> None:
        """The file was touched or moved, and is the same."""
        assert entry.old is not None  # noqa: S101 -- for the type checker
        fields = changed_fields(entry)
        moved = record_of(entry.old.payload)["uri"] != entry.ref.uri
        own = _place(entry.ref)
        batch.changes.append((entry.id, {**fields, record.KEY: own}))
        if fields or moved:
            batch.updated += 1
        else:
            batch.unchanged += 1
        if entry.stale is not None:
            batch.stale.append(entry.stale)

    def _describe(self, fresh: Sequence[tuple[Entry, Described]], batch: Batch) -> None:
        images = [described.image for _, described in fresh]
        by_models = [(model.spec.name, model.describe(images)) for model in self._describers.models]
        indexed_at = now()
        for i, (entry, described) in enumerate(fresh):
            own: dict[str, Any] = {
                "id": entry.id,
                **_place(entry.ref),
                **facts(described.image),
                "indexed_at": indexed_at,
            }
            vectors: dict[str, Vector] = {name: one.vectors[i] for name, one in by_models}
            for name, spec in self._describers.names.items():
                description = described.descriptions[name]
                vectors[name] = description.vectors[0].astype(spec.datatype)
                own.update(description.payload[0])
            kept = {} if entry.old is None else entry.old.payload
            payload = {**kept, **(entry.fields or {}), record.KEY: own}
            point = Point(entry.id, vectors, payload)
            is_new = entry.old is None and entry.stale is None
            if described.thumbnail:
                batch.thumbnails[described.image.sha256] = described.thumbnail
            if is_new and self._gated:
                batch.arrivals.append(Arrival(entry.ref, point, described.thumbnail))
                continue
            batch.points.append(point)
            if is_new:
                batch.added += 1
            else:
                batch.updated += 1
            if entry.stale is not None:
                batch.stale.append(entry.stale)


def _is_the_same(entry: Entry, data: bytes) -> bool:
    """Whether the index has described these very bytes."""
    if entry.old is None:
        return False
    digest: str = record_of(entry.old.payload)["sha256"]
    return hashlib.sha256(data).hexdigest() == digest


def facts(image: Image) -> dict[str, Any]:
    """What a payload holds of a picture itself, under `image`."""
    taken = {} if image.taken_at is None else {"taken_at": image.taken_at}
    return {
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "bytes": image.bytes,
        **taken,
    }


def _place(ref: ImageRef) -> dict[str, Any]:
    """Where an image lies, and since when it has been as it is."""
    known = {"modified_at": ref.modified_at} if ref.modified_at else {}
    return {"uri": ref.uri, "etag": ref.etag, **known}


def changed_fields(entry: Entry) -> dict[str, Any]:
    """The user's fields that are another now, of an entry that the index has."""
    assert entry.old is not None  # noqa: S101 -- for the type checker
    old = entry.old.payload
    return {name: v for name, v in (entry.fields or {}).items() if old.get(name) != v}
