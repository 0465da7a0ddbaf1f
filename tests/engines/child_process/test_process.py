"""The embedded engine in a child process: calls, processes, the folder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.errors import DiskFull, EngineError, IndexDamaged, IndexLocked
from lookalike.types import (
    Query,
    WeightedVector,
)
from tests.engines.child_process.helpers import (
    COUNT,
    EXPECTED,
    SPECS,
    point,
    run,
    shards,
    vector,
    wait_for,
)


def test_a_call_that_its_process_does_not_outlive_fails_and_the_next_works(
    engine: SubprocessEngine,
) -> None:
    engine.upsert([point(COUNT)])
    (child,) = engine.children()
    os.kill(child, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(engine.count)
        time.sleep(0.05)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(EngineError, match=r"ended \(signal 9\); no confirmed write is lost"):
            call.result()
    assert engine.count() == COUNT + 1
    assert engine.children() != [child]


def test_each_thread_gets_its_own_answers(engine: SubprocessEngine) -> None:
    def ask(i: int) -> bool:
        (found,) = engine.retrieve([str(i)])
        nearest, _ = engine.query([Query((WeightedVector("v", vector(i), 1.0),), limit=2)])[0]
        return found.id == nearest.id == str(i)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(COUNT)))


def test_each_engine_opens_what_the_other_left(folder: Path) -> None:
    with closing(SubprocessEngine(folder)) as engine:
        engine.optimize()
        engine.upsert([point(COUNT)])
    with closing(EdgeEngine(folder)) as plain:
        assert plain.info()["indexed_vectors"] >= COUNT
        plain.upsert([point(COUNT + 1)])
        plain.optimize()
    with closing(SubprocessEngine(folder)) as engine:
        assert engine.count() == COUNT + 2
        assert engine.read_manifest() == {"schema": 1}


def test_an_index_in_use_names_its_owner(engine: SubprocessEngine, folder: Path) -> None:
    engine.optimize()
    for kind in (EdgeEngine, SubprocessEngine):
        with pytest.raises(IndexLocked, match="this very process"), closing(kind(folder)) as other:
            other.count()
    stranger = run(
        """
        for kind in (EdgeEngine, SubprocessEngine):
            try: kind(sys.argv[1]).count()
            except Exception as error: print(type(error).__name__, error, flush=True)
        """,
        str(folder),
    )
    lines = stranger.communicate()[0].splitlines()
    assert [line.split()[0] for line in lines] == ["IndexLocked"] * 2
    assert all(f"in use by process {os.getpid()} (" in line for line in lines)
    assert engine.count() == COUNT


def test_an_index_that_a_plain_engine_holds_is_refused(folder: Path) -> None:
    holder = run(
        "engine = EdgeEngine(sys.argv[1]); engine.count(); print('open', flush=True)\n"
        "sys.stdin.read()",
        str(folder),
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open\n"
    with (
        pytest.raises(IndexLocked, match=rf"in use by process {holder.pid} \("),
        closing(SubprocessEngine(folder)) as engine,
    ):
        engine.count()
    assert (folder / "owner.json").exists()
    holder.communicate()


def test_leftovers_go_when_the_index_is_opened_and_not_before(folder: Path) -> None:
    (folder / "shard-0123abcd" / "segments").mkdir(parents=True)
    (folder / "current.new").write_text("shard-0123abcd")
    with closing(EdgeEngine(folder)) as holder:
        holder.count()
        (folder / "shard-89abcdef").mkdir()
        with pytest.raises(IndexLocked), closing(SubprocessEngine(folder)) as other:
            other.count()
        assert shards(folder) == ["shard", "shard-89abcdef"]
        assert not (folder / "current.new").exists()
    with closing(SubprocessEngine(folder)) as engine:
        assert engine.count() == COUNT
    assert shards(folder) == ["shard"]


@pytest.mark.parametrize("text", ["", "../elsewhere", "shard-1/../x"])
def test_a_pointer_to_nothing_is_damage(folder: Path, text: str) -> None:
    (folder / "current").write_text(text)
    with pytest.raises(IndexDamaged, match="current does not name a shard"):
        EdgeEngine(folder).count()
    with (
        closing(SubprocessEngine(folder)) as engine,
        pytest.raises(IndexDamaged, match="does not name a shard"),
    ):
        engine.count()


def test_a_creation_after_a_build_starts_over(engine: SubprocessEngine, folder: Path) -> None:
    engine.optimize()
    engine.delete(list(EXPECTED))
    engine.close()
    (folder / "manifest.json").unlink()  # like a new index whose creation was cut off
    with closing(EdgeEngine(folder)) as plain:
        plain.create(SPECS)
        assert plain.count() == 0
    assert shards(folder) == ["shard"]
    assert not (folder / "current").exists()


def test_too_little_space_is_refused_before_anything_is_written(folder: Path) -> None:
    reserve = shutil.disk_usage(folder).free + 2**40
    with closing(SubprocessEngine(folder, reserve=reserve)) as engine:
        writes: list[Callable[[], None]] = [
            lambda: engine.upsert([point(COUNT)]),
            lambda: engine.write_manifest({}),
        ]
        for write in writes:
            with pytest.raises(DiskFull, match=r"has \d+ MiB left; free at least"):
                write()


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs /proc")
def test_an_opened_index_is_read_into_memory(engine: SubprocessEngine, folder: Path) -> None:
    engine.count()
    (child,) = engine.children()
    segments = sum(
        file.stat().st_size for file in (folder / "shard" / "segments").rglob("*") if file.is_file()
    )

    def read() -> int:
        counts = Path(f"/proc/{child}/io").read_text().split()
        return int(counts[counts.index("rchar:") + 1])

    wait_for(lambda: read() > segments)


def test_opening_and_closing_start_no_process(tmp_path: Path) -> None:
    engine = SubprocessEngine(tmp_path / "index")
    assert engine.read_manifest() is None
    assert engine.children() == []
    engine.close()
    engine.close()
    assert not (tmp_path / "index").exists()
