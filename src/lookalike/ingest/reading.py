"""Reading of files; those of distant sources are read ahead, while others are decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeAlias

from lookalike.errors import ImageRejected
from lookalike.imaging.decode import check_size
from lookalike.ingest.items import IngestItem
from lookalike.protocols import ConditionalSource
from lookalike.record import record_of
from lookalike.system import patience
from lookalike.types import DecodeLimits, ImageRef

READ_AHEAD_BYTES = 256 * 2**20
"""Memory for files that are being read, or wait for a decoder. Beyond it, the thread that needs a
file reads it."""

UNKNOWN_SIZE = 2**20
"""Assumed size of a file of which the listing does not tell."""

File: TypeAlias = bytes | ImageRejected | None
"""None stands for a file that is known not to have changed."""


class FileRead(NamedTuple):
    """A file that was read.

    Attributes:
        ref: the image as it is now; None if it could not be read.
        file: its bytes, if they have changed.
    """

    ref: ImageRef | None
    file: File


Reading: TypeAlias = Callable[[], FileRead]
"""Returns a file, once it is there; called once. Items that follow each other and name the same
image share one."""


class FileReader:
    """Reads files, ahead of their use where a source takes its time; see `Source.readers`. Used by
    one thread, which closes it.

    Args:
        limits: larger files are rejected unread.
    """

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self._room = READ_AHEAD_BYTES

    def begin(self, items: Sequence[IngestItem]) -> list[Reading]:
        """Begins to read the files of some items."""
        readings: list[Reading] = []
        last = None
        for item in items:
            this = (item.ref, _known(item))
            readings.append(readings[-1] if this == last else self._begin(item))
            last = this
        return readings

    def close(self) -> None:
        """Gives up the files that nobody has asked for."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _begin(self, item: IngestItem) -> Reading:
        read = partial(self._read, item)
        size = item.ref.size or UNKNOWN_SIZE
        if item.source.readers == 1 or size > self._limits.bytes or not self._take(size):
            return read
        if self._pool is None:
            self._pool = ThreadPoolExecutor(item.source.readers, "lookalike-read")
        return partial(self._finish, self._pool.submit(patience.carried(read)), size)

    def _finish(self, reading: Future[FileRead], size: int) -> FileRead:
        try:
            return reading.result()
        finally:
            self._take(-size)

    def _take(self, size: int) -> bool:
        with self._lock:
            if size > self._room:
                return False
            self._room -= size
            return True

    def _read(self, item: IngestItem) -> FileRead:
        ref = item.ref
        try:
            if ref.size:  # an unknown size is checked after reading
                check_size(ref.size, self._limits)
            if isinstance(item.source, ConditionalSource):
                now, data = item.source.read_if_changed(ref, _known(item))
            else:
                now, data = ref, item.source.read(ref)
            if data is not None:
                check_size(len(data), self._limits)
        except ImageRejected as error:
            return FileRead(None, error)
        return FileRead(now, data)


def _known(item: IngestItem) -> ImageRef | None:
    """The item's image as the index has it; None if it has none at its address, or has to be read
    anyway."""
    own = None if item.stored is None else record_of(item.stored.payload)
    if own is None or own["uri"] != item.ref.uri or item.own_vectors:
        return None
    modified_at = own.get("modified_at", "")
    return ImageRef(own["uri"], own["etag"], own["bytes"], modified_at, item.ref.listed_in)
