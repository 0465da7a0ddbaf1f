"""`lookalike watch`: folders that change while it runs, as a process of its own."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lookalike.facade.watching.changes import Change
from lookalike.facade.watching.folders import FolderWatch
from tests.sources.test_notifications import Queue
from tests.support.command_line import documents, error
from tests.support.object_stores import fill, moto, use_store
from tests.support.pictures import folder_of


@contextmanager
def watching_process(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lookalike", "watch", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return line.split(" ", 1)[1].strip()


@pytest.mark.parametrize(
    "poll", [(), pytest.param(("--poll", "0.5"), marks=pytest.mark.slow)], ids=["events", "poll"]
)
def test_an_index_follows_its_folder(photos: Path, tmp_path: Path, poll: tuple[str, ...]) -> None:
    index = tmp_path / "photos" / "index"  # in the folder that it indexes
    others = folder_of(tmp_path / "others", 3, first=20)
    with watching_process(photos, "--index", index, "--prune", *poll) as process:
        assert next_line(process) == "added 12"
        with (photos / "020.jpg").open("wb") as file:  # a slow copy
            data = (others / "020.jpg").read_bytes()
            for start in range(0, len(data), len(data) // 3 + 1):
                file.write(data[start : start + len(data) // 3 + 1])
                file.flush()
                time.sleep(0.4)
        assert next_line(process) == "added 1"
        shutil.move(others, photos / "new")  # whose files no event names
        assert next_line(process) == "added 3"  # one has the content of 020.jpg
        (photos / "000.jpg").unlink()
        (photos / "001.jpg").rename(photos / "renamed.jpg")
        assert next_line(process) == "moved 1 · removed 1"
        assert documents("stats", "--index", index)["images"] == 15
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr is not None
        assert not process.stderr.read().strip()


def test_what_comes_during_the_first_pass_is_not_missed(photos: Path) -> None:
    with closing(FolderWatch([str(photos)], every=20).changes()) as changes:
        assert next(changes) == Change([str(photos)], is_whole=True)
        folder_of(photos / "new", 1, first=20)  # while the caller indexes
        assert next(changes) == Change([str(photos / "new")])


@pytest.mark.slow
def test_an_index_follows_a_bucket_and_its_queue(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "moto").mkdir()
    with moto(tmp_path / "moto") as endpoint:
        use_store(monkeypatch, endpoint)
        files = {f"shop/{path.name}": path.read_bytes() for path in photos.iterdir()}
        store = fill(endpoint, "shop", files)
        queue = Queue(endpoint)
        arguments = ("s3://shop/shop/", "--queue", queue.url, "--prune")
        with watching_process(*arguments, "--index", tmp_path / "index") as process:
            assert next_line(process) == "added 12"
            store.copy("shop/000.jpg", "shop/copy.jpg")
            store.put("shop/broken.jpg", b"no picture")
            store.delete("shop/001.jpg")
            assert next_line(process) == "added 1 · removed 1"
            assert process.stdout is not None
            assert "s3://shop/shop/broken.jpg: unsupported_format" in process.stdout.readline()
            assert documents("stats", "--index", tmp_path / "index")["images"] == 12
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        missing = error("watch", "s3://shop/shop/", "--queue", f"{queue.url}s", "--index", tmp_path)
        assert "there is no such queue: check its URL" in missing
    assert "does not answer" in error("watch", "s3://shop/shop/", "--index", tmp_path / "index")


def test_what_cannot_be_watched_is_an_error(tmp_path: Path) -> None:
    assert "nowhere is not a folder" in error("watch", tmp_path / "nowhere")
    assert "Missing argument" in error("watch")
