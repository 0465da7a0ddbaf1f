"""Files on disk are moved, deleted and restored, whatever happens in between."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.duplicates.file_places import IndexedFile
from tests.duplicates.files import all_indexed, delete, indexed, killed, move_aside, tree, undo


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")  # noqa: S108 -- a file system that is not the disk
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


# --- moving ---------------------------------------------------------------------------------


def test_moves_keep_their_folders_and_come_back(folders: Path, tmp_path: Path) -> None:
    before, times = tree(folders), (folders / "one/a.jpg").stat().st_mtime_ns
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    report = move_aside(all_indexed(folders), aside, log, dry_run=False)
    assert not report.skipped
    assert tree(folders) == {}
    assert tree(aside) == before
    assert {done.uri: done.to for done in report.done} == {
        str(folders / name): str(aside / name) for name in before
    }
    back = undo(log)
    assert not back.skipped
    assert len(back.done) == 4
    assert tree(folders) == before
    assert tree(aside) == {}
    assert (folders / "one/a.jpg").stat().st_mtime_ns == times
    again = undo(log)
    assert not again.done
    assert not again.skipped
    assert tree(folders) == before


def test_a_dry_run_says_the_same_and_writes_nothing(folders: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    (folders / "two/a.jpg").chmod(0o644)
    files = [*all_indexed(folders), IndexedFile(str(folders / "gone.jpg"), "0" * 64)]
    planned = move_aside(files, aside, log, dry_run=True)
    assert tree(tmp_path) == before
    assert not aside.exists()
    assert move_aside(files, aside, log, dry_run=False) == planned
    assert len(planned.done) == 4
    assert len(planned.skipped) == 1


def test_a_name_that_is_taken_gets_a_number(folders: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    aside.mkdir()
    (aside / "a.jpg").write_text("mine")
    (aside / "a (2).jpg").symlink_to("nowhere")  # a broken link takes the name, too
    report = move_aside([indexed(folders / "one/a.jpg")], aside, log, dry_run=False)
    assert report.done[0].to == str(aside / "a (3).jpg")
    assert (aside / "a.jpg").read_text() == "mine"
    undo(log)
    assert tree(aside) == {"a.jpg": b"mine"}


def test_changed_and_missing_files_are_skipped(folders: Path, tmp_path: Path) -> None:
    files = all_indexed(folders)
    (folders / "one/a.jpg").write_bytes(b"edited since")
    (folders / "one/b.jpg").unlink()
    (folders / "two/a.jpg").rename(folders / "real.jpg")
    (folders / "two/a.jpg").symlink_to(folders / "real.jpg")
    os.utime(folders / "two/deep/c.jpg", (1, 1))  # touched, with the same content
    aside = tmp_path / "aside"
    report = move_aside(
        [
            *files,
            IndexedFile("https://shop.example/d.jpg", "0" * 64),
            IndexedFile("s3://bucket/d.jpg", "0" * 64),
            IndexedFile(str(folders / "one"), "0" * 64),
        ],
        aside,
        tmp_path / "log",
        dry_run=False,
    )
    assert [done.uri for done in report.done] == [str(folders / "two/deep/c.jpg")]
    expected = (
        "changed since",
        "no longer exists",
        "symbolic link",
        "not a file on this machine",
        "choose a folder of its own store",
        "not a regular file",
    )
    for skipped, reason in zip(report.skipped, expected, strict=True):
        assert skipped.reason.startswith(skipped.uri)
        assert reason in skipped.reason
    assert (folders / "one/a.jpg").read_bytes() == b"edited since"
    assert (folders / "two/a.jpg").is_symlink()
    assert (folders / "real.jpg").exists()


def test_files_in_the_folder_are_not_moved_again(folders: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    report = move_aside(all_indexed(folders), folders / "two", log, dry_run=False)
    assert {skipped.uri for skipped in report.skipped} == {
        str(folders / "two/a.jpg"),
        str(folders / "two/deep/c.jpg"),
    }
    assert (folders / "two/one/a.jpg").exists()


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 \n.jpg")
    try:
        odd.write_bytes(b"picture")
    except OSError:
        pytest.skip("needs a file system that takes any bytes as a name")
    move_aside([indexed(odd)], tmp_path / "aside", tmp_path / "log", dry_run=False)
    assert not odd.exists()
    assert len(undo(tmp_path / "log").done) == 1
    assert odd.read_bytes() == b"picture"


def test_across_file_systems(folders: Path, elsewhere: Path, tmp_path: Path) -> None:
    before, log = tree(folders), tmp_path / "log"
    os.utime(folders / "one/a.jpg", (1_000_000, 1_000_000))
    assert not move_aside(all_indexed(folders), elsewhere / "aside", log, dry_run=False).skipped
    assert tree(folders) == {}
    assert tree(elsewhere / "aside") == before
    assert (elsewhere / "aside/one/a.jpg").stat().st_mtime == 1_000_000
    assert len(undo(log).done) == 4
    assert tree(folders) == before
    assert tree(elsewhere) == {}


def test_a_folder_that_cannot_be_written(folders: Path, tmp_path: Path) -> None:
    before = tree(folders)
    (tmp_path / "file").write_text("a file where the folder should be")
    report = move_aside(all_indexed(folders), tmp_path / "file", tmp_path / "log", dry_run=False)
    assert not report.done
    assert len(report.skipped) == 4
    assert all("cannot be moved" in skipped.reason for skipped in report.skipped)
    assert tree(folders) == before
    assert not undo(tmp_path / "log").skipped


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder for a test that runs without root's rights, even if root started it."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    if root:
        os.chown(folder, 65534, 65534)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


def test_a_read_only_folder(nobody: Path) -> None:
    photos, aside, log = nobody / "photos", nobody / "aside", nobody / "log"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"picture")
    photos.chmod(0o555)
    report = move_aside([indexed(photos / "a.jpg")], aside, log, dry_run=False)
    assert "Permission denied" in report.skipped[0].reason
    assert not report.done
    assert tree(photos) == {"a.jpg": b"picture"}
    assert tree(aside) == {}
    (nobody / "kept.jpg").write_bytes(b"picture")
    pair = (indexed(photos / "a.jpg"), indexed(nobody / "kept.jpg"))
    assert "Permission denied" in delete([pair], log, dry_run=False).skipped[0].reason
    assert tree(photos) == {"a.jpg": b"picture"}


# --- undoing --------------------------------------------------------------------------------


def test_undo_overwrites_nothing(folders: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "log"
    move_aside(all_indexed(folders), aside, log, dry_run=False)
    (folders / "one/a.jpg").write_bytes(b"a new one")
    (aside / "one/b.jpg").write_bytes(b"edited aside")
    (aside / "two/a.jpg").unlink()
    report = undo(log)
    assert [done.to for done in report.done] == [str(folders / "two/deep/c.jpg")]
    reasons = {
        Path(skipped.uri).relative_to(folders).as_posix(): skipped.reason
        for skipped in report.skipped
    }
    assert "compare them" in reasons["one/a.jpg"]
    assert "changed since" in reasons["one/b.jpg"]
    assert "no longer exists" in reasons["two/a.jpg"]
    assert (folders / "one/a.jpg").read_bytes() == b"a new one"
    assert (aside / "one/a.jpg").exists()
    assert (aside / "one/b.jpg").read_bytes() == b"edited aside"


def test_undo_keeps_a_file_that_is_linked_from_its_old_place(folders: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "log"
    move_aside([indexed(folders / "one/a.jpg")], aside, log, dry_run=False)
    (folders / "one/a.jpg").symlink_to(aside / "a.jpg")
    assert len(undo(log).skipped) == 1
    assert not (aside / "a.jpg").is_symlink()
    (folders / "one/a.jpg").unlink()
    shutil.rmtree(folders / "one")
    (folders / "one").symlink_to(aside)  # now both paths lead to one name
    os.link(aside / "a.jpg", aside / "third.jpg")
    assert len(undo(log).skipped) == 1
    assert (aside / "a.jpg").exists()


def test_undo_finishes_interrupted_moves(folders: Path, tmp_path: Path) -> None:
    """Goes through every state in which a kill can leave a move."""
    aside, log = tmp_path / "aside", tmp_path / "log"
    path, to = folders / "one/a.jpg", aside / "a.jpg"
    bytes_ = path.read_bytes()
    move_aside([indexed(path)], aside, log, dry_run=False)
    token = json.loads(log.read_text())["token"]
    part = aside / f".lookalike-{token}.part"

    to.rename(path)  # only the line was written
    assert undo(log).done == []
    part.write_bytes(bytes_[:100])  # a copy had begun
    assert undo(log).done == []
    assert not part.exists()
    os.link(path, to)  # the file had two names
    assert len(undo(log).done) == 1
    assert tree(aside) == {}
    to.write_bytes(bytes_)  # the copy was complete, and the original not yet removed
    assert "compare them" in undo(log).skipped[0].reason
    assert path.read_bytes() == to.read_bytes() == bytes_
    path.unlink()  # the move was done
    (path.parent / part.name).write_bytes(b"a copy back had begun")
    assert len(undo(log).done) == 1
    assert [file.name for file in path.parent.iterdir()].count(part.name) == 0
    assert path.read_bytes() == bytes_


@pytest.mark.parametrize("across", [False, True], ids=["one file system", "two file systems"])
def test_killed_at_any_moment_nothing_is_lost(
    across: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    aside = (request.getfixturevalue("elsewhere") if across else tmp_path) / "aside"
    folders, log, listed = tmp_path / "folders", tmp_path / "log", tmp_path / "files.json"
    moments = random.Random(7)
    for i in range(400):
        path = folders / f"{i % 7}" / f"{i:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(moments.randbytes(20_000))
    before = tree(folders)
    listed.write_text(json.dumps([[file.uri, file.sha256] for file in all_indexed(folders)]))
    kills = 0
    for _ in range(4):
        kills += killed("move", log, aside, listed, after=moments.uniform(0.01, 0.2))
        found = set(tree(folders).values()) | set(tree(aside).values())
        assert set(before.values()) <= found
        kills += killed("undo", log, after=moments.uniform(0.005, 0.05))
        assert set(before.values()) <= set(tree(folders).values()) | set(tree(aside).values())
    assert kills >= 2
    report = undo(log)
    assert tree(folders) == before
    # Across file systems each kill may leave a second copy, which the report names.
    assert all("compare them" in skipped.reason for skipped in report.skipped)
    assert len({skipped.reason for skipped in report.skipped}) == len(tree(aside)) <= 8 * across


def test_moves_only_while_the_keeper_is_unchanged(folders: Path, tmp_path: Path) -> None:
    keeper, copy, orphan = (folders / name for name in ("one/a.jpg", "one/b.jpg", "two/deep/c.jpg"))
    keepers = {
        indexed(copy): indexed(keeper),
        indexed(orphan): IndexedFile(str(folders / "lost.jpg"), "0" * 64),
        indexed(keeper): indexed(copy),  # a keeper that is moved itself
    }
    log = tmp_path / "log"
    aside = tmp_path / "aside"
    planned = move_aside(list(keepers), aside, log, dry_run=True, keepers=keepers)
    report = move_aside(list(keepers), aside, log, dry_run=False, keepers=keepers)
    assert report == planned
    assert [done.uri for done in report.done] == [str(copy)]
    assert orphan.exists()
    assert keeper.exists()


# --- deleting -------------------------------------------------------------------------------


def test_deletes_only_while_the_keeper_is_unchanged(folders: Path, tmp_path: Path) -> None:
    keeper, copy, edited, orphan = (
        folders / name for name in ("one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/c.jpg")
    )
    linked = folders / "linked.jpg"
    os.link(keeper, linked)
    lost = IndexedFile(str(folders / "lost.jpg"), "0" * 64)
    pairs = [
        (indexed(copy), indexed(keeper)),
        (indexed(edited), indexed(keeper)),
        (indexed(orphan), lost),
        (indexed(linked), indexed(keeper)),
        (indexed(keeper), indexed(keeper)),
        (indexed(keeper), indexed(copy)),  # a keeper that is deleted itself
        (IndexedFile("https://shop/d.jpg", "0" * 64), indexed(keeper)),
        (indexed(keeper), IndexedFile("https://shop/d.jpg", "0" * 64)),
    ]
    edited.write_bytes(b"edited since")
    log = tmp_path / "log"
    before = tree(tmp_path)
    planned = delete(pairs, log, dry_run=True)
    assert tree(tmp_path) == before
    report = delete(pairs, log, dry_run=False)
    assert report == planned
    assert [done.uri for done in report.done] == [str(copy)]
    expected = (
        "changed since",
        f"keeper {lost.uri} no longer exists",
        "same file as its keeper",
        "same file as its keeper",
        f"keeper {copy} is itself gone",
        "not a file on this machine",
        "keeper https://shop/d.jpg is not a file on this machine",
    )
    for skipped, reason in zip(report.skipped, expected, strict=True):
        assert reason in skipped.reason
    assert not copy.exists()
    assert keeper.exists()
    assert orphan.exists()
    line = json.loads(log.read_text())
    assert (line["action"], line["from"], line["keeper"]) == ("delete", str(copy), str(keeper))
    assert f"{keeper} was kept" in undo(log).skipped[0].reason


def test_a_keeper_that_changes_saves_the_rest(folders: Path, tmp_path: Path) -> None:
    keeper = indexed(folders / "one/a.jpg")
    log = tmp_path / "log"
    assert len(delete([(indexed(folders / "one/b.jpg"), keeper)], log, dry_run=False).done) == 1
    (folders / "one/a.jpg").write_bytes(b"other bytes")
    report = delete([(indexed(folders / "two/a.jpg"), keeper)], log, dry_run=False)
    assert "its keeper" in report.skipped[0].reason
    assert (folders / "two/a.jpg").exists()


def test_a_symbolic_link_is_not_a_keeper(folders: Path, tmp_path: Path) -> None:
    real, link = folders / "one/a.jpg", folders / "link.jpg"
    link.symlink_to(real)
    report = delete([(indexed(real), indexed(link))], tmp_path / "log", dry_run=False)
    assert "symbolic link" in report.skipped[0].reason
    assert real.exists()
