"""A child of a `DecoderPool`: decodes and describes what its parent sends, some pictures at a time,
and compares pictures.

Each message is a JSON object behind its length, then raw bytes whose number the object gives;
nothing is pickled, so that a child taken over by a file cannot make its parent run code.

    parent -> child   {"task": "describe", "sizes", "most", "side", "describe", "pixels",
                      "thumbnail"} and the files
    child -> parent   {"answers", "vectors"}; then the vectors, one block a descriptor; then of each
                      picture its pixels and its thumbnail

    parent -> child   {"task": "sketch", "sizes"} and a thumbnail
    child -> parent   {"sizes"} and its sketch

    parent -> child   {"task": "compare", "sizes", "pairs"}; of each picture sketch and thumbnail
    child -> parent   {"found", "sizes"} and of each picture its sketch, where there is more to it

An answer is {"reason", "detail"}, the facts of an `Image`, or {} where the file must be sent again
alone, as the picture holds more than `most` pixels in memory, or a descriptor failed on the batch.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import IO, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike import descriptors
from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import DecodeDeferred, decode
from lookalike.imaging.thumbnails import thumbnail_of
from lookalike.protocols import Descriptor
from lookalike.system.framing import receive_json, send_json
from lookalike.types import DecodeLimits, Description, Image

OWN = -1
"""Bytes of a thumbnail that is the file itself."""

_BLANK = Image(np.zeros((64, 64, 3), np.uint8), None, 64, 64, "PNG", "", 0, None)

_Outcome: TypeAlias = Image | ImageRejected | None
"""Of a file; None where it must be sent again alone."""


def main() -> None:
    """Decodes what comes in until the parent hangs up."""
    settings = json.loads(sys.argv[1])
    limits = DecodeLimits(**settings["limits"])
    requests, replies = _take(0, "rb"), _take(1, "wb")
    _confine(limits)
    for name in settings["names"]:
        descriptor = _descriptor(name)
        with contextlib.suppress(Exception):  # the first time takes a tenth of a second
            descriptor.describe([_BLANK])
    send_json(replies, {"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            request = receive_json(requests)
            bodies = [requests.read(size) for size in request["sizes"]]
            match request["task"]:
                case "describe":
                    _answer(replies, request, bodies, limits)
                case "sketch":
                    _sketch(replies, *bodies)
                case "compare":
                    _compare(replies, request, bodies)


def _answer(
    replies: IO[bytes], request: Mapping[str, Any], files: Sequence[bytes], limits: DecodeLimits
) -> None:
    outcomes = [_decode(data, request, limits) for data in files]
    outcomes, described = _describe(outcomes, request["describe"])
    bodies: list[bytes | memoryview] = []
    vectors = {}
    for name, description in described.items():
        count, size = description.vectors.shape
        payload = [dict(one) for one in description.payload] or [{}] * count
        vectors[name] = {"size": size, "payload": payload}
        bodies.append(_raw(description.vectors.astype(np.float32)))
    answers: list[dict[str, Any]] = []
    for data, outcome in zip(files, outcomes, strict=True):
        match outcome:
            case None:
                answers.append({})
            case ImageRejected():
                answers.append({"reason": outcome.reason, "detail": outcome.detail})
            case Image() as image:
                side = request["thumbnail"]
                thumbnail = thumbnail_of(image, data, side) if side else b""
                arrays = (image.pixels, image.alpha) if request["pixels"] else ()
                own = thumbnail is data  # which the parent has
                sent = OWN if own else len(thumbnail)
                answers.append(_facts(image, arrays) | {"thumbnail": sent})
                bodies += [_raw(array) for array in arrays if array is not None]
                bodies.append(b"" if own else thumbnail)
    send_json(replies, {"answers": answers, "vectors": vectors}, *bodies)


def _decode(data: bytes, request: Mapping[str, Any], limits: DecodeLimits) -> _Outcome:
    def check(pixels: int) -> None:
        if pixels > request["most"]:
            raise DecodeDeferred

    try:
        return decode(data, side=request["side"], limits=limits, before_load=check)
    except DecodeDeferred:
        return None
    except ImageRejected as rejected:
        return rejected


def _describe(
    outcomes: list[_Outcome], names: Sequence[str]
) -> tuple[list[_Outcome], dict[str, Description]]:
    """The same outcomes, and what each descriptor says of the pictures among them; where one
    failed, no pictures among them."""
    images = [outcome for outcome in outcomes if isinstance(outcome, Image)]
    described = {}
    for name in names if images else ():
        try:
            described[name] = _descriptor(name).describe(images)
        except Exception as error:  # whatever a descriptor does, the run goes on
            detail = f"{name} cannot describe it: {error!r}"[:200]
            failed = None if len(images) > 1 else ImageRejected(Reason.CORRUPT, detail)
            return [failed if isinstance(one, Image) else one for one in outcomes], {}
    return outcomes, described


@cache
def _descriptor(name: str) -> Descriptor:
    _take_one_core()
    return descriptors.load(name)


def _sketch(replies: IO[bytes], thumbnail: bytes) -> None:
    packed = _batch().sketch(thumbnail)
    send_json(replies, {"sizes": [len(packed)]}, packed)


def _compare(replies: IO[bytes], request: Mapping[str, Any], bodies: Sequence[bytes]) -> None:
    batch = _batch()
    pictures = [batch.Kept(*both) for both in zip(bodies[::2], bodies[1::2], strict=True)]
    found, grown = batch.compare(pictures, request["pairs"])
    answers = [
        None if one is None else [dataclasses.asdict(one.evidence), one.look_the_same]
        for one in found
    ]
    send_json(replies, {"found": answers, "sizes": [len(packed) for packed in grown]}, *grown)


@cache
def _batch() -> ModuleType:
    _take_one_core()
    from lookalike.comparison import batch

    return batch


@cache
def _take_one_core() -> None:
    import cv2  # a tenth of a second that decoding alone does without

    cv2.setNumThreads(1)  # there are as many decoders as cores


def _facts(image: Image, arrays: Sequence[NDArray[Any] | None]) -> dict[str, Any]:
    """All of a picture but its pixels, and which of these come with it."""
    rows, columns, _ = image.pixels.shape if arrays else (0, 0, 3)
    return {
        "rows": rows,
        "columns": columns,
        "alpha": bool(arrays) and image.alpha is not None,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "sha256": image.sha256,
        "bytes": image.bytes,
        "taken_at": image.taken_at,
    }


def _raw(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B")


def _take(number: int, mode: str) -> IO[bytes]:
    """Moves a standard stream where no library reads or writes it."""
    stream: IO[bytes] = os.fdopen(os.dup(number), mode)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)
    os.close(nowhere)
    return stream


def _confine(limits: DecodeLimits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        # A gigabyte for the interpreter, then what the hungriest codec needs (WebP: four bitmaps
        # of four bytes a pixel) and the file with its copies.
        memory = 2**30 + 16 * limits.pixels + 4 * limits.bytes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
