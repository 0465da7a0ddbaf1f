"""Pruning: what is gone goes, and a disk that is not mounted takes nothing with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.index import Index
from lookalike.ingest import partition
from tests.support.command_line import documents, error, lookalike
from tests.support.pictures import folder_of

COUNT = 20


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty pictures, five of them in a subfolder."""
    folder_of(tmp_path / "photos" / "disk" / "2019", 5, first=15)
    return folder_of(tmp_path / "photos", 15)


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        made.add(photos)
        yield made


def test_a_fifth_is_removed_and_one_more_is_not(index: Index, photos: Path) -> None:
    for i in range(4):
        (photos / f"{i:03}.jpg").unlink()
    report = index.add(photos, prune=True)
    assert (report.removed, report.prune_refused, len(index)) == (4, None, 16)
    for i in range(4, 8):
        (photos / f"{i:03}.jpg").unlink()
    report = index.add(photos, prune=True)
    assert (report.removed, len(index)) == (0, 16)
    assert report.prune_refused == (
        "Nothing was pruned: 4 of the 16 images that the index has from these paths would go, and "
        "that is more than a fifth; check the paths and exclusions, and to remove them run the "
        "same command with --yes (in Python, yes=True)."
    )
    assert index.add(photos).prune_refused is None
    report = index.add(photos, prune=True, yes=True)
    assert (report.removed, report.prune_refused, len(index)) == (4, None, 12)


def test_the_share_is_that_of_the_sources(index: Index, photos: Path, tmp_path: Path) -> None:
    other = folder_of(tmp_path / "other", 4, first=30)
    index.add(other)
    (other / "030.jpg").unlink()
    assert index.add(other, prune=True).prune_refused  # 1 of 4, although it is 1 of 24
    assert index.add(photos, other, prune=True).removed == 1


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def littered(folder: Path) -> None:
    empty(folder)
    (folder / ".DS_Store").touch()
    (folder / "lost+found").mkdir()


@pytest.mark.parametrize("vanish", [empty, littered, shutil.rmtree])
@pytest.mark.parametrize("at", ["disk", "disk/2019"])
def test_below_a_folder_that_is_empty_or_gone_nothing_goes(
    index: Index, photos: Path, vanish: Callable[[Path], object], at: str
) -> None:
    """Five of 105 images are less than a fifth, but a disk may not be mounted."""
    folder_of(photos, 100)
    index.add(photos)
    (photos / "000.jpg").unlink()
    vanish(photos / at)
    report = index.add(photos, prune=True)
    assert (report.removed, len(index)) == (0, 105)
    assert report.prune_refused
    assert "6 of the 105 images" in report.prune_refused
    top = at if (photos / at).exists() else "disk"  # empty now, too
    assert f"{photos / top}, which had 5 of them, is empty or gone" in report.prune_refused
    assert "check that its disk is mounted" in report.prune_refused
    assert index.add(photos, prune=True, yes=True).removed == 6


def test_a_glob_or_a_second_source_that_is_gone_takes_nothing(index: Index, photos: Path) -> None:
    folder_of(photos, 100)
    index.add(photos)
    shutil.rmtree(photos / "disk")
    report = index.add(f"{photos}/disk/**/*.jpg", photos / "000.jpg", prune=True)
    assert (report.removed, bool(report.prune_refused), len(index)) == (0, True, 105)


def test_a_link_to_a_disk_that_is_gone_is_still_there(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    disk = folder_of(tmp_path / "disk", 1, first=40)
    (photos / "link.jpg").symlink_to(disk / "040.jpg")
    index.add(photos)
    shutil.rmtree(disk)
    report = index.add(photos, prune=True)
    assert (report.rejected, report.removed, len(index)) == (1, 0, COUNT + 1)


def test_each_part_has_its_own_share(index: Index, photos: Path) -> None:
    own = sorted(
        str(file) for file in photos.glob("*.jpg") if partition.belongs_to((1, 2), str(file))
    )
    for file in own:
        Path(file).unlink()
    assert index.add(photos, prune=True, partition=(2, 2)).prune_refused is None
    refused = index.add(photos, prune=True, partition=(1, 2)).prune_refused
    assert f"{len(own)} of the " in (refused or "")
    report = index.add(photos, prune=True, partition=(1, 2), yes=True)
    assert (report.removed, len(index)) == (len(own), COUNT - len(own))


def test_the_command_refuses_with_code_1(photos: Path, tmp_path: Path) -> None:
    to = ("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    documents(*to)
    empty(photos / "disk")
    folder_of(photos, 1, first=50)
    shown = lookalike(*to, "--prune", code=1)
    assert "added 1 · updated 0 · unchanged 15 · rejected 0 · removed 0" in shown.stdout
    (line,) = shown.stderr.splitlines()
    assert line.startswith("lookalike: Nothing was pruned: 5 of the 21 images")
    assert "--yes" in line
    assert documents("stats", "--index", tmp_path / "i")["images"] == 21
    refused = documents(*to, "--prune", code=1)
    assert refused["prune_refused"] in line
    assert documents(*to, "--prune", "--yes")["removed"] == 5


def test_a_root_that_is_empty_or_gone_is_an_error(photos: Path, tmp_path: Path) -> None:
    to = ("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    documents(*to)
    empty(photos)
    assert "nothing to index" in error(*to, "--prune", "--yes")
    photos.rmdir()
    assert "does not exist" in error(*to, "--prune", "--yes")
    assert documents("stats", "--index", tmp_path / "i")["images"] == COUNT
