"""The cache beside an index: quick, bounded, shared, and never in the way."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.cache.skipped import Skipped
from lookalike.cache.store import DEFAULT_LIMIT, Cache, cache_file


def key(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def jpeg(i: int, size: int = 15_000) -> bytes:
    return random.Random(i).randbytes(size)


def batch(first: int, count: int = 8) -> dict[str, bytes]:
    return {key(i): jpeg(i) for i in range(first, first + count)}


def opened(path: Path, limit: int | None = 10**9) -> Cache:
    return Cache(path, limit, reserve=0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "thumbnails.sqlite"


def test_what_is_put_is_got(file: Path) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0))
        cache.put_many({key(0): b"made anew"})
        assert cache.get_many([key(0), key(1), key(99), key(1)]) == {
            key(0): b"made anew",
            key(1): jpeg(1),
        }
        cache.forget([key(1), key(99)])
        assert len(cache) == 7
    with opened(file) as cache:
        many = cache.get_many(key(i) for i in range(-1200, 1200))  # more than one statement's
        assert many.keys() == {key(i) for i in range(8) if i != 1}
        assert cache.problem is None
    assert list(file.parent.iterdir()) == [file]


def sketched(first: int, count: int = 8) -> dict[str, bytes]:
    return {key(i): jpeg(-i - 1, 10_000) for i in range(first, first + count)}


def test_a_sketch_is_kept_as_long_as_its_thumbnail(file: Path) -> None:
    with opened(file) as cache:
        cache.put_sketches(sketched(0))
        assert cache.get_sketches([key(0)]) == {}  # there is no thumbnail
        cache.put_many(batch(0))
        cache.put_sketches(sketched(0, 20))
        cache.put_sketches({key(0): b"with more in it"})
    with opened(file) as cache:
        kept = cache.get_sketches(key(i) for i in range(20))
        assert kept == {**sketched(0), key(0): b"with more in it"}
        cache.forget([key(1)])
        cache.put_many({key(2): b"another thumbnail", key(1): jpeg(1)})
        assert cache.get_sketches([key(1), key(2), key(3)]) == {key(3): kept[key(3)]}
        assert cache.problem is None


def test_sketches_make_room_for_thumbnails(file: Path) -> None:
    limit = 1_000_000
    with opened(file, limit) as cache:
        cache.put_many(batch(0, 30))
        cache.put_sketches(sketched(0, 30))
        assert len(cache.get_sketches(sketched(0, 30))) == 30
        cache.put_many(batch(30, 15))
        assert len(cache) == 45
        assert 0 < len(cache.get_sketches(sketched(0, 45))) < 30
        cache.put_sketches(sketched(0, 45))  # as many as there is room for
        assert len(cache) == 45
        cache.put_many(batch(45, 100))
        assert not cache.get_sketches(sketched(0, 145))
        assert key(144) in cache.get_many([key(144)])
        assert len(cache) > 0.8 * limit / 15_000
        assert file.stat().st_size <= 1.1 * limit


def test_a_damaged_sketch_is_not_handed_out(file: Path) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0))
        cache.put_sketches(sketched(0))
    database = sqlite3.connect(file)
    broken = (b"x" + sketched(0)[key(0)][1:], key(0))
    with database:
        database.execute(
            "UPDATE sketch SET bytes = ? WHERE id = (SELECT rowid FROM thumbnail WHERE key = ?)",
            broken,
        )
    database.close()
    with opened(file) as cache:
        assert cache.get_sketches(sketched(0)).keys() == sketched(1, 7).keys()
        assert len(cache.get_many(batch(0))) == 8


def test_a_file_from_before_there_were_sketches(file: Path) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0))
    older = sqlite3.connect(file)
    older.executescript("DROP TRIGGER sketch_goes; DROP TABLE sketch")
    older.close()
    with opened(file) as cache:
        assert cache.get_many(batch(0)) == batch(0)
        cache.put_sketches(sketched(0))
        assert cache.get_sketches(sketched(0)) == sketched(0)
        assert cache.problem is None


def test_what_was_skipped_is_remembered(file: Path) -> None:
    copy = Skipped("12-34", "sku-1", "same-picture")
    with opened(file, limit=0) as cache:  # also where no thumbnails are wanted
        cache.put_skipped({"/a.jpg": Skipped("1-1", "sku-0", "identical"), "/é.jpg": copy})
        cache.put_skipped({"/a.jpg": copy})
    with opened(file, limit=0) as cache:
        asked = ["/a.jpg", "/é.jpg", "/none.jpg"]
        assert cache.get_skipped(asked) == {"/a.jpg": copy, "/é.jpg": copy}
        assert len(cache) == 0


def test_the_oldest_go_and_the_file_stays_small(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 3_000_000
    hour = [1000]
    monkeypatch.setattr(time, "time", lambda: 3600.0 * hour[0])
    with opened(file, limit) as cache:
        cache.put_many(batch(0, 100))
        hour[0] += 1
        used = [key(i) for i in range(10)]
        assert len(cache.get_many(used)) == 10
        for first in range(100, 1000, 25):
            cache.put_many(batch(first, 25))
            assert file.stat().st_size <= 1.1 * limit
            if first < 200:
                assert len(cache.get_many(used)) == 10  # used later than others that were there
        assert len(cache) > 0.8 * limit / 15_000
        assert key(999) in cache.get_many([key(999)])
        assert not cache.get_many(used)  # by now older than all that is there
        cache.put_many({key(-1): jpeg(-1, limit)})  # would never fit
        assert not cache.get_many([key(-1)])
        assert cache.problem is None


def test_the_last_use_survives_closing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = [1000]
    monkeypatch.setattr(time, "time", lambda: 3600.0 * hour[0])
    with opened(file) as cache:
        cache.put_many(batch(0, 100))
        hour[0] += 1
        cache.get_many([key(0)])
    with opened(file, 500_000) as cache:
        assert cache.get_many([key(0), key(1)]).keys() == {key(0)}


def test_a_lower_limit_shrinks_the_file(file: Path) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0, 400))
        cache.put_skipped({"/a.jpg": Skipped("1-1", "sku-0", "identical")})
    assert file.stat().st_size > 6_000_000
    with opened(file, 1_000_000) as cache:
        assert 500_000 < cache.bytes_on_disk <= 1_100_000
        assert cache.get_many([key(399)]) == {key(399): jpeg(399)}
        assert key(0) not in cache.get_many([key(0)])
    with opened(file, 0) as cache:
        assert len(cache) == 0
        cache.put_many(batch(0))
        assert len(cache) == 0
        assert cache.get_skipped(["/a.jpg"])
        assert cache.bytes_on_disk < 100_000


def test_the_limit_is_remembered(file: Path) -> None:
    with opened(file, None) as cache:
        assert cache.limit == DEFAULT_LIMIT
        assert cache.get_many([key(0)]) == {}
        assert not file.exists()  # nothing was put: nothing is made
    with opened(file, 0) as cache:
        cache.put_many({})
    with opened(file, None) as cache:
        assert cache.limit == 0
    with opened(file, 10**6) as cache:
        cache.put_many(batch(0, 30))
    with opened(file, None) as cache:
        assert cache.limit == 10**6
        assert len(cache) == 30


def test_where_it_lies(tmp_path: Path) -> None:
    assert cache_file(str(tmp_path)).parent == tmp_path
    shop = cache_file("http://host:6333/shop")
    assert shop == cache_file("http://host:6333/shop/")
    assert shop != cache_file("http://host:6333/photos")
    assert shop.is_absolute()


# --- what goes wrong ------------------------------------------------------------------------


def flip(data: bytearray) -> None:
    """Damages every page but the first."""
    for at in range(4096, len(data), 64):
        data[at] ^= 0xFF


def cut(data: bytearray) -> None:
    del data[len(data) // 2 :]


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_file_is_made_anew(file: Path, damage: Callable[[bytearray], None]) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0, 100))
    data = bytearray(file.read_bytes())
    damage(data)
    file.write_bytes(data)
    with opened(file) as cache:
        assert cache.get_many(map(key, range(100))) == {}
        cache.put_many(batch(0))
        assert cache.problem is not None
        assert "are made again" in cache.problem
        cache.put_many(batch(0))
        assert len(cache.get_many(batch(0))) == 8
    with opened(file) as cache:
        assert len(cache) == 8
        assert cache.problem is None
    assert list(file.parent.iterdir()) == [file]


def test_a_damaged_thumbnail_is_not_handed_out(file: Path) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0, 2))
    data = file.read_bytes()
    at = data.find(jpeg(0)[5000:5200])  # in the middle of a page of nothing but this thumbnail
    assert at > 0
    file.write_bytes(data[:at] + bytes(200) + data[at + 200 :])
    with opened(file) as cache:
        assert cache.get_many([key(0), key(1)]) == {key(1): jpeg(1)}
        cache.put_many(batch(0, 1))
        assert len(cache.get_many([key(0), key(1)])) == 2


def test_what_is_not_ours_is_put_aside_and_never_removed(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"my diary\n" * 1000)
    with opened(file) as cache:
        assert cache.problem is not None
        assert "is now" in cache.problem
        cache.put_many(batch(0))
        assert len(cache) == 8
    aside = file.with_name("thumbnails.sqlite.aside")
    assert aside.read_bytes() == b"my diary\n" * 1000
    file.unlink()
    other = sqlite3.connect(file)
    other.execute("CREATE TABLE diary (day)")
    other.close()
    before = file.read_bytes()
    with opened(file) as cache:
        cache.put_many(batch(0))
        cache.put_skipped({"/a.jpg": Skipped("1-1", "sku-0", "identical")})
        assert (len(cache), cache.get_many([key(0)]), cache.get_skipped(["/a.jpg"])) == (0, {}, {})
        assert cache.problem is not None
        assert "move both away" in cache.problem
    assert file.read_bytes() == before
    assert aside.read_bytes() == b"my diary\n" * 1000


def test_another_version_starts_over(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(file) as cache:
        cache.put_many(batch(0))
    older = sqlite3.connect(file)
    older.execute("PRAGMA user_version = 0")
    older.close()
    with opened(file) as cache:
        assert len(cache) == 0
        assert cache.problem is not None
        assert "another version" in cache.problem
        cache.put_many(batch(0))
        assert len(cache) == 8


def test_no_place_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    for path in (tmp_path / "file" / "thumbnails.sqlite", tmp_path):
        with opened(path) as cache:
            cache.put_many(batch(0))
            assert cache.get_many([key(0)]) == {}
            assert len(cache) == 0
            assert cache.bytes_on_disk >= 0
            assert cache.problem is not None
            assert str(path) in cache.problem
    assert (tmp_path / "file").read_text() == "not a folder"


def test_the_index_s_own_room_is_left_free(file: Path) -> None:
    with Cache(file, reserve=2**60) as cache:
        cache.put_many(batch(0))
        assert len(cache) == 0
        assert cache.problem is not None
        assert "MiB left" in cache.problem


FULL = """
import resource, signal, sys
from pathlib import Path
from lookalike.cache.store import Cache
from tests.cache.test_store import batch
cache = Cache(Path(sys.argv[1]), 10**9, reserve=0)
cache.put_many(batch(0))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
for first in range(8, 400, 8):
    cache.put_many(batch(first))
print(cache.problem)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
cache.put_many(batch(1000))
print(len(cache.get_many(batch(0))), len(cache.get_many(batch(1000))))
"""


def test_a_file_that_cannot_grow_costs_only_the_thumbnails(file: Path) -> None:
    """A limit on the size of files takes the place of a full disk: writes fail half way."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, file], capture_output=True, text=True, check=True
    )
    problem, found = done.stdout.splitlines()
    assert "could not be kept" in problem
    assert found == "8 8"  # what was there before, and what came when there was room again


# --- several at a time ----------------------------------------------------------------------


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
from tests.cache.test_store import batch
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
            assert stored % 8 == 0  # a batch is there or not
    assert stored > 0
    check = sqlite3.connect(file)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()


def test_closed_twice_it_holds_nothing(file: Path) -> None:
    cache = opened(file)
    cache.put_many(batch(0))
    cache.close()
    cache.close()
    cache.put_many(batch(8))
    assert len(cache) == 0
    assert cache.get_many([key(0)]) == {}
    assert list(file.parent.iterdir()) == [file]
