"""source → decode → describe → upsert, in bounded batches.

Every input ends as exactly one of added, updated, unchanged, rejected or removed. What is
unchanged is told by its etag, then by its sha256, without decoding. The order of writes makes an
interruption harmless: a point is written whole, and its old entry goes only after the new one
stands, so that the same command carries on where it was cut off.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.errors import Reason
from lookalike.ingest.describe import Arrival, Batch, Copied, Entry, Reject, Worker, changed_fields
from lookalike.ingest.report import IngestReport, Stop
from lookalike.metadata.table import Row
from lookalike.protocols import Describers, Engine, ImageDecoder, Source
from lookalike.record import decided_about, record_of
from lookalike.types import (
    AnyOf,
    AnyOfValues,
    Decision,
    DecodeLimits,
    HasId,
    ImageRef,
    Missing,
    Not,
    Payload,
    Point,
)

LOOK_UP = 512
"""Refs whose points are looked up in one go."""

DESCRIBE = 32
"""Images described in one go by one thread: the more, the less each costs, and the longer a run
that is stopped goes on with what it has taken up."""

KEEP = 64
"""Thumbnails that are put away in one go: each time takes a while. What is lost is made again."""

Listing = Iterable[tuple[Source, ImageRef, Sequence[Row]]]


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


def ingest(
    engine: Engine,
    decoder: ImageDecoder,
    describers: Describers,
    listing: Listing,
    *,
    limits: DecodeLimits,
    threads: int,
    report: IngestReport,
    progress: Callable[[], None],
    thumbnails: Cache,
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
        progress: called after every batch; it may raise `Stop`.
        thumbnails: where they are kept.
        gate: what becomes of copies; without one they are images like all others.

    Raises:
        EngineError: the engine failed; all that the report counts is stored.
    """
    started = time.monotonic()
    worker = Worker(decoder, describers, limits, gated=gate is not None)
    pending: deque[Future[Batch]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix="lookalike-describe")

    one_by_one = threading.Lock()
    fresh: dict[str, bytes] = {}

    decided = _Decided(engine)

    def store(batch: Batch) -> Batch:
        decided.hand_on(batch)
        if gate is not None and batch.arrivals:
            with one_by_one:  # the next may be a copy of this one
                for arrival in batch.arrivals:
                    _admit(engine, gate, arrival, batch)
        engine.upsert(batch.points)
        for id, fields in batch.changes:
            engine.set_payload(id, fields)
        engine.delete(batch.stale)
        return batch

    def describe(entries: Sequence[Entry]) -> Batch:
        # Stored by the same thread, so that a server far away keeps nobody else waiting.
        return store(worker.describe(entries))

    def count(batch: Batch) -> None:
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
    except (KeyboardInterrupt, Stop):
        report.interrupted = True
    finally:
        begun = [future for future in pending if not future.cancel()]
        pool.shutdown()
        for future in begun:  # what stopped the run did not stop these
            if future.exception() is None:
                count(future.result())
        thumbnails.put_many(fresh)
        report.seconds = time.monotonic() - started


class _Decided:
    """What was decided of contents, handed on to equal ones: files are moved, and decisions stay.

    It is read once a run, and only where something new comes in: what is equal may be thousands.
    """

    _ANY = AnyOf(tuple(Not(Missing(f"image.{decision}")) for decision in Decision))

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._known: dict[str, dict[str, Any]] | None = None

    def hand_on(self, batch: Batch) -> None:
        coming = [*batch.points, *(arrival.point for arrival in batch.arrivals)]
        if not coming:
            return
        with self._lock:
            if self._known is None:
                self._known = self._read()
        for point in coming:
            own: dict[str, Any] = point.payload[record.KEY]
            own.update(self._known.get(own["sha256"], {}))

    def _read(self) -> dict[str, dict[str, Any]]:
        known: dict[str, dict[str, Any]] = {}
        for points in self._engine.scroll(self._ANY):
            for point in points:
                own = record_of(point.payload)
                said = {
                    kind.value: about
                    for kind in Decision
                    if (about := decided_about(point.payload, kind))
                }
                known.setdefault(own["sha256"], {}).update(said)
        return known


def _admit(engine: Engine, gate: Gate, arrival: Arrival, batch: Batch) -> None:
    """Lets a new image in, with what it is a copy of if it is one; or leaves a copy out."""
    point = arrival.point
    copied = gate.copy_of(arrival.ref, point, arrival.thumbnail)
    if copied is not None:
        batch.copies.append(copied)
        if not gate.links:
            batch.skipped += 1
            batch.thumbnails.pop(record_of(point.payload)["sha256"], None)
            return
        own = {**record_of(point.payload), "copy_of": copied.of}
        point = replace(point, payload={**point.payload, record.KEY: own})
    engine.upsert([point])
    batch.added += 1


# --- what is to be done ---------------------------------------------------------------------


def _plan(
    engine: Engine, listing: Listing, gate: Gate | None
) -> Iterator[tuple[list[Entry], Batch]]:
    """For each part of the listing what must be read, and what is settled without reading."""
    for part in _chunks(listing, LOOK_UP):
        settled = Batch()
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
) -> Iterator[Entry]:
    uris = tuple(ref.uri for _, ref, _ in part)
    ids = tuple(row.id for _, _, rows in part for row in rows if row.id is not None)
    by_id: dict[str, Point] = {}
    by_uri: dict[str, list[Point]] = {}
    if not part:
        return
    wanted = AnyOf((AnyOfValues(record.URI, uris), HasId(ids)))
    for points in engine.scroll(wanted):
        for point in points:
            by_id[point.id] = point
            by_uri.setdefault(record_of(point.payload)["uri"], []).append(point)
    for source, ref, rows in part:
        known = by_uri.get(ref.uri, [])
        named = [row for row in rows if row.id is not None]
        for row in named:
            assert row.id is not None  # noqa: S101 -- for the type checker
            # An entry under the URI is from a time before the metadata named the image.
            stale = ref.uri if row.id != ref.uri and ref.uri in by_id else None
            yield Entry(source, ref, row.id, row.fields, by_id.get(row.id), stale)
        if not named:
            fields = rows[0].fields if rows else None
            for point in known:
                yield Entry(source, ref, point.id, fields, point, None)
            if not known:
                yield Entry(source, ref, ref.uri, fields, None, None)


def _without_reading(entry: Entry) -> Payload | None:
    """What to change in the payload where the bytes are known to be the same; None: read them."""
    if entry.old is None or record_of(entry.old.payload)["etag"] != entry.ref.etag:
        return None
    if record_of(entry.old.payload)["uri"] != entry.ref.uri:
        return None
    return changed_fields(entry)


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
