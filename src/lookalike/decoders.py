"""Decoders in child processes: a hostile file can kill or hang its decoder, and nothing else.

A child also runs the descriptors that need no weights, on a core of its own and without this
process's interpreter lock. What the two say to each other stands in `decoder`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from lookalike.decoder import receive, send
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.images import check_size
from lookalike.types import Described, Description, Image, Limits

__all__ = ["DecoderPool"]

_PIPE_BYTES = 2**20  # Linux grants as much to anyone: one write then takes a whole small picture

# The child runs without `site` and imports from where the parent does, so that it starts fast and
# finds the same packages however the parent came by them. One thread a child.
_BOOT = """
import json, os, sys
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
sys.path[:] = json.loads(sys.argv[1])["path"]
from lookalike.decoder import main
main()
"""


class DecoderPool:
    """Decodes pictures in up to `size` child processes, each started when first needed.

    For any number of threads; a thread waits while all decoders are busy. Use it as a context
    manager or call `close`. Should this process die, its decoders end by themselves.

    Attributes:
        size: the most children at a time.
        limits: what they refuse.
    """

    def __init__(self, size: int, *, limits: Limits = Limits()) -> None:  # noqa: B008  frozen
        self.size = size
        self.limits = limits
        self._closed = False
        self._closing = threading.Lock()
        self._watchdog = _Watchdog(limits.seconds)
        self._one_big = threading.Lock()
        self._names: tuple[str, ...] = ()
        self._started: set[_Decoder] = set()
        # Last in, first out: a decoder that runs is taken before one that would have to start.
        self._idle: queue.LifoQueue[_Decoder | None] = queue.LifoQueue()
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
        check_size(len(data), self.limits)
        decoder = self._idle.get()
        try:
            decoder = self._running(decoder)
            decoder.wait_until_ready()
            return decoder.describe(
                data,
                {"side": side, "describe": list(names), "pixels": pixels, "thumbnail": thumbnail},
            )
        except ImageRejected:
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

    def _running(self, decoder: _Decoder | None) -> _Decoder:
        """The decoder itself if it still runs, else a new one in its place."""
        self._check_open()
        if decoder is not None:
            if decoder.runs():
                return decoder
            decoder.close()
            self._started.discard(decoder)
        decoder = _Decoder(self.limits, self._watchdog, self._one_big, self._names)
        self._started.add(decoder)
        return decoder


def _end(decoders: set[_Decoder], watchdog: _Watchdog) -> None:
    """What closes a pool, and does so too when it is forgotten or the interpreter exits."""
    watchdog.close()
    for decoder in decoders:
        decoder.close()
    decoders.clear()


class _Decoder:
    """One child process, used by one thread at a time."""

    def __init__(
        self, limits: Limits, watchdog: _Watchdog, one_big: threading.Lock, names: Sequence[str]
    ) -> None:
        self._ready = False
        self._limits = limits
        self._watchdog = watchdog
        self._one_big = one_big
        home = str(Path(__file__).resolve().parents[1])
        path = [*(entry for entry in sys.path if isinstance(entry, str)), home]
        limit = dataclasses.asdict(limits)
        settings = json.dumps({"path": path, "limits": limit, "names": list(names)})
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _BOOT, settings],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the parent to handle
            )
        except OSError as error:
            raise LookalikeError(f"No image decoder can be started: {error}.") from error
        assert self._process.stdin is not None  # noqa: S101  for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self._to, self._from = self._process.stdin, self._process.stdout
        _widen(self._to)
        _widen(self._from)

    def wait_until_ready(self) -> None:
        if self._ready:
            return
        try:
            receive(self._from)
            self._ready = True
        except (EOFError, OSError):
            self.close()
            raise LookalikeError(
                f"An image decoder ended with code {self._process.returncode} before it started; "
                "run `python -c 'import lookalike.decoders'` to see why."
            ) from None

    def runs(self) -> bool:
        return not self._to.closed and self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # what it did not read is lost with it
            self._to.close()
        self._from.close()

    def describe(self, data: bytes, wish: Mapping[str, Any]) -> Described:
        self._watchdog.start(self._process)
        try:
            answer = self._exchange(data, wish)
        except BaseException as error:
            in_time = self._watchdog.stop(self._process)
            self.close()
            if not isinstance(error, (EOFError, OSError, ValueError, KeyError, TypeError)):
                raise  # Ctrl-C: the conversation is broken off, so the child is of no more use
            if in_time:
                raise ImageRejected(Reason.CORRUPT, "the decoder crashed") from None
            raise ImageRejected(
                Reason.TIMEOUT, f"not decoded within {self._limits.seconds:g} s"
            ) from None
        if not self._watchdog.stop(self._process):
            self.close()  # killed in the moment it was done
        if isinstance(answer, ImageRejected):
            raise answer
        return answer

    def _exchange(self, data: bytes, wish: Mapping[str, Any]) -> Described | ImageRejected:
        send(self._to, {"bytes": len(data), **wish}, data)
        reply = receive(self._from)
        if "big" not in reply:
            return self._answer(reply)
        if not self._watchdog.stop(self._process):
            raise EOFError
        with self._one_big:  # waiting for its turn does not count against the picture
            self._watchdog.start(self._process)
            send(self._to, {})
            return self._answer(receive(self._from))

    def _answer(self, reply: Mapping[str, Any]) -> Described | ImageRejected:
        """What the child says, believing none of it blindly."""
        if "reason" in reply:
            return ImageRejected(Reason(reply["reason"]), str(reply["detail"]))
        rows, columns = int(reply["rows"]), int(reply["columns"])
        if not 0 <= rows * columns <= self._limits.pixels:
            raise ValueError("more pixels than the limit")
        image = Image(
            pixels=self._array(rows, columns, 3),
            alpha=self._array(rows, columns) if reply["alpha"] else None,
            width=int(reply["width"]),
            height=int(reply["height"]),
            format=str(reply["format"]),
            sha256=str(reply["sha256"]),
            bytes=int(reply["bytes"]),
            taken_at=None if reply["taken_at"] is None else str(reply["taken_at"]),
        )
        descriptions = {
            str(name): Description(
                self._array(1, 4 * int(one["size"])).view(np.float32), [dict(one["payload"])]
            )
            for name, one in reply["described"].items()
        }
        size = int(reply["thumbnail"])
        if not 0 <= size <= self._limits.bytes:
            raise ValueError("a thumbnail larger than the limit")
        return Described(image, descriptions, self._array(size).tobytes())

    def _array(self, *shape: int) -> NDArray[np.uint8]:
        array = np.empty(shape, np.uint8)
        if self._from.readinto(array) < array.nbytes:  # type: ignore[attr-defined]
            raise EOFError
        return array


class _Watchdog:
    """Kills children that are late. Its thread sleeps unless one might be."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: dict[subprocess.Popen[bytes], float] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._asleep = False
        self._thread: threading.Thread | None = None

    def start(self, process: subprocess.Popen[bytes]) -> None:
        """From now on the process has its seconds."""
        with self._changed:
            self._due[process] = time.monotonic() + self._seconds
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif self._asleep:
                self._changed.notify()  # else it wakes for an older one, which is due sooner

    def stop(self, process: subprocess.Popen[bytes]) -> bool:
        """Whether the process was in time; if not it has been killed."""
        with self._changed:
            return self._due.pop(process, None) is not None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                for process in [process for process, due in self._due.items() if due <= now]:
                    process.kill()
                    del self._due[process]
                wait = min(self._due.values(), default=float("inf")) - now
                self._asleep = not self._due
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))


def _widen(pipe: IO[bytes]) -> None:
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # a full quota of pipe memory only makes it slower
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
