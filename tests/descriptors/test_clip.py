"""The image model of FastEmbed's, tried with the stand-in that has CLIP's shapes."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fastembed import ImageEmbedding, TextEmbedding

from lookalike import descriptors
from lookalike.descriptors import ModelChoice, clip
from lookalike.errors import ModelError
from lookalike.imaging.decode import decode
from lookalike.protocols import DescribesText


def choice(model_dir: Path | None, model: str | None = None, hub: str | None = None) -> ModelChoice:
    return ModelChoice(model, model_dir, Path("/nowhere/cache"), hub)


@pytest.fixture(scope="module")
def standin(data: Path) -> clip.Clip:
    found = descriptors.load_semantic(choice(data / "standin-clip"))
    assert isinstance(found, clip.Clip)
    return found


def test_it_is_what_fastembed_says(data: Path, standin: clip.Clip) -> None:
    files = sorted((data / "photos").rglob("*.jpg"))[:200:9]
    images = [decode(file.read_bytes()) for file in files]
    theirs = ImageEmbedding(
        clip.DEFAULT, specific_model_path=str(data / "standin-clip" / "vision")
    ).embed([PIL.Image.fromarray(image.pixels) for image in images])
    np.testing.assert_allclose(standin.describe(images).vectors, list(theirs), atol=1e-4)


def test_pre_processing_is_openai_s_own(data: Path, standin: clip.Clip) -> None:
    """On a photo whose array OpenAI's code made; what is left is the resize's rounding."""
    reference = data / "standin-clip" / "reference"
    expected = np.load(reference / "expected_preprocessed_image.npy")
    photo = PIL.Image.open(reference / "franz-kafka.jpg").convert("RGB")
    made = np.asarray(standin._model.model.processor([photo])[0])  # type: ignore[attr-defined]
    assert made.shape == expected.reshape(made.shape).shape
    assert abs(made - expected.reshape(made.shape)).max() < 0.05


def test_words_are_those_of_the_text_tower(data: Path, standin: clip.Clip) -> None:
    assert isinstance(standin, DescribesText)
    theirs = next(
        iter(
            TextEmbedding(
                "Qdrant/clip-ViT-B-32-text", specific_model_path=str(data / "standin-clip" / "text")
            ).embed(["red shoes"])
        )
    )
    (ours,) = standin.describe_text(["red shoes"])
    np.testing.assert_allclose(ours, theirs / np.linalg.norm(theirs), atol=1e-6)


def test_the_spec_names_model_and_weights(standin: clip.Clip) -> None:
    spec = standin.spec
    assert (spec.name, spec.aspect, spec.size) == ("clip-vit-b-32", "semantic", 512)
    assert spec.model == "Qdrant/clip-ViT-B-32-vision"
    assert len(spec.revision) == 16
    assert standin.side == 224


def test_other_weights_are_another_revision(data: Path, standin: clip.Clip, tmp_path: Path) -> None:
    vision = shutil.copytree(data / "standin-clip" / "vision", tmp_path / "vision")
    weights = vision / "model.onnx"
    weights.chmod(0o644)
    content = bytearray(weights.read_bytes())
    content[len(content) * 7 // 16 + 100] ^= 1
    weights.write_bytes(content)
    assert clip._fingerprint(weights) != standin.spec.revision


def test_a_folder_with_the_image_model_alone_knows_no_words(data: Path) -> None:
    found = descriptors.load_semantic(choice(data / "standin-clip" / "vision"))
    assert not isinstance(found, DescribesText)


def test_it_can_be_called_from_several_threads(data: Path, standin: clip.Clip) -> None:
    images = [decode(file.read_bytes()) for file in sorted((data / "photos").rglob("*.jpg"))[:8]]
    expected = standin.describe(images).vectors
    results: list[np.ndarray] = []
    threads = [
        threading.Thread(target=lambda: results.append(standin.describe(images).vectors))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result in results:
        np.testing.assert_allclose(result, expected, atol=1e-6)
    assert len(results) == 4


@pytest.mark.parametrize(
    ("folder", "model", "message"),
    [
        ("empty", None, "holds no .onnx file"),
        ("broken", None, "cannot be loaded as Qdrant/clip-ViT-B-32-vision"),
        (None, "vgg", "no image model 'vgg'"),
        (None, "clip", "weights of Qdrant/clip-ViT-B-32-vision cannot be had"),
    ],
)
def test_models_that_cannot_be_had(
    tmp_path: Path, folder: str | None, model: str | None, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_text("no model")
    with pytest.raises(ModelError, match=message):
        descriptors.load_semantic(choice(tmp_path / folder if folder else None, model))


def test_a_hub_that_never_answers_costs_seconds_not_minutes(tmp_path: Path) -> None:
    started = time.monotonic()
    found, notice = descriptors.choose_semantic(
        ModelChoice(None, None, tmp_path, "http://192.0.2.1")  # never answers (RFC 5737)
    )
    assert time.monotonic() - started < 5
    assert found.spec.name == descriptors.BUILT_IN
    assert notice is not None
    assert "--model clip" in notice


def test_the_probe_sees_who_listens_and_who_does_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert descriptors._answers(f"http://127.0.0.1:{port}")
    assert not descriptors._answers(f"http://127.0.0.1:{port}", seconds=1)
