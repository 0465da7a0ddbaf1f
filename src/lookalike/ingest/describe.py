"""Decoding and describing of images: from items to the changes to write for them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeAlias

from lookalike import record
from lookalike.errors import ImageRejected
from lookalike.ingest.items import Change, IngestItem, Outcome
from lookalike.ingest.known_content import KnownContent, location
from lookalike.ingest.reading import File, Reading
from lookalike.ingest.report import FileNote, Reject
from lookalike.protocols import Describers, Descriptor, ImageDecoder
from lookalike.record import record_of
from lookalike.system.times import now
from lookalike.types import Described, Image, Point, Vector

DECODE_BATCH_BYTES = 2**20
"""Total size of the files that are decoded together. More is not faster, and all are in memory."""


_Decoded: TypeAlias = Described | ImageRejected | None
"""None stands for a file whose bytes the index has described under the same id."""


class ItemProcessor:
    """Decodes and describes images; safe to use from several threads."""

    def __init__(
        self,
        decoder: ImageDecoder,
        describers: Describers,
        known: KnownContent,
    ) -> None:
        self._decoder = decoder
        self._describers = describers
        self._known = known

    def process(self, items: Sequence[IngestItem], files: Sequence[Reading]) -> list[Change]:
        """The changes for some items and their files."""
        changes: list[Change] = []
        decoded: list[tuple[IngestItem, _Decoded]] = []
        for batch in self._read(items, files):
            known, unknown = self._divide(batch)
            changes += known
            decoded += self._decode(unknown)
        described = [(item, result) for item, result in decoded if isinstance(result, Described)]
        changes += [
            _without_description(item, result)
            for item, result in decoded
            if not isinstance(result, Described)
        ]
        return [*changes, *self._describe(described)]

    def _read(
        self, items: Sequence[IngestItem], files: Sequence[Reading]
    ) -> Iterator[list[tuple[IngestItem, File]]]:
        """The items with their files, in batches to decode together."""
        batch: list[tuple[IngestItem, File]] = []
        size = 0
        last = None
        for item, read in zip(items, files, strict=True):
            if read is not last:
                ref, file = read()
                last = read
            if ref is not None:
                item = replace(item, ref=ref)
            is_stored = isinstance(file, bytes) and _is_stored(item, file) and not item.own_vectors
            batch.append((item, None if is_stored else file))
            size += len(file) if isinstance(file, bytes) else 0
            if size > DECODE_BATCH_BYTES:
                yield batch
                batch, size = [], 0
        yield batch

    def _divide(
        self, batch: Sequence[tuple[IngestItem, File]]
    ) -> tuple[list[Change], list[tuple[IngestItem, File]]]:
        """The changes for files whose content the index has, and the other files."""
        hashed = [
            (item, hashlib.sha256(file).hexdigest())
            for item, file in batch
            if isinstance(file, bytes) and not item.own_vectors
        ]
        changes = iter(self._known.changes(hashed))
        found = [
            next(changes) if isinstance(file, bytes) and not item.own_vectors else []
            for item, file in batch
        ]
        unknown = [pair for pair, known in zip(batch, found, strict=True) if not known]
        return [change for known in found for change in known], unknown

    def _decode(
        self, batch: Sequence[tuple[IngestItem, File]]
    ) -> Iterator[tuple[IngestItem, _Decoded]]:
        describers = self._describers
        decoded = iter(
            self._decoder.describe_many(
                [file for _, file in batch if isinstance(file, bytes)],
                side=describers.side,
                names=list(describers.names),
                pixels=bool(describers.models),
                thumbnail=describers.thumbnail,
            )
        )
        for item, file in batch:
            yield item, next(decoded) if isinstance(file, bytes) else file

    def _describe(self, images: Sequence[tuple[IngestItem, Described]]) -> Iterator[Change]:
        """Runs the models on all images together, and makes the points."""
        if not images:
            return
        models = self._describers.models
        by_model = {model.spec.name: _model_vectors(model, images) for model in models}
        indexed_at = now()
        for i, (item, described) in enumerate(images):
            vectors = {name: rows[i] for name, rows in by_model.items()}
            yield Change(
                Outcome.ADDED if item.is_new else Outcome.UPDATED,
                item.id,
                point=self._point(item, described, vectors, indexed_at),
                payload=item.changed_fields(item.stored) if item.stored else None,
                obsolete_id=item.obsolete_id,
                fields=item.field_counts,
                thumbnail=described.thumbnail,
                note=_note(item, described.image),
            )

    def _point(
        self, item: IngestItem, described: Described, by_model: dict[str, Vector], indexed_at: str
    ) -> Point:
        vectors = dict(by_model)
        own: dict[str, Any] = {
            "id": item.id,
            **location(item.ref),
            **facts(described.image),
            **self._place(described.image),
            "indexed_at": indexed_at,
        }
        for name, spec in self._describers.names.items():
            description = described.descriptions[name]
            vectors[name] = description.vectors[0].astype(spec.datatype)
            own.update(description.payload[0])
        vectors.update(item.own_vectors)
        return Point(item.id, vectors, {**item.new_fields(), record.KEY: own})

    def _place(self, image: Image) -> dict[str, Any]:
        """The position of a photo, if the index stores positions."""
        if image.gps is None or not self._describers.gps:
            return {}
        latitude, longitude = image.gps
        return {"gps": {"lat": latitude, "lon": longitude}}


def _model_vectors(
    model: Descriptor, images: Sequence[tuple[IngestItem, Described]]
) -> Sequence[Vector]:
    """A model's vector of each image, or the caller's."""
    name = model.spec.name
    others = [described.image for item, described in images if name not in item.own_vectors]
    made = iter(model.describe(others).vectors if others else ())
    return [
        item.own_vectors[name] if name in item.own_vectors else next(made) for item, _ in images
    ]


def _note(item: IngestItem, image: Image) -> FileNote | None:
    return FileNote(item.ref.uri, image.note) if image.note else None


def _without_description(item: IngestItem, result: ImageRejected | None) -> Change:
    """The change for a rejected file, or for one that was touched or moved but not altered."""
    if isinstance(result, ImageRejected):
        reject = Reject(item.ref.uri, result.reason, result.detail)
        if item.stored is None:
            return Change(Outcome.REJECTED, reject=reject)
        # The index keeps what it has of the image; what the row says of it holds nevertheless.
        fields, counts = item.changed_fields(item.stored), item.field_counts
        return Change(Outcome.REJECTED, item.id, payload=fields, fields=counts, reject=reject)
    assert item.stored is not None  # noqa: S101 -- for the type checker
    fields, own = item.changed_fields(item.stored), record_of(item.stored.payload)
    moved = own["uri"] != item.ref.uri
    outcome = Outcome.UPDATED if fields else Outcome.UNCHANGED
    now = {name: value for name, value in location(item.ref).items() if own.get(name) != value}
    return Change(
        Outcome.MOVED if moved else outcome,
        item.id,
        payload={**fields, record.KEY: now} if now else fields,
        obsolete_id=item.obsolete_id,
        ends_move=item.ends_move,
        fields=item.field_counts,
    )


def _is_stored(item: IngestItem, data: bytes) -> bool:
    """True if the index has described these very bytes under the item's id."""
    if item.stored is None:
        return False
    return hashlib.sha256(data).hexdigest() == record_of(item.stored.payload)["sha256"]


def facts(image: Image) -> dict[str, Any]:
    """The part of an image's record that comes from the file itself."""
    taken_at = {} if image.taken_at is None else {"taken_at": image.taken_at}
    return {
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "bytes": image.bytes,
        **taken_at,
        **asdict(image.facts),
    }
