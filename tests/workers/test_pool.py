"""Decoders are processes: they are killed, stopped, starved and crowded here, for real."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest

from lookalike.comparison import batch
from lookalike.errors import ImageRejected, LookalikeError, Reason
from lookalike.imaging.decode import decode
from lookalike.types import DecodeLimits, Described, Image
from lookalike.workers.pool import DecoderPool

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


@cache
def photo(format: str = "JPEG", width: int = 320, height: int = 240, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    noise = np.random.default_rng(7).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    file = BytesIO()
    PIL.Image.fromarray(noise).resize((width, height)).save(file, format, **options)
    return file.getvalue()


@cache
def slow_photo(side: int = 4000) -> bytes:
    """A sound JPEG that takes seconds: its last scan comes again and again."""
    file = BytesIO()
    PIL.Image.new("RGB", (side, side), "teal").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * (1500 * 4000**2 // side**2) + data[-2:]


@cache
def large_photo() -> bytes:
    """25 Mpx that cannot be drafted: big enough to need its turn."""
    file = BytesIO()
    PIL.Image.new("L", (5000, 5000), 77).save(file, "PNG", compress_level=1)
    return file.getvalue()


def outcome(call: Callable[[], Image]) -> Image | Reason:
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
    for fact in ("width", "height", "format", "sha256", "bytes", "taken_at"):
        assert getattr(a, fact) == getattr(b, fact)


def pids(pool: DecoderPool) -> list[int]:
    return [decoder._process.pid for decoder in pool._processes if decoder.is_running()]


def gone(pid: int) -> bool:
    """Whether the process is no more, or dead and waiting for its parent to notice."""
    try:
        os.kill(pid, 0)
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return True


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2) as pool:
        yield pool


@pytest.mark.parametrize(
    "data",
    [photo(), photo("PNG"), photo("WEBP"), photo("TIFF", 900, 700), b"", b"nothing", photo()[:900]],
    ids=["jpeg", "png", "webp", "shrunk", "empty", "unsupported", "truncated"],
)
def test_same_as_in_this_process(pool: DecoderPool, data: bytes) -> None:
    assert_same(
        outcome(lambda: pool.decode(data, side=200)), outcome(lambda: decode(data, side=200))
    )


def test_alpha_and_date_come_through(pool: DecoderPool) -> None:
    exif = PIL.Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:01 10:20:30"
    file = BytesIO()
    PIL.Image.new("RGBA", (30, 20), (9, 8, 7, 66)).save(file, "PNG", exif=exif.tobytes())
    image = pool.decode(file.getvalue(), side=200)
    assert image.taken_at == "2024-05-01T10:20:30Z"
    assert_same(image, decode(file.getvalue()))


def test_many_threads(pool: DecoderPool) -> None:
    pictures = [photo("JPEG", 320 + 8 * n, 240) for n in range(8)]
    expected = [decode(data) for data in pictures]
    with ThreadPoolExecutor(12) as threads:
        images = threads.map(lambda n: pool.decode(pictures[n % 8], side=256), range(400))
        for n, image in enumerate(images):
            assert_same(image, expected[n % 8])
    assert len(pids(pool)) == 2


def test_decoders_start_when_needed() -> None:
    with DecoderPool(8) as pool:
        assert pids(pool) == []
        for _ in range(5):
            pool.decode(photo(), side=256)
        assert len(pids(pool)) == 1


# --- several at a time ------------------------------------------------------------------------


def outcomes(pool: DecoderPool, files: list[bytes]) -> list[Image | Reason]:
    return [
        answer.reason if isinstance(answer, ImageRejected) else answer.image
        for answer in pool.describe_many(files, side=200)
    ]


def test_many_are_as_one_after_the_other(pool: DecoderPool) -> None:
    clear = BytesIO()
    PIL.Image.new("RGBA", (30, 20), (9, 8, 7, 66)).save(clear, "PNG")
    files = [photo(), b"", photo("PNG"), photo()[:900], b"nothing", clear.getvalue(), photo()]
    names = ("color", "texture", "phash", "lookalike-small-1")
    together = pool.describe_many(files, side=200, names=names, thumbnail=64)
    for data, answer in zip(files, together, strict=True):
        assert_same(
            outcome(lambda data=data: pool.decode(data, side=200)),  # type: ignore[misc]
            answer.reason if isinstance(answer, ImageRejected) else answer.image,
        )
        if isinstance(answer, ImageRejected):
            continue
        alone = pool.describe(data, side=200, names=names, thumbnail=64)
        assert answer.thumbnail == alone.thumbnail
        assert list(answer.descriptions) == list(names)
        for name in names:
            one, other = answer.descriptions[name], alone.descriptions[name]
            assert one.payload == other.payload
            np.testing.assert_allclose(one.vectors, other.vectors, atol=1e-6)
    assert pool.describe_many([], side=200) == []


def test_one_that_hangs_among_many_is_the_only_one_refused() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        before, late, after = outcomes(pool, [photo(), slow_photo(1400), photo("PNG")])
        assert isinstance(before, Image)
        assert late == Reason.TIMEOUT
        assert isinstance(after, Image)


def test_one_that_crashes_among_many_is_the_only_one_refused() -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        answers = thread.submit(outcomes, pool, [photo(), slow_photo(1400), photo("PNG")])
        for _ in range(2):  # first together, then alone
            wait_until(
                lambda: any(child._ready and child.is_running() for child in pool._processes)
            )
            time.sleep(0.3)
            [child] = pids(pool)
            os.kill(child, signal.SIGSEGV)
            wait_until(lambda child=child: gone(child))  # type: ignore[misc]
        before, crashed, after = answers.result()
        assert isinstance(before, Image)
        assert crashed == Reason.CORRUPT
        assert isinstance(after, Image)


def test_a_descriptor_that_fails_on_one_of_many_has_only_that_one_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "picky-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: picky\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[lookalike.descriptors]\npicky = picky:Picky\n")
    (tmp_path / "picky.py").write_text(
        textwrap.dedent("""
        import numpy as np
        from lookalike.types import Description

        class Picky:
            def describe(self, images):
                return Description(np.array([[1 / (image.width - 96)] for image in images]))
        """)
    )
    monkeypatch.syspath_prepend(tmp_path)
    files = [photo(), photo("PNG", 96, 64), photo("WEBP")]
    with DecoderPool(1) as pool:
        before, failed, after = pool.describe_many(files, side=64, names=["picky"])
    assert isinstance(failed, ImageRejected)
    assert "picky cannot describe it: ZeroDivisionError" in str(failed)
    for answer in (before, after):
        assert isinstance(answer, Described)
        np.testing.assert_allclose(answer.descriptions["picky"].vectors, [[1 / 224]])


def test_one_that_is_big_among_many_waits_for_its_turn() -> None:
    with DecoderPool(2, limits=DecodeLimits(seconds=1)) as pool, ThreadPoolExecutor(1) as thread:
        with pool._large_picture_lock:
            answers = thread.submit(outcomes, pool, [photo(), large_photo(), photo("PNG")])
            time.sleep(1.3)
            assert not answers.done()
        assert [answer.width for answer in answers.result() if isinstance(answer, Image)] == [
            320,
            5000,
            320,
        ]


# --- time -------------------------------------------------------------------------------------


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
        for pause in (0, 0.2, 0.2):  # the watchdog falls asleep in between
            time.sleep(pause)
            assert outcome(lambda: pool.decode(slow_photo(), side=256)) == Reason.TIMEOUT


def test_each_picture_has_its_own_time() -> None:
    """Longer in all than one picture may take."""
    with DecoderPool(1, limits=DecodeLimits(seconds=1)) as pool:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            pool.decode(photo(), side=256)


def test_stopped_decoder_times_out() -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=0.5)) as pool:
        pool.decode(photo(), side=256)
        os.kill(pids(pool)[0], signal.SIGSTOP)
        # More than a pipe takes, so that it hangs while it is being sent.
        data = photo() + bytes(5_000_000)
        assert outcome(lambda: pool.decode(data, side=256)) == Reason.TIMEOUT
        pool.decode(photo(), side=256)


# --- comparing ---------------------------------------------------------------------------------


def pictures() -> list[batch.Kept]:
    """A drawing, the same smaller, and another, as thumbnails."""
    one, other = (
        np.random.default_rng(seed).integers(0, 256, (15, 20, 3), np.uint8) for seed in (1, 2)
    )
    made = []
    for pixels, size in ((one, (320, 240)), (one, (240, 180)), (other, (320, 240))):
        file = BytesIO()
        PIL.Image.fromarray(pixels).resize(size, PIL.Image.Resampling.BICUBIC).save(file, "JPEG")
        made.append(batch.Kept(b"", file.getvalue()))
    return made


PAIRS = ((0, 1), (0, 2), (1, 2))


def test_compared_as_in_this_process(pool: DecoderPool) -> None:
    made = [*pictures(), batch.Kept(b"", b""), batch.Kept(b"", b"no JPEG")]
    sketched = pool.sketch(made[0].thumbnail)
    assert sketched == batch.sketch(made[0].thumbnail)
    assert pool.sketch(b"no JPEG") == b""
    made[0] = made[0]._replace(sketch=sketched)
    pairs = [*PAIRS, (0, 3), (4, 0)]
    compared = pool.compare(made, pairs)
    assert compared == batch.compare(made, pairs)
    assert [one is not None for one in compared.found] == [True, False, False, False, False]
    assert [bool(sketch) for sketch in compared.grown[3:]] == [False, False]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_where_a_decoder_dies_or_hangs_another_compares(how: signal.Signals) -> None:
    with DecoderPool(1, limits=DecodeLimits(seconds=2)) as pool:
        expected = pool.compare(pictures(), PAIRS)
        [before] = pids(pool)
        # More than a pipe takes, so that it is read from while it is being sent.
        made = [one._replace(thumbnail=one.thumbnail + bytes(5_000_000)) for one in pictures()]
        os.kill(before, signal.SIGSTOP)
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(pool.compare, made, PAIRS)
            time.sleep(0.2)
            assert not answer.done()
            os.kill(before, how)
            assert answer.result().found == expected.found
        assert pids(pool) != [before]


# --- crashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_crash_is_the_pictures_and_the_pool_recovers(how: signal.Signals) -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        pool.decode(photo(), side=256)
        [before] = pids(pool)
        answer = thread.submit(pool.decode, slow_photo(), side=256)
        time.sleep(0.2)
        assert not answer.done()
        os.kill(before, how)
        with pytest.raises(ImageRejected, match="corrupt: the decoder crashed"):
            answer.result()
        pool.decode(photo(), side=256)
        assert pids(pool) != [before]


def test_decoder_that_died_idle_is_replaced_quietly(pool: DecoderPool) -> None:
    pool.decode(photo(), side=256)
    [before] = pids(pool)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: gone(before))
    pool.decode(photo(), side=256)


def test_ctrl_c_is_not_for_decoders(pool: DecoderPool) -> None:
    pool.decode(photo(), side=256)
    [before] = pids(pool)
    assert os.getpgid(before) != os.getpgid(0)
    os.kill(before, signal.SIGINT)
    pool.decode(photo(), side=256)
    assert pids(pool) == [before]


def test_decoder_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with (
        DecoderPool(1) as pool,
        pytest.raises(LookalikeError, match="No image decoder can be started"),
    ):
        pool.decode(photo(), side=256)
    monkeypatch.undo()
    monkeypatch.setattr("lookalike.system.subprocesses._BOOT", "import nothing_of_that_name")
    with DecoderPool(1) as pool:
        for _ in range(2):
            with pytest.raises(LookalikeError, match="ended with code 1 before it started"):
                pool.decode(photo(), side=256)
        monkeypatch.undo()
        pool.decode(photo(), side=256)


def test_broken_files_of_every_format() -> None:
    """Random damage: each file decodes or is refused, and later ones decode as ever."""
    chance = random.Random(3)
    formats = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
    files = []
    for format in formats:
        for _ in range(25):
            data = bytearray(photo(format, 96, 64))
            for _ in range(chance.randint(1, 12)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            files.append(bytes(data[: chance.randint(20, 2 * len(data))]))
    with DecoderPool(2, limits=DecodeLimits(seconds=5)) as pool, ThreadPoolExecutor(2) as threads:
        for answer in threads.map(lambda data: outcome(lambda: pool.decode(data, side=64)), files):
            assert answer != Reason.TIMEOUT
        for format in formats:
            assert_same(pool.decode(photo(format, 96, 64), side=64), decode(photo(format, 96, 64)))


# --- memory -----------------------------------------------------------------------------------


def test_big_pictures_take_turns_and_waiting_is_free() -> None:
    with DecoderPool(2, limits=DecodeLimits(seconds=1)) as pool, ThreadPoolExecutor(2) as threads:
        with pool._large_picture_lock:
            big = threads.submit(pool.decode, large_photo(), side=256)
            time.sleep(1.3)
            assert not big.done()
            threads.submit(pool.decode, photo(), side=256).result()  # small ones pass
        assert big.result().pixels.shape == (264, 264, 3)
        both = [threads.submit(pool.decode, large_photo(), side=256) for _ in range(2)]
        assert all(answer.result().width == 5000 for answer in both)


@pytest.mark.skipif(sys.platform != "linux", reason="needs an enforced limit of address space")
@pytest.mark.parametrize(("pixels", "expected"), [(10**6, "too_large"), (128_000_000, "decoded")])
def test_memory_of_a_decoder_is_limited(pixels: int, expected: str) -> None:
    """A codec that asks for two gigabytes gets them only where pictures may be that large."""
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
    """Bytes; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    lines = [line.split() for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0][1]) * 1024 if lines else 0


# --- the end ----------------------------------------------------------------------------------


def test_close_ends_all_decoders_and_can_be_done_again() -> None:
    pool = DecoderPool(2)
    pool.decode(photo(), side=256)
    [before] = pids(pool)
    pool.close()
    pool.close()
    assert gone(before)
    with pytest.raises(LookalikeError, match="pool is closed"):
        pool.decode(photo(), side=256)


def test_close_frees_those_who_wait() -> None:
    pool = DecoderPool(1)
    with ThreadPoolExecutor(4) as threads:
        answers = [threads.submit(pool.decode, slow_photo(), side=256) for _ in range(4)]
        wait_until(lambda: len(pids(pool)) == 1)
        time.sleep(0.3)
        pool.close()
        for answer in answers:
            with pytest.raises(LookalikeError, match="pool is closed"):
                answer.result(5)


def test_forgotten_pool_ends_its_decoders() -> None:
    pool = DecoderPool(1)
    pool.decode(photo(), side=256)
    [before] = pids(pool)
    threads = threading.active_count()
    del pool
    wait_until(lambda: gone(before))
    wait_until(lambda: threading.active_count() < threads)


def run_script(folder: Path, body: str, *, cwd: Path | None = None) -> subprocess.Popen[str]:
    """A user's script without a `__main__` guard, every warning an error; it finds us by itself."""
    (folder / "photo.jpg").write_bytes(photo())
    home = Path(decode.__code__.co_filename).parents[2]
    here = [str(home), *(entry for entry in sys.path if "site-packages" in entry)]
    script = f"""
    import sys
    sys.path += {here!r}
    from pathlib import Path
    from lookalike.workers.pool import DecoderPool
    pool = DecoderPool(2)
    data = Path({str(folder / "photo.jpg")!r}).read_bytes()
    print(pool.decode(data, side=256).format)
    print(*[decoder._process.pid for decoder in pool._processes], flush=True)
    """
    (folder / "script.py").write_text(textwrap.dedent(script) + textwrap.dedent(body))
    return subprocess.Popen(
        [sys.executable, "-S", "-W", "error", str(folder / "script.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cwd,
    )


@pytest.mark.parametrize("ending", ["", "pool.close()", "del pool", "raise SystemExit(0)"])
def test_script_without_a_guard_ends_clean(tmp_path: Path, ending: str) -> None:
    with run_script(tmp_path, ending) as script:
        out, err = script.communicate(timeout=20)
    assert err == ""
    assert script.returncode == 0
    kind, pid = out.split()
    assert kind == "JPEG"
    wait_until(lambda: gone(int(pid)))


def test_working_folder_is_not_imported_from(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for name in ("json", "PIL", "numpy", "lookalike"):
        (trap / f"{name}.py").write_text("raise SystemExit('trapped')")
    with run_script(tmp_path, "", cwd=trap) as script:
        out, err = script.communicate(timeout=20)
    assert out.startswith("JPEG")
    assert err == ""


def test_decoder_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    with run_script(tmp_path, "import time; time.sleep(60)") as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "JPEG\n"
        pid = int(script.stdout.readline())
        assert not gone(pid)
        script.kill()
        wait_until(lambda: gone(pid))
