"""An index that one process shares with others: through its socket, and by waiting."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines import open_engine
from lookalike.engines.edge.client import EngineClient
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.engines.edge.sharing import METHODS, SOCKET
from lookalike.errors import EngineError, IndexLocked
from lookalike.types import All, AnyOfValues
from tests.engines.child_process.helpers import COUNT, EXPECTED, point, run, state
from tests.support.indexes import copied

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="needs UNIX sockets")


@pytest.fixture
def shared(engine: SubprocessEngine) -> SubprocessEngine:
    engine.share(lambda: None)
    return engine


def client_of(folder: Path) -> EngineClient:
    client = open_engine(str(folder))
    assert isinstance(client, EngineClient)
    return client


def test_another_process_reads_and_writes(shared: SubprocessEngine, folder: Path) -> None:
    code = """
        from lookalike.engines import open_engine
        engine = open_engine(sys.argv[1])
        engine.upsert([point(COUNT + i) for i in range(100)])
        engine.delete(["3"])
        engine.set_payload("4", {"n": -4})
        assert engine.read_manifest() == {"schema": 1}
        print(engine.count(), len([p for batch in engine.scroll() for p in batch]))
    """.replace("COUNT", str(COUNT))
    other = run(code, str(folder))
    answer, _ = other.communicate()
    assert answer.split() == [str(COUNT + 99)] * 2
    assert other.returncode == 0
    assert state(shared) == {
        **{id: n for id, n in EXPECTED.items() if id != "3"},
        "4": -4,
        **{str(COUNT + i): COUNT + i for i in range(100)},
    }


def test_every_operation_answers_as_the_engine_itself(
    shared: SubprocessEngine, folder: Path
) -> None:
    with closing(client_of(folder)) as client:
        filter = All((AnyOfValues("kind", ("k1",)),))
        assert client.count(filter) == shared.count(filter)
        assert client.facet("kind") == shared.facet("kind")
        assert client.info() == shared.info()
        assert client.problems() == []
        assert client.retrieve(["5"])[0].payload == shared.retrieve(["5"])[0].payload
        with pytest.raises(EngineError, match="Qdrant Edge failed"):
            client.facet("nothing")
        assert client.count() == COUNT  # the connection is still good
    assert shared.count() == COUNT


def test_many_clients_at_once(shared: SubprocessEngine, folder: Path) -> None:
    def write(first: int) -> None:
        with closing(client_of(folder)) as client:
            for i in range(first, 200, 8):
                client.upsert([point(COUNT + i)])
                assert client.retrieve([str(COUNT + i)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
    assert shared.count() == COUNT + 200


def test_the_owner_hears_of_a_changed_manifest(engine: SubprocessEngine, folder: Path) -> None:
    heard = threading.Event()
    engine.share(heard.set)
    with closing(client_of(folder)) as client:
        client.write_manifest({"schema": 1, "more": True})
    assert heard.is_set()
    assert engine.read_manifest() == {"schema": 1, "more": True}


def test_only_its_owner_may_connect(shared: SubprocessEngine, folder: Path) -> None:
    mode = (folder / SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="needs SO_PEERCRED")
def test_another_user_is_not_served_and_not_believed(
    shared: SubprocessEngine, folder: Path, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    (folder / SOCKET).chmod(0o666)
    for path in (folder, *folder.parents):
        if path.stat().st_mode & 0o777 == 0o700:  # pytest keeps others out
            path.chmod(0o755)
    code = (
        "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); print(s.recv(100))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / SOCKET)], capture_output=True, text=True
    )
    assert done.stdout == "b''\n", done.stderr  # hung up on, without a word
    own = tmp_path / "theirs"
    own.mkdir()
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(own / SOCKET))
        theirs.listen()
        os.chown(own / SOCKET, 65534, 65534)
        assert EngineClient.to(own) is None


def test_a_method_that_is_not_shared_is_refused(shared: SubprocessEngine, folder: Path) -> None:
    assert "close" not in METHODS
    with closing(client_of(folder)) as client, pytest.raises(EngineError, match="cannot call"):
        client._call("close")
    assert shared.count() == COUNT


def test_a_deep_folder_is_shared(filled: Path, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100) / ("y" * 100)
    deep.parent.mkdir()
    copied(filled, deep)
    with closing(SubprocessEngine(deep)) as engine:
        engine.share(lambda: None)
        with closing(client_of(deep)) as client:
            assert client.count() == COUNT
    assert not (deep / SOCKET).exists()


def test_what_a_killed_owner_left_is_no_obstacle(folder: Path) -> None:
    owner = run(
        "e = SubprocessEngine(sys.argv[1]); e.count(); e.share(lambda: None);"
        "print('open', flush=True); sys.stdin.read()",
        str(folder),
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "open\n"
    client = client_of(folder)
    owner.kill()
    owner.wait()
    with pytest.raises(EngineError, match="ended; no confirmed write is lost"):
        client.count()
    assert (folder / SOCKET).exists()
    with closing(open_engine(str(folder), wait=10)) as engine:
        assert isinstance(engine, EdgeEngine)
        assert engine.count() == COUNT


def test_closing_ends_the_clients(shared: SubprocessEngine, folder: Path) -> None:
    client = client_of(folder)
    shared.close()
    with pytest.raises(EngineError, match="ended; no confirmed write is lost"):
        client.count()
    client.close()
    with pytest.raises(EngineError, match="has been closed"):
        client.count()


@pytest.fixture
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has the index open, and closes it at the end of its input."""
    process = run(
        "e = EdgeEngine(sys.argv[1]); e.count(); print('open', flush=True);"
        "sys.stdin.read(); e.close()",
        str(folder),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.wait()


def test_the_next_process_waits_for_the_lock(holder: subprocess.Popen[str], folder: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(_count_after, folder, 60) for _ in range(3)]
        time.sleep(1)
        assert not any(one.done() for one in waiting)
        assert holder.stdin is not None
        holder.stdin.close()
        assert [one.result() for one in waiting] == [COUNT] * 3


def _count_after(folder: Path, seconds: float) -> int:
    code = (
        "from lookalike.engines import open_engine; e = open_engine(sys.argv[1], wait=float("
        "sys.argv[2])); print(e.count()); e.close()"
    )
    answer, _ = run(code, str(folder), str(seconds)).communicate()
    return int(answer)


def test_waiting_ends(holder: subprocess.Popen[str], folder: Path) -> None:
    started = time.monotonic()
    with pytest.raises(IndexLocked, match=f"process {holder.pid}"):
        open_engine(str(folder), wait=1)
    assert 1 <= time.monotonic() - started < 5


def test_who_waits_is_let_in_by_an_owner_that_shares(folder: Path) -> None:
    owner = SubprocessEngine(folder)
    assert owner.count() == COUNT
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(_count_after, folder, 60)
        time.sleep(1)
        owner.share(lambda: None)
        assert waiting.result() == COUNT
    owner.close()


def test_this_process_does_not_wait_for_itself(folder: Path) -> None:
    with closing(EdgeEngine(folder)) as engine:
        engine.count()
        with pytest.raises(IndexLocked, match="this very process"):
            open_engine(str(folder), wait=60)


CALLS = """
from lookalike.types import CandidateQuery, FieldType, Query, WeightedVector
near = WeightedVector("v", point(1).vectors["v"], 1.0)
calls = {
    "count": lambda: engine.count(),
    "upsert": lambda: engine.upsert([point(1)]),
    "delete": lambda: engine.delete(["1"]),
    "set_payload": lambda: engine.set_payload("1", {"n": 1}),
    "create_field_index": lambda: engine.create_field_index("n", FieldType.INTEGER),
    "retrieve": lambda: engine.retrieve(["1"]),
    "nearest": lambda: engine.nearest([CandidateQuery(near, None, 5)]),
    "query": lambda: engine.query([Query((near,))]),
    "scroll": lambda: list(engine.scroll()),
    "facet": lambda: engine.facet("kind"),
    "bounds": lambda: engine.bounds("n"),
    "optimize": lambda: engine.optimize(),
    "info": lambda: engine.info(),
    "problems": lambda: engine.problems(),
    "write_manifest": lambda: engine.write_manifest({"schema": 1}),
}
"""
"""Every call of an engine that an index makes."""


@pytest.mark.parametrize("kind", ["EdgeEngine", "SubprocessEngine"])
def test_every_call_of_a_closed_engine_raises_and_takes_no_lock(folder: Path, kind: str) -> None:
    engine = {"EdgeEngine": EdgeEngine, "SubprocessEngine": SubprocessEngine}[kind](folder)
    engine.count()
    engine.close()
    calls: dict[str, Callable[[], object]] = {}
    scope = {"engine": engine, "point": point, "calls": calls}
    exec(CALLS, scope)  # noqa: S102  ours, see above
    for name, call in scope["calls"].items():
        with pytest.raises(EngineError, match="has been closed"):
            pytest.fail(f"{name} returned {call()!r}")
    with closing(EdgeEngine(folder)) as again:  # the lock is free
        assert again.count() == COUNT


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["EdgeEngine", "SubprocessEngine", "open_engine"])
def test_a_forked_child_is_told_at_once(folder: Path, kind: str) -> None:
    code = f"""
        import os
        from lookalike.engines import open_engine
        from lookalike.errors import EngineError
        from tests.engines.child_process.test_sharing import CALLS
        owner = SubprocessEngine(sys.argv[1]) if "{kind}" == "open_engine" else None
        if owner: owner.count(); owner.share(lambda: None)
        engine = {kind}(sys.argv[1])
        engine.count()
        exec(CALLS)
        child = os.fork()
        if child == 0:
            for call in calls.values():
                try: call()
                except EngineError as error: print(error, flush=True)
            engine.close()
            sys.exit(0)
        _, status = os.waitpid(child, 0)
        print(os.getpid(), status, engine.count(), flush=True)
        engine.close()
    """
    process = run(code, str(folder))
    answer, _ = process.communicate(timeout=60)
    *errors, last = answer.splitlines()
    assert last.split() == [str(process.pid), "0", str(COUNT)]
    assert len(errors) == CALLS.count(": lambda: ")
    assert all(f"was opened by process {process.pid}" in error for error in errors)
