"""Aspects of the user's own: chosen at creation, remembered, checked when loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike import AspectDescriptor, Index, Upload
from lookalike.errors import ModelError, QueryError
from lookalike.manifest import check_spec
from lookalike.types import Distance, Image, VectorSpec
from tests.support.command_line import documents, error
from tests.support.pictures import draw, folder_of


class Brightness:
    """The brightness of the upper and the lower half, of an image or by words."""

    size = 3
    version = "1"
    side = 64

    def describe(self, images: Sequence[Image]) -> NDArray[np.float64]:
        return np.array([self._halves(image.pixels.mean(axis=(1, 2))) for image in images])

    def describe_text(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.9 * ("bright" in text), 0.9 * ("bright" in text)] for text in texts]

    @staticmethod
    def _halves(rows: NDArray[np.floating]) -> tuple[float, float, float]:
        middle = len(rows) // 2 or 1
        return 1.0, float(rows[:middle].mean() / 255), float(rows[-middle:].mean() / 255)


class Unlike(Brightness):
    """A descriptor whose attributes a test sets."""

    def __init__(self, **attributes: Any) -> None:
        for name, value in attributes.items():
            setattr(self, name, value)


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """An index with an own aspect."""
    own: AspectDescriptor = Brightness()
    with Index.open(tmp_path / "own", model="built-in", aspects={"light": own}) as index:
        assert index.add(photos).added == 12
    return tmp_path / "own"


def test_an_own_aspect_is_weighed_like_the_others(folder: Path, photos: Path) -> None:
    with Index.open(folder, aspects={"light": Brightness()}) as index:
        assert index.aspects == ["semantic", "color", "texture", "light"]
        vectors = {point.id: point.vectors["light"] for point in index.scroll(vectors=True)}
        query = photos / "003.jpg"
        (own,) = index.embed([query], aspect="light")
        expected = {
            id: float(own @ vector / np.linalg.norm(own) / np.linalg.norm(vector))
            for id, vector in vectors.items()
        }
        hits = index.search(image=query, weights={"light": 1}, limit=12, exact=True)
        assert {hit.id: hit.score for hit in hits} == pytest.approx(expected, abs=1e-4)
        blend = index.search(image=query, weights={"semantic": 1, "light": 1}, limit=3)
        assert set(blend[0].scores) == {"semantic", "light"}
        index.put([Upload(np.asarray(draw(99)), id="own", vector={"light": [0, 1, 0]})])
        assert index.get("own", vectors=True).vectors["light"] == pytest.approx([0, 1, 0])


def test_words_search_an_own_aspect_that_knows_them(folder: Path) -> None:
    with Index.open(folder, aspects={"light": Brightness()}) as index:
        assert index.supports_text
        (words,) = index.embed(texts="bright", aspect="light")
        best = index.search(vector={"light": words}, limit=12, exact=True)
        assert [hit.id for hit in index.search(text="bright", limit=12, exact=True)] == [
            hit.id for hit in best
        ]
        with pytest.raises(QueryError, match="does not know the word 'bright'"):
            index.embed(texts="bright")


def test_without_the_descriptor_stored_vectors_still_search(folder: Path, photos: Path) -> None:
    with Index.open(folder) as index:
        (first, *_) = (point.id for point in index.scroll())
        assert len(index.search(id=first, weights={"light": 1}, limit=3)) == 3
        assert len(index.search(image=photos / "003.jpg", limit=3)) == 3
        assert index.supports_text  # by the words of the built-in model
        with pytest.raises(QueryError, match="does not know the word 'bright'"):
            index.search(text="bright")
        assert index.add(photos).unchanged == 12
        index.put([Upload(np.asarray(draw(98)), id="own", vector={"light": [0, 1, 0]})])
        assert index.search(vector={"light": [0, 1, 0]}, limit=1)[0].id == "own"
        for describe in (
            lambda: index.search(image=photos / "003.jpg", weights={"light": 1}),
            lambda: index.put([Upload(np.asarray(draw(99)))]),
            lambda: index.embed([photos / "003.jpg"], aspect="light"),
        ):
            with pytest.raises(ModelError, match=r"needs its descriptor \(.*Brightness, version 1"):
                describe()


@pytest.mark.parametrize(
    ("aspects", "message"),
    [
        ({"light": Unlike(version="2")}, "revision 2"),
        ({"light": Unlike(size=3, name="other")}, "this is other"),
        ({"sleeves": Brightness()}, "This index has no aspect 'sleeves'"),
    ],
)
def test_an_index_keeps_its_aspects(folder: Path, aspects: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Index.open(folder, aspects=aspects)


def _by_batch(images: Sequence[Image]) -> NDArray[np.float64]:
    rows: NDArray[np.float64] = Brightness().describe(images)
    return np.asarray(rows - 0.5 * rows.mean(axis=0))


def _fails(images: Sequence[Image]) -> NDArray[np.float64]:
    raise RuntimeError("no GPU")


@pytest.mark.parametrize(
    ("name", "descriptor", "message"),
    [
        ("light", Unlike(size=0), "0 dimensions"),
        ("light", Unlike(size="3"), "'3' dimensions"),
        ("light", Unlike(size=4), r"shape \(2, 3\) for 2 inputs: it must be \(2, 4\)"),
        ("light", Unlike(version=""), "no version"),
        ("light", Unlike(side=0), "wants 0 pixels"),
        ("light", Unlike(distance="l2"), "is 'l2': use cosine, dot, euclid, manhattan"),
        ("light", Unlike(describe=lambda images: np.full((len(images), 3), np.nan)), "NaN"),
        ("light", Unlike(describe=lambda images: np.zeros((len(images), 3))), "zero"),
        ("light", Unlike(describe=lambda images: ["text"] * len(images)), "failed"),
        ("light", Unlike(describe=_by_batch), "another vector of an image alone"),
        ("light", Unlike(describe=_fails), "no GPU"),
        ("light", object(), "without `describe`"),
        ("color", Brightness(), "not a valid name"),
        ("a b", Brightness(), "not a valid name"),
    ],
)
def test_a_wrong_descriptor_is_refused_when_loaded(
    tmp_path: Path, name: str, descriptor: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        Index.open(tmp_path / "own", model="built-in", aspects={name: descriptor})
    assert not (tmp_path / "own" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"distance": "cosine"}, "the distance 'cosine'"),
        ({"size": 0}, "0 dimensions"),
        ({"datatype": "int8"}, "the type 'int8'"),
        ({"name": "a b"}, "no usable name"),
        ({"revision": ""}, "no version"),
    ],
)
def test_a_wrong_spec_of_any_plug_in_is_refused(wrong: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "name": "light", "aspect": "light", "size": 3, "distance": Distance.COSINE,
        "datatype": "float32", "model": "light", "revision": "1",
    }  # fmt: skip
    check_spec(VectorSpec(**good))
    with pytest.raises(ModelError, match=message):
        check_spec(VectorSpec(**{**good, **wrong}))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package that registers the aspect `light`."""
    site = tmp_path / "site"
    information = site / "lights-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: lights\nVersion: 1.0\n")
    entry = "light = tests.descriptors.test_aspects:Brightness"
    (information / "entry_points.txt").write_text(f"[lookalike.aspects]\n{entry}\n")
    monkeypatch.syspath_prepend(str(site))
    yield
    sys.path_importer_cache.pop(str(site), None)


@pytest.mark.usefixtures("package")
def test_a_package_registers_an_aspect(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 4)
    with pytest.raises(ModelError, match="No descriptor of the aspect 'sleeves' is registered"):
        Index.open(tmp_path / "own", model="built-in", aspects=["sleeves"])
    arguments = ("index", photos, "--index", tmp_path / "own", "--model", "built-in")
    assert documents(*arguments, "--aspect", "light")["added"] == 4
    assert "No descriptor of the aspect 'sleeves'" in error(
        *arguments, "--aspect", "sleeves", code=1
    )
    with Index.open(tmp_path / "own") as index:  # which finds it by the name in the manifest
        assert index.add(folder_of(tmp_path / "more", 2, first=9)).added == 2
        assert len(index.search(image=photos / "000.jpg", weights={"light": 1}, limit=3)) == 3
