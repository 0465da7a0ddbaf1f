"""Cached, lost and displaced thumbnails and sketches lead to the same results."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from lookalike.comparison import codec
from lookalike.duplicates import comparer
from lookalike.index import Index
from tests.duplicates.scenes import EXPECTED_GROUPS, by_keeper, verdicts_by_name


def test_thumbnails_that_are_lost_are_made_again(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in", thumbnails=0) as index:
        index.add(photos)
        groups = by_keeper(index.duplicates())
    assert {name: verdicts_by_name(group) for name, group in groups.items()} == EXPECTED_GROUPS


@pytest.mark.parametrize("most", [2, 5])
def test_pictures_that_are_displaced_from_memory_are_loaded_again(
    filled: Index, original: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    groups, duplicates = list(filled.duplicates()), filled.duplicates_of(original / "scene00.jpg")
    monkeypatch.setattr(comparer, "PICTURES_IN_MEMORY", most)
    assert list(filled.duplicates()) == groups
    assert filled.duplicates_of(original / "scene00.jpg") == duplicates


def test_cached_sketches_change_no_result(index: Index, photos: Path) -> None:
    queries = [photos / "scene02 crop.jpg", *sorted(photos.iterdir())[:4]]  # it needs features
    file = photos.with_name("index") / "thumbnails.sqlite"

    def sizes() -> dict[int, int]:
        """Bytes of each sketch in the cache."""
        with sqlite3.connect(file) as db:
            return dict(db.execute("SELECT id, length(bytes) FROM sketch"))

    assert not sizes()
    first = [index.duplicates_of(path) for path in queries]
    after = sizes()
    assert after
    assert [index.duplicates_of(path) for path in queries] == first
    groups = list(index.duplicates())
    assert after.keys() <= sizes().keys()
    assert by_keeper(groups).keys() == EXPECTED_GROUPS.keys()
    assert list(index.duplicates()) == groups
    assert [index.duplicates_of(path) for path in queries] == first


def test_sketches_of_another_version_are_made_again(
    index: Index, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index.duplicates_of(photos / "scene00 half.jpg")
    monkeypatch.setattr(codec, "FORMAT", codec.FORMAT + 1)
    assert index.duplicates_of(photos / "scene00 half.jpg") == before
