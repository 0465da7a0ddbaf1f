"""The main program of a child process: decodes, describes and compares pictures.

`messages` documents the requests and replies.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike import descriptors
from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import DecodeDeferred, decode
from lookalike.imaging.digest import content_digest
from lookalike.imaging.thumbnails import DECODED_SIDE, thumbnail_of
from lookalike.protocols import Descriptor
from lookalike.system.framing import receive_json, send_json
from lookalike.types import DecodeLimits, Description, Image
from lookalike.workers.messages import SAME_AS_FILE

_BLANK = Image(np.zeros((64, 64, 3), np.uint8), None, 64, 64, "PNG", "", 0, None)

_Outcome: TypeAlias = Image | ImageRejected | None
"""The outcome of decoding a file; None if it is deferred."""


def main() -> None:
    """Answers requests until the parent closes the stream."""
    settings = json.loads(sys.argv[1])
    limits = DecodeLimits(**settings["limits"])
    requests, replies = _private_stream(0, "rb"), _private_stream(1, "wb")
    limit_resources(limits)
    _warm_up(settings["descriptors"])
    send_json(replies, {"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            request = receive_json(requests)
            bodies = [requests.read(size) for size in request["sizes"]]
            match request["task"]:
                case "describe":
                    _describe(replies, request, bodies, limits)
                case "digest":
                    _digest(replies, request["max_pixels"], limits, *bodies)
                case "sketch":
                    _sketch(replies, *bodies)
                case "compare":
                    _compare(replies, request["pairs"], bodies)


def limit_resources(limits: DecodeLimits) -> None:
    """Limits the memory of this process, and leaves Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        # A gigabyte for the interpreter; the needs of the most demanding codec (WebP: four bitmaps
        # of four bytes a pixel); the file with its copies.
        memory = 2**30 + 16 * limits.pixels + 4 * limits.bytes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _private_stream(number: int, mode: str) -> IO[bytes]:
    """Moves a standard stream to another descriptor, so that no library reads or writes it."""
    stream: IO[bytes] = os.fdopen(os.dup(number), mode)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, number)
    os.close(null)
    return stream


# --- describing -------------------------------------------------------------------------------


def _describe(
    replies: IO[bytes], request: Mapping[str, Any], files: Sequence[bytes], limits: DecodeLimits
) -> None:
    outcomes = [_decode(data, request, limits) for data in files]
    outcomes, descriptions = _run_descriptors(outcomes, request["descriptors"])
    bodies: list[bytes | memoryview] = []
    vectors = {}
    for name, description in descriptions.items():
        count, size = description.vectors.shape
        payload = [dict(one) for one in description.payload] or [{}] * count
        vectors[name] = {"size": size, "payload": payload}
        bodies.append(_buffer(description.vectors.astype(np.float32)))
    headers: list[dict[str, Any]] = []
    for data, outcome in zip(files, outcomes, strict=True):
        match outcome:
            case None:
                headers.append({})
            case ImageRejected():
                headers.append({"reason": outcome.reason, "detail": outcome.detail})
            case Image():
                thumbnail = _thumbnail(outcome, data, request, limits)
                header, parts = _encode(outcome, data, request, thumbnail)
                headers.append(header)
                bodies += parts
    send_json(replies, {"outcomes": headers, "vectors": vectors}, *bodies)


def _decode(data: bytes, request: Mapping[str, Any], limits: DecodeLimits) -> _Outcome:
    check = _defer_above(request["max_pixels"])
    try:
        return decode(data, side=request["side"], limits=limits, before_load=check)
    except DecodeDeferred:
        return None
    except ImageRejected as rejected:
        return rejected


def _digest(replies: IO[bytes], max_pixels: int, limits: DecodeLimits, data: bytes) -> None:
    digest: str | None = ""
    try:
        digest = content_digest(data, limits=limits, before_load=_defer_above(max_pixels))
    except DecodeDeferred:
        digest = None
    except ImageRejected:
        pass
    send_json(replies, {"digest": digest})


def _defer_above(max_pixels: int) -> Callable[[int], None]:
    def check(pixels: int) -> None:
        if pixels > max_pixels:
            raise DecodeDeferred

    return check


def _run_descriptors(
    outcomes: list[_Outcome], names: Sequence[str]
) -> tuple[list[_Outcome], dict[str, Description]]:
    """Describes the pictures among the outcomes.

    Returns:
        The outcomes and the descriptions by name. If a descriptor fails, there are none, and its
        pictures are deferred, or rejected if there is only one.
    """
    images = [outcome for outcome in outcomes if isinstance(outcome, Image)]
    descriptions = {}
    for name in names if images else ():
        try:
            descriptions[name] = _descriptor(name).describe(images)
        except Exception as error:  # no failure of a descriptor may end the run
            detail = f"{name} cannot describe it: {error!r}"[:200]
            failed = None if len(images) > 1 else ImageRejected(Reason.CORRUPT, detail)
            return [failed if isinstance(one, Image) else one for one in outcomes], {}
    return outcomes, descriptions


def _encode(
    image: Image, data: bytes, request: Mapping[str, Any], thumbnail: bytes
) -> tuple[dict[str, Any], list[bytes | memoryview]]:
    """Returns the header and the bodies of a decoded picture."""
    arrays = (image.pixels, image.alpha) if request["pixels"] else ()
    rows, columns, _ = image.pixels.shape if arrays else (0, 0, 3)
    same_as_file = thumbnail is data
    header = {
        "rows": rows,
        "columns": columns,
        "alpha": bool(arrays) and image.alpha is not None,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "sha256": image.sha256,
        "bytes": image.bytes,
        "taken_at": image.taken_at,
        "gps": image.gps,
        "note": image.note,
        "facts": dataclasses.asdict(image.facts),
        "thumbnail": SAME_AS_FILE if same_as_file else len(thumbnail),
    }
    bodies = [_buffer(array) for array in arrays if array is not None]
    return header, [*bodies, b"" if same_as_file else thumbnail]


def _thumbnail(
    image: Image, data: bytes, request: Mapping[str, Any], limits: DecodeLimits
) -> bytes:
    """The thumbnail of a picture, whatever side this was decoded to; empty if none is wanted."""
    side = request["thumbnail"]
    if not side:
        return b""
    is_shrunk = min(image.width, image.height) >= 2 * min(request["side"], DECODED_SIDE)
    if is_shrunk and request["side"] != DECODED_SIDE:
        again = _decode(data, {**request, "side": DECODED_SIDE}, limits)
        image = again if isinstance(again, Image) else image
    return thumbnail_of(image, data, side)


def _buffer(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B")


def _warm_up(names: Sequence[str]) -> None:
    """Loads descriptors and calls them once, as the first call takes 0.1 s."""
    for name in names:
        descriptor = _descriptor(name)
        with contextlib.suppress(Exception):
            descriptor.describe([_BLANK])


@cache
def _descriptor(name: str) -> Descriptor:
    _use_one_core()
    return descriptors.load(name)


# --- comparing --------------------------------------------------------------------------------


def _sketch(replies: IO[bytes], thumbnail: bytes) -> None:
    packed = _batch().sketch(thumbnail)
    send_json(replies, {"sizes": [len(packed)]}, packed)


def _compare(replies: IO[bytes], pairs: Sequence[tuple[int, int]], bodies: Sequence[bytes]) -> None:
    batch = _batch()
    pictures = [batch.StoredPicture(*both) for both in zip(bodies[::2], bodies[1::2], strict=True)]
    found, grown = batch.compare(pictures, pairs)
    answers = [
        None if one is None else [dataclasses.asdict(one.evidence), *one[1:]] for one in found
    ]
    send_json(replies, {"found": answers, "sizes": [len(packed) for packed in grown]}, *grown)


@cache
def _batch() -> ModuleType:
    _use_one_core()
    from lookalike.comparison import batch

    return batch


@cache
def _use_one_core() -> None:
    import cv2  # takes 0.1 s, and decoding alone does without

    cv2.setNumThreads(1)  # there are as many child processes as cores
