"""source → decode → describe → upsert, in bounded batches.

Every input ends as exactly one of added, updated, unchanged, rejected or removed. What is
unchanged is told by its etag, then by its sha256, without decoding. The order of writes makes an
interruption harmless: a point is written whole, and its old entry goes only after the new one
stands, so that the same command carries on where it was cut off.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from lookalike.errors import ImageRejected, Reason
from lookalike.images import check_size
from lookalike.metadata import Problem, Row
from lookalike.protocols import Descriptor, Engine, Source
from lookalike.types import (
    AnyOf,
    Described,
    HasId,
    Image,
    ImageRef,
    Limits,
    Match,
    Payload,
    Point,
    Vector,
    VectorSpec,
)

LOOK_UP = 512
"""Refs whose points are looked up in one go."""

DESCRIBE = 8
"""Images described in one go by one thread."""


@dataclass(frozen=True, slots=True)
class Describers:
    """What makes the vectors of a point.

    Attributes:
        names: descriptors that need no weights, by name; they run where the picture is decoded.
        models: descriptors that have weights; they run here, on several pictures at a time.
        side: pixels that the shorter side should have for all of them.
    """

    names: Mapping[str, VectorSpec]
    models: Sequence[Descriptor]
    side: int


Listing = Iterable[tuple[Source, ImageRef, Sequence[Row]]]


class Decoder(Protocol):
    """What `decoders.DecoderPool` does for ingest."""

    def describe(
        self, data: bytes, *, side: int, names: Sequence[str] = (), pixels: bool = True
    ) -> Described:
        """Raises ImageRejected."""
        ...


@dataclass(frozen=True, slots=True)
class Reject:
    """An image that was refused, and why."""

    uri: str
    reason: str
    detail: str


@dataclass(slots=True)
class IngestReport:
    """What became of every input. The counts add up to the number of inputs.

    Attributes:
        seconds: wall time.
        model: what serves `semantic`.
        rejects: what was refused, in the order of the listing.
        warnings: metadata that did not fit and was left out.
        interrupted: whether it was stopped before the end; the same command goes on.
    """

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    seconds: float = 0.0
    model: str = ""
    rejects: list[Reject] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    interrupted: bool = False

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    @property
    def done(self) -> int:
        """Inputs dealt with so far."""
        return self.added + self.updated + self.unchanged + self.rejected

    @property
    def images_per_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class _Entry:
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


def ingest(
    engine: Engine,
    decoder: Decoder,
    describers: Describers,
    listing: Listing,
    *,
    limits: Limits,
    threads: int,
    report: IngestReport,
    progress: Callable[[], None],
) -> None:
    """Brings the index up to date with `listing`.

    Args:
        decoder: reads pictures and runs the descriptors that need no weights.
        describers: what makes the vectors of a point.
        listing: every image with its metadata rows, once.
        limits: files that are larger are refused unread.
        threads: how many describe at the same time.
        report: filled in as it goes; complete when this returns or raises.
        progress: called after every batch.

    Raises:
        EngineError: the engine failed; all that the report counts is stored.
    """
    started = time.monotonic()
    worker = _Worker(decoder, describers, limits)
    pending: deque[Future[_Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="lookalike-describe")

    def store(batch: _Batch) -> None:
        engine.upsert(batch.points)
        for id, fields in batch.changes:
            engine.set_payload(id, fields)
        engine.delete(batch.stale)
        report.added += batch.added
        report.updated += batch.updated
        report.unchanged += batch.unchanged
        report.rejects.extend(batch.rejects)
        report.seconds = time.monotonic() - started
        progress()

    try:
        for work, batch in _plan(engine, listing):
            store(batch)
            for chunk in _chunks(work, DESCRIBE):
                if len(pending) >= 2 * threads:
                    store(pending.popleft().result())
                pending.append(pool.submit(worker.describe, chunk))
        while pending:
            store(pending.popleft().result())
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        for future in pending:
            future.cancel()
        pool.shutdown()
        report.seconds = time.monotonic() - started


def prune(
    engine: Engine,
    sources: Sequence[Source],
    report: IngestReport,
    moving: Callable[[Sequence[str]], Collection[str]] | None = None,
) -> None:
    """Removes the points whose image belonged to one of the sources and is gone from it.

    Args:
        moving: those of some ids whose image is elsewhere now, and another process's to update.
    """
    for points in engine.scroll():
        gone = []
        for point in points:
            uri = point.payload["image"]["uri"]
            covering = [source for source in sources if source.covers(uri)]
            if covering and not any(source.has(uri) for source in covering):
                gone.append(point.id)
        kept = moving(gone) if moving else ()
        gone = [id for id in gone if id not in kept]
        engine.delete(gone)
        report.removed += len(gone)


@dataclass(slots=True)
class _Batch:
    """What is to be written for some entries, and how they count."""

    points: list[Point] = field(default_factory=list)
    changes: list[tuple[str, Payload]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    added: int = 0
    updated: int = 0
    unchanged: int = 0


# --- what is to be done ---------------------------------------------------------------------


def _plan(engine: Engine, listing: Listing) -> Iterator[tuple[list[_Entry], _Batch]]:
    """For each part of the listing what must be read, and what is settled without reading."""
    for part in _chunks(listing, LOOK_UP):
        settled = _Batch()
        readable = []
        for source, ref, rows in part:
            if _is_text(ref.uri):
                readable.append((source, ref, rows))
            else:
                name = ref.uri.encode("utf-8", "backslashreplace").decode()
                settled.rejects.append(
                    Reject(name, Reason.UNREADABLE, "its name is not UTF-8: rename it")
                )
        work = []
        for entry in _entries(engine, readable):
            change = _without_reading(entry)
            if change is None:
                work.append(entry)
                continue
            if entry.stale is not None:
                settled.stale.append(entry.stale)
            if change:
                settled.changes.append((entry.id, change))
                settled.updated += 1
            else:
                settled.unchanged += 1
        yield work, settled


def _entries(
    engine: Engine, part: Sequence[tuple[Source, ImageRef, Sequence[Row]]]
) -> Iterator[_Entry]:
    uris = tuple(ref.uri for _, ref, _ in part)
    ids = tuple(row.id for _, _, rows in part for row in rows if row.id is not None)
    by_id: dict[str, Point] = {}
    by_uri: dict[str, list[Point]] = {}
    if not part:
        return
    wanted = AnyOf((Match("image.uri", uris), HasId(ids)))
    for points in engine.scroll(wanted):
        for point in points:
            by_id[point.id] = point
            by_uri.setdefault(point.payload["image"]["uri"], []).append(point)
    for source, ref, rows in part:
        known = by_uri.get(ref.uri, [])
        named = [row for row in rows if row.id is not None]
        for row in named:
            assert row.id is not None  # noqa: S101 -- for the type checker
            # An entry under the URI is from a time before the metadata named the image.
            stale = ref.uri if row.id != ref.uri and ref.uri in by_id else None
            yield _Entry(source, ref, row.id, row.fields, by_id.get(row.id), stale)
        if not named:
            fields = rows[0].fields if rows else None
            for point in known:
                yield _Entry(source, ref, point.id, fields, point, None)
            if not known:
                yield _Entry(source, ref, ref.uri, fields, None, None)


def _without_reading(entry: _Entry) -> Payload | None:
    """What to change in the payload where the bytes are known to be the same; None: read them."""
    if entry.old is None or entry.old.payload["image"]["etag"] != entry.ref.etag:
        return None
    if entry.old.payload["image"]["uri"] != entry.ref.uri:
        return None
    return _changed_fields(entry)


def _changed_fields(entry: _Entry) -> dict[str, Any]:
    assert entry.old is not None  # noqa: S101 -- for the type checker
    old = entry.old.payload
    return {name: v for name, v in (entry.fields or {}).items() if old.get(name) != v}


# --- doing it -------------------------------------------------------------------------------


class _Worker:
    """Reads, decodes and describes; safe to use from several threads."""

    def __init__(self, decoder: Decoder, describers: Describers, limits: Limits) -> None:
        self._decoder = decoder
        self._describers = describers
        self._limits = limits

    def describe(self, entries: Sequence[_Entry]) -> _Batch:
        batch = _Batch()
        fresh: list[tuple[_Entry, Described]] = []
        for entry in entries:
            try:
                data = self._read(entry)
                if _is_the_same(entry, data):
                    self._same_bytes(entry, batch)
                else:
                    fresh.append((entry, self._decode(data)))
            except ImageRejected as error:
                batch.rejects.append(Reject(entry.ref.uri, error.reason, error.detail))
        if fresh:
            self._describe(fresh, batch)
        return batch

    def _read(self, entry: _Entry) -> bytes:
        if entry.ref.size:  # what has none, or an unknown one, is told by reading it
            check_size(entry.ref.size, self._limits)
        return entry.source.read(entry.ref)

    def _decode(self, data: bytes) -> Described:
        describers = self._describers
        return self._decoder.describe(
            data, side=describers.side, names=list(describers.names), pixels=bool(describers.models)
        )

    def _same_bytes(self, entry: _Entry, batch: _Batch) -> None:
        """The file was touched or moved, and is the same."""
        assert entry.old is not None  # noqa: S101 -- for the type checker
        fields = _changed_fields(entry)
        moved = entry.old.payload["image"]["uri"] != entry.ref.uri
        own = {"uri": entry.ref.uri, "etag": entry.ref.etag}
        batch.changes.append((entry.id, {**fields, "image": own}))
        if fields or moved:
            batch.updated += 1
        else:
            batch.unchanged += 1
        if entry.stale is not None:
            batch.stale.append(entry.stale)

    def _describe(self, fresh: Sequence[tuple[_Entry, Described]], batch: _Batch) -> None:
        images = [described.image for _, described in fresh]
        by_models = [(model.spec.name, model.describe(images)) for model in self._describers.models]
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for i, (entry, described) in enumerate(fresh):
            own: dict[str, Any] = {**_facts(entry, described.image), "indexed_at": now}
            vectors: dict[str, Vector] = {name: one.vectors[i] for name, one in by_models}
            for name, spec in self._describers.names.items():
                description = described.descriptions[name]
                vectors[name] = description.vectors[0].astype(spec.datatype)
                own.update(description.payload[0])
            kept = {} if entry.old is None else entry.old.payload
            payload = {**kept, **(entry.fields or {}), "image": own}
            batch.points.append(Point(entry.id, vectors, payload))
            if entry.old is None and entry.stale is None:
                batch.added += 1
            else:
                batch.updated += 1
            if entry.stale is not None:
                batch.stale.append(entry.stale)


def _is_the_same(entry: _Entry, data: bytes) -> bool:
    """Whether the index has described these very bytes."""
    if entry.old is None:
        return False
    digest: str = entry.old.payload["image"]["sha256"]
    return hashlib.sha256(data).hexdigest() == digest


def _facts(entry: _Entry, image: Image) -> Mapping[str, Any]:
    facts: dict[str, Any] = {
        "id": entry.id,
        "uri": entry.ref.uri,
        "etag": entry.ref.etag,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "bytes": image.bytes,
    }
    if image.taken_at is not None:
        facts["taken_at"] = image.taken_at
    return facts


def count_in_background(sources: Sequence[Source]) -> Callable[[], int | None]:
    """Counts what the sources list, in a thread; the function returned says None until it knows."""
    total: list[int] = []

    def count() -> None:
        total.append(sum(1 for source in sources for _ in source.refs()))

    threading.Thread(target=count, daemon=True).start()
    return lambda: total[0] if total else None


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
