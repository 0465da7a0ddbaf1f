"""Limits of decoder processes: time, memory, and hostile files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.errors import Reason
from lookalike.imaging.decode import decode
from lookalike.types import DecodeLimits
from lookalike.workers.pool import DecoderPool
from tests.workers.samples import (
    assert_same,
    gone,
    large_photo,
    outcome,
    photo,
    pids,
    slow_photo,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def test_slow_picture_times_out_and_the_pool_recovers() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        pool.decode(photo(), side=256)
        [before] = pids(pool)
        started = time.monotonic()
        assert outcome(lambda: pool.decode(slow_photo(), side=256)) == Reason.TIMEOUT
        assert 1 <= time.monotonic() - started < 3
        assert gone(before)
        pool.decode(photo(), side=256)


def test_tiny_limit_of_time() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=0.05)) as pool:
        for pause in (0, 0.2, 0.2):  # the watchdog sleeps in between
            time.sleep(pause)
            assert outcome(lambda: pool.decode(slow_photo(), side=256)) == Reason.TIMEOUT


def test_each_picture_has_its_own_time() -> None:
    """All together take longer than one picture may take."""
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pool.decode(photo(), side=256)


def test_stopped_decoder_times_out() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=0.5)) as pool:
        pool.decode(photo(), side=256)
        os.kill(pids(pool)[0], signal.SIGSTOP)
        # More than fits into a pipe, so that sending hangs.
        data = photo() + bytes(5_000_000)
        assert outcome(lambda: pool.decode(data, side=256)) == Reason.TIMEOUT
        pool.decode(photo(), side=256)


def test_broken_files_of_every_format() -> None:
    """Randomly damaged files are decoded or refused, and valid ones are decoded afterwards."""
    rng = random.Random(3)
    formats = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
    files = []
    for format in formats:
        for _ in range(25):
            data = bytearray(photo(format, 96, 64))
            for _ in range(rng.randint(1, 12)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            files.append(bytes(data[: rng.randint(20, 2 * len(data))]))
    with DecoderPool(2, limits=DecodeLimits(seconds=5)) as pool, ThreadPoolExecutor(2) as threads:
        for answer in threads.map(lambda data: outcome(lambda: pool.decode(data, side=64)), files):
            assert answer != Reason.TIMEOUT
        for format in formats:
            assert_same(pool.decode(photo(format, 96, 64), side=64), decode(photo(format, 96, 64)))


def test_big_pictures_take_turns_and_waiting_is_free() -> None:
    with DecoderPool(2, limits=DecodeLimits(seconds=1)) as pool, ThreadPoolExecutor(2) as threads:
        with pool._large_picture_lock:
            big = threads.submit(pool.decode, large_photo(), side=256)
            time.sleep(1.3)
            assert not big.done()
            threads.submit(pool.decode, photo(), side=256).result()  # small ones need not wait
        assert big.result().pixels.shape == (264, 264, 3)
        both = [threads.submit(pool.decode, large_photo(), side=256) for _ in range(2)]
        assert all(answer.result().width == 5000 for answer in both)


@pytest.mark.skipif(sys.platform != "linux", reason="needs an enforced limit of address space")
@pytest.mark.parametrize(("pixels", "expected"), [(10**6, "too_large"), (128_000_000, "decoded")])
def test_memory_of_a_decoder_is_limited(pixels: int, expected: str) -> None:
    """A codec can allocate two gigabytes only if the limits allow pictures of that size."""
    script = f"""
    import sys
    import numpy as np
    from lookalike.errors import ImageRejected
    from lookalike.imaging.decode import decode
    from lookalike.types import DecodeLimits
    from lookalike.workers import main
    main.limit_resources(DecodeLimits(pixels={pixels}))
    try:
        decode(sys.stdin.buffer.read(), before_load=lambda pixels: np.empty(2**31, np.uint8))
        print("decoded")
    except ImageRejected as rejected:
        print(rejected.reason)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        input=photo(),
        capture_output=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=True,
    )
    assert done.stdout.decode().strip() == expected


def test_evil_files(data: Path) -> None:
    files = [file.read_bytes() for file in sorted((data / "evil" / "files").iterdir())]
    started = time.monotonic()
    with DecoderPool(2) as pool, ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(lambda d: outcome(lambda: pool.decode(d, side=256)), files))
        peaks = [peak_memory(pid) for pid in pids(pool)]
    assert time.monotonic() - started < 30
    assert len(peaks) == 2
    assert max(peaks) < 700 * 2**20
    for file, answer in zip(files, answers, strict=True):
        assert_same(answer, outcome(lambda file=file: decode(file)))  # type: ignore[misc]


def peak_memory(pid: int) -> int:
    """Bytes; 0 on systems without /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else 0
