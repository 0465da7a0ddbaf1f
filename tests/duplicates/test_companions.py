"""Sidecars, Live Photo videos and raws move with their picture, and come back with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.duplicates.files import delete, indexed, move_aside, tree, undo


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir(parents=True)
    for name in names:
        (path / name).write_bytes(f"the bytes of {name}".encode())
    return path


COMPANIONS = ("IMG.xmp", "IMG.jpg.xmp", "IMG.AAE", "IMG.mov", "IMG.NEF")


@pytest.mark.parametrize("companion", COMPANIONS)
def test_a_companion_moves_with_its_picture_and_comes_back(tmp_path: Path, companion: str) -> None:
    photos = folder_with(tmp_path / "photos", "IMG.jpg", companion, "IMG_2.jpg", "IMG_2.xmp")
    before = tree(photos)
    copy = indexed(photos / "IMG.jpg")
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    dry = move_aside([copy], aside, log, dry_run=True)
    assert tree(photos) == before
    report = move_aside([copy], aside, log, dry_run=False)
    assert report.done == dry.done
    assert not report.skipped
    assert set(tree(aside)) == {"IMG.jpg", companion}
    assert set(tree(photos)) == {"IMG_2.jpg", "IMG_2.xmp"}
    undo(log)
    assert tree(photos) == before


@pytest.mark.parametrize("other", ["IMG.png", "IMG.heic", "IMG.nef"])
def test_what_belongs_to_another_picture_stays(tmp_path: Path, other: str) -> None:
    photos = folder_with(tmp_path / "photos", "IMG.jpg", other, "IMG.xmp", "IMG.mov", "IMG.jpg.xmp")
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    move_aside(
        [indexed(photos / "IMG.jpg")],
        aside,
        log,
        dry_run=False,
        is_indexed=lambda uri: uri == str(photos / other),
    )
    assert set(tree(aside)) == {"IMG.jpg", "IMG.jpg.xmp"}
    assert set(tree(photos)) == {other, "IMG.xmp", "IMG.mov"}


def test_the_last_of_several_pictures_takes_their_companions(tmp_path: Path) -> None:
    photos = folder_with(tmp_path / "photos", "IMG.jpg", "IMG.png", "IMG.xmp")
    files = [indexed(photos / "IMG.jpg"), indexed(photos / "IMG.png")]
    for dry_run in (True, False):
        report = move_aside(files, tmp_path / "aside", tmp_path / "log", dry_run=dry_run)
        names = [Path(done.uri).name for done in report.done]
        assert names == ["IMG.jpg", "IMG.xmp", "IMG.png"]
    assert not tree(photos)


def test_companions_keep_the_name_of_their_picture_where_that_is_taken(tmp_path: Path) -> None:
    photos = folder_with(tmp_path / "photos", "IMG.jpg", "IMG.xmp", "IMG.jpg.xmp")
    aside = folder_with(tmp_path / "aside", "IMG.xmp")
    move_aside([indexed(photos / "IMG.jpg")], aside, tmp_path / "log", dry_run=False)
    names = {"IMG.xmp", "IMG (2).jpg", "IMG (2).xmp", "IMG (2).jpg.xmp"}
    assert set(tree(aside)) == names


@pytest.mark.parametrize("companion", COMPANIONS)
def test_a_picture_with_companions_is_never_deleted(tmp_path: Path, companion: str) -> None:
    photos = folder_with(tmp_path / "photos", "IMG.jpg", companion, "keeper.jpg")
    before = tree(photos)
    pair = indexed(photos / "IMG.jpg"), indexed(photos / "keeper.jpg")
    report = delete([pair], tmp_path / "log", dry_run=False)
    assert tree(photos) == before
    (skipped,) = report.skipped
    assert f"{companion} belongs to it: move it aside instead" in skipped.reason
