"""Entries of a folder that cannot be read: one reject each with its reason; the run goes on."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.errors import ImageRejected
from lookalike.index import Index
from lookalike.sources import open_source
from tests.support.command_line import documents
from tests.support.pictures import folder_of

COUNT = 4


@pytest.fixture
def photos() -> Iterator[Path]:
    """A folder in memory: file systems on disk adjust times that are out of their range."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield folder_of(Path(folder) / "photos", COUNT)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        yield made


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def loop_of_two(path: Path) -> None:
    other = path.parent / ".hidden" / "other.jpg"
    other.parent.mkdir()
    path.symlink_to(other)
    other.symlink_to(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.jpg")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(os.path.relpath(path))  # the path of a socket has at most 108 bytes


def dated(seconds: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        shutil.copy(path.with_name("000.jpg"), path)
        os.utime(path, (seconds, seconds))

    return make


def too_deep(path: Path) -> None:
    """A folder whose subfolders have paths that are longer than the system allows."""
    path.mkdir()
    here = os.open(path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


ENTRIES: dict[str, tuple[Callable[[Path], None], str]] = {
    "loop": (loop, "Too many levels of symbolic links"),
    "loop of two": (loop_of_two, "Too many levels of symbolic links"),
    "dangling link": (dangling, "No such file or directory"),
    "pipe": (lambda path: os.mkfifo(path), "a pipe, a socket or a device instead of a file"),
    "socket": (listening, "a pipe, a socket or a device instead of a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "a pipe, a socket or a device"),
    "year 11476": (dated(300_000_000_000), "its modification time is out of range"),
    "long before Christ": (dated(-100_000_000_000), "its modification time is out of range"),
    "too deep": (too_deep, "File name too long"),
}


@pytest.mark.parametrize("metadata", [False, True])
def test_an_entry_that_cannot_be_read_is_one_reject(
    photos: Path, index: Index, metadata: bool
) -> None:
    for kind, (make, _) in ENTRIES.items():
        make(photos / f"{kind}.jpg")
    table = photos / "table.csv"
    table.write_text("file,price\n" + "".join(f"{i:03}.jpg,{i}\n" for i in range(COUNT)))
    report = index.add(photos, metadata=table if metadata else None, prune=True)
    assert (report.added, report.rejected) == (COUNT, len(ENTRIES))
    assert {reject.reason for reject in report.rejects} == {"unreadable"}
    for kind, (_, reason) in ENTRIES.items():
        start = str(photos / f"{kind}.jpg")
        (detail,) = [r.detail for r in report.rejects if r.uri.startswith(start)]
        assert reason in detail


@pytest.mark.parametrize("source", ["{}.jpg", "[{}]*.jpg", "**/{}.jpg"])
def test_one_that_is_named_or_matches_a_glob_is_a_reject_too(photos: Path, source: str) -> None:
    for kind, (make, reason) in ENTRIES.items():
        if kind != "too deep":
            make(photos / f"{kind}.jpg")
            opened = open_source(f"{photos}/{source.format(kind)}")
            ref = next(ref for ref in opened.refs() if ref.uri == str(photos / f"{kind}.jpg"))
            with pytest.raises(ImageRejected, match=reason):
                opened.read(ref)


def test_times_before_1970_are_times(photos: Path, index: Index) -> None:
    os.utime(photos / "000.jpg", (-86400, -86400))
    assert index.add(photos).rejected == 0
    own = index.get(str(photos / "000.jpg")).payload["image"]
    assert own["modified_at"] == "1969-12-31T00:00:00.000000Z"


def test_a_folder_that_cannot_be_listed_is_a_reject_whatever_its_name(
    photos: Path, index: Index
) -> None:
    too_deep(photos / "holiday.mp4")
    table = photos / "table.csv"
    table.write_text("file,price\n000.jpg,1\n")
    report = index.add(photos, metadata=table)
    assert (report.added, report.rejected) == (COUNT, 1)


def test_what_vanishes_while_it_is_listed_is_a_reject(photos: Path) -> None:
    folder_of(photos / "below", 2)
    source = open_source(str(photos))
    refs = source.refs()
    first = next(refs)
    (photos / "002.jpg").unlink()
    shutil.rmtree(photos / "below")
    rest = list(refs)
    assert len(source.read(first)) == first.size
    assert [ref.uri for ref in rest if not ref.etag] == [
        str(photos / "002.jpg"),
        str(photos / "below"),
    ]
    for ref in rest:
        if not ref.etag:
            with pytest.raises(ImageRejected, match="unreadable: No such file or directory"):
                source.read(ref)


def test_a_file_that_becomes_a_pipe_does_not_block(photos: Path) -> None:
    source = open_source(str(photos))
    ref = next(source.refs())
    Path(ref.uri).unlink()
    os.mkfifo(ref.uri)
    with pytest.raises(ImageRejected, match="a pipe, a socket or a device"):
        source.read(ref)


def test_files_that_vanish_during_a_run_stop_nothing(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", COUNT)
    for i in range(3000):
        (photos / f"x{i:04}.jpg").touch()

    def remove() -> None:
        for i in reversed(range(3000)):
            (photos / f"x{i:04}.jpg").unlink()

    thread = threading.Thread(target=remove)
    with Index.open(tmp_path / "index", model="built-in") as index:
        thread.start()
        report = index.add(photos)
        thread.join()
    assert report.added == COUNT
    assert {reject.reason for reject in report.rejects} <= {"empty", "unreadable"}


def test_folders_may_be_nested_deeper_than_calls(tmp_path: Path) -> None:
    top = folder = tmp_path / "photos"
    for _ in range(1100):
        folder.mkdir()
        folder = folder / "d"
    folder_of(folder, 1)
    try:
        assert [Path(ref.uri).name for ref in open_source(str(top)).refs()] == ["000.jpg"]
    finally:
        (folder / "000.jpg").unlink()
        os.removedirs(folder)  # by pytest it would exceed the limit of calls, too


def test_the_command_goes_on(photos: Path, tmp_path: Path) -> None:
    loop(photos / "loop.jpg")
    (photos / os.fsdecode(b"caf\xe9.jpg")).write_bytes((photos / "000.jpg").read_bytes())
    report = documents("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    assert (report["added"], report["rejected"]) == (COUNT, 2)
    assert {reject["reason"] for reject in report["rejects"]} == {"unreadable"}
