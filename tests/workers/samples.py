"""Pictures and helpers for the tests of decoder processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif

from lookalike.errors import ImageRejected, Reason
from lookalike.types import Image
from lookalike.workers.pool import DecoderPool


@cache
def photo(format: str = "JPEG", width: int = 320, height: int = 240, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    noise = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = BytesIO()
    PIL.Image.fromarray(noise).resize((width, height)).save(file, format, **options)
    return file.getvalue()


@cache
def slow_photo(side: int = 4000, scans: int = 1500) -> bytes:
    """A valid JPEG that takes seconds to decode, as its last scan is repeated many times."""
    file = BytesIO()
    PIL.Image.new("RGB", (side, side), "teal").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (scans * 4000**2 // side**2) + data[-2:]


@cache
def large_photo() -> bytes:
    """25 megapixels that cannot be decoded as a draft: large enough to be decoded by itself."""
    file = BytesIO()
    PIL.Image.new("L", (5000, 5000), 77).save(file, "PNG", compress_level=1)
    return file.getvalue()


def outcome(call: Callable[[], Image]) -> Image | Reason:
    """Returns the decoded image, or the reason for its rejection."""
    try:
        return call()
    except ImageRejected as rejected:
        return rejected.reason


def assert_same(a: Image | Reason, b: Image | Reason) -> None:
    if isinstance(a, Reason) or isinstance(b, Reason):
        assert a == b
        return
    assert np.array_equal(a.pixels, b.pixels)
    assert (a.alpha is None) == (b.alpha is None)
    if a.alpha is not None and b.alpha is not None:
        assert np.array_equal(a.alpha, b.alpha)
    for fact in ("width", "height", "format", "sha256", "bytes", "taken_at", "gps", "facts"):
        assert getattr(a, fact) == getattr(b, fact)


def pids(pool: DecoderPool) -> list[int]:
    """Returns the ids of the running child processes."""
    return [decoder._process.pid for decoder in pool._processes if decoder.is_running()]


def ready_pids(pool: DecoderPool) -> list[int]:
    """Returns the ids of those that have started."""
    return [decoder._process.pid for decoder in tuple(pool._processes) if decoder._ready]


def gone(pid: int) -> bool:
    """Tells whether the process has ended, be it as a zombie."""
    try:
        os.kill(pid, 0)
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.01)
