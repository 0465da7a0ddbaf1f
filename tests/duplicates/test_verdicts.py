"""A verdict depends on the pictures alone: not on their order, nor on what a cache holds."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import PIL.ImageOps
import pytest

from lookalike.index import Index
from tests.support.pictures import scene

Groups = list[list[tuple[str, str, str]]]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A folder of pictures much larger than their thumbnails, with copies and near ones."""
    folder = tmp_path_factory.mktemp("large")
    for number in range(4):
        picture = scene(number, size=(1500, 1100))
        picture.save(folder / f"{number} original.jpg", quality=92)
        picture.crop((90, 60, 1400, 1000)).save(folder / f"{number} crop.jpg", quality=70)
        picture.resize((640, 469)).save(folder / f"{number} small.png")
        PIL.ImageOps.expand(picture, 90, "white").save(folder / f"{number} border.webp")
        PIL.ImageOps.mirror(picture).save(folder / f"{number} mirror.jpg", quality=80)
    for name in ("002", "005"):
        juice = f"grocery/god-morgon-apple-juice/train_god-morgon-apple-juice_{name}.jpg"
        shutil.copy(data / "photos" / juice, folder)
    return folder


def groups_of(index: Index) -> Groups:
    """The groups with their verdicts and reasons."""
    return [
        [(Path(one.uri).name, str(one.verdict), one.evidence["why"]) for one in group.members]
        for group in index.duplicates(keep="first")
    ]


@pytest.fixture(scope="module")
def filled(large: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("filled") / "index", model="built-in") as index:
        index.add(large)
        yield index


@pytest.fixture(scope="module")
def expected(filled: Index) -> Groups:
    groups = groups_of(filled)
    assert len(groups) >= 3
    return groups


def test_the_same_with_a_warm_cache(filled: Index, expected: Groups) -> None:
    assert groups_of(filled) == expected


@pytest.mark.slow
def test_the_same_without_thumbnails(large: Path, tmp_path: Path, expected: Groups) -> None:
    with Index.open(tmp_path / "index", model="built-in", thumbnails=0) as index:
        index.add(large)
        assert groups_of(index) == expected


def test_the_same_once_thumbnails_are_deleted(
    large: Path, tmp_path: Path, expected: Groups
) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(large)
    (tmp_path / "index" / "thumbnails.sqlite").unlink()
    with Index.open(tmp_path / "index", model="built-in") as index:
        assert groups_of(index) == expected
        assert groups_of(index) == expected


@pytest.mark.slow
def test_the_same_in_reversed_order(large: Path, tmp_path: Path, expected: Groups) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        for path in sorted(large.iterdir(), reverse=True):
            index.add(path)
        assert groups_of(index) == expected


NO_COPIES = {
    "grocery/god-morgon-apple-juice/train_god-morgon-apple-juice_{}.jpg": ("002", "005"),
    "caltech101/garfield/image_{}.jpg": ("0022", "0023", "0025"),
    "caltech101/metronome/image_{}.jpg": ("0003", "0004"),
    "caltech101/stop_sign/image_{}.jpg": ("0037", "0040"),
}
"""Two exposures of one scene, a drawing with a caption on another ground, a part that moved, a sign
and its drawing."""


@pytest.mark.parametrize("thumbnails", [None, 0])
def test_pictures_that_only_look_alike_are_no_copies(
    data: Path, tmp_path: Path, thumbnails: int | None
) -> None:
    with Index.open(tmp_path / "index", model="built-in", thumbnails=thumbnails) as index:
        for name, numbers in NO_COPIES.items():
            index.add([data / "photos" / name.format(number) for number in numbers])
        assert not list(index.duplicates())
        assert not [one for point in index.scroll() for one in index.duplicates_of(id=point.id)]
