"""Threads and processes that share one file, and processes that are killed."""

from __future__ import annotations

import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.cache.samples import batch, jpeg, key, opened


def test_many_threads(file: Path) -> None:
    with opened(file) as cache:

        def work(first: int) -> None:
            for i in range(first, first + 80, 8):
                cache.put_many(batch(i))
                assert cache.get_many([key(i)]) == {key(i): jpeg(i)}

        threads = [threading.Thread(target=work, args=(80 * n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert cache.problem is None
        assert len(cache) == 480


FILL = """
import sys
from pathlib import Path
from lookalike.cache.store import Cache
from tests.cache.samples import batch
cache = Cache(Path(sys.argv[1]), 10**9, reserve=0)
print("ready", flush=True)
for first in range(int(sys.argv[2]), int(sys.argv[3]), 8):
    cache.put_many(batch(first))
sys.exit(cache.problem)
"""


def fill(file: Path, first: int, last: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", FILL, file, str(first), str(last)], stdout=subprocess.PIPE
    )


def test_several_processes_make_and_fill_one_file(file: Path) -> None:
    children = [fill(file, 200 * n, 200 * (n + 1)) for n in range(4)]
    for child in children:
        child.communicate(timeout=60)
        assert child.returncode == 0
    with opened(file) as cache:
        assert len(cache.get_many(map(key, range(800)))) == 800


def test_killed_at_any_moment_it_stays_whole(file: Path) -> None:
    moments = random.Random(5)
    for n in range(6):
        child = fill(file, 10_000 * n, 10_000 * (n + 1))
        assert child.stdout
        child.stdout.readline()
        time.sleep(moments.uniform(0, 0.25))
        child.kill()
        child.wait()
        child.stdout.close()
        with opened(file) as cache:
            assert cache.problem is None
            stored = len(cache)
            assert stored % 8 == 0  # batches are stored as a whole
    assert stored > 0
    check = sqlite3.connect(file)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
