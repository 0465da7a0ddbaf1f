"""Indexes in memory: complete, and gone with their process, however it ends."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.errors import EngineError, InputError, ModelError
from lookalike.index import Index
from lookalike.system.temporary import TemporaryFolder
from tests.support.command_line import error, lookalike
from tests.support.pictures import draw

OPEN = """
import os, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
from lookalike.index import Index
index = Index.open(":memory:", model="built-in")
index.put([{"image": sys.argv[1], "id": "a"}])
print(len(index), flush=True)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, which is empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def folders(temporary: Path) -> list[Path]:
    return list(temporary.glob("lookalike-memory-*"))


@pytest.fixture
def memory() -> Iterator[Index]:
    with Index.open(":memory:", model="built-in") as index:
        yield index


def started(code: str, tmp_path: Path) -> subprocess.Popen[str]:
    """A process that has put an image into an index in memory, and goes on with `code`."""
    picture = tmp_path / "a.png"
    draw(1).save(picture)
    process = subprocess.Popen(
        [sys.executable, "-c", OPEN + code, str(picture)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    return process


def test_an_index_in_memory_adds_searches_and_is_gone(
    memory: Index, photos: Path, temporary: Path
) -> None:
    assert memory.add(photos).added == len(memory) == 12
    (first, *_) = memory.search(image=photos / "003.jpg")
    assert first.payload["image"]["uri"] == str(photos / "003.jpg")
    assert memory.thumbnail(first.id).startswith(b"\xff\xd8")
    assert not memory.verify().problems
    (folder,) = folders(temporary)
    assert folder.stat().st_mode & 0o077 == 0
    memory.close()
    assert not folder.exists()
    with pytest.raises(EngineError):
        memory.count()


def test_it_is_kept_by_a_copy_or_a_backup(memory: Index, photos: Path, tmp_path: Path) -> None:
    memory.add(photos)
    copy, backup = tmp_path / "copy", tmp_path / "shop.lookalike"
    assert memory.copy(copy).images == memory.backup(backup).images == 12
    lookalike("restore", backup, "--index", tmp_path / "restored")
    query = photos / "003.jpg"
    before = [(hit.id, round(hit.score, 4)) for hit in memory.search(image=query)]
    for kept in copy, tmp_path / "restored":
        with Index.open(kept, create=False) as index:
            assert [(hit.id, round(hit.score, 4)) for hit in index.search(image=query)] == before
    with pytest.raises(InputError, match="already holds an index"):
        memory.copy(copy)
    with pytest.raises(InputError, match="name a folder"):
        memory.copy(":memory:")


def test_two_are_two(memory: Index) -> None:
    with Index.open(":memory:", model="built-in") as other:
        other.put([{"image": draw(1), "id": "a"}])
        assert (len(memory), len(other)) == (0, 1)
    assert len(memory) == 0


def test_it_runs_in_a_child_process_too(temporary: Path) -> None:
    with Index.open(":memory:", model="built-in", subprocess=True) as index:
        index.put([{"image": draw(1), "id": "a"}])
        index.optimize()
        assert "a" in index
    assert not folders(temporary)


def test_it_is_gone_once_nothing_refers_to_it(temporary: Path) -> None:
    Index.open(":memory:", model="built-in")
    gc.collect()
    assert not folders(temporary)


def test_it_is_always_new(temporary: Path) -> None:
    with pytest.raises(InputError, match="leave create=False out"):
        Index.open(":memory:", create=False)
    with pytest.raises(ModelError):
        Index.open(":memory:", model_dir="no-such-folder")
    assert not folders(temporary)


def test_it_ends_with_its_process(tmp_path: Path, temporary: Path) -> None:
    process = started("", tmp_path)
    _, err = process.communicate(timeout=60)
    assert (err, process.returncode, folders(temporary)) == ("", 0, [])


def test_ctrl_c_removes_it(tmp_path: Path, temporary: Path) -> None:
    process = started("time.sleep(60)", tmp_path)
    assert folders(temporary)
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert not folders(temporary)


def test_a_forked_process_does_not_remove_it(tmp_path: Path) -> None:
    code = "os.fork() or sys.exit()\nos.wait()\nprint(len(index), 'a' in index)"
    process = started(code, tmp_path)
    out, err = process.communicate(timeout=60)
    assert (out, process.returncode) == ("1 True\n", 0), err


def test_that_of_a_killed_process_is_removed_by_the_next(tmp_path: Path, temporary: Path) -> None:
    process = started("time.sleep(60)", tmp_path)
    alive = TemporaryFolder()  # removes none of a process that lives
    assert len(folders(temporary)) == 2
    process.kill()
    process.wait(timeout=60)
    TemporaryFolder().remove()
    assert folders(temporary) == [alive.path]


def test_a_link_in_place_of_a_folder_is_left_alone(tmp_path: Path, temporary: Path) -> None:
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "file").touch()
    link = temporary / "lookalike-memory-link"
    link.symlink_to(aside)
    TemporaryFolder().remove()
    assert link.readlink() == aside
    assert (aside / "file").exists()


COMMANDS = [
    ("search", "--id", "a", "--index", ":memory:"),
    ("index", "{photos}", "--index", ":memory:"),
    ("serve", "--index", ":memory:"),
    ("watch", "{photos}", "--index", ":memory:"),
    ("cluster", "status", "--index", ":memory:"),
    ("copy", ":memory:", "copy"),
    ("copy", "copy", ":memory:"),
    ("restore", "file", "--index", ":memory:"),
    ("demo", "--index", ":memory:"),
]


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments))
def test_commands_refuse_it(
    arguments: tuple[str, ...], photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    message = error(*(one.format(photos=photos) for one in arguments), code=2)
    assert "name a folder" in message
    assert not (tmp_path / ":memory:").exists()
