"""An index on a disk that is almost full: it can be read, and only writing is refused."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import DiskFull
from lookalike.index import Index
from lookalike.ingest.uploads import Upload
from tests.contract.test_engines import SPECS, point
from tests.support.indexes import copied
from tests.support.pictures import folder_of

FREE = 100 * 2**20
"""Bytes left: less than the 256 MiB that a write leaves."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and their index."""
    folder = tmp_path_factory.mktemp("made")
    with Index.open(folder / "index", model="built-in") as index:
        index.add(folder_of(folder / "photos", 6))
    return folder


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the system report a disk that is almost full."""
    usage = type(shutil.disk_usage("/"))(10**12, 10**12 - FREE, FREE)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)


def test_an_index_is_read_and_searched_on_a_full_disk(
    made: Path, tmp_path: Path, full: None
) -> None:
    folder = copied(made / "index", tmp_path / "index")
    with Index.open(folder, create=False) as index:
        ids = sorted(point.id for point in index.scroll())
        assert len(ids) == index.count() == index.stats()["images"] == 6
        assert index.search(id=ids[0], limit=3).rows
        assert index.search(image=made / "photos" / "000.jpg", limit=3).rows
        assert index.thumbnail(ids[0])
        assert index.verify().problems == []
        picture = (made / "photos" / "001.jpg").read_bytes()
        writes: list[Callable[[], object]] = [
            lambda: index.put([Upload(picture, "/new.jpg", "new", None)]),
            lambda: index.update(ids[0], {"note": "x"}),
            lambda: index.optimize(),
        ]
        for write in writes:
            with pytest.raises(DiskFull, match=r"100 MiB left; free at least"):
                write()
        assert index.count() == 6
    with pytest.raises(DiskFull):
        Index.open(tmp_path / "new", model="built-in")


def test_an_index_whose_process_was_killed_is_read_on_a_full_disk(
    tmp_path: Path, full: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its log is replayed, for which there is room."""
    folder = tmp_path / "index"
    engine = EdgeEngine(folder, reserve=0)
    engine.create(SPECS)
    engine.write_manifest({"schema": 1})
    engine.upsert([point(i) for i in range(20)])
    left = copied(folder, tmp_path / "left")  # as a kill would leave it
    engine.close()
    with closing(EdgeEngine(left)) as again:
        assert again.count() == 20
        with pytest.raises(DiskFull):
            again.delete([point(1).id])


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 420 MiB on a disk: in memory, reading a hole would take space."""
    image, mount = tmp_path / "image", tmp_path / "disk"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(420 * 2**20)
    for command in (
        ["mkfs.ext4", "-q", str(image)],
        ["mount", "-o", "loop", str(image), str(mount)],
    ):
        if not shutil.which(command[0]) or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a file system needs root and a loop device")
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def test_a_real_disk_that_is_almost_full_is_read(made: Path, disk: Path) -> None:
    folder = copied(made / "index", disk / "index")
    free = shutil.disk_usage(folder).free
    assert free < 420 * 2**20
    (disk / "ballast").write_bytes(bytes(max(0, free - FREE)))
    with Index.open(folder, create=False) as index:
        assert index.count() == 6
        (first, *_) = [point.id for point in index.scroll()]
        assert index.search(id=first, limit=3).rows
        with pytest.raises(DiskFull):
            index.update(first, {"note": "x"})
