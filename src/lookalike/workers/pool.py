"""Decoding in child processes: a hostile file can crash or hang its decoder, and nothing else.

The children also run the descriptors that need no weights, and compare pictures: each has a core
of its own, and an interpreter lock of its own. `messages` documents the protocol.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self, TypeVar

from lookalike.comparison.batch import BatchResult, StoredPicture
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.imaging.decode import check_size
from lookalike.types import DecodeLimits, Described, Image
from lookalike.workers.child import DecoderCrashed, DecoderProcess, FileOutcome
from lookalike.workers.messages import DescribeOptions
from lookalike.workers.watchdog import Watchdog

__all__ = ["DecoderPool"]

_T = TypeVar("_T")

_LARGE = 20_000_000
"""Pixels in memory; pictures with more are decoded one at a time."""

_MAX_IN_BATCH = 2_000_000
"""Pixels that one picture of several in a request may hold in memory: all of them are held."""


class DecoderPool:
    """Decodes pictures in up to `size` child processes, each started when first needed.

    Any number of threads may use it; they wait while all decoders are busy. Use it as a context
    manager or call `close`. If this process dies, its decoders end by themselves.

    Attributes:
        size: maximum number of child processes.
        limits: limits of the decoder.
    """

    def __init__(self, size: int, *, limits: DecodeLimits = DecodeLimits()) -> None:  # noqa: B008  frozen
        self.size = size
        self.limits = limits
        self._closed = False
        self._close_lock = threading.Lock()
        self._large_picture_lock = threading.Lock()
        self._watchdog = Watchdog(limits.seconds)
        self._warm_descriptors: tuple[str, ...] = ()
        self._processes: set[DecoderProcess] = set()
        # Last in, first out, so that a running decoder is preferred to starting another one.
        self._idle: queue.LifoQueue[DecoderProcess | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._finalizer = weakref.finalize(self, _terminate, self._processes, self._watchdog)

    def start(self, names: Sequence[str] = ()) -> None:
        """Starts a decoder without waiting for it; the others start when there is work for them.

        Args:
            names: descriptors that they load at once.
        """
        self._warm_descriptors = tuple(names)
        decoder = self._idle.get()
        try:
            decoder = self._running(decoder)
        finally:
            self._idle.put(decoder)

    def decode(self, data: bytes, *, side: int) -> Image:
        """Decodes one picture as `imaging.decode.decode` does, safely; see `describe`."""
        return self.describe(data, side=side).image

    def describe(
        self,
        data: bytes,
        *,
        side: int,
        names: Sequence[str] = (),
        pixels: bool = True,
        thumbnail: int = 0,
    ) -> Described:
        """Decodes one picture and describes it by the named descriptors.

        Args:
            data: content of the file.
            side: as in `imaging.decode.decode`.
            names: descriptors that `descriptors.load` can load.
            pixels: returns the pixels; without them the image's are empty.
            thumbnail: longer side of the thumbnail in pixels; 0 for none.

        Raises:
            ImageRejected: as in `imaging.decode.decode`; also `timeout` after `limits.seconds`,
                and `corrupt` if two decoders crashed on it.
            LookalikeError: the pool is closed, or no decoder can be started.
        """
        outcome = self._describe_one(data, _options(side, names, thumbnail, pixels=pixels))
        if isinstance(outcome, ImageRejected):
            raise outcome
        return outcome

    def describe_many(
        self,
        files: Sequence[bytes],
        *,
        side: int,
        names: Sequence[str] = (),
        pixels: bool = True,
        thumbnail: int = 0,
    ) -> list[Described | ImageRejected]:
        """Describes several small pictures in one request, faster than one after the other.

        Their results do not depend on each other: if the decoder crashes, or takes longer than
        `limits.seconds` for all of them, each is tried by itself.

        Returns:
            For each file, the result or the exception of `describe`.

        Raises:
            LookalikeError: the pool is closed, or no decoder can be started.
        """
        options = _options(side, names, thumbnail, pixels=pixels)
        outcomes: list[FileOutcome] = [None] * len(files)
        if len(files) > 1:
            with contextlib.suppress(ImageRejected), self._decoder() as decoder:
                outcomes = decoder.describe(files, options, max_pixels=_MAX_IN_BATCH)
        return [
            outcome or self._describe_one(data, options)
            for data, outcome in zip(files, outcomes, strict=True)
        ]

    def content_digest(self, data: bytes) -> str:
        """Digests all that a file shows, as `imaging.digest.content_digest` does.

        Returns:
            The digest; empty if the file cannot be decoded in full within the limits.

        Raises:
            LookalikeError: the pool is closed, or no decoder can be started.
        """
        try:
            check_size(len(data), self.limits)
            digest = self._run(lambda decoder: decoder.digest(data, max_pixels=_LARGE))
            if digest is None:
                most = self.limits.pixels
                with self._large_picture_lock:
                    digest = self._run(lambda decoder: decoder.digest(data, max_pixels=most))
        except ImageRejected:
            return ""
        return digest or ""

    def sketch(self, thumbnail: bytes) -> bytes:
        """Runs `comparison.batch.sketch` in a decoder; raises what `compare` raises."""
        return self._run(lambda decoder: decoder.sketch(thumbnail), late=True)

    def compare(
        self, pictures: Sequence[StoredPicture], pairs: Sequence[tuple[int, int]]
    ) -> BatchResult:
        """Runs `comparison.batch.compare` in a decoder.

        Raises:
            LookalikeError: two decoders in a row crashed or were late, the pool is closed, or no
                decoder can be started.
        """
        return self._run(lambda decoder: decoder.compare(pictures, pairs), late=True)

    def close(self) -> None:
        """Ends all decoders, busy ones included. Closing twice is harmless."""
        with self._close_lock:
            self._closed = True
            if not self._finalizer.alive:
                return
            for decoder in tuple(self._processes):
                decoder.kill()
            for _ in range(self.size):
                self._idle.get()  # until every thread has returned its decoder
            self._finalizer()
            self._idle.put(None)  # waiting threads take it in turns and see that the pool is closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # --- inside -----------------------------------------------------------------------------

    def _describe_one(self, data: bytes, options: DescribeOptions) -> Described | ImageRejected:
        try:
            check_size(len(data), self.limits)
            outcome = self._try_one(data, options, _LARGE)
            if outcome is None:
                with self._large_picture_lock:
                    outcome = self._try_one(data, options, self.limits.pixels)
        except ImageRejected as rejected:
            return rejected
        return outcome or ImageRejected(Reason.TOO_LARGE, "more pixels than the limit")

    def _try_one(self, data: bytes, options: DescribeOptions, max_pixels: int) -> FileOutcome:
        (outcome,) = self._run(lambda one: one.describe([data], options, max_pixels=max_pixels))
        return outcome

    def _run(self, work: Callable[[DecoderProcess], _T], *, late: bool = False) -> _T:
        """Runs work in the next idle decoder, and once more in another one if that crashes: it may
        have been killed, for example for lack of memory.

        Args:
            work: called with the decoder.
            late: runs the work again after a timeout, too. It involves no untrusted file then, so
                the cause is elsewhere.
        """
        again = ImageRejected if late else DecoderCrashed
        with contextlib.suppress(again), self._decoder() as decoder:
            return work(decoder)
        with self._decoder() as decoder:
            return work(decoder)

    @contextlib.contextmanager
    def _decoder(self) -> Iterator[DecoderProcess]:
        """Borrows the next idle decoder, which is ready to work."""
        decoder = self._idle.get()
        try:
            decoder = self._running(decoder)
            decoder.wait_until_ready()
            yield decoder
        except LookalikeError:
            self._check_open()  # `close` kills decoders, which says nothing about the picture
            raise
        finally:
            self._idle.put(decoder)

    def _running(self, decoder: DecoderProcess | None) -> DecoderProcess:
        """Returns the decoder if it is running, else a new one in its place."""
        self._check_open()
        if decoder is not None:
            if decoder.is_running():
                return decoder
            decoder.close()
            self._processes.discard(decoder)
        decoder = DecoderProcess(self.limits, self._watchdog, self._warm_descriptors)
        self._processes.add(decoder)
        return decoder

    def _check_open(self) -> None:
        if self._closed:
            raise LookalikeError("The decoder pool is closed: open a new one.")


def _terminate(decoders: set[DecoderProcess], watchdog: Watchdog) -> None:
    """Ends the processes of a pool that is closed or garbage-collected, or at interpreter exit."""
    watchdog.close()
    for decoder in decoders:
        decoder.close()
    decoders.clear()


def _options(side: int, names: Sequence[str], thumbnail: int, *, pixels: bool) -> DescribeOptions:
    return {
        "side": side,
        "descriptors": list(names),
        "pixels": pixels,
        "thumbnail": thumbnail,
    }
