"""Migration of an index to another model, as its users see it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from lookalike.engines.options import ServerOptions
from lookalike.errors import DiskFull, InputError, LookalikeError, ModelError
from lookalike.index import Index
from lookalike.search.hits import Hits
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import RestServer, Store

COUNT = 40
ANY_SPEED = "p95=1000"
"""The machine of the tests is busy."""
SERVER = ServerOptions(grpc=False, patience=3)


def model(folder: Path, *, size: int = 16, seed: int = 0) -> Path:
    """A model whose vectors are a fixed random projection of the mean color."""
    matrix = np.random.default_rng(seed).normal(size=(3, size))
    write_preprocessing(folder)
    write_vision(folder / "model.onnx", matrix=matrix)
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("pictures"), COUNT)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"onnx:{model(tmp_path_factory.mktemp('models') / 'other')}"


PLACES = [pytest.param("folder", marks=pytest.mark.slow), "server"]
both = pytest.mark.parametrize("index", ["folder", "server"], indirect=True)


@pytest.fixture(params=PLACES)
def index(request: pytest.FixtureRequest, tmp_path: Path, pictures: Path) -> Iterator[Index]:
    """An index of the pictures with the built-in model."""
    if request.param == "folder":
        with Index.open(tmp_path / "index", model="built-in", subprocess=True) as opened:
            opened.add(pictures, optimize=False)
            yield opened
        return
    server = RestServer(Store())
    with Index.open(server.url, model="built-in", server=SERVER) as opened:
        opened.add(pictures, optimize=False)
        yield opened
    server.close()


def hits(index: Index, pictures: Path, **options: Any) -> list[tuple[str, float]]:
    found = index.search(image=pictures / "007.jpg", limit=12, **options)
    return [(hit.id, round(hit.score, 4)) for hit in found]


def cut_over(index: Index, **options: Any) -> None:
    assert index.cut_over(queries=20, require=ANY_SPEED, **options).done


def phase(index: Index) -> str:
    status = index.migration()
    assert status is not None
    return status.phase


def lacking(index: Index) -> int:
    status = index.migration()
    assert status is not None
    return status.lacking


def true_neighbors(index: Index, pictures: Path) -> list[str]:
    """The nearest by the semantic vector that serves, by brute force."""
    points = list(index.scroll(vectors=True))
    name = index._manifest.semantic.name
    (query,) = index.embed(pictures / "007.jpg")
    matrix = np.array([point.vectors[name] for point in points])
    scores = matrix @ query / np.linalg.norm(matrix, axis=1) / np.linalg.norm(query)
    return [points[i].id for i in np.argsort(-scores, kind="stable")]


@both
def test_a_model_takes_over_and_gives_way(index: Index, pictures: Path, other: str) -> None:
    before = hits(index, pictures), hits(index, pictures, weights={"semantic": 1, "color": 1})
    report = index.migrate(model=other)
    assert (report.filled, report.missed, report.status.phase) == (COUNT, 0, "ready")
    assert report.status.lacking == 0
    assert hits(index, pictures) == before[0]  # the old one serves
    cut_over(index)
    assert phase(index) == "cut over"
    after = hits(index, pictures)
    assert {id for id, _ in after} != {id for id, _ in before[0]}
    assert [id for id, _ in hits(index, pictures, weights={"semantic": 1})][:5] == true_neighbors(
        index, pictures
    )[:5]
    index.roll_back()
    now = hits(index, pictures), hits(index, pictures, weights={"semantic": 1, "color": 1})
    assert now == before
    cut_over(index)
    assert hits(index, pictures) == after
    index.finish_migration()
    assert index.migration() is None
    assert hits(index, pictures) == after
    stored = next(iter(index.scroll(vectors=True)))
    assert "lookalike-small-1" not in stored.vectors
    assert index.add(pictures).unchanged == COUNT


def test_images_of_the_meantime_get_both_vectors(
    index: Index, pictures: Path, other: str, tmp_path: Path
) -> None:
    index.migrate(model=other)
    more = folder_of(tmp_path / "more", 3, first=COUNT)
    assert index.add(more, optimize=False).added == 3
    assert lacking(index) == 0
    cut_over(index)
    assert index.add(folder_of(tmp_path / "last", 3, first=COUNT + 3)).added == 3
    index.roll_back()
    found = index.search(image=tmp_path / "last" / f"{COUNT + 3:03d}.jpg", limit=1)
    assert found[0].id.endswith(f"{COUNT + 3:03d}.jpg")
    index.cancel_migration()
    assert index.migration() is None
    assert set(next(iter(index.scroll(vectors=True))).vectors) == {
        *("lookalike-small-1", "color", "texture", "phash")
    }


def test_pictures_that_are_gone_are_counted(
    index: Index, pictures: Path, other: str, tmp_path: Path
) -> None:
    gone = folder_of(tmp_path / "gone", 2, first=COUNT)
    index.add(gone, optimize=False)
    (gone / f"{COUNT:03d}.jpg").unlink()
    (gone / f"{COUNT + 1:03d}.jpg").write_bytes((pictures / "000.jpg").read_bytes())
    report = index.migrate(model=other)
    assert (report.filled, report.missed, report.status.lacking) == (COUNT, 2, 2)
    assert {problem.id for problem in report.problems} == set(map(str, gone.iterdir())) | {
        str(gone / f"{COUNT:03d}.jpg")
    }
    refused = index.cut_over(queries=20, require=ANY_SPEED)
    assert [gate.name for gate in refused.gates if not gate.passed] == ["filled"]
    assert not refused.done
    assert phase(index) == "ready"
    cut_over(index, missing="keep")
    for weights in ({"semantic": 1, "color": 1}, {"semantic": 1}, {"color": 1}):
        found = index.search(image=pictures / "007.jpg", limit=50, weights=weights)
        assert len(found) >= COUNT
    assert index.verify().problems
    index.roll_back()
    cut_over(index, missing="drop")
    assert index.count() == COUNT
    assert sum(path.is_file() for path in gone.iterdir()) == 1


def test_an_older_revision_is_brought_up_to_date(index: Index, pictures: Path) -> None:
    """An index that was made before an upgrade changed how texture is described."""
    manifest = index._engine.read_manifest()
    assert manifest is not None
    manifest["vectors"]["texture"]["revision"] = "1"
    index._engine.write_manifest(manifest)
    index.refresh()
    more = pictures / "000.jpg"
    with pytest.raises(ModelError, match="`lookalike migrate start`"):
        index.put([more])
    with pytest.raises(InputError, match="already"):
        index.migrate(aspect="color")
    before = hits(index, pictures, weights={"color": 1})
    assert index.migrate(aspect="texture").status.phase == "ready"
    cut_over(index)
    index.finish_migration()
    assert hits(index, pictures, weights={"color": 1}) == before
    (hit,) = index.search(image=more, weights={"texture": 1}, limit=1)
    assert hit.id == str(more)
    assert hit.score == pytest.approx(1, abs=1e-3)
    assert index.add(folder_of(pictures.parent / "late", 1, first=COUNT)).added == 1
    assert not index.verify().problems


def test_only_one_migration_at_a_time(index: Index, other: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No migration is under way"):
        index.roll_back()
    with pytest.raises(LookalikeError, match="No migration is under way"):
        index.cut_over()
    with pytest.raises(InputError, match="has lookalike-small-1"):
        index.migrate(model="built-in")
    index.migrate(model=other)
    with pytest.raises(InputError, match="A migration to onnx:other is under way"):
        index.migrate(model=f"onnx:{model(tmp_path / 'third', seed=3)}")
    with pytest.raises(InputError, match="nothing to roll back"):
        index.roll_back()
    with pytest.raises(InputError, match="cut-over"):
        index.finish_migration()
    cut_over(index)
    with pytest.raises(InputError, match="roll-back"):
        index.cancel_migration()


def test_images_that_the_model_fails_on_are_counted(
    index: Index, pictures: Path, tmp_path: Path
) -> None:
    """A model that gives NaN for black pictures."""
    Image.new("RGB", (64, 64)).save(tmp_path / "black.png")
    index.add(tmp_path / "black.png", optimize=False)
    log = onnx.helper.make_node("Log", ["shifted"], ["image_embeds"])
    shift = onnx.helper.make_node("Sub", ["vector0", "least"], ["shifted"])
    least = onnx.helper.make_node("Constant", [], ["least"], value_float=0.001)
    write_preprocessing(tmp_path / "log")
    write_vision(tmp_path / "log" / "model.onnx", matrix=np.eye(3), more=[least, shift, log])
    report = index.migrate(model=f"onnx:{tmp_path / 'log'}")
    assert (report.filled, report.missed) == (COUNT, 1)
    assert report.problems[0].id.endswith("black.png")
    assert "NaN or infinity" in report.problems[0].detail
    refused = index.cut_over(queries=20, require=ANY_SPEED, missing="keep")
    assert [gate.name for gate in refused.gates if not gate.passed] == ["errors"]
    assert index.cut_over(queries=20, require=f"{ANY_SPEED},errors=1", missing="keep").done


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("onnx:{tmp}", "preprocessor_config.json"),
        ("no/such-model", "no/such-model"),
        ("dinov2", "cannot be loaded"),
    ],
)
def test_a_model_that_is_not_there_changes_nothing(
    index: Index, tmp_path: Path, name: str, problem: str
) -> None:
    before = index._engine.read_manifest()
    with pytest.raises(ModelError, match=problem):
        index.migrate(model=name.format(tmp=tmp_path))
    assert index._engine.read_manifest() == before
    assert index.migration() is None


def test_a_disk_without_room_for_both_refuses(tmp_path: Path, pictures: Path, other: str) -> None:
    with Index.open(tmp_path / "index", model="built-in", subprocess=True) as index:
        index.add(pictures, optimize=False)
        index._engine.folder.reserve = shutil.disk_usage(tmp_path).free  # type: ignore[attr-defined]
        files = sorted(one.name for one in (tmp_path / "index").iterdir())
        with pytest.raises(DiskFull, match="free at least"):
            index.migrate(model=other)
        assert index.migration() is None
        assert sorted(one.name for one in (tmp_path / "index").iterdir()) == files


def test_a_migration_that_another_process_ends_says_so(index: Index, other: str) -> None:
    def cancel(activity: str, done: int, total: int | None) -> None:
        if activity == "describing images" and index.migration() is not None:
            index.cancel_migration()

    with pytest.raises(
        InputError, match="The migration to onnx:other was ended by another process"
    ):
        index.migrate(model=other, progress=cancel)
    assert index.migration() is None
    assert not index.verify().problems
    assert index.migrate(model=other).filled == COUNT


def test_an_engine_in_this_process_refuses(tmp_path: Path, pictures: Path, other: str) -> None:
    with (
        Index.open(tmp_path / "index", model="built-in") as index,
        pytest.raises(InputError, match="subprocess=True"),
    ):
        index.migrate(model=other)


def test_an_index_that_is_open_elsewhere_follows(
    tmp_path: Path, pictures: Path, other: str
) -> None:
    """Two machines have an index on a server open; one of them replaces its model."""
    server = RestServer(Store())
    with (
        Index.open(server.url, model="built-in", server=SERVER) as one,
        Index.open(server.url, server=SERVER) as other_one,
        Index.open(server.url, server=SERVER) as third,
    ):
        one.add(pictures, optimize=False)
        third.refresh()
        one.migrate(model=other)
        assert other_one.add(folder_of(tmp_path / "more", 1, first=COUNT)).added == 1
        assert other_one.put([folder_of(tmp_path / "put", 1, first=COUNT + 1) / "041.jpg"]).added
        assert lacking(one) == 0
        cut_over(one)
        one.finish_migration()
        queries: list[dict[str, Any]] = [
            {"image": pictures / "007.jpg"},
            {"id": str(pictures / "007.jpg")},
        ]
        assert hits(other_one, pictures) == hits(one, pictures)
        assert all(isinstance(found, Hits) for found in third.search_many(queries))
        assert not third.verify().problems
    server.close()


@pytest.mark.slow
def test_an_end_that_was_cut_off_is_completed_alone(
    index: Index, pictures: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, name: str) -> None:
        raise KeyboardInterrupt

    before = hits(index, pictures)
    for ending, otherwise in (("cancel", "finish"), ("finish", "cancel")):
        index.migrate(model=other)
        if ending == "finish":
            cut_over(index)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(type(index._engine), "drop_vector", fail)
            getattr(index, f"{ending}_migration")()
        assert phase(index) == "ending"
        for refused in (
            lambda: index.migrate(model=other),
            index.compare_models,
            index.cut_over,
            getattr(index, f"{otherwise}_migration"),
        ):
            with pytest.raises(InputError, match=f"run `lookalike migrate {ending}` once more"):
                refused()
        assert (hits(index, pictures) == before) is (ending == "cancel")
        getattr(index, f"{ending}_migration")()
        assert index.migration() is None


@pytest.mark.slow
def test_the_state_can_be_read_at_any_moment(tmp_path: Path, pictures: Path, other: str) -> None:
    """A page that shows the progress reads it while the vectors are installed and removed, too."""
    with Index.open(tmp_path / "index", model="built-in", subprocess=True) as index:
        index.add(pictures, optimize=False)
        ended = threading.Event()

        def read() -> list[int]:
            seen = []
            while not ended.is_set():
                status = index.migration()
                seen += [] if status is None else [status.lacking]
            return seen

        with ThreadPoolExecutor() as pool:
            reading = pool.submit(read)
            try:
                assert index.migrate(model=other).status.phase == "ready"
                index.cancel_migration()
            finally:
                ended.set()
            assert set(reading.result()) >= {0}
