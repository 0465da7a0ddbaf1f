"""Files on the disk: moved, deleted and brought back, whatever comes in between."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.duplicates.file_moves import IndexedFile, delete, move_aside, undo
from lookalike.errors import InputError, SchemaTooNew


def known(path: Path) -> IndexedFile:
    """A file as an index would know it now."""
    return IndexedFile(str(path), hashlib.sha256(path.read_bytes()).hexdigest())


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders that both have an a.jpg."""
    folder = tmp_path / "photos"
    for name in ("one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/c.jpg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(f"the bytes of {name}".encode() * 1000)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another file system."""
    memory = Path("/dev/shm")  # noqa: S108 -- what is asked for is that it is no disk
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def everything(photos: Path) -> list[IndexedFile]:
    return [known(path) for path in sorted(photos.rglob("*.jpg"))]


# --- moving ---------------------------------------------------------------------------------


def test_moves_keep_their_folders_and_come_back(photos: Path, tmp_path: Path) -> None:
    before, times = tree(photos), (photos / "one/a.jpg").stat().st_mtime_ns
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    report = move_aside(everything(photos), aside, log, dry_run=False)
    assert not report.skipped
    assert tree(photos) == {}
    assert tree(aside) == before
    assert {done.uri: done.to for done in report.done} == {
        str(photos / name): str(aside / name) for name in before
    }
    back = undo(log)
    assert not back.skipped
    assert len(back.done) == 4
    assert tree(photos) == before
    assert tree(aside) == {}
    assert (photos / "one/a.jpg").stat().st_mtime_ns == times
    again = undo(log)
    assert not again.done
    assert not again.skipped
    assert tree(photos) == before


def test_a_dry_run_says_the_same_and_writes_nothing(photos: Path, tmp_path: Path) -> None:
    before = tree(tmp_path)
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    (photos / "two/a.jpg").chmod(0o644)
    files = [*everything(photos), IndexedFile(str(photos / "gone.jpg"), "0" * 64)]
    said = move_aside(files, aside, log, dry_run=True)
    assert tree(tmp_path) == before
    assert not aside.exists()
    assert move_aside(files, aside, log, dry_run=False) == said
    assert len(said.done) == 4
    assert len(said.skipped) == 1


def test_a_name_that_is_taken_gets_a_number(photos: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "moves.jsonl"
    aside.mkdir()
    (aside / "a.jpg").write_text("mine")
    (aside / "a (2).jpg").symlink_to("nowhere")  # a broken link is a name, too
    report = move_aside([known(photos / "one/a.jpg")], aside, log, dry_run=False)
    assert report.done[0].to == str(aside / "a (3).jpg")
    assert (aside / "a.jpg").read_text() == "mine"
    undo(log)
    assert tree(aside) == {"a.jpg": b"mine"}


def test_what_is_not_as_it_was_is_left_alone(photos: Path, tmp_path: Path) -> None:
    files = everything(photos)
    (photos / "one/a.jpg").write_bytes(b"edited since")
    (photos / "one/b.jpg").unlink()
    (photos / "two/a.jpg").rename(photos / "real.jpg")
    (photos / "two/a.jpg").symlink_to(photos / "real.jpg")
    os.utime(photos / "two/deep/c.jpg", (1, 1))  # touched, and the same
    aside = tmp_path / "aside"
    report = move_aside(
        [
            *files,
            IndexedFile("s3://bucket/d.jpg", "0" * 64),
            IndexedFile(str(photos / "one"), "0" * 64),
        ],
        aside,
        tmp_path / "log",
        dry_run=False,
    )
    assert [done.uri for done in report.done] == [str(photos / "two/deep/c.jpg")]
    expected = (
        "changed since",
        "no longer exists",
        "symbolic link",
        "not a file on this machine",
        "not a regular file",
    )
    for skipped, reason in zip(report.skipped, expected, strict=True):
        assert skipped.reason.startswith(skipped.uri)
        assert reason in skipped.reason
    assert (photos / "one/a.jpg").read_bytes() == b"edited since"
    assert (photos / "two/a.jpg").is_symlink()
    assert (photos / "real.jpg").exists()


def test_what_lies_aside_is_not_moved_again(photos: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    report = move_aside(everything(photos), photos / "two", log, dry_run=False)
    assert {skipped.uri for skipped in report.skipped} == {
        str(photos / "two/a.jpg"),
        str(photos / "two/deep/c.jpg"),
    }
    assert (photos / "two/one/a.jpg").exists()


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"caf\xe9 \n.jpg")
    try:
        odd.write_bytes(b"picture")
    except OSError:
        pytest.skip("needs a file system that takes any bytes as a name")
    move_aside([known(odd)], tmp_path / "aside", tmp_path / "log", dry_run=False)
    assert not odd.exists()
    assert len(undo(tmp_path / "log").done) == 1
    assert odd.read_bytes() == b"picture"


def test_across_file_systems(photos: Path, elsewhere: Path, tmp_path: Path) -> None:
    before, log = tree(photos), tmp_path / "log"
    os.utime(photos / "one/a.jpg", (1_000_000, 1_000_000))
    assert not move_aside(everything(photos), elsewhere / "aside", log, dry_run=False).skipped
    assert tree(photos) == {}
    assert tree(elsewhere / "aside") == before
    assert (elsewhere / "aside/one/a.jpg").stat().st_mtime == 1_000_000
    assert len(undo(log).done) == 4
    assert tree(photos) == before
    assert tree(elsewhere) == {}


def test_a_folder_that_cannot_be_written(photos: Path, tmp_path: Path) -> None:
    before = tree(photos)
    (tmp_path / "file").write_text("a file where the folder should be")
    report = move_aside(everything(photos), tmp_path / "file", tmp_path / "log", dry_run=False)
    assert not report.done
    assert len(report.skipped) == 4
    assert all("cannot be moved" in skipped.reason for skipped in report.skipped)
    assert tree(photos) == before
    assert not undo(tmp_path / "log").skipped


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder for a test that runs as a user whom rights stop, even if root started it."""
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


def test_a_folder_that_nothing_can_be_taken_from(nobody: Path) -> None:
    photos, aside, log = nobody / "photos", nobody / "aside", nobody / "log"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(b"picture")
    photos.chmod(0o555)
    report = move_aside([known(photos / "a.jpg")], aside, log, dry_run=False)
    assert "Permission denied" in report.skipped[0].reason
    assert not report.done
    assert tree(photos) == {"a.jpg": b"picture"}
    assert tree(aside) == {}
    (nobody / "kept.jpg").write_bytes(b"picture")
    pair = (known(photos / "a.jpg"), known(nobody / "kept.jpg"))
    assert "Permission denied" in delete([pair], log, dry_run=False).skipped[0].reason
    assert tree(photos) == {"a.jpg": b"picture"}


# --- undoing --------------------------------------------------------------------------------


def test_undo_overwrites_nothing(photos: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "log"
    move_aside(everything(photos), aside, log, dry_run=False)
    (photos / "one/a.jpg").write_bytes(b"a new one")
    (aside / "one/b.jpg").write_bytes(b"edited aside")
    (aside / "two/a.jpg").unlink()
    report = undo(log)
    assert [done.to for done in report.done] == [str(photos / "two/deep/c.jpg")]
    reasons = {
        Path(skipped.uri).relative_to(photos).as_posix(): skipped.reason
        for skipped in report.skipped
    }
    assert "compare them" in reasons["one/a.jpg"]
    assert "changed since" in reasons["one/b.jpg"]
    assert "no longer exists" in reasons["two/a.jpg"]
    assert (photos / "one/a.jpg").read_bytes() == b"a new one"
    assert (aside / "one/a.jpg").exists()
    assert (aside / "one/b.jpg").read_bytes() == b"edited aside"


def test_undo_keeps_a_file_that_is_linked_from_its_old_place(photos: Path, tmp_path: Path) -> None:
    aside, log = tmp_path / "aside", tmp_path / "log"
    move_aside([known(photos / "one/a.jpg")], aside, log, dry_run=False)
    (photos / "one/a.jpg").symlink_to(aside / "a.jpg")
    assert len(undo(log).skipped) == 1
    assert not (aside / "a.jpg").is_symlink()
    (photos / "one/a.jpg").unlink()
    shutil.rmtree(photos / "one")
    (photos / "one").symlink_to(aside)  # now both are the same name
    os.link(aside / "a.jpg", aside / "third.jpg")
    assert len(undo(log).skipped) == 1
    assert (aside / "a.jpg").exists()


def test_undo_finishes_what_was_cut_off(photos: Path, tmp_path: Path) -> None:
    """Every state in which a kill can leave one move."""
    aside, log = tmp_path / "aside", tmp_path / "log"
    path, to = photos / "one/a.jpg", aside / "a.jpg"
    bytes_ = path.read_bytes()
    move_aside([known(path)], aside, log, dry_run=False)
    token = json.loads(log.read_text())["token"]
    part = aside / f".lookalike-{token}.part"

    to.rename(path)  # the line was written, and no more
    assert undo(log).done == []
    part.write_bytes(bytes_[:100])  # a copy had begun
    assert undo(log).done == []
    assert not part.exists()
    os.link(path, to)  # the file had both names
    assert len(undo(log).done) == 1
    assert tree(aside) == {}
    to.write_bytes(bytes_)  # a copy was whole, and the file not yet gone: one too many, none lost
    assert "compare them" in undo(log).skipped[0].reason
    assert path.read_bytes() == to.read_bytes() == bytes_
    path.unlink()  # the move was done
    (path.parent / part.name).write_bytes(b"a copy back had begun")
    assert len(undo(log).done) == 1
    assert [file.name for file in path.parent.iterdir()].count(part.name) == 0
    assert path.read_bytes() == bytes_


CHILD = """
import json, sys
from pathlib import Path
from lookalike.duplicates.file_moves import IndexedFile, move_aside, undo
what, log, *rest = sys.argv[1:]
print("ready", flush=True)
if what == "undo":
    undo(Path(log))
else:
    files = [IndexedFile(*file) for file in json.loads(Path(rest[1]).read_text())]
    move_aside(files, Path(rest[0]), Path(log), dry_run=False)
"""


def killed(*arguments: Path | str, after: float) -> bool:
    """Runs the child and kills it so many seconds after it began to work; False if it was done."""
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)], stdout=subprocess.PIPE
    )
    assert child.stdout
    child.stdout.readline()
    time.sleep(after)
    child.kill()
    child.stdout.close()
    return child.wait() != 0


@pytest.mark.parametrize("across", [False, True], ids=["one file system", "two file systems"])
def test_killed_at_any_moment_nothing_is_lost(
    across: bool, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    aside = (request.getfixturevalue("elsewhere") if across else tmp_path) / "aside"
    photos, log, listed = tmp_path / "photos", tmp_path / "log", tmp_path / "files.json"
    moments = random.Random(7)
    for i in range(400):
        path = photos / f"{i % 7}" / f"{i:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(moments.randbytes(20_000))
    before = tree(photos)
    listed.write_text(json.dumps([[file.uri, file.sha256] for file in everything(photos)]))
    cut_off = 0
    for _ in range(4):
        cut_off += killed("move", log, aside, listed, after=moments.uniform(0.01, 0.2))
        found = set(tree(photos).values()) | set(tree(aside).values())
        assert set(before.values()) <= found
        cut_off += killed("undo", log, after=moments.uniform(0.005, 0.05))
        assert set(before.values()) <= set(tree(photos).values()) | set(tree(aside).values())
    assert cut_off >= 2
    report = undo(log)
    assert tree(photos) == before
    # Across file systems a kill may leave a second copy, of which the report tells.
    assert all("compare them" in skipped.reason for skipped in report.skipped)
    assert len({skipped.uri for skipped in report.skipped}) == len(tree(aside)) <= 8 * across


def test_moves_only_beside_a_sound_keeper(photos: Path, tmp_path: Path) -> None:
    keeper, copy, orphan = (photos / name for name in ("one/a.jpg", "one/b.jpg", "two/deep/c.jpg"))
    keepers = {
        known(copy): known(keeper),
        known(orphan): IndexedFile(str(photos / "lost.jpg"), "0" * 64),
        known(keeper): known(copy),  # a keeper that is moved itself
    }
    log = tmp_path / "log"
    aside = tmp_path / "aside"
    said = move_aside(list(keepers), aside, log, dry_run=True, keepers=keepers)
    report = move_aside(list(keepers), aside, log, dry_run=False, keepers=keepers)
    assert report == said
    assert [done.uri for done in report.done] == [str(copy)]
    assert orphan.exists()
    assert keeper.exists()


# --- deleting -------------------------------------------------------------------------------


def test_deletes_only_beside_a_sound_keeper(photos: Path, tmp_path: Path) -> None:
    keeper, copy, edited, orphan = (
        photos / name for name in ("one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/c.jpg")
    )
    linked = photos / "linked.jpg"
    os.link(keeper, linked)
    lost = IndexedFile(str(photos / "lost.jpg"), "0" * 64)
    pairs = [
        (known(copy), known(keeper)),
        (known(edited), known(keeper)),
        (known(orphan), lost),
        (known(linked), known(keeper)),
        (known(keeper), known(keeper)),
        (known(keeper), known(copy)),  # a keeper that is deleted itself
        (IndexedFile("s3://bucket/d.jpg", "0" * 64), known(keeper)),
        (known(keeper), IndexedFile("s3://bucket/d.jpg", "0" * 64)),
    ]
    edited.write_bytes(b"edited since")
    log = tmp_path / "log"
    before = tree(tmp_path)
    said = delete(pairs, log, dry_run=True)
    assert tree(tmp_path) == before
    report = delete(pairs, log, dry_run=False)
    assert report == said
    assert [done.uri for done in report.done] == [str(copy)]
    expected = (
        "changed since",
        f"keeper {lost.uri} no longer exists",
        "same file as its keeper",
        "same file as its keeper",
        f"keeper {copy} is itself gone",
        "not a file on this machine",
        "keeper s3://bucket/d.jpg is not a file on this machine",
    )
    for skipped, reason in zip(report.skipped, expected, strict=True):
        assert reason in skipped.reason
    assert not copy.exists()
    assert keeper.exists()
    assert orphan.exists()
    line = json.loads(log.read_text())
    assert (line["action"], line["from"], line["keeper"]) == ("delete", str(copy), str(keeper))
    assert f"{keeper} was kept" in undo(log).skipped[0].reason


def test_a_keeper_that_changes_saves_the_rest(photos: Path, tmp_path: Path) -> None:
    keeper = known(photos / "one/a.jpg")
    log = tmp_path / "log"
    assert len(delete([(known(photos / "one/b.jpg"), keeper)], log, dry_run=False).done) == 1
    (photos / "one/a.jpg").write_bytes(b"other bytes")
    report = delete([(known(photos / "two/a.jpg"), keeper)], log, dry_run=False)
    assert "its keeper" in report.skipped[0].reason
    assert (photos / "two/a.jpg").exists()


def test_a_symbolic_link_keeps_nothing(photos: Path, tmp_path: Path) -> None:
    real, link = photos / "one/a.jpg", photos / "link.jpg"
    link.symlink_to(real)
    report = delete([(known(real), known(link))], tmp_path / "log", dry_run=False)
    assert "symbolic link" in report.skipped[0].reason
    assert real.exists()


# --- the log --------------------------------------------------------------------------------


def test_the_log_reads_as_documented(photos: Path, tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    file = known(photos / "one/a.jpg")
    move_aside([file], tmp_path / "aside", log, dry_run=False)
    line = json.loads(log.read_text())
    assert line["version"] == 1
    assert line["time"].endswith("Z")
    assert line["action"] == "move"
    assert line["from"] == file.uri
    assert line["to"] == str(tmp_path / "aside" / "a.jpg")
    assert line["sha256"] == file.sha256
    assert line["keeper"] is None


def test_a_line_that_was_cut_off_is_no_line(photos: Path, tmp_path: Path) -> None:
    before, log = tree(photos), tmp_path / "log"
    one, *others = everything(photos)
    move_aside([one], tmp_path / "aside", log, dry_run=False)
    with log.open("a") as file:
        file.write('{"version": 1, "ti')
    move_aside(others, tmp_path / "aside", log, dry_run=False)
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 4
    assert len(undo(log).done) == 4
    assert tree(photos) == before


def test_what_is_no_log_is_not_written_to(photos: Path, tmp_path: Path) -> None:
    wrong = photos / "one/a.jpg"
    before = tree(photos)
    newer = tmp_path / "newer"
    line = dict.fromkeys(("time", "action", "from", "to", "sha256", "keeper", "token"), "x")
    newer.write_text(json.dumps({"version": 2, **line}) + "\n")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="not a log of moved files"):
            move_aside(everything(photos), tmp_path / "aside", wrong, dry_run=dry_run)
        with pytest.raises(SchemaTooNew, match="version 2"):
            delete([], newer, dry_run=dry_run)
    with pytest.raises(InputError, match="cannot be written"):
        move_aside([], tmp_path, photos / "one" / "b.jpg" / "log", dry_run=False)
    with pytest.raises(InputError, match="cannot be read"):
        undo(tmp_path / "none")
    (tmp_path / "damaged").write_text("[1]\n{}\n")
    with pytest.raises(InputError, match="line 1"):
        undo(tmp_path / "damaged")
    assert tree(photos) == before
