"""The embedded engine in a child process: its processes, and rebuilds beside the live index."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.errors import DiskFull, EngineError, IndexDamaged, IndexLocked
from lookalike.types import (
    AnyOfValues,
    Distance,
    FieldType,
    Point,
    Query,
    Vector,
    VectorSpec,
    WeightedVector,
)
from tests.engines.test_edge import small_disk  # noqa: F401  a fixture
from tests.support.paths import ROOT

SIZE = 4096  # large, so that few points are enough for a graph
COUNT = 700
SPECS = (
    VectorSpec("v", "semantic", SIZE, Distance.COSINE, "float32", "test", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "test", "1"),
)


def vector(i: int) -> Vector:
    return np.random.default_rng(i).standard_normal(SIZE).astype(np.float32)


def point(i: int, n: int | None = None) -> Point:
    bits = np.random.default_rng(i).integers(0, 2, 64).astype(np.uint8)
    payload = {"n": i if n is None else n, "kind": f"k{i % 5}", "image": {"id": str(i)}}
    return Point(str(i), {"v": vector(i), "phash": bits}, payload)


def fill(engine: EdgeEngine | SubprocessEngine, count: int) -> None:
    for first in range(0, count, 250):
        engine.upsert([point(i) for i in range(first, min(first + 250, count))])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index without a graph, made by an embedded engine."""
    folder = tmp_path_factory.mktemp("filled") / "index"
    with closing(EdgeEngine(folder)) as engine:
        engine.create(SPECS)
        engine.create_field_index("kind", FieldType.KEYWORD)
        engine.create_field_index("image.uri", FieldType.KEYWORD)
        engine.write_manifest({"schema": 1})
        fill(engine, COUNT)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    shutil.copytree(filled, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture
def engine(folder: Path) -> Iterator[SubprocessEngine]:
    with closing(SubprocessEngine(folder)) as made:
        yield made


def shards(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.glob("shard*"))


def state(engine: EdgeEngine | SubprocessEngine) -> dict[str, int]:
    """The field `n` of every point."""
    points = [one for batch in engine.scroll() for one in batch]
    assert len({one.id for one in points}) == len(points)
    return {one.id: one.payload["n"] for one in points}


EXPECTED = {str(i): i for i in range(COUNT)}


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def building(engine: SubprocessEngine) -> Iterator[Future[None]]:
    """Runs the body while another thread builds a graph."""
    with ThreadPoolExecutor(1) as pool:
        build = pool.submit(engine.optimize)
        wait_for(lambda: build.done() or len(engine.children()) == 2)
        assert not build.done()
        yield build


def run(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Runs `code` in another process, without an `if __name__ == "__main__"`."""
    setup = """
        import sys, threading, time
        from lookalike.engines.edge.engine import EdgeEngine
        from lookalike.engines.edge.process import SubprocessEngine
        from tests.engines.test_edge_process import point
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(setup) + textwrap.dedent(code), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


# --- the build ------------------------------------------------------------------------------


def test_a_build_makes_a_graph_and_leaves_one_shard(engine: SubprocessEngine, folder: Path) -> None:
    before = engine.children()
    query = Query((WeightedVector("v", vector(7), 1.0),), AnyOfValues("kind", ("k2",)), limit=10)
    rows = [row.id for row in engine.query([query])[0]] if before else None
    engine.optimize()
    info = engine.info()
    assert (info["points"], info["building"]) == (COUNT, False)
    assert info["indexed_vectors"] >= COUNT
    (name,) = shards(folder)
    assert name == (folder / "current").read_text() != "shard"
    assert state(engine) == EXPECTED
    assert engine.facet("kind") == [(f"k{i}", COUNT // 5) for i in range(5)]
    found = [row.id for row in engine.query([query])[0]]
    assert found[0] == "7"
    assert rows is None or found == rows
    (child,) = engine.children()
    assert child not in before
    engine.optimize()
    assert shards(folder) == [name]  # there was nothing to do


def test_vectors_come_through_to_the_bit(engine: SubprocessEngine) -> None:
    wanted = [str(i) for i in range(40)]
    before = {one.id: one for one in engine.retrieve(wanted, vectors=["v", "phash"])}
    engine.optimize()
    after = {one.id: one for one in engine.retrieve(wanted, vectors=["v", "phash"])}
    for id, one in before.items():
        np.testing.assert_array_equal(after[id].vectors["v"], one.vectors["v"])
        np.testing.assert_array_equal(after[id].vectors["phash"], one.vectors["phash"])
        assert after[id].payload == one.payload


def test_few_points_are_not_worth_a_build(tmp_path: Path) -> None:
    with closing(SubprocessEngine(tmp_path / "index")) as engine:
        engine.create(SPECS)
        fill(engine, 300)
        engine.optimize()
        assert shards(tmp_path / "index") == ["shard"]
        assert engine.info()["indexed_vectors"] == 0


def test_points_that_were_replaced_are_worth_a_build(
    engine: SubprocessEngine, folder: Path
) -> None:
    engine.optimize()
    names = shards(folder)
    fill(engine, COUNT)  # Edge counts them as indexed
    engine.optimize()
    assert shards(folder) != names
    assert state(engine) == EXPECTED


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="needs autogroup scheduling")
def test_a_build_lets_others_go_first(engine: SubprocessEngine) -> None:
    with building(engine):
        live, builder = engine.children()

        def niceness(pid: int) -> int:
            return int(Path(f"/proc/{pid}/autogroup").read_text().split()[-1])

        wait_for(lambda: niceness(builder) == os.getpriority(os.PRIO_PROCESS, builder) == 19)
        assert niceness(live) == os.getpriority(os.PRIO_PROCESS, live) == 0


def test_what_is_written_during_a_build_is_there_after_it(engine: SubprocessEngine) -> None:
    expected = dict(EXPECTED)
    with building(engine) as build:
        turn = 0
        while not build.done():
            new, replaced, changed, gone = COUNT + turn, 3 * turn, 3 * turn + 1, 3 * turn + 2
            if gone >= COUNT:
                break
            engine.upsert([point(new), point(replaced, n=-1)])
            engine.set_payload(str(changed), {"n": -2})
            engine.delete([str(gone)])
            expected |= {str(new): new, str(replaced): -1, str(changed): -2}
            del expected[str(gone)]
            if turn == 5:
                engine.create_field_index("n", FieldType.INTEGER)
            turn += 1
            assert engine.count(AnyOfValues("kind", ("k1",))) > 0
        build.result()
    assert turn > 10
    assert state(engine) == expected
    assert engine.bounds("n") == (-2, max(expected.values()))  # the field index came along
    engine.close()
    with closing(EdgeEngine(engine.folder.path)) as plain:
        assert state(plain) == expected


def test_threads_write_and_read_at_once_during_builds(engine: SubprocessEngine) -> None:
    stop = threading.Event()

    def work(number: int) -> set[str]:
        mine = set()
        for i in range(number * 10_000 + COUNT, (number + 1) * 10_000):
            if stop.is_set():
                break
            engine.upsert([point(i)])
            mine.add(str(i))
            assert {one.id for one in engine.retrieve([str(i)])} == {str(i)}
            ((row,),) = engine.query([Query((WeightedVector("v", vector(i), 1.0),), limit=1)])
            assert row.id == str(i)
            if i % 3 == 0:
                engine.delete([str(i)])
                mine.discard(str(i))
                assert engine.retrieve([str(i)]) == []
        return mine

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(work, number) for number in range(4)]
        try:
            engine.optimize()
        finally:
            stop.set()
        written = set().union(*(task.result() for task in tasks))
    assert state(engine).keys() == EXPECTED.keys() | written


def test_each_thread_gets_its_own_answers(engine: SubprocessEngine) -> None:
    def ask(i: int) -> bool:
        (found,) = engine.retrieve([str(i)])
        nearest, _ = engine.query([Query((WeightedVector("v", vector(i), 1.0),), limit=2)])[0]
        return found.id == nearest.id == str(i)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(COUNT)))


def test_a_scroll_goes_on_over_the_switch(engine: SubprocessEngine) -> None:
    batches = engine.scroll(batch=100)
    seen = [one.id for one in next(batches)]
    engine.optimize()
    seen += [one.id for batch in batches for one in batch]
    assert len(seen) == COUNT
    assert set(seen) == EXPECTED.keys()


def test_a_second_caller_waits_for_the_build_and_makes_no_other(
    engine: SubprocessEngine, folder: Path
) -> None:
    with building(engine) as build:
        (name,) = {one for one in shards(folder) if one != "shard"}
        engine.optimize()
        build.result()
    assert shards(folder) == [name]


# --- kills ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("victim", [0, 1], ids=["live", "builder"])
def test_a_kill_during_a_build_leaves_the_index_as_it_was(
    engine: SubprocessEngine, folder: Path, victim: int
) -> None:
    with building(engine) as build:
        engine.upsert([point(COUNT)])
        os.kill(engine.children()[victim], signal.SIGKILL)
        if victim == 1:
            with pytest.raises(EngineError, match=r"ended \(signal 9\)"):
                build.result()
            assert shards(folder) == ["shard"]
    assert engine.info()["building"] is False
    assert state(engine) == EXPECTED | {str(COUNT): COUNT}
    engine.optimize()
    assert engine.info()["indexed_vectors"] >= COUNT
    assert len(shards(folder)) == len(engine.children()) == 1


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("moment", [0.0, 0.4])
def test_a_kill_of_the_parent_during_a_build_ends_its_children(folder: Path, moment: float) -> None:
    parent = run(
        """
        engine = SubprocessEngine(sys.argv[1])
        engine.upsert([point(5000)])
        threading.Thread(target=engine.optimize).start()
        while len(engine.children()) < 2: time.sleep(0.001)
        print(*engine.children(), flush=True)
        """,
        str(folder),
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    time.sleep(moment)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(map(alive, children)), 5.0)
    wait_for(lambda: is_free(folder), 5.0)  # a child may have been started later
    with closing(EdgeEngine(folder)) as plain:
        assert state(plain) == EXPECTED | {"5000": 5000}
    assert len(shards(folder)) == 1


def is_free(folder: Path) -> bool:
    try:
        with closing(EdgeEngine(folder)) as plain:
            plain.count()
    except IndexLocked:
        return False
    return True


def test_closing_breaks_off_a_build(engine: SubprocessEngine, folder: Path) -> None:
    with building(engine) as build:
        engine.upsert([point(COUNT)])
        children = engine.children()
        before = time.monotonic()
        engine.close()
        assert time.monotonic() - before < 5
        with pytest.raises(EngineError, match="has been closed"):
            build.result()
    assert engine.children() == []
    assert not any(map(alive, children))
    assert shards(folder) == ["shard"]
    assert not (folder / "owner.json").exists()
    with pytest.raises(EngineError, match="has been closed: open it again"):
        engine.count()
    with closing(SubprocessEngine(folder)) as again:
        assert state(again) == EXPECTED | {str(COUNT): COUNT}


# --- the folder -----------------------------------------------------------------------------


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


def test_a_build_needs_room_for_a_second_copy(
    filled: Path,
    small_disk: Path,  # noqa: F811
) -> None:
    folder = small_disk / "index"
    shutil.copytree(filled, folder)
    reserve = shutil.disk_usage(folder).free - 16 * 2**20
    with closing(SubprocessEngine(folder, reserve=reserve)) as engine:
        assert engine.count() == COUNT
        with pytest.raises(DiskFull, match=r"has \d+ MiB left; free at least"):
            engine.optimize()
        assert engine.count() == COUNT
        assert shards(folder) == ["shard"]


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


@pytest.mark.slow
def test_a_larger_build_under_steady_writing_loses_nothing(engine: SubprocessEngine) -> None:
    fill(engine, 3000)
    stop = threading.Event()
    last: dict[str, int | None] = {}

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        while not stop.is_set():
            i = int(rng.integers(0, 4000)) // 4 * 4 + number  # each thread has points of its own
            n = int(rng.integers(-10_000, -1))
            if n % 5 == 0:
                engine.delete([str(i)])
                last[str(i)] = None
            else:
                engine.upsert([point(i, n=n)])
                last[str(i)] = n

    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(work, number) for number in range(4)]
        try:
            engine.optimize()
        finally:
            stop.set()
        for task in tasks:
            task.result()
    expected = {str(i): i for i in range(3000)} | last
    assert state(engine) == {id: n for id, n in expected.items() if n is not None}
