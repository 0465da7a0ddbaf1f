"""A checkpoint as ONNX: batch norms folded, scaling and normalisation inside, weights in half size.

pixels      uint8, n x side x side x 3, RGB
embedding   float32, n x 512, length 1

python export.py --checkpoint DIR/last.pt --out lookalike-small-1.onnx
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import net
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

NAME, VERSION = "lookalike-small", "1"
OPSET = 17
EPSILON = 1e-6

Array = NDArray[Any]


class Graph:
    """Nodes and stored arrays as they are added; `store` says how weights are kept."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []

    def keep(self, name: str, array: Array) -> str:
        self.arrays.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name: str, array: Array) -> str:
        """A weight in the stored type, and the node that ONNX Runtime makes float32 of at load."""
        if self.store == "float32":
            return self.keep(name, array.astype(np.float32))
        if self.store == "float16":
            kept = self.keep(f"{name}_half", array.astype(np.float16))
            return self.add("Cast", [kept], name, to=TensorProto.FLOAT)
        scale = np.abs(array).reshape(len(array), -1).max(axis=1) / 127
        scale = np.where(scale > 0, scale, 1).astype(np.float32)
        steps = array / scale.reshape(-1, *[1] * (array.ndim - 1))
        inputs = [
            self.keep(f"{name}_int8", np.rint(steps).astype(np.int8)),
            self.keep(f"{name}_scale", scale),
            self.keep(f"{name}_zero", np.zeros(len(scale), np.int8)),
        ]
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def add(self, kind: str, inputs: Sequence[str], out: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def conv(self, layer: net.ConvNorm, x: str, name: str, side: int) -> tuple[str, int]:
        """Adds a layer; gives the name and the side of what comes out of it."""
        weight, bias = (part.detach().float().cpu().numpy() for part in layer.folded())
        if x == "centred":
            weight = weight / 127.5
        odd = layer.stride == 1 or side % 2
        pads = [0] * 4 if layer.size == 1 else [1] * 4 if odd else [0, 0, 1, 1]
        inputs = [x, self.weight(f"{name}_w", weight), self.keep(f"{name}_b", bias)]
        x = self.add(
            "Conv",
            inputs,
            name,
            group=layer.conv.groups,
            kernel_shape=[layer.size] * 2,
            strides=[layer.stride] * 2,
            pads=pads,
        )
        if layer.act:
            x = self.add("Clip", [x, "zero", "six"], f"{name}_a")
        return x, -(-side // layer.stride)


def build(model: net.Net, side: int, store: str, metadata: dict[str, str]) -> onnx.ModelProto:
    graph = Graph(store)
    graph.keep("zero", np.array(0, np.float32))
    graph.keep("six", np.array(6, np.float32))
    graph.keep("grey", np.array(127.5, np.float32))
    x = graph.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
    x = graph.add("Cast", [x], "floats", to=TensorProto.FLOAT)
    x = graph.add("Sub", [x, "grey"], "centred")  # the first convolution divides by as much
    at = side
    for number, layer in enumerate(model.stem):
        x, at = graph.conv(cast(net.ConvNorm, layer), x, f"stem{number}", at)
    for number, block in enumerate(model.blocks):
        before = x
        for part in ("expand", "depth", "project"):
            x, at = graph.conv(getattr(block, part), x, f"block{number}_{part}", at)
        if block.adds:
            x = graph.add("Add", [before, x], f"block{number}")
    x, at = graph.conv(model.last, x, "last", at)
    x = graph.add("GlobalAveragePool", [x], "pooled")
    x = graph.add("Flatten", [x], "features", axis=1)
    head = graph.weight("head_w", model.head.weight.detach().float().cpu().numpy())
    bias = graph.keep("head_b", model.head.bias.detach().float().cpu().numpy())
    x = graph.add("Gemm", [x, head, bias], "raw", transB=1)
    # No input may give a vector without a direction: the first axis gets a trace of length.
    nudge = np.zeros((1, net.DIM), np.float32)
    nudge[0, 0] = EPSILON
    x = graph.add("Add", [x, graph.keep("nudge", nudge)], "nudged")
    x = graph.add("ReduceL2", [x], "length", axes=[1], keepdims=1)
    graph.add("Div", ["nudged", "length"], "embedding")
    made = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"{NAME}-{VERSION}",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", side, side, 3])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", net.DIM])],
            graph.arrays,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
    )
    helper.set_model_props(made, metadata)
    onnx.checker.check_model(made)
    return made


def settings_hash(settings: dict[str, Any]) -> str:
    """The first 16 hex digits of the SHA-256 of all that decided how the weights came about."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def read(checkpoint: Path) -> tuple[net.Net, dict[str, Any]]:
    """The averaged network of a checkpoint, and the settings that it was trained with."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    model = net.Net()
    model.load_state_dict(saved["average"])
    return model.eval(), saved["settings"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", choices=("float32", "float16", "int8"), default="float16")
    options = parser.parse_args()
    model, settings = read(options.checkpoint)
    metadata = {
        "name": NAME,
        "version": VERSION,
        "licence": "Apache-2.0",
        "settings": settings_hash(settings),
        "weights": options.store,
    }
    onnx.save(build(model, settings["side"], options.store, metadata), options.out)
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.2f} MB, settings {metadata['settings']}")


if __name__ == "__main__":
    main()
