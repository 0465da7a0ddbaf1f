"""Health of an index: what is found, how much it weighs, and when it is forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from lookalike import Upload
from lookalike.admin.health import Level, Patient, Recall, examine
from lookalike.index import Index
from lookalike.protocols import Engine
from lookalike.types import Image
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of

COUNT = 6


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", COUNT)


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(photos)
        yield index


def advice(index: Index) -> Mapping[str, str]:
    """What is not fine, by what it is about."""
    findings = index.doctor().findings
    return {one.about: f"{one.what} {one.remedy}" for one in findings if one.level != Level.FINE}


def test_a_sound_index(index: Index) -> None:
    found = index.doctor()
    assert advice(index) == {}
    assert not found.is_damaged
    assert (found.images, list(found.rejects)) == (COUNT, [])
    assert {one.aspect: one.recall for one in found.vectors.values()} == dict.fromkeys(
        ("semantic", "color", "texture"), (1.0, 1.0, 1.0)
    )
    assert 0 < (found.bytes_on_disk or 0) < (found.bytes_free or 0)
    assert found.memory > 0
    assert {"lookalike", "qdrant-edge-py", "python", "system"} == set(found.versions)
    assert all(one.recall is None for one in index.doctor(probes=0).vectors.values())


def test_an_empty_index(tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in") as index:
        assert list(advice(index)) == ["graph"]
        assert "is empty" in advice(index)["graph"]


def test_rejects_are_named_until_their_file_is_mended_or_gone(index: Index, photos: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        (photos / name).write_bytes(b"no picture")
    (photos / "c.jpg").write_bytes((photos / "001.jpg").read_bytes()[:700])
    index.add(photos)
    found = index.doctor()
    assert [Path(one.uri).name for one in found.rejects] == ["a.jpg", "b.jpg", "c.jpg"]
    assert "3 files could not be indexed: 2 " in advice(index)["rejects"]
    (photos / "a.jpg").unlink()
    (photos / "b.jpg").write_bytes((photos / "002.jpg").read_bytes())
    index.add(photos / "001.jpg")  # says nothing of the others
    assert len(index.doctor().rejects) == 3
    index.add(photos)
    assert [Path(one.uri).name for one in index.doctor().rejects] == ["c.jpg"]


def test_files_that_are_gone(index: Index, photos: Path) -> None:
    (photos / "003.jpg").unlink()
    assert "1 of 6 files that were looked for are gone, such as" in advice(index)["files"]
    assert "003.jpg" in advice(index)["files"]


def test_a_calibration_that_is_due(index: Index, tmp_path: Path) -> None:
    more = folder_of(tmp_path / "more", 40, first=100)
    index.put([Upload(file.read_bytes(), uri=str(file)) for file in more.iterdir()])
    assert "was never made, and there are 46" in advice(index)["calibration"]
    index.calibrate()
    assert advice(index) == {}


@pytest.mark.slow
def test_a_migration_that_is_under_way(tmp_path: Path, photos: Path) -> None:
    write_preprocessing(tmp_path / "other")
    write_vision(tmp_path / "other" / "model.onnx")
    with Index.open(tmp_path / "index", model="built-in", subprocess=True) as index:
        index.add(photos, optimize=False)
        (photos / "003.jpg").unlink()
        index.migrate(model=f"onnx:{tmp_path / 'other'}")
        found = advice(index)["migration"]
        assert "of semantic to onnx:other is ready; 1 image without its vector" in found
        assert "migrate report" in found
        index.cut_over(missing="keep", require="p95=1000")
        assert "migrate finish" in advice(index)["migration"]
        index.finish_migration()
        assert "migration" not in advice(index)


def test_a_descriptor_that_is_not_at_hand(tmp_path: Path, photos: Path) -> None:
    with Index.open(tmp_path / "own", model="built-in", aspects={"dark": Darkness()}) as index:
        index.add(photos)
        assert advice(index) == {}
    with Index.open(tmp_path / "own") as index:
        assert "The descriptor of the aspect dark is not at hand" in advice(index)["model"]


class Darkness:
    size, version = 2, "1"

    def describe(self, images: Sequence[Image]) -> list[list[float]]:
        return [[1.0, float(image.pixels.mean()) / 255] for image in images]


@pytest.mark.parametrize(
    ("recalls", "size", "about", "what"),
    [
        (
            {"color": (0.83, 0.8, 0.86)},
            None,
            "recall",
            "find 83% of the ten nearest images",
        ),
        ({"color": (0.99, 0.98, 1.0)}, 10**18, "disk", "GB left, and building a search graph may"),
    ],
)
def test_what_cannot_be_had_small(
    index: Index, recalls: Mapping[str, Recall], size: int | None, about: str, what: str
) -> None:
    engine = Large(index._engine, size)
    cache, models = index._cache, index._models
    found = examine(Patient(engine, index._manifest, cache, models, recalls, False))
    assert [one.about for one in found.findings if one.level != Level.FINE] == [about]
    assert what in found.findings[0].what


class Large:
    """An engine that takes more room than it does."""

    def __init__(self, engine: Engine, size: int | None) -> None:
        self._engine, self._size = engine, size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def info(self) -> Mapping[str, Any]:
        info = self._engine.info()
        return {**info, "bytes_on_disk": self._size or info["bytes_on_disk"]}
