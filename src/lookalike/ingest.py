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
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from lookalike.errors import ImageRejected, Reason
from lookalike.images import check_size
from lookalike.metadata import Problem, Row
from lookalike.protocols import Descriptor, Engine, Source
from lookalike.types import (
    AnyOf,
    Decision,
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

KEEP = 64
"""Thumbnails that are put away in one go: each time takes a while. What is lost is made again."""


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


Listing = Iterable[tuple[Source, ImageRef, Sequence[Row]]]


class Decoder(Protocol):
    """What `decoders.DecoderPool` does for ingest."""

    def describe(
        self,
        data: bytes,
        *,
        side: int,
        names: Sequence[str] = (),
        pixels: bool = True,
        thumbnail: int = 0,
    ) -> Described:
        """Raises ImageRejected."""
        ...


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


class Gate(Protocol):
    """Looks at each new image before it comes in: see `arrivals.Arrivals`."""

    @property
    def links(self) -> bool:
        """Whether copies come in, marked with `image.copy_of`; else they are left out."""
        ...

    def left_out(self, refs: Sequence[ImageRef]) -> Mapping[str, Copied]:
        """Those that an earlier run left out, and that have not changed since, by address."""
        ...

    def copy_of(self, ref: ImageRef, point: Point, thumbnail: bytes) -> Copied | None:
        """What the image is a copy of; one that is to be left out is remembered."""
        ...


class Thumbnails(Protocol):
    """What `thumbnails.Cache` does for ingest."""

    def put_many(self, thumbnails: Mapping[str, bytes]) -> None: ...

    def forget(self, keys: Iterable[str]) -> None: ...


@dataclass(slots=True)
class IngestReport:
    """What became of every input. The counts add up to the number of inputs.

    Attributes:
        skipped: copies of what is in the index, left out.
        copies: what is a copy of what, where incoming copies are skipped or linked.
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
    skipped: int = 0
    seconds: float = 0.0
    model: str = ""
    rejects: list[Reject] = field(default_factory=list)
    copies: list[Copied] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    interrupted: bool = False

    @property
    def rejected(self) -> int:
        return len(self.rejects)

    @property
    def done(self) -> int:
        """Inputs dealt with so far."""
        return self.added + self.updated + self.unchanged + self.skipped + self.rejected

    @property
    def images_per_second(self) -> float:
        return self.done / self.seconds if self.seconds else 0.0

    def include(self, part: IngestReport | _Batch) -> None:
        """Counts what became of some of the inputs."""
        self.added += part.added
        self.updated += part.updated
        self.unchanged += part.unchanged
        self.skipped += part.skipped
        self.copies.extend(part.copies)
        self.rejects.extend(part.rejects)


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
    thumbnails: Thumbnails,
    gate: Gate | None = None,
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
        thumbnails: where they are kept.
        gate: what becomes of copies; without one they are images like all others.

    Raises:
        EngineError: the engine failed; all that the report counts is stored.
    """
    started = time.monotonic()
    worker = _Worker(decoder, describers, limits, gated=gate is not None)
    pending: deque[Future[_Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="lookalike-describe")

    one_by_one = threading.Lock()
    fresh: dict[str, bytes] = {}

    def store(batch: _Batch) -> _Batch:
        _inherit(engine, batch)
        if gate is not None and batch.arrivals:
            with one_by_one:  # the next may be a copy of this one
                for arrival in batch.arrivals:
                    _admit(engine, gate, arrival, batch)
        engine.upsert(batch.points)
        for id, fields in batch.changes:
            engine.set_payload(id, fields)
        engine.delete(batch.stale)
        return batch

    def describe(entries: Sequence[_Entry]) -> _Batch:
        # Stored by the same thread, so that a server far away keeps nobody else waiting.
        return store(worker.describe(entries))

    def count(batch: _Batch) -> None:
        report.include(batch)
        report.seconds = time.monotonic() - started
        fresh.update(batch.thumbnails)
        if len(fresh) >= KEEP:
            thumbnails.put_many(fresh)
            fresh.clear()

    try:
        for work, batch in _plan(engine, listing, gate):
            count(store(batch))
            progress()
            for chunk in _chunks(work, DESCRIBE):
                if len(pending) >= 2 * threads:
                    count(pending.popleft().result())
                    progress()
                pending.append(pool.submit(describe, chunk))
        while pending:
            count(pending.popleft().result())
            progress()
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        begun = [future for future in pending if not future.cancel()]
        pool.shutdown()
        for future in begun:  # what stopped the run did not stop these
            if future.exception() is None:
                count(future.result())
        thumbnails.put_many(fresh)
        report.seconds = time.monotonic() - started


def prune(
    engine: Engine,
    sources: Sequence[Source],
    report: IngestReport,
    thumbnails: Thumbnails,
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
                gone.append(point)
        kept = moving([point.id for point in gone]) if moving else ()
        gone = [point for point in gone if point.id not in kept]
        remove(engine, gone, thumbnails)
        report.removed += len(gone)


def remove(engine: Engine, points: Sequence[Point], thumbnails: Thumbnails) -> None:
    """Takes points out of the index, and the thumbnails that no other point has."""
    if not points:
        return
    engine.delete([point.id for point in points])
    keys = {point.payload["image"]["sha256"] for point in points}
    for others in engine.scroll(Match("image.sha256", tuple(keys))):
        keys -= {other.payload["image"]["sha256"] for other in others}
    thumbnails.forget(keys)


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A new image that a gate must see first."""

    ref: ImageRef
    point: Point
    thumbnail: bytes


@dataclass(slots=True)
class _Batch:
    """What is to be written for some entries, and how they count."""

    points: list[Point] = field(default_factory=list)
    arrivals: list[_Arrival] = field(default_factory=list)
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    copies: list[Copied] = field(default_factory=list)
    changes: list[tuple[str, Payload]] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    skipped: int = 0


def _inherit(engine: Engine, batch: _Batch) -> None:
    """Hands on what was decided of equal contents: files are moved, and decisions stay."""
    coming = [*batch.points, *(arrival.point for arrival in batch.arrivals)]
    keys = {point.payload["image"]["sha256"] for point in coming}
    if not keys:
        return
    said: dict[str, dict[str, Any]] = {}
    for points in engine.scroll(Match("image.sha256", tuple(keys))):
        for point in points:
            own = point.payload["image"]
            decided = {name.value: own[name] for name in Decision if own.get(name)}
            said.setdefault(own["sha256"], {}).update(decided)
    for point in coming:
        point.payload["image"].update(said.get(point.payload["image"]["sha256"], {}))


def _admit(engine: Engine, gate: Gate, arrival: _Arrival, batch: _Batch) -> None:
    """Lets a new image in, with what it is a copy of if it is one; or leaves a copy out."""
    point = arrival.point
    copied = gate.copy_of(arrival.ref, point, arrival.thumbnail)
    if copied is not None:
        batch.copies.append(copied)
        if not gate.links:
            batch.skipped += 1
            batch.thumbnails.pop(point.payload["image"]["sha256"], None)
            return
        own = {**point.payload["image"], "copy_of": copied.of}
        point = replace(point, payload={**point.payload, "image": own})
    engine.upsert([point])
    batch.added += 1


# --- what is to be done ---------------------------------------------------------------------


def _plan(
    engine: Engine, listing: Listing, gate: Gate | None
) -> Iterator[tuple[list[_Entry], _Batch]]:
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
        left_out = gate.left_out([ref for _, ref, _ in readable]) if gate else {}
        work = []
        for entry in _entries(engine, readable):
            if entry.old is None and entry.ref.uri in left_out:
                settled.copies.append(left_out[entry.ref.uri])
                settled.skipped += 1
                continue
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

    def __init__(
        self, decoder: Decoder, describers: Describers, limits: Limits, *, gated: bool
    ) -> None:
        self._decoder = decoder
        self._describers = describers
        self._limits = limits
        self._gated = gated

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
            data,
            side=describers.side,
            names=list(describers.names),
            pixels=bool(describers.models),
            thumbnail=describers.thumbnail,
        )

    def _same_bytes(self, entry: _Entry, batch: _Batch) -> None:
        """The file was touched or moved, and is the same."""
        assert entry.old is not None  # noqa: S101 -- for the type checker
        fields = _changed_fields(entry)
        moved = entry.old.payload["image"]["uri"] != entry.ref.uri
        own = _place(entry.ref)
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
            point = Point(entry.id, vectors, payload)
            is_new = entry.old is None and entry.stale is None
            if described.thumbnail:
                batch.thumbnails[described.image.sha256] = described.thumbnail
            if is_new and self._gated:
                batch.arrivals.append(_Arrival(entry.ref, point, described.thumbnail))
                continue
            batch.points.append(point)
            if is_new:
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
        **_place(entry.ref),
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "bytes": image.bytes,
    }
    if image.taken_at is not None:
        facts["taken_at"] = image.taken_at
    return facts


def _place(ref: ImageRef) -> dict[str, Any]:
    """Where an image lies, and since when it has been as it is."""
    known = {"modified_at": ref.modified_at} if ref.modified_at else {}
    return {"uri": ref.uri, "etag": ref.etag, **known}


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
