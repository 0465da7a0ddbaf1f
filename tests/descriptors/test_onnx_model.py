"""Models in ONNX format: a stand-in of CLIP's shapes, and tiny networks made here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from fastembed.image.transform.operators import Compose
from onnx import helper

from lookalike.descriptors._preprocessing import read_preprocessing
from lookalike.descriptors._probes import probes
from lookalike.descriptors.loader import ModelChoice, load_semantic
from lookalike.descriptors.onnx_model import OnnxModel, OnnxModelWithText, load_onnx
from lookalike.errors import InputError, ModelError, QueryError
from lookalike.imaging.decode import decode
from lookalike.index import Index
from lookalike.protocols import DescribesText
from tests.support.onnx_models import (
    standin_folder,
    write_preprocessing,
    write_text,
    write_tokenizer,
    write_vision,
)
from tests.support.pictures import folder_of


def tiny(folder: Path, **network: Any) -> OnnxModel:
    """A model of four dimensions that sees mean colors alone."""
    write_preprocessing(folder)
    write_vision(folder / "model.onnx", **network)
    return load_onnx(folder, "onnx:tiny")


# --- the same as through FastEmbed ----------------------------------------------------------


def flat(data: Path, folder: Path) -> Path:
    """The stand-in of CLIP with all files in one folder."""
    standin_folder(data, folder)
    (folder / "onnx" / "vision_model.onnx").rename(folder / "vision.onnx")
    (folder / "onnx" / "text_model.onnx").rename(folder / "text.onnx")
    return folder


@pytest.mark.parametrize(
    "layout", [standin_folder, flat, lambda data, folder: data / "standin-clip"]
)
def test_vectors_are_those_of_fastembed(data: Path, tmp_path: Path, layout: Any) -> None:
    model = load_onnx(layout(data, tmp_path / "model"), "onnx:model")
    other = load_semantic(ModelChoice(None, data / "standin-clip", tmp_path, None))
    assert isinstance(model, OnnxModelWithText)
    assert isinstance(other, DescribesText)
    images = [decode(file.read_bytes()) for file in sorted((data / "photos").rglob("*.jpg"))[:5]]
    expected = other.describe(images).vectors
    np.testing.assert_allclose(model.describe(images).vectors, expected, atol=1e-5)
    texts = ["red shoes", "a leopard", "shoes " * 90]
    np.testing.assert_allclose(model.describe_text(texts), other.describe_text(texts), atol=1e-5)
    assert [model.is_cut(text) for text in texts] == [False, False, True]
    model.check()


@pytest.mark.parametrize(
    "settings",
    [
        {
            "image_processor_type": "CLIPImageProcessor",
            "resample": 2,
            "size": {"shortest_edge": 48},
        },
        {"image_processor_type": "CLIPImageProcessor", "crop_size": 24},
        {
            "image_processor_type": "SiglipImageProcessor",
            "size": {"height": 24, "width": 40},
            "do_center_crop": False,
            "image_mean": [0.5, 0.4, 0.3],
            "image_std": [0.5, 0.6, 0.7],
            "do_normalize": True,
        },
        {"image_processor_type": "ConvNextFeatureExtractor", "do_center_crop": False},
        {
            "image_processor_type": "ConvNextFeatureExtractor",
            "size": {"shortest_edge": 384},
            "do_center_crop": False,
        },
        {
            "do_rescale": False,
            "do_normalize": True,
            "image_mean": [9, 8, 7],
            "image_std": [1, 2, 3],
        },
    ],
)
def test_pre_processing_is_that_of_fastembed(tmp_path: Path, settings: dict[str, Any]) -> None:
    file = write_preprocessing(tmp_path, **settings)
    own = read_preprocessing(file)
    reference = Compose.from_config(json.loads(file.read_text()))
    for probe in probes(60):
        (expected,) = reference([PIL.Image.fromarray(probe.pixels)])
        np.testing.assert_allclose(own(probe.pixels), np.asarray(expected), atol=1e-5)


def test_a_single_number_is_the_shorter_side_or_a_square(tmp_path: Path) -> None:
    def size(**settings: Any) -> Any:
        return read_preprocessing(write_preprocessing(tmp_path, **settings)).resize

    assert size(size=40, feature_extractor_type="CLIPFeatureExtractor") == 40
    assert size(size=40, image_processor_type="ViTImageProcessor") == (40, 40)


# --- networks of other kinds ----------------------------------------------------------------


def red(model: OnnxModel) -> list[float]:
    """The vector of a red picture."""
    (bright, _) = probes(40)
    pixels = np.zeros_like(bright.pixels)
    pixels[..., 0] = 255
    image = type(bright)(pixels, None, 47, 40, "PNG", "", 1, None)
    return [round(float(value), 3) for value in model.describe([image]).vectors[0]]


MATRIX = np.array([[3.0, 4.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"batch": 1},
        {"batch": 3},
        {"half": True},
        {"outputs": ["logits"]},
        {"outputs": ["last_hidden_state"]},
    ],
)
def test_networks_of_many_forms(tmp_path: Path, network: dict[str, Any]) -> None:
    model = tiny(tmp_path, matrix=MATRIX, **network)
    model.check()
    assert red(model) == [0.6, 0.8, 0.0]
    assert model.describe(probes(40) * 2).vectors.shape == (4, 3)


@pytest.mark.parametrize(
    ("outputs", "taken"),
    [
        (["last_hidden_state", "pooler_output", "image_embeds"], "image_embeds"),
        (["last_hidden_state", "logits", "pooler_output"], "pooler_output"),
        (["last_hidden_state", "logits", "scores"], "logits"),
    ],
)
def test_the_output_is_taken_by_name(tmp_path: Path, outputs: list[str], taken: str) -> None:
    assert tiny(tmp_path, outputs=outputs)._network.output == taken


def test_siglip_pads_texts_to_one_length(tmp_path: Path) -> None:
    """A network whose vectors depend on the padding is right only with padding to one length."""
    tiny(tmp_path)
    write_text(tmp_path / "text.onnx")
    write_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="alone than beside a longer one"):
        load_onnx(tmp_path, "onnx:tiny").check()
    (tmp_path / "config.json").write_text('{"model_type": "siglip", "text_config": {}}')
    model = load_onnx(tmp_path, "onnx:tiny")
    assert isinstance(model, OnnxModelWithText)
    model.check()
    shouted, plain = model.describe_text(["Red shoes!", "red  shoes"])
    np.testing.assert_array_equal(shouted, plain)


def test_a_network_for_a_fixed_number_of_tokens(tmp_path: Path) -> None:
    tiny(tmp_path)
    write_text(tmp_path / "text.onnx", tokens=9)
    write_tokenizer(tmp_path)
    model = load_onnx(tmp_path, "onnx:tiny")
    assert isinstance(model, OnnxModelWithText)
    model.check()
    assert [model.is_cut("red " * n) for n in (9, 10)] == [False, True]


# --- models that cannot be used -------------------------------------------------------------


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.onnx", "holds no image model: it needs one of vision.onnx"),
        ("preprocessor_config.json", "holds no preprocessor_config.json, which the model"),
        ("tokenizer.json", "holds no tokenizer.json, which the model text.onnx needs"),
        (".", "There is no folder"),
    ],
)
def test_a_missing_file(tmp_path: Path, missing: str, message: str) -> None:
    folder = tmp_path / "model"
    tiny(folder)
    write_text(folder / "text.onnx")
    write_tokenizer(folder)
    if missing == ".":
        shutil.rmtree(folder)
    else:
        (folder / missing).unlink()
    with pytest.raises(ModelError, match=message):
        load_onnx(folder, "onnx:tiny")


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("tokenizer_config.json", {"pad_token": 3}),
        ("tokenizer_config.json", {"padding_side": "up"}),
        ("config.json", {"model_type": "siglip", "text_config": 3}),
        ("config.json", {"pad_token_id": "x"}),
    ],
)
def test_settings_of_a_tokenizer_that_cannot_be_used(
    tmp_path: Path, file: str, settings: dict[str, Any]
) -> None:
    tiny(tmp_path)
    write_text(tmp_path / "text.onnx")
    write_tokenizer(tmp_path)
    (tmp_path / file).write_text(json.dumps(settings))
    model = load_onnx(tmp_path, "onnx:tiny")
    with pytest.raises(ModelError, match=f"settings of the tokenizer in {tmp_path} cannot be used"):
        model.check()


@pytest.mark.parametrize("file", ["model.onnx", "preprocessor_config.json", "tokenizer.json"])
def test_a_damaged_file(tmp_path: Path, file: str) -> None:
    tiny(tmp_path)
    write_text(tmp_path / "text.onnx", tokens=9)
    write_tokenizer(tmp_path)
    (tmp_path / file).write_bytes(b"{")
    with pytest.raises(ModelError, match=rf"{tmp_path / file}.* cannot be (loaded|used)"):
        load_onnx(tmp_path, "onnx:tiny").check()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"do_pad": True}, "do_pad is not supported"),
        ({"do_resize": False}, "without do_resize"),
        ({"do_center_crop": False}, "pictures of different sizes"),
        ({"size": {"longest_edge": 9}}, "neither shortest_edge nor height"),
        ({"crop_size": 64}, "crop_size is larger than size"),
        ({"do_normalize": True}, "it lacks 'image_mean'"),
        ({"resample": 17}, "17 is not a valid Resampling"),
        ({"size": {"shortest_edge": 0}}, "from 1 to 4096"),
        ({"size": None}, "NoneType"),
    ],
)
def test_pre_processing_that_cannot_be_used(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    tiny(tmp_path)
    write_preprocessing(tmp_path, **settings)
    with pytest.raises(ModelError, match=rf"preprocessor_config.json cannot be used: .*{message}"):
        load_onnx(tmp_path, "onnx:tiny")


def test_a_model_of_nan(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="zero, or holds NaN"):
        tiny(tmp_path, matrix=np.full((3, 4), np.nan))


def test_a_model_that_mixes_its_batch(tmp_path: Path) -> None:
    mean = helper.make_node("ReduceMean", ["vector0"], ["mean"])
    mixed = helper.make_node("Sub", ["vector0", "mean"], ["image_embeds"])
    with pytest.raises(ModelError, match="in a batch, or at random"):
        tiny(tmp_path, more=[mean, mixed]).check()


def test_towers_of_two_sizes(tmp_path: Path) -> None:
    tiny(tmp_path)
    write_text(tmp_path / "text.onnx", size=5, tokens=9)
    write_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="vectors of 5 numbers and the image model of 4"):
        load_onnx(tmp_path, "onnx:tiny").check()


def test_a_text_model_in_place_of_an_image_model(tmp_path: Path) -> None:
    write_preprocessing(tmp_path)
    write_text(tmp_path / "vision.onnx")
    with pytest.raises(ModelError, match="its input input_ids has 2 dimensions instead of 4"):
        load_onnx(tmp_path, "onnx:tiny")


def test_an_image_model_in_place_of_a_text_model(tmp_path: Path) -> None:
    tiny(tmp_path)
    write_vision(tmp_path / "text.onnx")
    write_tokenizer(tmp_path)
    with pytest.raises(ModelError, match="has the inputs pixel_values: it may have input_ids"):
        load_onnx(tmp_path, "onnx:tiny").check()


# --- indexes --------------------------------------------------------------------------------


def test_an_index_with_a_model_of_a_folder(data: Path, tmp_path: Path) -> None:
    folder, at = standin_folder(data, tmp_path / "model"), tmp_path / "index"
    pictures = folder_of(tmp_path / "photos", 3)
    with Index.open(at, model=f"onnx:{folder}") as index:
        index.add(pictures)
        found = [hit.id for hit in index.search(text="red shoes")]
        assert len(found) == 3
        assert index.stats()["vectors"]["onnx-model"]["model"] == "onnx:model"
    with Index.open(at) as index:
        assert [hit.id for hit in index.search(text="red shoes")] == found

    moved = folder.rename(tmp_path / "moved")
    with Index.open(at) as index, pytest.raises(ModelError, match="There is no folder"):
        index.search(text="red shoes")
    for options in ({"model": f"onnx:{moved}"}, {"model_dir": moved}):
        with Index.open(at, **options) as index:
            assert [hit.id for hit in index.search(text="red shoes")] == found

    (moved / "onnx" / "text_model.onnx").unlink()
    with Index.open(at, model_dir=moved) as index:
        assert len(index.search(image=sorted(pictures.iterdir())[0])) == 3
        with pytest.raises(QueryError, match="text model is missing: there is no file"):
            index.search(text="red shoes")


@pytest.mark.parametrize("changed", ["model.onnx", "preprocessor_config.json"])
def test_another_model_in_the_folder_is_refused(tmp_path: Path, changed: str) -> None:
    tiny(tmp_path / "model")
    pictures = folder_of(tmp_path / "photos", 2)
    at = tmp_path / "index"
    with Index.open(at, model=f"onnx:{tmp_path / 'model'}") as index:
        index.add(pictures)
    if changed == "model.onnx":
        write_vision(tmp_path / "model" / changed, matrix=2 * np.eye(3, 4))
    else:
        write_preprocessing(tmp_path / "model", rescale_factor=0.5)
    with Index.open(at) as index, pytest.raises(ModelError, match=r"made with onnx:model \(rev"):
        index.add(folder_of(tmp_path / "more", 3))


def test_an_index_keeps_its_model(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    at = tmp_path / "index"
    Index.open(at, model=f"onnx:{tmp_path / 'model'}").close()
    with pytest.raises(ModelError, match="made with onnx:model, not built-in"):
        Index.open(at, model="built-in")


@pytest.mark.parametrize(("model", "model_dir"), [("onnx:", None), ("onnx:a", "b")])
def test_one_folder_must_be_named(tmp_path: Path, model: str, model_dir: str | None) -> None:
    with pytest.raises(InputError, match=f"{model} must name a folder"):
        Index.open(tmp_path / "index", model=model, model_dir=model_dir)


def test_a_model_that_fails_its_check_makes_no_index(tmp_path: Path) -> None:
    tiny(tmp_path / "model")
    write_text(tmp_path / "model" / "text.onnx", size=5, tokens=9)
    write_tokenizer(tmp_path / "model")
    with pytest.raises(ModelError, match="vectors of 5 numbers"):
        Index.open(tmp_path / "index", model=f"onnx:{tmp_path / 'model'}")
    with Index.open(tmp_path / "index", model="built-in") as index:
        assert index.count() == 0


def test_weights_in_a_file_beside_count(tmp_path: Path) -> None:
    before = tiny(tmp_path).spec.revision
    (tmp_path / "model.onnx.data").write_bytes(b"weights")
    assert load_onnx(tmp_path, "onnx:tiny").spec.revision != before
