"""FastEmbed's image models, tested with a stand-in of CLIP's shapes and a tiny network."""

from __future__ import annotations

import shutil
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fastembed import ImageEmbedding, TextEmbedding

from lookalike.descriptors import clip
from lookalike.descriptors._weights import fingerprint
from lookalike.descriptors.loader import ModelChoice, load_semantic
from lookalike.errors import ModelError, QueryError
from lookalike.imaging.decode import decode
from lookalike.index import Index
from lookalike.protocols import DescribesText
from tests.support.onnx_models import write_preprocessing, write_vision
from tests.support.pictures import folder_of


def choice(model_dir: Path | None, model: str | None = None) -> ModelChoice:
    return ModelChoice(model, model_dir, Path("/nowhere/cache"), hub=None)


@pytest.fixture(scope="module")
def standin(data: Path) -> clip.Clip:
    loaded = load_semantic(choice(data / "standin-clip"))
    assert isinstance(loaded, clip.Clip)
    return loaded


def test_vectors_are_those_of_fastembed(data: Path, standin: clip.Clip) -> None:
    files = sorted((data / "photos").rglob("*.jpg"))[:200:9]
    images = [decode(file.read_bytes()) for file in files]
    expected = ImageEmbedding(
        clip.DEFAULT, specific_model_path=str(data / "standin-clip" / "vision")
    ).embed([PIL.Image.fromarray(image.pixels) for image in images])
    np.testing.assert_allclose(standin.describe(images).vectors, list(expected), atol=1e-4)


def test_pre_processing_is_openai_s_own(data: Path, standin: clip.Clip) -> None:
    """On a photo whose array OpenAI's code made. The rounding of the resize is what differs."""
    reference = data / "standin-clip" / "reference"
    expected = np.load(reference / "expected_preprocessed_image.npy")
    photo = PIL.Image.open(reference / "franz-kafka.jpg").convert("RGB")
    made = np.asarray(standin._model.model.processor([photo])[0])  # type: ignore[attr-defined]
    assert made.shape == expected.reshape(made.shape).shape
    assert abs(made - expected.reshape(made.shape)).max() < 0.05


def test_words_are_those_of_the_text_tower(data: Path, standin: clip.Clip) -> None:
    assert isinstance(standin, DescribesText)
    tower = TextEmbedding(
        "Qdrant/clip-ViT-B-32-text", specific_model_path=str(data / "standin-clip" / "text")
    )
    expected = next(iter(tower.embed(["red shoes"])))
    (vector,) = standin.describe_text(["red shoes"])
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_a_text_beyond_the_limit_is_said_to_be_cut(data: Path, tmp_path: Path) -> None:
    pictures = folder_of(tmp_path / "photos", 2)
    with Index.open(tmp_path / "index", model_dir=data / "standin-clip") as index:
        index.add(pictures)
        for words, cut in ((60, False), (90, True)):
            hits = index.search(text="shoes " * words)
            said = "reads only its beginning" in hits.explanation.aspects["semantic"].target
            assert said == cut


def test_the_spec_names_model_and_weights(standin: clip.Clip) -> None:
    spec = standin.spec
    assert (spec.name, spec.aspect, spec.size) == ("clip-vit-b-32", "semantic", 512)
    assert spec.model == "Qdrant/clip-ViT-B-32-vision"
    assert len(spec.revision) == 16
    assert standin.side == 224


def with_other_weights(data: Path, part: str, folder: Path) -> Path:
    """A copy of the stand-in in which one model, `vision` or `text`, has other weights."""
    shutil.copytree(data / "standin-clip", folder)
    weights = folder / part / "model.onnx"
    for path in (weights.parent, weights):
        path.chmod(0o755)
    content = bytearray(weights.read_bytes())
    content[len(content) * 7 // 16 + 100] ^= 1
    weights.write_bytes(content)
    return folder


def test_other_weights_are_another_revision(data: Path, standin: clip.Clip, tmp_path: Path) -> None:
    weights = with_other_weights(data, "vision", tmp_path / "model") / "vision" / "model.onnx"
    assert fingerprint(weights) != standin.spec.revision


def test_another_text_model_answers_no_texts(data: Path, tmp_path: Path) -> None:
    pictures = folder_of(tmp_path / "photos", 2)
    at, own = tmp_path / "index", data / "standin-clip"
    with Index.open(at, model_dir=own) as index:
        index.add(pictures)
        found = index.search(text="red shoes")
        id = found[0].id
    with Index.open(at, model_dir=with_other_weights(data, "text", tmp_path / "model")) as index:
        assert len(index.search(id=id)) == 1
        for _ in range(2):
            with pytest.raises(ModelError, match=r"another text model \(revision \w{16}\) than"):
                index.search(text="red shoes")
        with pytest.raises(ModelError, match="name the folder of its own model"):
            index.embed(texts="red shoes")
    with Index.open(at, model_dir=own) as index:
        assert index.search(text="red shoes")[0].id == found[0].id


def test_a_text_model_that_comes_later_is_taken(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(data / "standin-clip" / "vision", model / "vision")
    pictures = folder_of(tmp_path / "photos", 2)
    with Index.open(tmp_path / "index", model_dir=model) as index:
        index.add(pictures)
    shutil.copytree(data / "standin-clip" / "text", model / "text")
    with Index.open(tmp_path / "index") as index:
        assert len(index.search(text="red shoes")) == 2


def test_a_folder_with_the_image_model_alone_knows_no_words(data: Path) -> None:
    loaded = load_semantic(choice(data / "standin-clip" / "vision"))
    assert not isinstance(loaded, DescribesText)
    assert isinstance(loaded, clip.Clip)
    assert loaded.text_problem.endswith(f"no folder {data / 'standin-clip' / 'text'}")


def test_a_search_by_text_says_that_the_text_model_is_missing(data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "standin-clip" / "vision", tmp_path / "model" / "vision")
    pictures = folder_of(tmp_path / "photos", 2)
    with Index.open(tmp_path / "index", model_dir=tmp_path / "model") as index:
        index.add(pictures)
        with pytest.raises(
            QueryError, match=f"is missing: there is no folder {tmp_path}/model/text"
        ):
            index.search(text="red shoes")


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
        (None, "clip", "weights of Qdrant/clip-ViT-B-32-vision cannot be loaded"),
    ],
)
def test_models_that_cannot_be_loaded(
    tmp_path: Path, folder: str | None, model: str | None, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_text("no model")
    with pytest.raises(ModelError, match=message):
        load_semantic(choice(tmp_path / folder if folder else None, model))


def test_fastembed_s_private_names_are_where_we_read_them(tmp_path: Path) -> None:
    """A guard: `clip` reads the weights' folder, the pre-processing's size and the session from
    attributes that FastEmbed does not publish."""
    folder = tmp_path / "tiny"
    write_preprocessing(folder, side=96)
    write_vision(folder / "model.onnx")
    tiny = clip.Clip(clip.DEFAULT, {"specific_model_path": str(folder)})
    assert tiny.side == 96
    assert "CPUExecutionProvider" in clip._session(tiny).get_providers()
    assert tiny.spec.size == 4
    assert tiny.spec.revision == fingerprint(folder / "model.onnx")
    file = BytesIO()
    PIL.Image.new("RGB", (120, 100), "red").save(file, "PNG")
    red = decode(file.getvalue())
    np.testing.assert_allclose(tiny.describe([red]).vectors, [[1, 0, 0, 0]], atol=1e-6)
