"""What a power cut leaves of an embedded index: everything that was acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines.edge.engine import EdgeEngine
from tests.support import power_cut
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the layer is for Linux")

_SETUP = """
    import sys, threading
    from lookalike.engines.edge.engine import EdgeEngine
    from lookalike.engines.edge.process import SubprocessEngine
    from lookalike.types import FieldType
    from tests.contract.test_engines import SPECS, point
    engine = {engine}(sys.argv[1])
    engine.create(SPECS)
    engine.create_field_index("category", FieldType.KEYWORD)
    engine.write_manifest({{"schema": 1}})
    acknowledge = lambda word: sys.stdout.write(f"{{word}}\\n") and sys.stdout.flush()
"""

Cut = Callable[..., list[str]]


@pytest.fixture
def cut(tmp_path: Path) -> Cut:
    """Runs code on a new engine until its last acknowledgment, then cuts the power; leaves the
    index at `tmp_path / "after" / "index"`, and returns the acknowledgments."""

    def run(
        code: str, *, engine: str = "EdgeEngine", kept: random.Random | None = None
    ) -> list[str]:
        disk = tmp_path / "disk"
        disk.mkdir()
        script = textwrap.dedent(_SETUP.format(engine=engine)) + textwrap.dedent(code)
        script += "\nacknowledge('end')\nsys.stdin.read()\n"
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(disk / "index")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=power_cut.environment(tmp_path / "synced"),
        )
        assert process.stdout is not None
        acknowledged = [line.strip() for line in iter(process.stdout.readline, "end\n")]
        process.kill()
        process.communicate()
        power_cut.leftover(tmp_path / "synced", disk, tmp_path / "after", kept)
        return acknowledged

    return run


def contents(folder: Path) -> dict[str, object]:
    """The field `price` of every point."""
    with closing(EdgeEngine(folder)) as engine:
        return {p.id: p.payload.get("price") for batch in engine.scroll() for p in batch}


@pytest.mark.parametrize("kept", [None, 1, 2, 3])
def test_every_kind_of_acknowledged_write_survives(
    tmp_path: Path, cut: Cut, kept: int | None
) -> None:
    acknowledged = cut(
        """
        for i in range(60):
            engine.upsert([point(i)])
            acknowledge(point(i).id)
        engine.delete([point(3).id])
        engine.set_payload(point(4).id, {"price": -4})
        engine.create_field_index("brand", FieldType.KEYWORD)
        """,
        kept=None if kept is None else random.Random(kept),
    )
    assert len(acknowledged) == 60
    found = contents(tmp_path / "after" / "index")
    assert set(found) == set(acknowledged) - {"photos/3.jpg"}
    assert found["photos/4.jpg"] == -4


@pytest.mark.parametrize("kept", [None, 4])
def test_writes_of_several_threads_survive(tmp_path: Path, cut: Cut, kept: int | None) -> None:
    acknowledged = cut(
        """
        def add(first):
            for i in range(first, 120, 4):
                engine.upsert([point(i)])
                acknowledge(point(i).id)
        threads = [threading.Thread(target=add, args=(first,)) for first in range(4)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        """,
        engine="SubprocessEngine",
        kept=None if kept is None else random.Random(kept),
    )
    assert set(contents(tmp_path / "after" / "index")) == set(acknowledged)
    assert len(acknowledged) == 120


@pytest.mark.parametrize("kept", [None, 5])
def test_writes_after_a_checkpoint_and_a_restart_survive(
    tmp_path: Path, cut: Cut, kept: int | None
) -> None:
    acknowledged = cut(
        """
        for i in range(40):
            engine.upsert([point(i)])
            acknowledge(point(i).id)
            if i == 10: engine.open_shard.checkpoint()
            if i == 20: engine.optimize()
            if i == 30:
                engine.close()
                engine = EdgeEngine(sys.argv[1])
        """,
        kept=None if kept is None else random.Random(kept),
    )
    assert set(contents(tmp_path / "after" / "index")) == set(acknowledged)


def test_what_is_not_synced_is_lost_without_the_sync(tmp_path: Path, cut: Cut) -> None:
    """The layer forgets: without it, the tests above could not fail."""
    cut(
        """
        for i in range(20):
            engine.open_shard.commit = lambda: None
            engine.upsert([point(i)])
        """
    )
    assert contents(tmp_path / "after" / "index") == {}
