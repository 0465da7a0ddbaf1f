"""Models in several precisions: the choice of their files, and what they cost in agreement."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from onnxruntime.quantization import quantize_dynamic  # type: ignore[import-untyped]

from lookalike.descriptors.catalog import NAMED, split_precision
from lookalike.descriptors.onnx_model import load_onnx
from lookalike.errors import ModelError, QueryError
from lookalike.index import Index
from tests.support.command_line import error, lookalike
from tests.support.model_hub import model_hub
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of

MATRIX = np.random.default_rng(0).normal(size=(3, 16))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in three precisions; the one in int8 rounds by the range of the whole batch."""
    folder = tmp_path_factory.mktemp("precision") / "model"
    write_preprocessing(folder)
    full = write_vision(folder / "onnx" / "vision_model.onnx", matrix=MATRIX)
    write_vision(folder / "onnx" / "vision_model_fp16.onnx", matrix=MATRIX, half=True)
    quantize_dynamic(full, folder / "onnx" / "vision_model_quantized.onnx")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of(tmp_path_factory.mktemp("photos") / "photos", 24)


def test_each_precision_is_a_model_of_its_own(model: Path) -> None:
    full, half, quantized = (
        load_onnx(model, name) for name in ("onnx:m", "onnx:m:fp16", "onnx:m:int8")
    )
    assert [one.spec.name for one in (full, half, quantized)] == [
        "onnx-m", "onnx-m-fp16", "onnx-m-int8",
    ]  # fmt: skip
    assert len({one.spec.revision for one in (full, half, quantized)}) == 3
    for one in (full, half, quantized):
        one.check()


def test_an_index_keeps_its_precision(model: Path, photos: Path, tmp_path: Path) -> None:
    at = tmp_path / "index"
    with Index.open(at, model=f"onnx:{model}", precision="int8", also=f"onnx:{model}") as index:
        index.add(photos)
        assert index.aspects == ["semantic", "color", "texture", "semantic:model"]
    with Index.open(at, model=f"onnx:{model}:int8") as index:
        assert index.stats()["vectors"]["onnx-model-int8"]["model"] == "onnx:model:int8"
        query = photos / "003.jpg"
        hits = index.search(image=query, weights={"semantic": 0.5, "semantic:model": 0.5})
        assert hits[0].id == str(query)


def test_a_precision_that_is_not_there(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    (folder / "onnx" / "vision_model_fp16.onnx").unlink()
    at = tmp_path / "index"
    with pytest.raises(ModelError, match=r"no image model in fp16: .* onnx/vision_model_fp16.onnx"):
        Index.open(at, model=f"onnx:{folder}", precision="fp16")
    with pytest.raises(ModelError, match="lookalike-small-1 comes in one precision alone"):
        Index.open(at, model="built-in", precision="int8")


def test_names_with_a_precision() -> None:
    assert split_precision("dinov2:int8") == ("dinov2", "int8")
    assert split_precision("dinov2:fp32") == ("dinov2", None)
    assert split_precision("onnx:a/b:fp16") == ("onnx:a/b", "fp16")
    assert split_precision("onnx:int8") == ("onnx:int8", None)
    assert split_precision("onnx:c:int4") == ("onnx:c:int4", None)


def test_the_command_compares_them(model: Path, photos: Path) -> None:
    command = ("precision", photos, "--model", f"onnx:{model}")
    made = json.loads(lookalike(*command, "--json").stdout)
    assert [one["precision"] for one in made] == ["fp32", "fp16", "int8"]
    assert made[0]["agreement"] == 1
    assert 0.5 < made[2]["agreement"] <= made[1]["agreement"] <= 1
    assert all(one["images"] == 24 and one["images_per_second"] > 0 for one in made)
    assert "top 10 as in fp32" in lookalike(*command).stdout


def test_a_comparison_that_cannot_be_made(model: Path, photos: Path, tmp_path: Path) -> None:
    few = folder_of(tmp_path / "few", 3)
    message = error("precision", few, "--model", f"onnx:{model}", code=2)
    assert "There are 3 pictures in" in message
    message = error("precision", photos, "--model", "built-in", code=1)
    assert "comes in one precision alone" in message


def test_the_hub_gives_the_files_of_one_precision(model: Path, tmp_path: Path) -> None:
    from tests.support.command_line import lookalike_process

    dinov2 = next(one for one in NAMED if one.name == "dinov2")
    files = tmp_path / "files"
    write_preprocessing(files)
    matrix = np.random.default_rng(1).normal(size=(3, dinov2.dimensions))
    full = write_vision(files / "onnx" / "model.onnx", matrix=matrix)
    quantize_dynamic(full, files / "onnx" / "model_int8.onnx")
    photos = folder_of(tmp_path / "photos", 2)
    with model_hub({dinov2.model: files}) as (hub, requests):
        env = {"FASTEMBED_CACHE_PATH": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
        command = ("index", photos, "--index", tmp_path / "index", "--model", "dinov2")
        lookalike_process(*command, "--precision", "int8", env=env | {"HF_ENDPOINT": hub})
        assert [one.rpartition("/")[2] for one in requests if ".onnx" in one] == ["model_int8.onnx"]
    with Index.open(tmp_path / "index", cache_dir=tmp_path / "cache", hub=None) as index:
        assert index.search(image=photos / "001.jpg")[0].id == str(photos / "001.jpg")
        with pytest.raises(QueryError, match="does not support text"):
            index.search(text="a shoe")
