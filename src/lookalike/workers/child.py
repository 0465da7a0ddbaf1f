"""One child process of a `DecoderPool`, as its parent sees it."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.batch import Compared, Found, Kept
from lookalike.comparison.evidence import Evidence
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.system import subprocesses
from lookalike.system.framing import receive_json, send_json
from lookalike.types import DecodeLimits, Described, Description, Image
from lookalike.workers.main import OWN
from lookalike.workers.watchdog import Watchdog

_PIPE_BYTES = 2**20  # Linux grants as much to anyone: one write then takes a whole small picture

_ENVIRONMENT = {
    # glibc hands the memory of every picture back to the system, and asks for it anew for the next.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}

_T = TypeVar("_T")

Answer: TypeAlias = Described | ImageRejected | None
"""To one file; None where it must be sent alone."""


class Child:
    """One child process, used by one thread at a time."""

    def __init__(self, limits: DecodeLimits, watchdog: Watchdog, names: Sequence[str]) -> None:
        self._ready = False
        self._limits = limits
        self._watchdog = watchdog
        settings = {"limits": dataclasses.asdict(limits), "names": list(names)}
        try:
            child = subprocesses.start("lookalike.workers.main", settings, _ENVIRONMENT)
        except OSError as error:
            raise LookalikeError(f"No image decoder can be started: {error}.") from error
        self._process, self._to, self._from = child
        _widen(self._to)
        _widen(self._from)

    def wait_until_ready(self) -> None:
        if self._ready:
            return
        try:
            receive_json(self._from)
            self._ready = True
        except (EOFError, OSError):
            self.close()
            raise LookalikeError(
                f"An image decoder ended with code {self._process.returncode} before it started; "
                "run `python -c 'import lookalike.workers.pool'` to see why."
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

    def describe(self, files: Sequence[bytes], wish: Mapping[str, Any]) -> list[Answer]:
        request = {"task": "describe", **wish}
        return self._asked(request, files, lambda reply: self._answers(reply, files))

    def sketch(self, thumbnail: bytes) -> bytes:
        (packed,) = self._asked({"task": "sketch"}, [thumbnail], self._bodies)
        return packed

    def compare(self, pictures: Sequence[Kept], pairs: Sequence[tuple[int, int]]) -> Compared:
        request = {"task": "compare", "pairs": list(pairs)}
        return self._asked(request, [body for one in pictures for body in one], self._compared)

    def _asked(
        self,
        request: Mapping[str, Any],
        bodies: Sequence[bytes],
        read: Callable[[Mapping[str, Any]], _T],
    ) -> _T:
        """What `read` makes of the reply to a request.

        Raises:
            ImageRejected: the child crashed, or was late.
        """
        self._watchdog.start(self._process)
        try:
            send_json(self._to, {"sizes": [len(body) for body in bodies], **request}, *bodies)
            answer = read(receive_json(self._from))
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
        return answer

    def _compared(self, reply: Mapping[str, Any]) -> Compared:
        found = [None if one is None else _found(*one) for one in reply["found"]]
        return Compared(found, self._bodies(reply))

    def _bodies(self, reply: Mapping[str, Any]) -> list[bytes]:
        sizes = [int(size) for size in reply["sizes"]]
        if not all(0 <= size <= self._limits.bytes for size in sizes):
            raise ValueError("a sketch larger than the limit")
        return [self._array(size).tobytes() for size in sizes]

    def _answers(self, reply: Mapping[str, Any], files: Sequence[bytes]) -> list[Answer]:
        """What the child says, believing none of it blindly."""
        facts = list(reply["answers"])
        if len(facts) != len(files):
            raise ValueError("not as many answers as files")
        decoded = sum("rows" in one for one in facts)
        described: list[dict[str, Description]] = [{} for _ in range(decoded)]
        for name, one in reply["vectors"].items():
            payload = [dict(own) for own in one["payload"]]
            if len(payload) != decoded:
                raise ValueError("not a payload for each picture")
            vectors = self._array(decoded, 4 * int(one["size"])).view(np.float32)
            for i, descriptions in enumerate(described):
                own = slice(i, i + 1)
                descriptions[str(name)] = Description(vectors[own], payload[own])
        rest = iter(described)
        return [
            self._picture(one, next(rest), data) if "rows" in one else _refusal(one)
            for one, data in zip(facts, files, strict=True)
        ]

    def _picture(
        self, facts: Mapping[str, Any], descriptions: Mapping[str, Description], data: bytes
    ) -> Described:
        rows, columns = int(facts["rows"]), int(facts["columns"])
        if not 0 <= rows * columns <= self._limits.pixels:
            raise ValueError("more pixels than the limit")
        image = Image(
            pixels=self._array(rows, columns, 3),
            alpha=self._array(rows, columns) if facts["alpha"] else None,
            width=int(facts["width"]),
            height=int(facts["height"]),
            format=str(facts["format"]),
            sha256=str(facts["sha256"]),
            bytes=int(facts["bytes"]),
            taken_at=None if facts["taken_at"] is None else str(facts["taken_at"]),
        )
        size = int(facts["thumbnail"])
        if size == OWN:
            return Described(image, descriptions, data)
        if not 0 <= size <= self._limits.bytes:
            raise ValueError("a thumbnail larger than the limit")
        return Described(image, descriptions, self._array(size).tobytes())

    def _array(self, *shape: int) -> NDArray[np.uint8]:
        array = np.empty(shape, np.uint8)
        if self._from.readinto(array) < array.nbytes:  # type: ignore[attr-defined]
            raise EOFError
        return array


def _found(evidence: Mapping[str, Any], look_the_same: bool) -> Found:
    one, other = evidence["shown"]
    return Found(Evidence(**{**evidence, "shown": (one, other)}), bool(look_the_same))


def _refusal(facts: Mapping[str, Any]) -> ImageRejected | None:
    if not facts:
        return None
    return ImageRejected(Reason(facts["reason"]), str(facts["detail"]))


def _widen(pipe: IO[bytes]) -> None:
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # a full quota of pipe memory only makes it slower
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
