"""Exclusions: system files, `--exclude` and `.lookalikeignore`, and what of them was indexed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.errors import SourceError
from lookalike.index import Index
from lookalike.sources import open_source
from lookalike.types import SourceOptions
from tests.support.command_line import documents, error, lookalike
from tests.support.pictures import folder_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder_of(tmp_path / "photos" / "drafts", 2, first=5)
    return folder_of(tmp_path / "photos", 3)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        yield made


def listed(source: object, *exclude: str) -> set[str]:
    """Names of the files that a source lists, and of their folders."""
    opened = open_source(str(source), SourceOptions(exclude))
    refs = list(opened.refs())
    assert all(opened.has(ref.uri) and not opened.excludes(ref.uri) for ref in refs if ref.etag)
    return {f"{Path(ref.uri).parent.name}/{Path(ref.uri).name}" for ref in refs}


ALL = {"photos/000.jpg", "photos/001.jpg", "photos/002.jpg", "drafts/005.jpg", "drafts/006.jpg"}
TOP = {name for name in ALL if name.startswith("photos/")}


@pytest.mark.parametrize(
    "folder",
    [
        *("@eaDir", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "System Volume Information"),
        *("__MACOSX", ".Trash-1000", ".Trashes", ".thumbnails", "a/@eaDir/b", ".@__thumb"),
    ],
)
def test_folders_of_the_system_are_passed_over(photos: Path, folder: str) -> None:
    folder_of(photos / folder, 1)
    assert listed(photos) == ALL
    assert listed(f"{photos}/**/*.jpg") == ALL
    assert not open_source(str(photos)).has(str(photos / folder / "000.jpg"))
    assert len(listed(photos / folder)) == 1  # it is named


@pytest.mark.parametrize(
    "name",
    [
        *("._000.jpg", "._other.png", ".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini"),
        *("000.xmp", "000.jpg.xmp", "000.AAE", "ehthumbs.db", "Icon\r", ".trashed-170-a.jpg"),
    ],
)
def test_files_of_the_system_and_sidecars_are_passed_over(photos: Path, name: str) -> None:
    (photos / name).write_bytes((photos / "000.jpg").read_bytes())
    assert listed(photos) == ALL
    assert listed(f"{photos}/**") >= ALL
    assert f"photos/{name}" not in listed(f"{photos}/**")
    assert listed(photos / name) == {f"photos/{name}"}


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["drafts/"], TOP),
        (["drafts"], TOP),
        (["/drafts/"], TOP),
        (["dr*"], TOP),
        (["*.jpg", "!001.jpg"], {"photos/001.jpg"}),
        (["00[012].jpg"], ALL - TOP),
        (["/000.jpg", "/005.jpg"], ALL - {"photos/000.jpg"}),
        (["**/005.jpg"], ALL - {"drafts/005.jpg"}),
        (["{photos}/drafts"], TOP),
        (["{photos}/drafts/*5*"], ALL - {"drafts/005.jpg"}),
        (["*.png", "elsewhere/"], ALL),
    ],
)
def test_patterns_are_those_of_gitignore(
    photos: Path, patterns: list[str], expected: set[str]
) -> None:
    assert listed(photos, *(pattern.format(photos=photos) for pattern in patterns)) == expected
    (photos / ".lookalikeignore").write_text("\n".join(["# a comment", "", *patterns]))
    if "{photos}" not in patterns[0]:
        assert listed(photos) == expected
        assert listed(f"{photos}/**/*.jpg") == expected


def test_an_ignore_file_holds_for_its_folder_and_deeper_ones_decide(photos: Path) -> None:
    (photos / "drafts" / ".lookalikeignore").write_text("00*\n!006.jpg\n")
    assert listed(photos) == ALL - {"drafts/005.jpg"}
    (photos / ".lookalikeignore").write_text("*6.jpg\n000.jpg\n")
    assert listed(photos) == ALL - {"drafts/005.jpg", "photos/000.jpg"}
    assert listed(photos, "*6.jpg") == ALL - {"drafts/005.jpg", "photos/000.jpg", "drafts/006.jpg"}


def test_a_file_that_is_named_is_excluded_by_patterns_only(photos: Path) -> None:
    (photos / ".lookalikeignore").write_text("*\n")
    assert listed(photos / "000.jpg") == {"photos/000.jpg"}
    assert listed(photos / "000.jpg", "*1.jpg") == {"photos/000.jpg"}
    assert listed(photos / "000.jpg", "*0.jpg") == set()
    assert listed(photos / "drafts" / "005.jpg", "drafts/") == set()


def test_an_ignore_file_that_cannot_be_used_is_a_reject_and_indexes_nothing_there(
    photos: Path, index: Index
) -> None:
    (photos / "drafts" / ".lookalikeignore").write_text("a\n!\n")
    report = index.add(photos)
    assert (report.added, report.rejected) == (3, 1)
    assert report.rejects[0].uri.endswith("drafts/.lookalikeignore")
    assert "'!' is not a valid pattern" in report.rejects[0].detail
    (photos / "drafts" / ".lookalikeignore").unlink()
    (photos / "drafts" / ".lookalikeignore").symlink_to(".lookalikeignore")
    assert "symbolic links" in index.add(photos).rejects[0].detail


def test_a_pattern_that_is_not_valid_is_an_error(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="'!' is not a valid pattern to exclude"):
        open_source(str(photos), SourceOptions(["!"]))
    at = ("--index", tmp_path / "i", "--model", "built-in")
    assert "is not a valid pattern" in error("index", photos, *at, "--exclude", "!")


@pytest.mark.parametrize("how", ["option", "file"])
def test_what_was_indexed_and_is_excluded_now_stays_until_it_is_pruned(
    photos: Path, index: Index, how: str
) -> None:
    folder_of(photos, 12)
    index.add(photos)
    if how == "file":
        (photos / ".lookalikeignore").write_text("drafts/\n")
    exclude = ["drafts"] if how == "option" else []
    report = index.add(photos, exclude=exclude)
    assert (report.unchanged, report.removed, report.excluded) == (12, 0, 2)
    assert len(index) == 14
    report = index.add(photos, exclude=exclude, prune=True)
    assert (report.removed, report.excluded, len(index)) == (2, 0, 12)
    assert index.add(photos, exclude=exclude).excluded == 0
    assert index.add(photos, exclude=exclude and "drafts").done == 12  # one pattern, as text


def test_what_another_source_lists_is_not_excluded(photos: Path, index: Index) -> None:
    folder_of(photos / "@eaDir", 1)
    report = index.add(photos, photos / "@eaDir", prune=True)
    assert (report.added, report.excluded) == (6, 0)
    report = index.add(photos, photos / "@eaDir", prune=True)
    assert (report.unchanged, report.removed) == (6, 0)


def test_the_command_says_what_is_excluded(photos: Path, tmp_path: Path) -> None:
    to = ("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    documents(*to)
    exclude = ("--exclude", "/drafts/005.jpg", "--exclude", "*6.jpg")
    assert documents(*to, *exclude)["excluded"] == 2
    shown = lookalike(*to, *exclude).stdout
    assert "2 images in the index, but excluded now: --prune removes them" in shown
