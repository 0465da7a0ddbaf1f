"""The embedded engine alone: its folder, its lock, kills, a full disk."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import DiskFull, IndexDamaged, IndexLocked
from tests.contract.test_engines import COUNT, SPECS, point
from tests.support.paths import ROOT


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Runs `code` in another process, on the engine at argv[1]."""
    setup = """
        import sys
        from lookalike.engines.edge.engine import EdgeEngine
        from tests.contract.test_engines import point
        engine = EdgeEngine(sys.argv[1])
    """
    script = textwrap.dedent(setup) + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    engine = EdgeEngine(tmp_path / "index")
    engine.create(SPECS)
    engine.write_manifest({"schema": 1})
    engine.upsert([point(i) for i in range(20)])
    engine.close()
    return tmp_path / "index"


def test_the_search_graph_is_built_only_where_something_was_written(folder: Path) -> None:
    shard = json.loads((folder / "ledger-shard.json").read_text())
    with closing(EdgeEngine(folder)) as engine:
        engine.optimize()  # finds nothing to do: the ledger says what it did
        assert json.loads((folder / "ledger-shard.json").read_text()) == shard
        engine.upsert([point(20)])
        written = (folder / "ledger-shard.json").stat().st_mtime_ns
        engine.optimize()
        counted = (folder / "ledger-shard.json").stat().st_mtime_ns
        engine.optimize()
        assert written < counted == (folder / "ledger-shard.json").stat().st_mtime_ns
        assert json.loads((folder / "ledger-shard.json").read_text())["points"] == 21
    with closing(EdgeEngine(folder)) as engine:
        assert (engine.problems(whole=True), engine.count()) == ([], 21)


def test_a_second_process_is_told_who_holds_the_index(folder: Path) -> None:
    holder = run("engine.count(); print('open', flush=True); sys.stdin.read()", str(folder))
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(IndexLocked, match=rf"in use by process {holder.pid} \("):
            EdgeEngine(folder).count()
    finally:
        holder.kill()
        holder.wait()
    assert EdgeEngine(folder).count() == 20  # the kill released it


def test_opening_twice_in_one_process_says_so(folder: Path) -> None:
    engine = EdgeEngine(folder)
    engine.count()
    with pytest.raises(IndexLocked, match="this very process"):
        EdgeEngine(folder).count()
    engine.close()


def test_acknowledged_upserts_survive_a_kill(folder: Path) -> None:
    writer = run(
        """
        for i in range(20, 100000):
            engine.upsert([point(i)])
            print(i, flush=True)
        """,
        str(folder),
    )
    assert writer.stdout is not None
    for _ in range(150):
        last = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    last = (last + writer.stdout.read()).split()[-1]
    writer.wait()
    engine = EdgeEngine(folder)
    ids = {one.id for batch in engine.scroll() for one in batch}
    assert {f"photos/{i}.jpg" for i in range(int(last) + 1)} <= ids
    engine.close()


def test_too_little_space_is_refused_before_anything_is_written(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    engine = EdgeEngine(folder)
    assert engine.count() == 20
    engine.folder.reserve = free + 2**40  # has the effect of a full disk
    writes: list[Callable[[], None]] = [
        lambda: engine.upsert([point(30)]),
        lambda: engine.set_payload("photos/1.jpg", {"category": "x"}),
        engine.optimize,
        lambda: engine.write_manifest({"schema": 1, "other": True}),
    ]
    for write in writes:
        with pytest.raises(DiskFull, match=r"has [\d]+ MiB left; free at least"):
            write()
    assert engine.count() == 20
    assert engine.read_manifest() == {"schema": 1}
    engine.close()


def test_a_real_disk_that_fills_loses_nothing(small_disk: Path) -> None:
    engine = EdgeEngine(small_disk / "index")
    engine.create(SPECS)
    stored = 0
    ballast = (small_disk / "ballast").open("wb")
    with pytest.raises(DiskFull):
        for stored in range(10_000):
            engine.upsert([point(stored)])
            ballast.write(b"x" * 2**20)
            ballast.flush()
    assert stored > 10
    assert engine.count() == stored
    engine.close()
    ballast.close()
    (small_disk / "ballast").unlink()
    again = EdgeEngine(small_disk / "index")
    assert again.count() == stored
    again.upsert([point(stored)])
    again.close()


def test_a_manifest_that_is_no_json_is_damage(folder: Path) -> None:
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    with pytest.raises(IndexDamaged, match=r"manifest\.json cannot be read"):
        EdgeEngine(folder).read_manifest()
    (folder / "manifest.json").write_text("[1]", encoding="utf-8")
    with pytest.raises(IndexDamaged, match="does not hold a manifest"):
        EdgeEngine(folder).read_manifest()


def test_a_shard_that_is_gone_is_damage(folder: Path) -> None:
    shutil.rmtree(folder / "shard")
    with pytest.raises(IndexDamaged, match="has a manifest but no shard"):
        EdgeEngine(folder).count()


def test_a_shard_that_cannot_be_loaded_is_damage(folder: Path) -> None:
    (folder / "shard" / "edge_config.json").write_text("nonsense", encoding="utf-8")
    with pytest.raises(IndexDamaged, match="Qdrant Edge cannot load it"):
        EdgeEngine(folder).count()


def cut_off_creation(folder: Path) -> None:
    """Leaves what a creation leaves that is cut off: a shard without points, and no manifest."""
    with closing(EdgeEngine(folder)) as engine:
        engine.delete([point(i).id for i in range(20)])
    (folder / "manifest.json").unlink()


def test_a_creation_that_was_cut_off_is_started_over(folder: Path) -> None:
    cut_off_creation(folder)
    engine = EdgeEngine(folder)
    assert engine.read_manifest() is None
    engine.create(SPECS)
    assert engine.count() == 0
    engine.upsert([point(i) for i in range(COUNT)])
    engine.close()


def test_a_removal_that_is_cut_off_leaves_no_half_shard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill during the removal of a leftover shard once left an index that could not be made."""
    cut_off_creation(folder)

    def cut_off(path: Path, **options: object) -> None:
        if path.exists() and path.name != "shard.new":
            remove(path)
            path.mkdir()
            raise KeyboardInterrupt

    remove = shutil.rmtree

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("lookalike.engines.edge.generations.shutil.rmtree", cut_off)
        with closing(EdgeEngine(folder)) as engine:
            engine.create(SPECS)
    with closing(EdgeEngine(folder)) as engine:
        engine.create(SPECS)
        assert engine.count() == 0
    assert not list(folder.glob("*.old"))


def test_leftovers_of_a_creation_beside_the_index_are_removed(folder: Path) -> None:
    (folder / "shard-0123abcd.new" / "wal").mkdir(parents=True)
    with closing(EdgeEngine(folder)) as engine:
        assert engine.count()
    assert not list(folder.glob("*.new"))


def test_owner_is_gone_after_close(folder: Path) -> None:
    engine = EdgeEngine(folder)
    engine.count()
    assert "pid" in json.loads((folder / "owner.json").read_text())
    engine.close()
    engine.close()
    assert not (folder / "owner.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.05, 0.5, 1.5, 3.0])
def test_a_kill_while_optimizing_loses_nothing(tmp_path: Path, moment: float) -> None:
    writer = run(
        """
        import numpy as np
        from lookalike.types import Distance, Point, VectorSpec
        engine.create([VectorSpec("v", "semantic", 512, Distance.COSINE, "float32", "t", "1")])
        rng = np.random.default_rng(0)
        for first in range(0, 12000, 500):
            engine.upsert([
                Point(str(i), {"v": rng.random(512).astype("f4")}, {"image": {"id": str(i)}})
                for i in range(first, first + 500)
            ])
        print("optimizing", flush=True)
        engine.optimize()
        """,
        str(tmp_path / "index"),
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "optimizing\n"
    time.sleep(moment)
    writer.kill()
    writer.wait()
    engine = EdgeEngine(tmp_path / "index")
    assert engine.count() == 12_000
    engine.optimize()
    assert engine.info()["indexed_vectors"] > 0
    assert len({one.id for batch in engine.scroll() for one in batch}) == 12_000
    engine.close()
