"""A network of the size and shape of CLIP ViT-B/32's image tower, with random weights.

Its vectors are meaningless and take as long as CLIP's. It stands in for CLIP in benchmarks, which
have no access to CLIP's weights.

The tower: Dosovitskiy et al., "An image is worth 16x16 words", 2020, as used by Radford et al.,
"Learning transferable visual models from natural language supervision", 2021; 88 million weights.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import helper, numpy_helper

_WIDTH, _HEADS, _LAYERS, _PATCH, _SIDE, _OUT = 768, 12, 12, 32, 224, 512
_TOKENS = (_SIDE // _PATCH) ** 2 + 1  # the patches and the class token
_OPSET = 17  # the first with LayerNormalization


def write(folder: Path, like: Path) -> Path:
    """Writes a folder for `--model-dir`, with the pre-processing of the model folder `like`."""
    folder.mkdir()
    for settings in (like / "vision").glob("*.json"):
        shutil.copyfile(settings, folder / settings.name)
    onnx.save(_Network().model(), folder / "model.onnx")
    return folder


class _Network:
    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._weights: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []

    def model(self) -> onnx.ModelProto:
        patches = self._node(
            "Conv",
            "pixel_values",
            self._random(_WIDTH, 3, _PATCH, _PATCH),
            kernel_shape=[_PATCH, _PATCH],
            strides=[_PATCH, _PATCH],
        )
        rows = self._reshaped(patches, 0, _WIDTH, _TOKENS - 1)
        rows = self._node("Transpose", rows, perm=[0, 2, 1])
        # A zero row in front for the class token, whose value comes with the position embedding.
        rows = self._node("Pad", rows, self._constant(np.array([0, 1, 0, 0, 0, 0])))
        rows = self._node("Add", rows, self._random(1, _TOKENS, _WIDTH))
        rows = self._normalized(rows)
        for _ in range(_LAYERS):
            rows = self._node("Add", rows, self._attention(self._normalized(rows)))
            rows = self._node("Add", rows, self._perceptron(self._normalized(rows)))
        token = self._node("Gather", rows, self._constant(np.array(0)), axis=1)
        token = self._node("MatMul", self._normalized(token), self._random(_WIDTH, _OUT))
        return self._model(self._node("Identity", token, output="image_embeds"))

    def _model(self, output: str) -> onnx.ModelProto:
        number = onnx.TensorProto.FLOAT
        pixels = helper.make_tensor_value_info("pixel_values", number, ["n", 3, _SIDE, _SIDE])
        vectors = helper.make_tensor_value_info(output, number, ["n", _OUT])
        graph = helper.make_graph(self._nodes, "clip-sized", [pixels], [vectors], self._weights)
        opset = helper.make_opsetid("", _OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)

    # --- layers ---------------------------------------------------------------------------------

    def _attention(self, rows: str) -> str:
        query, value = self._heads(rows, 0, 2, 1, 3), self._heads(rows, 0, 2, 1, 3)
        key = self._heads(rows, 0, 2, 3, 1)
        scores = self._node("MatMul", query, key)
        scores = self._node("Mul", scores, self._constant(np.float32((_WIDTH // _HEADS) ** -0.5)))
        mixed = self._node("MatMul", self._node("Softmax", scores, axis=-1), value)
        mixed = self._node("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._dense(self._reshaped(mixed, 0, _TOKENS, _WIDTH), _WIDTH, _WIDTH)

    def _heads(self, rows: str, *order: int) -> str:
        dense = self._dense(rows, _WIDTH, _WIDTH)
        heads = self._reshaped(dense, 0, _TOKENS, _HEADS, _WIDTH // _HEADS)
        return self._node("Transpose", heads, perm=order)

    def _perceptron(self, rows: str) -> str:
        wide = self._dense(rows, _WIDTH, 4 * _WIDTH)
        gate = self._node("Mul", wide, self._constant(np.float32(1.702)))  # a quick GELU
        wide = self._node("Mul", wide, self._node("Sigmoid", gate))
        return self._dense(wide, 4 * _WIDTH, _WIDTH)

    def _dense(self, rows: str, width: int, out: int) -> str:
        product = self._node("MatMul", rows, self._random(width, out))
        return self._node("Add", product, self._random(out))

    def _normalized(self, rows: str) -> str:
        ones, zeros = np.ones(_WIDTH, np.float32), np.zeros(_WIDTH, np.float32)
        scale, shift = self._constant(ones), self._constant(zeros)
        return self._node("LayerNormalization", rows, scale, shift, axis=-1)

    def _reshaped(self, rows: str, *shape: int) -> str:
        return self._node("Reshape", rows, self._constant(np.array(shape)))

    def _random(self, *shape: int) -> str:
        return self._constant((0.02 * self._rng.standard_normal(shape)).astype(np.float32))

    def _constant(self, values: ArrayLike) -> str:
        name = f"weight {len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _node(self, kind: str, *inputs: str, output: str = "", **options: Any) -> str:
        name = output or f"value {len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **options))
        return name
