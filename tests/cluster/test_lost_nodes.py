"""Nodes that are killed, frozen and restarted under an index, by its every use.

    CLUSTER_SEED=7 CLUSTER_IMAGES=2000 QDRANT_BIN=/usr/bin/qdrant pytest tests/cluster

draws other moments and other pictures.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from lookalike.admin.copy import NamedEngine, copy
from lookalike.engines import open_engine
from lookalike.errors import EngineError
from lookalike.index import Index
from lookalike.ingest.report import IngestProgress
from lookalike.ray import RayExecutor
from tests.admin.indexes import assert_same, content, fill
from tests.cluster.losses import Kind, Scene, Written
from tests.cluster.nodes import real_nodes
from tests.support.api_server import options, serving
from tests.support.command_line import lookalike
from tests.support.pictures import folder_of

IMAGES = int(os.environ.get("CLUSTER_IMAGES", "90"))
POINTS = 14 * IMAGES
LOSSES: tuple[Kind, ...] = ("killed", "frozen", "restarted")

every_loss = pytest.mark.parametrize("kind", LOSSES)
some_slow = pytest.mark.parametrize(
    "kind", [LOSSES[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in LOSSES[1:])]
)
one_or_all = pytest.mark.parametrize("written", ["one", "all"])


@pytest.fixture
def pictures(scene: Scene, tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", IMAGES, first=scene.draw.randrange(10_000))


def ids(folder: Path) -> list[str]:
    return [str(path) for path in folder.iterdir()]


def during(scene: Scene, action: Callable[[], object]) -> IngestProgress:
    """The progress of a run, in which something happens at some moment."""
    tell = scene.moment(action)
    return lambda counts, total: tell(counts.done / IMAGES)


def opened(scene: Scene, written: Written = "one", **more: object) -> Index:
    return Index.open(scene.url, model="built-in", server=scene.options(written, **more))


def test_real_nodes_are_there() -> None:
    if real_nodes() is None:
        pytest.skip(
            "tests/cluster did NOT run on real nodes: set QDRANT_BIN to the executable of a Qdrant "
            "server, or pull the Docker image qdrant/qdrant"
        )


@pytest.mark.slow
@one_or_all
@every_loss
def test_an_ingest_outlives_a_node(
    scene: Scene, pictures: Path, written: Written, kind: Kind
) -> None:
    with opened(scene, written) as index:
        report = index.add(pictures, progress=during(scene, lambda: scene.lose(kind)))
        assert (report.added, report.rejects) == (IMAGES, ())
        scene.assert_whole(ids(pictures))
        assert index.add(pictures).unchanged == IMAGES


@pytest.mark.slow
@every_loss
def test_a_run_of_ray_outlives_a_node(
    scene: Scene, pictures: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray.data", reason="Ray Data is not installed")
    monkeypatch.setattr("lookalike.ray.BLOCK_SIZE", max(4, IMAGES // 10))
    with opened(scene) as index:
        lost = during(scene, lambda: scene.lose(kind))
        report = index.add(pictures, progress=lost, executor=RayExecutor("local"))
        assert (report.added + report.unchanged, report.rejects) == (IMAGES, ())
        scene.assert_whole(ids(pictures))


def test_an_ingest_ends_without_a_node_that_is_gone(scene: Scene, pictures: Path) -> None:
    with opened(scene) as index:
        lost = during(scene, lambda: scene.lose("gone"))
        assert index.add(pictures, progress=lost).added == IMAGES
        report = index.add(pictures)
        assert report.unchanged == IMAGES
        assert "could not be compared" in report.engine_notes[0]
        scene.assert_whole(ids(pictures))


@pytest.mark.slow
def test_nodes_are_restarted_in_turn_during_an_ingest(scene: Scene, pictures: Path) -> None:
    def restart_all() -> None:
        for node in scene.nodes.nodes:
            node.kill()
            node.start()
            scene.nodes.wait()

    threads: list[threading.Thread] = []

    def begin() -> None:
        threads.append(threading.Thread(target=restart_all))
        threads[0].start()

    with opened(scene, "all") as index:
        index.add(pictures, progress=during(scene, begin))
        threads[0].join()
        scene.assert_whole(ids(pictures))


@pytest.mark.parametrize("mended_by", ["index", "repair"])
def test_a_run_that_gave_up_is_completed(scene: Scene, pictures: Path, mended_by: str) -> None:
    with opened(scene, "all", patience=1) as index:
        index.add(sorted(pictures.iterdir())[: scene.draw.randrange(IMAGES // 2)])
        scene.lose("gone")
        with pytest.raises(EngineError):
            index.add(pictures)
        scene.bring_back()
        if mended_by == "repair":
            lookalike("cluster", "repair", "--index", scene.url, "--yes")
            scene.assert_whole([point.id for point in index.scroll()])
        report = index.add(pictures)
        assert (report.done, report.engine_notes) == (IMAGES, ())
    scene.assert_whole(ids(pictures))


@pytest.mark.slow
@every_loss
def test_what_is_deleted_without_a_node_stays_deleted(
    scene: Scene, pictures: Path, kind: Kind
) -> None:
    with opened(scene) as index:
        index.add(pictures)
        for path in sorted(pictures.iterdir())[: IMAGES // 3]:
            path.unlink()
        scene.moment(lambda: scene.lose(kind))(1)
        assert index.add(pictures, prune=True, yes=True).removed == IMAGES // 3
        scene.assert_whole(ids(pictures))


@pytest.mark.slow
@one_or_all
@every_loss
def test_copies_outlive_a_node(scene: Scene, tmp_path: Path, written: Written, kind: Kind) -> None:
    with closing(open_engine(str(fill(tmp_path / "source", POINTS)))) as engine:
        source = NamedEngine("source", engine)
        with closing(open_engine(scene.url, scene.options(written))) as there:
            target = NamedEngine(scene.url, there)
            tell = scene.moment(lambda: scene.lose(kind))
            copy(source, target, progress=lambda done, total: tell(done / total))
            scene.assert_whole(content(source))
            with closing(open_engine(str(tmp_path / "back"))) as here:
                back = NamedEngine("back", here)
                tell = scene.moment(lambda: scene.lose(kind))
                copy(target, back, progress=lambda done, total: tell(done / total))
                assert_same(content(source), content(back))
    scene.bring_back()


@some_slow
def test_a_service_answers_all_the_while(scene: Scene, tmp_path: Path, kind: Kind) -> None:
    photos = folder_of(tmp_path / "photos", 12, first=scene.draw.randrange(10_000))
    with opened(scene) as index, serving(index, options(tmp_path)) as client:
        index.add(photos)
        names = sorted(ids(photos))
        wanted = {name: _found(client, name) for name in names}
        lost = scene.moment(lambda: scene.lose(kind))
        slowest, deadline, number = 0.0, time.monotonic() + 4, 0
        while time.monotonic() < deadline:
            name = names[number % len(names)]
            started = time.monotonic()
            assert _found(client, name) == wanted[name]
            slowest = max(slowest, time.monotonic() - started)
            number += 1
            lost(number / 20)
        assert slowest < 3.5
        scene.assert_whole(names)


def _found(client: httpx.Client, id: str) -> list[tuple[str, float]]:
    response = client.post("/v1/search", json={"id": id, "limit": 5})
    assert response.status_code == 200, response.text
    return [(hit["id"], round(hit["score"], 3)) for hit in response.json()["hits"]]
