"""Damaged files, foreign files, full disks: the cache loses content and nothing else."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lookalike.cache.records import Skipped
from lookalike.cache.store import Cache
from tests.cache.samples import batch, jpeg, key, opened, sketched


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
    at = data.find(jpeg(0)[5000:5200])  # inside a page that holds this thumbnail alone
    assert at > 0
    file.write_bytes(data[:at] + bytes(200) + data[at + 200 :])
    with opened(file) as cache:
        assert cache.get_many([key(0), key(1)]) == {key(1): jpeg(1)}
        cache.put_many(batch(0, 1))
        assert len(cache.get_many([key(0), key(1)])) == 2


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
from tests.cache.samples import batch
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
    """A limit on the size of files stands in for a full disk: writes fail half-way."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, file], capture_output=True, text=True, check=True
    )
    problem, counts = done.stdout.splitlines()
    assert "could not be kept" in problem
    assert counts == "8 8"  # those from before, and those from when there was room again
