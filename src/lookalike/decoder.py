"""A child of a `DecoderPool`: decodes and describes what its parent sends, one picture at a time.

Each message is a JSON object behind its length, then raw bytes whose number the object gives;
nothing is pickled, so that a child taken over by a file cannot make its parent run code.

    parent -> child   {"bytes", "side", "describe", "pixels", "thumbnail"} and the file
    child -> parent   {"big": true} if the picture is big, then waits for {}
    child -> parent   {"reason", "detail"}, or the facts of an `Image`, its pixels, its vectors and
                      its thumbnail
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lookalike import descriptors
from lookalike.errors import ImageRejected, Reason
from lookalike.images import decode, thumbnail_of
from lookalike.protocols import Descriptor
from lookalike.types import Description, Image, Limits

_BIG = 20_000_000  # pixels in memory at once; of pictures beyond, a pool decodes one at a time


def main() -> None:
    """Decodes what comes in until the parent hangs up."""
    settings = json.loads(sys.argv[1])
    limits = Limits(**settings["limits"])
    requests, replies = _take(0, "rb"), _take(1, "wb")
    _confine(limits)

    def ask(pixels: int) -> None:
        if pixels > _BIG:
            send(replies, {"big": True})
            receive(requests)

    for name in settings["names"]:
        _descriptor(name)
    send(replies, {"ready": True})
    with contextlib.suppress(EOFError):
        while True:
            request = receive(requests)
            data = requests.read(request["bytes"])
            try:
                image = decode(data, side=request["side"], limits=limits, before_load=ask)
                described = _describe(image, request["describe"])
                side = request["thumbnail"]
                thumbnail = thumbnail_of(image, data, side) if side else b""
            except ImageRejected as rejected:
                send(replies, {"reason": rejected.reason, "detail": rejected.detail})
            else:
                _send_image(replies, image, described, thumbnail, pixels=request["pixels"])
                del image


def _describe(image: Image, names: Sequence[str]) -> dict[str, Description]:
    described = {}
    for name in names:
        try:
            described[name] = _descriptor(name).describe([image])
        except Exception as error:  # whatever a descriptor does, the run goes on
            raise ImageRejected(
                Reason.CORRUPT, f"{name} cannot describe it: {error!r}"[:200]
            ) from error
    return described


@cache
def _descriptor(name: str) -> Descriptor:
    import cv2  # a tenth of a second that only describing needs

    cv2.setNumThreads(1)  # there are as many decoders as cores
    return descriptors.load(name)


def _send_image(
    replies: IO[bytes],
    image: Image,
    described: Mapping[str, Description],
    thumbnail: bytes,
    *,
    pixels: bool,
) -> None:
    rows, columns, _ = image.pixels.shape if pixels else (0, 0, 3)
    facts = {
        "rows": rows,
        "columns": columns,
        "alpha": pixels and image.alpha is not None,
        "width": image.width,
        "height": image.height,
        "format": image.format,
        "sha256": image.sha256,
        "bytes": image.bytes,
        "taken_at": image.taken_at,
        "described": {
            name: {
                "size": one.vectors.shape[1],
                "payload": dict(one.payload[0] if one.payload else {}),
            }
            for name, one in described.items()
        },
        "thumbnail": len(thumbnail),
    }
    arrays: list[NDArray[Any]] = [image.pixels] if pixels else []
    if pixels and image.alpha is not None:
        arrays.append(image.alpha)
    arrays += [one.vectors.astype(np.float32) for one in described.values()]
    bodies = [np.ascontiguousarray(array).data for array in arrays if array.size]
    send(replies, facts, *bodies, thumbnail)


def _take(number: int, mode: str) -> IO[bytes]:
    """Moves a standard stream where no library reads or writes it."""
    stream: IO[bytes] = os.fdopen(os.dup(number), mode)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)
    os.close(nowhere)
    return stream


def _confine(limits: Limits) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        # A gigabyte for the interpreter, then what the hungriest codec needs (WebP: four bitmaps
        # of four bytes a pixel) and the file with its copies.
        memory = 2**30 + 16 * limits.pixels + 4 * limits.bytes
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(ValueError, OSError):  # macOS has no such limit
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


# --- the conversation -------------------------------------------------------------------------


def send(stream: IO[bytes], header: Mapping[str, Any], *bodies: bytes | memoryview) -> None:
    encoded = json.dumps(header).encode()
    stream.write(len(encoded).to_bytes(4, "big") + encoded)
    for body in bodies:
        stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    """The next header.

    Raises:
        EOFError: there is none.
        ValueError: it is not what `send` sends.
    """
    prefix = stream.read(4)
    if len(prefix) < 4:
        raise EOFError
    size = int.from_bytes(prefix, "big")
    if size > 2**16:
        raise ValueError("a header this long is none of ours")
    header = json.loads(stream.read(size))
    if not isinstance(header, dict):
        raise ValueError("a header is an object")
    return header
