"""Decoders in child processes: a hostile file can kill or hang its decoder, and nothing else.

A child also runs the descriptors that need no weights, and compares pictures, on a core of its own
and without this process's interpreter lock. What the two say to each other stands in `decoder`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from lookalike.comparison.batch import Compared, Kept
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.imaging.decode import check_size
from lookalike.types import DecodeLimits, Described, Image
from lookalike.workers.child import Answer, Child
from lookalike.workers.watchdog import Watchdog

__all__ = ["DecoderPool"]

_T = TypeVar("_T")

_BIG = 20_000_000  # pixels in memory at once; of pictures beyond, one at a time is decoded
_MODEST = 2_000_000  # the same of one among several, whose pixels are all held


class DecoderPool:
    """Decodes pictures in up to `size` child processes, each started when first needed.

    For any number of threads; a thread waits while all decoders are busy. Use it as a context
    manager or call `close`. Should this process die, its decoders end by themselves.

    Attributes:
        size: the most children at a time.
        limits: what they refuse.
    """

    def __init__(self, size: int, *, limits: DecodeLimits = DecodeLimits()) -> None:  # noqa: B008  frozen
        self.size = size
        self.limits = limits
        self._closed = False
        self._closing = threading.Lock()
        self._watchdog = Watchdog(limits.seconds)
        self._one_big = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._started: set[Child] = set()
        # Last in, first out: a decoder that runs is taken before one that would have to start.
        self._idle: queue.LifoQueue[Child | None] = queue.LifoQueue()
        for _ in range(size):
            self._idle.put(None)
        self._end = weakref.finalize(self, _end, self._started, self._watchdog)

    def start(self, names: Sequence[str] = ()) -> None:
        """Starts all decoders, without waiting for them: for when much is about to come.

        Args:
            names: descriptors that they get ready to run.
        """
        self._names = tuple(names)
        for _ in range(self.size):
            decoder = self._idle.get()
            try:
                decoder = self._running(decoder)
            finally:
                self._idle.put(decoder)

    def decode(self, data: bytes, *, side: int) -> Image:
        """As `images.decode`, but safe from what is in `data`; see `describe`."""
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
        """Decodes one picture, and describes it by the descriptors of these names.

        Args:
            side: as of `images.decode`.
            names: descriptors that `descriptors.load` finds.
            pixels: whether the pixels are needed here; without them the image's are empty.
            thumbnail: longer side in pixels of the thumbnail; 0 makes none.

        Raises:
            ImageRejected: also with `timeout` after `limits.seconds`, and with `corrupt` where
                the decoder crashed.
            LookalikeError: the pool is closed, or no decoder can be started.
        """
        answer = self._alone(data, _wish(side, names, thumbnail, pixels=pixels))
        if isinstance(answer, ImageRejected):
            raise answer
        return answer

    def describe_many(
        self,
        files: Sequence[bytes],
        *,
        side: int,
        names: Sequence[str] = (),
        pixels: bool = True,
        thumbnail: int = 0,
    ) -> list[Described | ImageRejected]:
        """Describes small pictures together, in less time than one after the other.

        What becomes of one does not depend on the others: where a decoder crashes or takes longer
        than `limits.seconds` for all of them, each is tried alone.

        Returns:
            For each file what `describe` returns, or raises for the picture.

        Raises:
            LookalikeError: the pool is closed, or no decoder can be started.
        """
        wish = _wish(side, names, thumbnail, pixels=pixels)
        answers: list[Answer] = [None] * len(files)
        if len(files) > 1:
            with contextlib.suppress(ImageRejected):
                answers = self._ask(files, wish, most=_MODEST)
        return [
            answer or self._alone(data, wish) for data, answer in zip(files, answers, strict=True)
        ]

    def _alone(self, data: bytes, wish: Mapping[str, Any]) -> Described | ImageRejected:
        try:
            check_size(len(data), self.limits)
            (answer,) = self._ask([data], wish, most=_BIG)
            if answer is None:
                with self._one_big:
                    (answer,) = self._ask([data], wish, most=self.limits.pixels)
        except ImageRejected as rejected:
            return rejected
        return answer or ImageRejected(Reason.TOO_LARGE, "more pixels than the limit")

    def sketch(self, thumbnail: bytes) -> bytes:
        """As `comparing.sketch`; raises what `compare` raises."""
        return self._work(lambda decoder: decoder.sketch(thumbnail))

    def compare(self, pictures: Sequence[Kept], pairs: Sequence[tuple[int, int]]) -> Compared:
        """As `comparing.compare`.

        Raises:
            LookalikeError: two decoders in a row died or were late with it, the pool is closed, or
                no decoder can be started.
        """
        return self._work(lambda decoder: decoder.compare(pictures, pairs))

    def _work(self, work: Callable[[Child], _T]) -> _T:
        """What does not depend on a hostile file: a decoder that dies over it died of something
        else, and another does it."""
        with contextlib.suppress(ImageRejected), self._decoder() as decoder:
            return work(decoder)
        with self._decoder() as decoder:
            return work(decoder)

    def _ask(self, files: Sequence[bytes], wish: Mapping[str, Any], *, most: int) -> list[Answer]:
        """What the next idle decoder says to files of which each holds `most` pixels in memory.

        Raises:
            ImageRejected: it crashed, or was late.
        """
        with self._decoder() as decoder:
            return decoder.describe(files, {**wish, "most": most})

    @contextlib.contextmanager
    def _decoder(self) -> Iterator[Child]:
        """The next idle decoder, ready to work."""
        decoder = self._idle.get()
        try:
            decoder = self._running(decoder)
            decoder.wait_until_ready()
            yield decoder
        except LookalikeError:
            self._check_open()  # closing kills decoders, which is not the picture's fault
            raise
        finally:
            self._idle.put(decoder)

    def close(self) -> None:
        """Ends all decoders, also those at work. Doing it again is harmless."""
        with self._closing:
            self._closed = True
            if not self._end.alive:
                return
            for decoder in tuple(self._started):
                decoder.kill()
            for _ in range(self.size):
                self._idle.get()  # until every thread has let go of its decoder
            self._end()
            self._idle.put(None)  # threads that still wait for one take turns to see it is over

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise LookalikeError("The decoder pool is closed: open a new one.")

    def _running(self, decoder: Child | None) -> Child:
        """The decoder itself if it still runs, else a new one in its place."""
        self._check_open()
        if decoder is not None:
            if decoder.runs():
                return decoder
            decoder.close()
            self._started.discard(decoder)
        decoder = Child(self.limits, self._watchdog, self._names)
        self._started.add(decoder)
        return decoder


def _end(decoders: set[Child], watchdog: Watchdog) -> None:
    """What closes a pool, and does so too when it is forgotten or the interpreter exits."""
    watchdog.close()
    for decoder in decoders:
        decoder.close()
    decoders.clear()


def _wish(side: int, names: Sequence[str], thumbnail: int, *, pixels: bool) -> dict[str, Any]:
    return {"side": side, "describe": list(names), "pixels": pixels, "thumbnail": thumbnail}
