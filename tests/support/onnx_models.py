"""Small models in ONNX format, and the stand-in of CLIP laid out as Hugging Face exports models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

WORDS = ("[PAD]", "[UNK]", "red", "shoes", "a", "shoe", "long", "dress", "with", "sleeves")


def standin_folder(data: Path, folder: Path, *, text: bool = True) -> Path:
    """The stand-in of CLIP in the layout of an ONNX export on the model hub."""
    (folder / "onnx").mkdir(parents=True)
    standin = data / "standin-clip"
    shutil.copy(standin / "vision" / "model.onnx", folder / "onnx" / "vision_model.onnx")
    shutil.copy(standin / "vision" / "preprocessor_config.json", folder)
    if text:
        shutil.copy(standin / "text" / "model.onnx", folder / "onnx" / "text_model.onnx")
        for file in (standin / "text").glob("*.json"):
            shutil.copy(file, folder)
    for path in folder.rglob("*"):
        path.chmod(0o755)
    return folder


def write_preprocessing(folder: Path, *, side: int = 32, **settings: Any) -> Path:
    """Writes a `preprocessor_config.json` that crops the middle."""
    folder.mkdir(parents=True, exist_ok=True)
    default = {
        "do_resize": True,
        "size": {"shortest_edge": side},
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
    }
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(default | settings))
    return file


def write_vision(
    file: Path,
    *,
    matrix: NDArray[np.floating[Any]] | None = None,
    batch: int | str = "n",
    outputs: Sequence[str] = ("image_embeds",),
    half: bool = False,
    more: Sequence[onnx.NodeProto] = (),
) -> Path:
    """Writes a network that multiplies the mean color by a matrix, by default 3 x 4.

    Args:
        file: the ONNX file.
        matrix: the matrix of its first output; that of each further one is its double, and one
            named `last_hidden_state` has the same vector as its first of two tokens.
        batch: number of pictures at once, or the name of that dimension.
        outputs: names of the outputs.
        half: computes with 16 bits.
        more: nodes that make `image_embeds` of `made`, instead of a copy.
    """
    matrix = np.eye(3, 4) if matrix is None else matrix
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    weights = matrix.astype(np.float16 if half else np.float32)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixel_values"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
    ]
    constants, made = [], []
    for i, name in enumerate(outputs):
        constants.append(numpy_helper.from_array(weights * (i + 1), f"matrix{i}"))
        vector = f"vector{i}" if name == "last_hidden_state" or more else name
        nodes.append(helper.make_node("MatMul", ["means", f"matrix{i}"], [vector]))
        shape: list[int | str] = [batch, weights.shape[1]]
        if name == "last_hidden_state":
            constants.append(numpy_helper.from_array(np.array([1]), "axis"))
            nodes += [
                helper.make_node("Unsqueeze", [vector, "axis"], ["token"]),
                helper.make_node("Neg", ["token"], ["other"]),
                helper.make_node("Concat", ["token", "other"], [name], axis=1),
            ]
            shape = [batch, 2, weights.shape[1]]
        made.append(helper.make_tensor_value_info(name, kind, shape))
    pixels = helper.make_tensor_value_info("pixel_values", kind, [batch, 3, "height", "width"])
    return _save(file, [*nodes, *more], [pixels], made, constants)


def write_text(file: Path, *, size: int = 4, tokens: int | str = "tokens") -> Path:
    """Writes a network that takes the mean of a text's tokens, padding included."""
    table = np.random.default_rng(0).normal(size=(len(WORDS), size)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("ReduceMean", ["rows", "axis"], ["text_embeds"], keepdims=0),
    ]
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", tokens])
    vectors = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", size])
    constants = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([1]), "axis"),
    ]
    return _save(file, nodes, [ids], [vectors], constants)


def write_tokenizer(folder: Path, **settings: Any) -> None:
    """Writes a tokenizer of whole words with its settings."""
    vocabulary = {word: i for i, word in enumerate(WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    default = {"pad_token": "[PAD]", "model_max_length": 16}
    (folder / "tokenizer_config.json").write_text(json.dumps(default | settings))


def _save(
    file: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]
) -> Path:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, file)
    return file
