"""Models by name: the list, its page, and downloads from a hub of this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lookalike
from lookalike.descriptors.catalog import NAMED
from lookalike.errors import ModelError
from lookalike.index import Index
from tests.support.command_line import lookalike_process
from tests.support.model_hub import model_hub
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.paths import ROOT
from tests.support.pictures import folder_of

DINOV2 = next(one for one in NAMED if one.name == "dinov2")


def dinov2(folder: Path, size: int = 384) -> Path:
    """A tiny network with the files and the output of DINOv2's export."""
    write_preprocessing(folder, image_processor_type="BitImageProcessor")
    matrix = np.random.default_rng(0).normal(size=(3, size))
    write_vision(folder / "onnx" / "model.onnx", matrix=matrix, outputs=["last_hidden_state"])
    return folder


def test_the_page_has_all_names() -> None:
    page = (ROOT / "docs" / "models.md").read_text("utf-8")
    for one in NAMED:
        row = (
            f"| `{one.name}` | `{one.model}` | {one.dimensions} | {one.megabytes:,g} | "
            f"{one.license} | {one.text or 'no'} | {one.purpose} |"
        )
        assert row in page


def test_facts_of_fastembed_s_models_are_its_own(tmp_path: Path) -> None:
    from lookalike.descriptors.clip import supported_models

    listed = {one.model: one for one in lookalike.models(tmp_path)}
    for image, text in supported_models():
        info = listed[image["model"]]
        both = [image] + ([] if text is None else [text])
        assert info.dimensions == image["dim"]
        assert info.license.lower() == image["license"]
        assert info.megabytes == pytest.approx(1000 * sum(one["size_in_GB"] for one in both))
        assert bool(info.text) == (text is not None)
        assert ("many" in info.text) == (text is not None and "multi" in text["description"][40:])
    assert len(listed) > len(NAMED)


def test_weights_that_are_here_are_known(tmp_path: Path) -> None:
    def here() -> set[str]:
        return {one.name for one in lookalike.models(tmp_path) if one.is_here}

    assert here() == {"built-in"}
    for part in ("vision", "text"):
        assert here() == {"built-in"}
        repository = tmp_path / f"models--Qdrant--clip-ViT-B-32-{part}"
        for folder in ("refs", "snapshots/a"):
            (repository / folder).mkdir(parents=True)
        (repository / "refs" / "main").write_text("a")
        (repository / "snapshots" / "a" / "model.onnx").write_text("weights")
    assert here() == {"built-in", "clip"}


def test_a_model_of_the_hub(tmp_path: Path) -> None:
    """Downloads once; the index keeps the model, and later runs ask no hub."""
    assert DINOV2.hub is not None
    repository = dinov2(tmp_path / "dinov2")
    (repository / "onnx" / "model_fp16.onnx").write_text("not wanted")
    at, photos = tmp_path / "index", folder_of(tmp_path / "photos", 2)
    env = {"FASTEMBED_CACHE_PATH": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    with model_hub({DINOV2.model: repository}) as (hub, requests):
        env["HF_ENDPOINT"] = hub
        command = ("index", photos, "--index", at)
        lookalike_process(*command, "--model", "dinov2", env=env, code=0)
        downloads = [path for path in requests if path.endswith(".onnx")]
        assert downloads == [f"/{DINOV2.model}/resolve/{DINOV2.hub.revision}/onnx/model.onnx"]
        requests.clear()
        folder_of(photos, 3)
        lookalike_process(*command, env=env, code=0)
        listed = json.loads(lookalike_process("models", "--json", env=env, code=0).stdout)
        assert {one["name"] for one in listed if one["is_here"]} == {"built-in", "dinov2"}
        assert requests == []
    with Index.open(at, cache_dir=tmp_path / "cache", hub=None) as index:
        assert index.count() == 3
        assert index.stats()["vectors"]["dinov2-small"]["model"] == DINOV2.model
        assert not index.supports_text


def test_a_hub_without_an_onnx_file(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model.safetensors").write_text("weights")
    env = {"FASTEMBED_CACHE_PATH": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    products = "Marqo/marqo-ecommerce-embeddings-B"
    with model_hub({products: tmp_path / "files"}) as (env["HF_ENDPOINT"], _):
        command = ("index", ROOT, "--index", tmp_path / "index", "--model")
        message = lookalike_process(*command, "products", env=env, code=1).stderr
        assert "has no onnx/vision_model.onnx: export the model to ONNX once" in message
        message = lookalike_process(*command, "fashion", env=env, code=1).stderr
        assert "The weights of fashion (Marqo/marqo-fashionSigLIP) cannot be loaded" in message


def test_without_a_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"weights of dinov2 .* name a folder that holds them"):
        Index.open(tmp_path / "index", model="dinov2", cache_dir=tmp_path, hub=None)


def test_a_named_model_in_a_folder(tmp_path: Path) -> None:
    options: dict[str, Any] = {"model": "dinov2", "cache_dir": tmp_path, "hub": None}
    folder = dinov2(tmp_path / "model")
    with Index.open(tmp_path / "index", model_dir=folder, **options) as index:
        assert index.stats()["vectors"]["dinov2-small"]["size"] == 384
    with Index.open(tmp_path / "index", **options) as index:
        index.add(folder_of(tmp_path / "photos", 2))
    other = dinov2(tmp_path / "other", size=385)
    with pytest.raises(ModelError, match="vectors of 385 numbers and onnx-community/dinov2"):
        Index.open(tmp_path / "second", model_dir=other, **options)
