"""Local paths in all their forms, and the choice of a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import ImageRejected, InputError, QueryError, SourceError
from lookalike.sources import open_paths, open_source, read_image
from lookalike.types import ImageRef, SourceOptions
from tests.support.pictures import folder_of


@pytest.mark.parametrize(
    "pattern",
    ["*.jpg", "**/*.jpg", "*/*.jpg", "**", "b/**", "[ab]/00?.jpg", "[!a]/*", "**/c/*", "*/**/*1*"],
)
def test_a_glob_covers_just_what_it_lists(tmp_path: Path, pattern: str) -> None:
    for folder in ("", "a", "b", "b/c", "b/c/d", "dash-ed (x)", ".hidden"):
        folder_of(tmp_path / folder, 2)
        (tmp_path / folder / ".000.jpg").touch()
    source = open_source(f"{tmp_path}/{pattern}")
    listed = {ref.uri for ref in source.refs()}
    everything = {str(path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {uri for uri in everything if source.covers(uri)} == listed != set()


def test_a_file_is_a_source_too_whatever_its_name(tmp_path: Path) -> None:
    name = tmp_path / "odd [1]*.jpg"
    name.write_bytes(b"x")
    assert [ref.uri for ref in open_source(str(name)).refs()] == [str(name)]


def test_a_folder_that_cannot_be_listed_is_one_reject(tmp_path: Path) -> None:
    folder_of(tmp_path / "a", 1)
    source = open_source(str(tmp_path))
    with pytest.raises(ImageRejected, match="unreadable"):
        source.read(ImageRef(str(tmp_path / "a" / "gone"), etag="", size=0))


@pytest.mark.parametrize("uri", ["ftp://host/a.jpg", "uploads://a.jpg"])
def test_a_scheme_that_no_source_serves_is_an_error(uri: str) -> None:
    with pytest.raises(SourceError, match="there is no source for"):
        open_source(uri)


def test_an_image_is_read_from_bytes_or_from_the_path_of_one_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a")
    (tmp_path / "b.jpg").write_bytes(b"b")
    assert read_image(b"a") == read_image(tmp_path / "a.jpg") == b"a"
    with pytest.raises(QueryError, match="names 2 images: give the path of one image"):
        read_image(tmp_path)


def test_a_list_of_paths_reports_what_is_not_there(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "a", 2)
    source = open_paths([folder / "001.jpg", folder / "gone.jpg", folder / "001.jpg", folder])
    names = [Path(ref.uri).name for ref in source.refs()]
    assert names == ["001.jpg", "gone.jpg", "000.jpg"]
    gone = next(ref for ref in source.refs() if ref.uri.endswith("gone.jpg"))
    with pytest.raises(ImageRejected, match="No such file"):
        source.read(gone)
    excluding = open_paths([folder / "001.jpg", folder / "000.jpg"], SourceOptions(["001*"]))
    assert [Path(ref.uri).name for ref in excluding.refs()] == ["000.jpg"]
    assert excluding.passed_over


@pytest.mark.parametrize("paths", [[b"a"], [7], {"a": 1}, [{"image": 1}], b"abc"])
def test_lists_of_other_things_are_refused(paths: Any) -> None:
    with pytest.raises(InputError, match="put"):
        open_paths(paths)
