"""The ingest pipeline: look up, read, decode, describe, write, in bounded batches.

Each input has exactly one outcome: added, updated, moved, unchanged, skipped or rejected. An
unchanged image is recognized by its etag, else by its SHA-256, without decoding.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial

from lookalike.cache.store import Cache
from lookalike.errors import LookalikeError
from lookalike.ingest import lookup
from lookalike.ingest.describe import ItemProcessor
from lookalike.ingest.items import Change, IngestItem, report_of
from lookalike.ingest.known_content import KnownContent
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.reading import FileReader, Reading
from lookalike.ingest.report import Canceled, IngestCounts, IngestReport, Tally
from lookalike.ingest.writer import Writer
from lookalike.protocols import Describers, Engine, ImageDecoder
from lookalike.record import record_of
from lookalike.system import interrupts, patience
from lookalike.system.iteration import batched
from lookalike.types import DecodeLimits

BATCH_SIZE = 32
"""Images that a thread describes together. Larger batches cost less for each image, but a stopped
run takes longer to finish the batches it has begun."""

THUMBNAIL_BATCH_SIZE = 64
"""Thumbnails that are stored together, as each transaction takes a while. Those that a kill loses
are made again when they are needed."""


class Pipeline:
    """Brings an index up to date with a listing. It is used for one run.

    Args:
        engine: stores the points.
        decoder: decodes images, and runs the descriptors that need no weights.
        describers: the descriptors that make the vectors of a point.
        limits: larger files are rejected unread.
        threads: number of threads that describe and write.
        thumbnails: the cache that stores them.
        progress: called after every batch; it may raise `Canceled`.
        detector: detects copies among new images; None adds copies like other images.
    """

    def __init__(
        self,
        engine: Engine,
        decoder: ImageDecoder,
        describers: Describers,
        *,
        limits: DecodeLimits,
        threads: int,
        thumbnails: Cache,
        progress: Callable[[IngestCounts], None],
        detector: CopyDetector | None,
    ) -> None:
        self._engine = engine
        self._processor = ItemProcessor(decoder, describers, KnownContent(engine, describers))
        self._reader = FileReader(limits)
        self._writer = Writer(engine, detector)
        self._detector = detector
        self._progress = progress
        self._threads = threads
        self._pending: deque[Future[None]] = deque()
        self._numbers = itertools.count()
        self._tally = Tally()
        self._thumbnails = _ThumbnailBuffer(thumbnails)
        self._interrupted = False

    def run(self, images: Iterable[ListedImage]) -> IngestReport:
        """Indexes images.

        Returns:
            The report. Everything that it counts is stored, also after Ctrl-C or `Canceled`.

        Raises:
            EngineError: the engine failed. Batches that were written before stay.
        """
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="lookalike-ingest")
        try:
            with patience.until(lambda: self._interrupted):
                self._submit_all(images, pool)
        except (KeyboardInterrupt, Canceled):
            self._interrupt()
        except LookalikeError:
            if not patience.is_over():
                raise
            self._interrupt()  # it is stopped, so a wait ended
        finally:
            # Threads finish what they have begun, but an interrupted run waits for no server.
            pool.shutdown(cancel_futures=True)
            self._reader.close()
            self._thumbnails.flush()
        return self._tally.report(interrupted=self._interrupted)

    def _interrupt(self) -> None:
        interrupts.settle()
        self._interrupted = True

    def _submit_all(self, images: Iterable[ListedImage], pool: ThreadPoolExecutor) -> None:
        with closing(lookup.compare(self._engine, images, self._detector)) as batches:
            for items, settled in batches:
                if settled:
                    self._submit(pool, partial(self._write, settled))
                for batch in batched(items, BATCH_SIZE):
                    files = self._reader.begin(batch)
                    self._submit(pool, partial(self._process, batch, files))
        while self._pending:
            self._wait_for_first()

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[int], None]) -> None:
        if len(self._pending) >= 2 * self._threads:
            self._wait_for_first()
        self._pending.append(pool.submit(patience.carried(work), next(self._numbers)))

    def _process(self, items: Sequence[IngestItem], files: Sequence[Reading], number: int) -> None:
        # The same thread writes, so that a distant server delays no other batch.
        self._write(self._processor.process(items, files), number)

    def _write(self, changes: Sequence[Change], number: int) -> None:
        """Writes and counts changes, in a thread: Ctrl-C, which ends the main thread's work at any
        line, cannot come between the two."""
        written = self._writer.write(changes)
        self._tally.add(report_of(written), number)
        self._thumbnails.add(written)

    def _wait_for_first(self) -> None:
        self._pending.popleft().result()
        self._progress(self._tally.counts)
        if patience.is_over():
            raise Canceled


class _ThumbnailBuffer:
    """Collects thumbnails, and stores many in one transaction. Thread-safe."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._buffer: dict[str, bytes] = {}

    def add(self, changes: Iterable[Change]) -> None:
        with self._lock:
            for change in changes:
                if change.point and change.thumbnail:
                    self._buffer[record_of(change.point.payload)["sha256"]] = change.thumbnail
            full = len(self._buffer) >= THUMBNAIL_BATCH_SIZE
        if full:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            thumbnails, self._buffer = self._buffer, {}
        self._cache.put_many(thumbnails)
