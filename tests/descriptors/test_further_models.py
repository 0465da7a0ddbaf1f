"""Several semantic models in one index."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lookalike.descriptors.onnx_model import load_onnx
from lookalike.errors import IndexDamaged, ModelError
from lookalike.index import Index
from tests.support.command_line import error, lookalike
from tests.support.onnx_models import standin_folder, write_preprocessing, write_vision
from tests.support.pictures import folder_of


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """The folder of a model that sees mean colors alone."""
    write_preprocessing(tmp_path / "tiny")
    write_vision(tmp_path / "tiny" / "model.onnx")
    return tmp_path / "tiny"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", 4)


def test_a_further_model_is_an_aspect_like_the_others(
    tiny: Path, photos: Path, tmp_path: Path
) -> None:
    at = tmp_path / "index"
    with Index.open(at, model="built-in", also=[f"onnx:{tiny}"]) as index:
        index.add(photos)
    with Index.open(at) as index:
        assert index.aspects == ["semantic", "color", "texture", "semantic:tiny"]
        query = photos / "002.jpg"
        (vector,) = index.embed([query], aspect="semantic:tiny")
        direct = load_onnx(tiny, "onnx:tiny").describe([index.decode(query)]).vectors[0]
        np.testing.assert_allclose(vector, direct, atol=5e-3)  # decoded at another size
        hits = index.search(image=query, weights={"semantic": 0.5, "semantic:tiny": 0.5})
        assert set(hits[0].scores) == {"semantic", "semantic:tiny"}
        assert hits[0].scores["semantic:tiny"] == pytest.approx(1, abs=1e-3)
        assert list(index.search(image=query).weights) == ["semantic"]
        assert index.add(photos).unchanged == 4


def test_a_text_is_read_by_the_model_that_supports_it(
    data: Path, tiny: Path, photos: Path, tmp_path: Path
) -> None:
    standin = standin_folder(data, tmp_path / "standin")
    at = tmp_path / "index"
    with Index.open(at, model=f"onnx:{tiny}", also=f"onnx:{standin}") as index:
        index.add(photos)
        assert index.supports_text
        assert list(index.search(text="red shoes").weights) == ["semantic:standin"]
    (standin / "onnx" / "text_model.onnx").write_bytes(b"other weights")
    with Index.open(at) as index, pytest.raises(ModelError, match="another text model"):
        index.search(text="red shoes")


def test_on_the_command_line(tiny: Path, photos: Path, tmp_path: Path) -> None:
    at = ("--index", tmp_path / "index")
    lookalike("index", photos, *at, "--model", "built-in", "--also", f"onnx:{tiny}")
    lookalike("index", photos, *at, "--also", f"onnx:{tiny}")
    found = lookalike(
        "search", "--image", photos / "001.jpg", *at, "--weights", "semantic:tiny=1", "--json"
    )
    assert json.loads(found.stdout)["hits"][0]["id"].endswith("001.jpg")
    message = error("index", photos, *at, "--also", "dinov2", code=1)
    assert (
        "has no aspect 'semantic:dinov2', only semantic, color, texture, semantic:tiny" in message
    )


@pytest.mark.parametrize(
    ("model", "also"), [("built-in", ["built-in"]), ("onnx:tiny", ["built-in", "onnx:tiny"])]
)
def test_a_model_counts_once(
    tiny: Path, tmp_path: Path, model: str, also: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    with pytest.raises(ModelError, match="name each model once"):
        Index.open(tmp_path / "index", model=model, also=also)


def test_the_built_in_model_beside_another(tiny: Path, photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model=f"onnx:{tiny}", also=["built-in"]) as index:
        assert index.add(photos).added == 4
        weights = {"semantic:built-in": 1.0}
        assert index.search(image=photos / "003.jpg", weights=weights)[0].id.endswith("003.jpg")


def test_the_folder_of_a_further_model_may_move(tiny: Path, photos: Path, tmp_path: Path) -> None:
    at = tmp_path / "index"
    Index.open(at, model="built-in", also=[f"onnx:{tiny}"]).close()
    (tmp_path / "new").mkdir()
    moved = tiny.rename(tmp_path / "new" / "tiny")
    with Index.open(at) as index, pytest.raises(ModelError, match="There is no folder"):
        index.add(photos)
    with Index.open(at, also=[f"onnx:{moved}"]) as index:
        assert index.add(photos).added == 4
    write_vision(moved / "model.onnx", matrix=2 * np.eye(3, 4))
    with (
        Index.open(at, also=[f"onnx:{moved}"]) as index,
        pytest.raises(ModelError, match=r"made with onnx:tiny \(revision"),
    ):
        index.search(image=photos / "001.jpg", weights={"semantic:tiny": 1})


@pytest.mark.parametrize(
    "further", [{"none": {}}, {"onnx-tiny": {"model_dir": 3}}, {"onnx-tiny": {"dir": "/"}}, 3]
)
def test_a_damaged_record_of_a_further_model(tiny: Path, tmp_path: Path, further: object) -> None:
    at = tmp_path / "index"
    Index.open(at, model="built-in", also=[f"onnx:{tiny}"]).close()
    manifest = json.loads((at / "manifest.json").read_text())
    (at / "manifest.json").write_text(json.dumps({**manifest, "further": further}))
    with pytest.raises(IndexDamaged, match="manifest of the index"):
        Index.open(at)
