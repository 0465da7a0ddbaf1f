"""A child process of a `DecoderPool`, as its parent sees it. `messages` documents the protocol."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.batch import (
    BatchResult,
    Comparison,
    RelativeAlignment,
    StoredPicture,
)
from lookalike.comparison.evidence import Evidence
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.imaging.exif import checked_place
from lookalike.system import subprocesses
from lookalike.system.framing import receive_json, send_json
from lookalike.types import DecodeLimits, Described, Description, FileFacts, Image
from lookalike.workers.messages import SAME_AS_FILE, DescribeOptions
from lookalike.workers.watchdog import Watchdog

_ENVIRONMENT = {
    # By default glibc returns the memory of every picture to the system and requests it again for
    # the next: a WebP of 2 megapixels then takes 40 ms instead of 24.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**26),
}

_T = TypeVar("_T")

FileOutcome: TypeAlias = Described | ImageRejected | None
"""The outcome of a file; None if it must be sent again by itself."""


class DecoderCrashed(ImageRejected):
    """The process ended during a request: because of the picture, or because it was killed."""

    def __init__(self) -> None:
        super().__init__(Reason.CORRUPT, "the decoder crashed")


class DecoderProcess:
    """A child process, for one thread at a time.

    Args:
        limits: limits of the decoder.
        watchdog: kills the process if a request takes too long.
        descriptors: names of the descriptors to load at the start.

    Raises:
        LookalikeError: the process cannot be started.
    """

    def __init__(
        self, limits: DecodeLimits, watchdog: Watchdog, descriptors: Sequence[str]
    ) -> None:
        self._ready = False
        self._limits = limits
        self._watchdog = watchdog
        settings = {"limits": dataclasses.asdict(limits), "descriptors": list(descriptors)}
        try:
            child = subprocesses.start("lookalike.workers.main", settings, _ENVIRONMENT)
        except OSError as error:
            raise LookalikeError(f"No image decoder can be started: {error}.") from error
        self._process, self._stdin, self._stdout = child

    def wait_until_ready(self) -> None:
        """Waits until the process has started.

        Raises:
            LookalikeError: it ended instead.
        """
        if self._ready:
            return
        try:
            receive_json(self._stdout)
            self._ready = True
        except (EOFError, OSError):
            self.close()
            raise LookalikeError(
                f"An image decoder ended with code {self._process.returncode} before it started; "
                "run `python -c 'import lookalike.workers.pool'` to see why."
            ) from None

    def is_running(self) -> bool:
        return not self._stdin.closed and self._process.poll() is None

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        """Kills the process and closes its streams. Closing twice is harmless."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):  # unread input is lost with the process
            self._stdin.close()
        self._stdout.close()

    def describe(
        self, files: Sequence[bytes], options: DescribeOptions, *, max_pixels: int
    ) -> list[FileOutcome]:
        """Decodes and describes files, each of which may hold so many pixels in memory.

        Raises:
            DecoderCrashed: the process crashed or was killed. So do all other requests.
            ImageRejected: it was late (`timeout`). So are all other requests.
        """
        header = {"task": "describe", "max_pixels": max_pixels, **options}
        return self._request(header, files, lambda reply: self._read_outcomes(reply, files))

    def digest(self, data: bytes, *, max_pixels: int) -> str | None:
        """Digests the content of a file; returns None if it must be sent again by itself."""
        header = {"task": "digest", "max_pixels": max_pixels}
        return self._request(header, [data], _digest)

    def sketch(self, thumbnail: bytes) -> bytes:
        """Runs `comparison.batch.sketch`."""
        (packed,) = self._request({"task": "sketch"}, [thumbnail], self._read_sketches)
        return packed

    def compare(
        self, pictures: Sequence[StoredPicture], pairs: Sequence[tuple[int, int]]
    ) -> BatchResult:
        """Runs `comparison.batch.compare`."""
        header = {"task": "compare", "pairs": list(pairs)}
        return self._request(
            header, [body for picture in pictures for body in picture], self._read_compared
        )

    def _request(
        self,
        header: Mapping[str, Any],
        bodies: Sequence[bytes],
        read: Callable[[Mapping[str, Any]], _T],
    ) -> _T:
        """Sends a request and returns the result of `read` for the reply."""
        self._watchdog.watch(self._process)
        try:
            send_json(self._stdin, {"sizes": [len(body) for body in bodies], **header}, *bodies)
            result = read(receive_json(self._stdout))
        except BaseException as error:
            in_time = self._watchdog.release(self._process)
            self.close()
            if not isinstance(error, (EOFError, OSError, ValueError, KeyError, TypeError)):
                raise  # Ctrl-C: the conversation was cut off, so the process cannot be used again
            if in_time:
                raise DecoderCrashed from None
            raise ImageRejected(
                Reason.TIMEOUT, f"not decoded within {self._limits.seconds:g} s"
            ) from None
        if not self._watchdog.release(self._process):
            self.close()  # it was killed just as it finished
        return result

    # --- reading replies ------------------------------------------------------------------------
    # A child may have been taken over by a hostile file, so every value of a reply is checked or
    # converted. Errors of any kind count as a crash.

    def _read_outcomes(self, reply: Mapping[str, Any], files: Sequence[bytes]) -> list[FileOutcome]:
        headers = list(reply["outcomes"])
        if len(headers) != len(files):
            raise ValueError("the number of outcomes differs from that of the files")
        decoded = sum("rows" in header for header in headers)
        descriptions = iter(self._read_descriptions(reply["vectors"], decoded))
        return [
            self._read_picture(header, next(descriptions), data)
            if "rows" in header
            else _rejection(header)
            for header, data in zip(headers, files, strict=True)
        ]

    def _read_descriptions(
        self, vectors: Mapping[str, Any], count: int
    ) -> list[dict[str, Description]]:
        """Returns the descriptions of each picture by name."""
        descriptions: list[dict[str, Description]] = [{} for _ in range(count)]
        for name, header in vectors.items():
            payload = [dict(one) for one in header["payload"]]
            if len(payload) != count:
                raise ValueError("the number of payloads differs from that of the pictures")
            rows = self._read_array(count, 4 * int(header["size"])).view(np.float32)
            for i, by_name in enumerate(descriptions):
                row = slice(i, i + 1)
                by_name[str(name)] = Description(rows[row], payload[row])
        return descriptions

    def _read_picture(
        self, header: Mapping[str, Any], descriptions: Mapping[str, Description], data: bytes
    ) -> Described:
        rows, columns = int(header["rows"]), int(header["columns"])
        if not 0 <= rows * columns <= self._limits.pixels:
            raise ValueError("more pixels than the limit")
        image = Image(
            pixels=self._read_array(rows, columns, 3),
            alpha=self._read_array(rows, columns) if header["alpha"] else None,
            width=int(header["width"]),
            height=int(header["height"]),
            format=str(header["format"]),
            sha256=str(header["sha256"]),
            bytes=int(header["bytes"]),
            taken_at=None if header["taken_at"] is None else str(header["taken_at"]),
            gps=None if header["gps"] is None else checked_place(*map(float, header["gps"])),
            facts=_facts(header["facts"]),
            note=str(header["note"]),
        )
        size = int(header["thumbnail"])
        if size == SAME_AS_FILE:
            return Described(image, descriptions, data)
        if not 0 <= size <= self._limits.bytes:
            raise ValueError("a thumbnail larger than the limit")
        return Described(image, descriptions, self._read_array(size).tobytes())

    def _read_compared(self, reply: Mapping[str, Any]) -> BatchResult:
        found = [None if one is None else _found(*one) for one in reply["found"]]
        return BatchResult(found, self._read_sketches(reply))

    def _read_sketches(self, reply: Mapping[str, Any]) -> list[bytes]:
        sizes = [int(size) for size in reply["sizes"]]
        if not all(0 <= size <= self._limits.bytes for size in sizes):
            raise ValueError("a sketch larger than the limit")
        return [self._read_array(size).tobytes() for size in sizes]

    def _read_array(self, *shape: int) -> NDArray[np.uint8]:
        array = np.empty(shape, np.uint8)
        if self._stdout.readinto(array) < array.nbytes:  # type: ignore[attr-defined]
            raise EOFError
        return array


def _digest(reply: Mapping[str, Any]) -> str | None:
    digest = reply["digest"]
    return None if digest is None else str(digest)[:64]


def _found(
    evidence: Mapping[str, Any], looks_identical: bool, alignment: Sequence[Any] | None
) -> Comparison:
    one, other = evidence["shown"]
    return Comparison(
        Evidence(**{**evidence, "shown": (one, other)}),
        bool(looks_identical),
        None if alignment is None else _alignment(*alignment),
    )


def _alignment(matrix: Sequence[Any], is_refined: bool) -> RelativeAlignment:
    a, b, c, d, e, f = (float(value) for value in matrix)
    return RelativeAlignment((a, b, c, d, e, f), bool(is_refined))


def _facts(header: Mapping[str, Any]) -> FileFacts:
    return FileFacts(
        frames=int(header["frames"]),
        alpha=bool(header["alpha"]),
        bit_depth=int(header["bit_depth"]),
        camera_raw=bool(header["camera_raw"]),
        camera_metadata=bool(header["camera_metadata"]),
        motion=bool(header["motion"]),
    )


def _rejection(header: Mapping[str, Any]) -> ImageRejected | None:
    if not header:
        return None
    return ImageRejected(Reason(header["reason"]), str(header["detail"]))
