"""The start, the crash and the end of decoder processes, which are really killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ImageRejected, LookalikeError
from lookalike.imaging.decode import decode
from lookalike.types import Described
from lookalike.workers.pool import DecoderPool
from tests.workers.samples import gone, photo, pids, ready_pids, slow_photo, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")


def kill_at_work(pool: DecoderPool, how: signal.Signals, answer: Future[Any], times: int) -> None:
    """Kills the decoder that works on a slow picture, and the ones that take its place."""
    killed: set[int] = set()
    for _ in range(times):
        wait_until(lambda: bool(set(ready_pids(pool)) - killed))
        time.sleep(0.3)  # until it is at work
        assert not answer.done()
        [pid] = set(pids(pool)) - killed
        os.kill(pid, how)
        killed.add(pid)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_second_crash_is_the_pictures_and_the_pool_recovers(how: signal.Signals) -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        pool.decode(photo(), side=256)
        answer = thread.submit(pool.decode, slow_photo(), side=256)
        kill_at_work(pool, how, answer, times=2)
        with pytest.raises(ImageRejected, match="corrupt: the decoder crashed"):
            answer.result()
        pool.decode(photo(), side=256)


@pytest.mark.parametrize("many", [False, True])
def test_a_decoder_that_is_killed_once_says_nothing_about_the_picture(many: bool) -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        pool.decode(photo(), side=256)
        if many:
            answer: Future[Any] = thread.submit(
                pool.describe_many, [slow_photo(scans=150)] * 2, side=256
            )
        else:
            answer = thread.submit(pool.describe, slow_photo(scans=150), side=256)
        kill_at_work(pool, signal.SIGKILL, answer, times=1)
        results = answer.result() if many else [answer.result()]
        assert all(isinstance(result, Described) for result in results)


def test_a_decoder_that_is_killed_once_still_digests() -> None:
    with DecoderPool(1) as pool, ThreadPoolExecutor(1) as thread:
        expected = pool.content_digest(slow_photo(scans=150))
        assert expected
        answer = thread.submit(pool.content_digest, slow_photo(scans=150))
        kill_at_work(pool, signal.SIGKILL, answer, times=1)
        assert answer.result() == expected


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
    """Runs a script without a `__main__` guard, in which every warning is an error. It extends
    `sys.path` by itself."""
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
