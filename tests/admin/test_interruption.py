"""Copies, backups and restores that are killed and continue."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.admin.copy import BATCH, NamedEngine, backup, copy, restore
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import IndexDamaged
from lookalike.index import Index
from lookalike.manifest import UNFINISHED
from tests.admin.indexes import COUNT, MANIFEST, At, assert_same, content, fill
from tests.contract.test_engines import SPECS, point


def run(command: str, *paths: Path) -> subprocess.Popen[str]:
    """Runs `command` on the paths in another process, which prints its progress."""
    script = f"""
import sys
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.admin.copy import NamedEngine, backup, copy, restore
def place(path):
    return NamedEngine(path, EdgeEngine(path))
def progress(done, total):
    print(done, flush=True)
a, b = sys.argv[1:]
{command}
print("done", flush=True)
"""
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, paths)], stdout=subprocess.PIPE, text=True
    )


def kill_at(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout is not None
    assert line in (told.strip() for told in process.stdout)
    process.kill()
    process.wait()


COPY = "copy(place(a), place(b), progress=progress)"
RESTORE = "restore(a, place(b), progress=progress)"
BACKUP = "backup(place(a), b, progress=progress)"


@pytest.mark.slow
@pytest.mark.parametrize("command", [COPY, RESTORE])
def test_killed_again_and_again_it_goes_on(
    command: str, large: Path, tmp_path: Path, place: At
) -> None:
    origin = large
    if command == RESTORE:
        origin = tmp_path / "shop.backup"
        with closing(EdgeEngine(large)) as engine:
            backup(NamedEngine(str(large), engine), origin)
    for moment in (BATCH, 2 * BATCH, COUNT):  # at the last one it builds the search graph
        kill_at(run(command, origin, tmp_path / "target"), str(moment))
        # An incomplete copy does not open.
        with pytest.raises(IndexDamaged):
            Index.open(tmp_path / "target")
        with pytest.raises(IndexDamaged):
            backup(place(tmp_path / "target"), tmp_path / "half.backup")
        assert not (tmp_path / "half.backup").exists()
    target = place(tmp_path / "target")
    there = target.engine.count()
    assert there >= 2 * BATCH
    done = copy(place(large), target) if command == COPY else restore(origin, target)
    assert (done.images, done.sent) == (COUNT, COUNT - there)
    assert {**(target.engine.read_manifest() or {}), "restored": False} == MANIFEST
    assert_same(content(place(large)), content(target))


def test_a_killed_backup_leaves_the_one_before(
    large: Path, saved: Path, tmp_path: Path, place: At
) -> None:
    file = tmp_path / "shop.backup"
    kill_at(run(BACKUP, large, file), str(2 * BATCH))
    assert not file.exists()
    file.write_bytes(saved.read_bytes())
    kill_at(run(BACKUP, large, file), str(2 * BATCH))
    assert file.read_bytes() == saved.read_bytes()
    assert backup(place(large), file).images == COUNT
    assert restore(file, place(tmp_path / "restored")).images == COUNT
    assert [one.name for one in tmp_path.glob("shop*")] == ["shop.backup"]


def test_what_changed_since_is_sent_again(tmp_path: Path, place: At) -> None:
    source, target = place(fill(tmp_path / "index", 100)), place(tmp_path / "copy")
    target.engine.create(SPECS)
    target.engine.upsert([point(i) for i in range(1, 90)])
    target.engine.write_manifest({UNFINISHED: MANIFEST})
    target.engine.set_payload(point(5).id, {"price": 5.75})
    target.engine.set_payload(point(6).id, {"image": {"etag": "old"}})
    target.engine.set_payload(point(7).id, {"in_stock": None})
    assert copy(source, target).sent == 1 + 10 + 3
    assert_same(content(source), content(target))
