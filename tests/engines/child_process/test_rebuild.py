"""Rebuilds of the search graph beside the live index, with writes and kills meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.errors import DiskFull, EngineError, IndexLocked
from lookalike.types import (
    AnyOfValues,
    FieldType,
    Query,
    WeightedVector,
)
from tests.engines.child_process.helpers import (
    COUNT,
    EXPECTED,
    SPECS,
    alive,
    building,
    fill,
    point,
    run,
    shards,
    state,
    vector,
    wait_for,
)
from tests.support.indexes import copied


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


@pytest.mark.slow
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


def test_a_build_needs_room_for_a_second_copy(
    filled: Path,
    small_disk: Path,
) -> None:
    folder = small_disk / "index"
    copied(filled, folder)
    reserve = shutil.disk_usage(folder).free - 16 * 2**20
    with closing(SubprocessEngine(folder, reserve=reserve)) as engine:
        assert engine.count() == COUNT
        with pytest.raises(DiskFull, match=r"has \d+ MiB left; free at least"):
            engine.optimize()
        assert engine.count() == COUNT
        assert shards(folder) == ["shard"]


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


# --- kills ----------------------------------------------------------------------------------


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
