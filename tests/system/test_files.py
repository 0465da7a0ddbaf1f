"""The atomic write: the whole content or the old one, whatever happens."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lookalike.system import files
from lookalike.system.files import Draft, write_atomically


@pytest.mark.parametrize("private", [False, True])
def test_a_file_is_created_and_replaced(tmp_path: Path, private: bool) -> None:
    file = tmp_path / "notes.json"
    for content in (b"first", b"second"):
        write_atomically(file, content, private=private)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("private", [False, True])
def test_a_write_that_fails_leaves_the_file_and_no_draft(
    tmp_path: Path, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "notes.json"
    write_atomically(file, b"first")

    def fail(handle: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write_atomically(file, b"second", private=private)
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_folder_the_error_is_that_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "nowhere" / "notes.json", b"")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        write_atomically(tmp_path / "file" / "notes.json", b"")


def test_a_draft_changes_nothing_until_it_is_committed(tmp_path: Path) -> None:
    file = tmp_path / "notes.json"
    file.write_bytes(b"first")
    abandoned = Draft(file)
    abandoned.write(b"a process was killed here, and this is longer than what comes")
    assert file.read_bytes() == b"first"
    draft = Draft(file)
    draft.write(b"second")
    draft.commit()
    assert file.read_bytes() == b"second"
    draft.discard()  # there is nothing left to remove
    assert list(tmp_path.iterdir()) == [file]


def test_content_is_on_the_disk_before_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[list[str]] = []
    file = tmp_path / "notes.json"
    monkeypatch.setattr(
        os, "fsync", lambda handle: synced.append(sorted(one.name for one in tmp_path.iterdir()))
    )
    write_atomically(file, b"content")
    assert synced == [["notes.json.new"], ["notes.json"]]  # the draft, then the new name


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")
def test_a_private_file_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        write_atomically(tmp_path / "private", b"", private=True)
        write_atomically(tmp_path / "public", b"")
    finally:
        os.umask(umask)
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "public").stat().st_mode & 0o777 == 0o644


def test_threads_can_write_a_private_file_at_once(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    contents = [bytes([number]) * 50_000 for number in range(16)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda one: write_atomically(file, one, private=True), contents * 4))
    assert file.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_is_synced(tmp_path: Path) -> None:
    files.sync_folder(tmp_path)
    if os.name == "posix":
        with pytest.raises(FileNotFoundError):
            files.sync_folder(tmp_path / "nowhere")
