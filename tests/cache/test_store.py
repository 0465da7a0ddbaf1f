"""Thumbnails, sketches and skipped images in the cache, and its limit."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import pytest

from lookalike.cache.records import Skipped
from lookalike.cache.store import DEFAULT_LIMIT, cache_file
from tests.cache.samples import batch, jpeg, key, opened, sketched


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
        many = cache.get_many(key(i) for i in range(-1200, 1200))  # takes several statements
        assert many.keys() == {key(i) for i in range(8) if i != 1}
        assert cache.problem is None
    assert list(file.parent.iterdir()) == [file]


def test_a_sketch_is_kept_as_long_as_its_thumbnail(file: Path) -> None:
    with opened(file) as cache:
        cache.put_sketches(sketched(0))
        assert cache.get_sketches([key(0)]) == {}  # there is no thumbnail
        cache.put_many(batch(0))
        cache.put_sketches(sketched(0, 20))
        cache.put_sketches({key(0): b"with more in it"})
    with opened(file) as cache:
        sketches = cache.get_sketches(key(i) for i in range(20))
        assert sketches == {**sketched(0), key(0): b"with more in it"}
        cache.forget([key(1)])
        cache.put_many({key(2): b"another thumbnail", key(1): jpeg(1)})
        assert cache.get_sketches([key(1), key(2), key(3)]) == {key(3): sketches[key(3)]}
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
        cache.put_sketches(sketched(0, 45))  # as many as fit
        assert len(cache) == 45
        cache.put_many(batch(45, 100))
        assert not cache.get_sketches(sketched(0, 145))
        assert key(144) in cache.get_many([key(144)])
        assert len(cache) > 0.8 * limit / 15_000
        assert file.stat().st_size <= 1.1 * limit


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
    with opened(file, limit=0) as cache:  # even without thumbnails
        cache.put_skipped({"/a.jpg": Skipped("1-1", "sku-0", "identical"), "/é.jpg": copy})
        cache.put_skipped({"/a.jpg": copy})
    with opened(file, limit=0) as cache:
        uris = ["/a.jpg", "/é.jpg", "/none.jpg"]
        assert cache.get_skipped(uris) == {"/a.jpg": copy, "/é.jpg": copy}
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
                assert len(cache.get_many(used)) == 10  # others have not been used for longer
        assert len(cache) > 0.8 * limit / 15_000
        assert key(999) in cache.get_many([key(999)])
        assert not cache.get_many(used)  # now older than all the others
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
        assert not file.exists()  # reading creates no file
    with opened(file, 0) as cache:
        cache.put_many({})
    with opened(file, None) as cache:
        assert cache.limit == 0
    with opened(file, 10**6) as cache:
        cache.put_many(batch(0, 30))
    with opened(file, None) as cache:
        assert cache.limit == 10**6
        assert len(cache) == 30


def test_the_path_of_the_file(tmp_path: Path) -> None:
    assert cache_file(str(tmp_path)).parent == tmp_path
    shop = cache_file("http://host:6333/shop")
    assert shop == cache_file("http://host:6333/shop/")
    assert shop != cache_file("http://host:6333/photos")
    assert shop.is_absolute()


def test_closed_twice_it_holds_nothing(file: Path) -> None:
    cache = opened(file)
    cache.put_many(batch(0))
    cache.close()
    cache.close()
    cache.put_many(batch(8))
    assert len(cache) == 0
    assert cache.get_many([key(0)]) == {}
    assert list(file.parent.iterdir()) == [file]
