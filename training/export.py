"""Exports a checkpoint as ONNX: batch norms folded, scaling and normalization included, in 8 bits.

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

import data
import net
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from quantize import Grid, Quantized, quantize

NAME, VERSION = "lookalike-small", "1"
OPSET = 17
EPSILON = 1e-6
GREY = 127.5
PICTURES = 1024  # for the quantization to 8 bits

Array = NDArray[Any]


class Graph:
    """A graph under construction: nodes and stored arrays. `store` is the type of the weights."""

    def __init__(self, store: str) -> None:
        self.store = store
        self.nodes: list[onnx.NodeProto] = []
        self.arrays: list[onnx.TensorProto] = []

    def keep(self, name: str, array: Array) -> str:
        rows = np.ascontiguousarray(array) if array.ndim else array
        self.arrays.append(numpy_helper.from_array(rows, name))
        return name

    def add(self, kind: str, inputs: Sequence[str], out: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [out], name=out, **attributes))
        return out

    def weight(self, name: str, array: Array) -> str:
        """Adds a weight in the stored type, and the node that converts it to float32 on loading."""
        if self.store == "float32":
            return self.keep(name, array.astype(np.float32))
        kept = self.keep(f"{name}_half", array.astype(np.float16))
        return self.add("Cast", [kept], name, to=TensorProto.FLOAT)

    def pixels(self) -> str:
        """Centers 0 to 255 on zero. The first convolution scales to -1..1."""
        self.keep("zero", np.array(0, np.float32))
        self.keep("six", np.array(6, np.float32))
        self.keep("grey", np.array(GREY, np.float32))
        x = self.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
        x = self.add("Cast", [x], "floats", to=TensorProto.FLOAT)
        return self.add("Sub", [x, "grey"], "centered")

    def seen(self, x: str, name: str) -> str:
        """Returns the value of a sum as the next block sees it."""
        return x

    def conv(self, layer: net.ConvNorm, x: str, name: str, side: int) -> str:
        weight, bias = (part.detach().float().cpu().numpy() for part in layer.folded())
        if x == "centered":
            weight = weight / GREY
        inputs = [x, self.weight(f"{name}_w", weight), self.keep(f"{name}_b", bias)]
        x = self.convolve(layer, inputs, name, side)
        return self.add("Clip", [x, "zero", "six"], f"{name}_a") if layer.act else x

    def convolve(self, layer: net.ConvNorm, inputs: list[str], name: str, side: int) -> str:
        odd = layer.stride == 1 or side % 2
        return self.add(
            "Conv",
            inputs,
            name,
            group=layer.conv.groups,
            kernel_shape=[layer.size] * 2,
            strides=[layer.stride] * 2,
            pads=[0] * 4 if layer.size == 1 else [1] * 4 if odd else [0, 0, 1, 1],
        )

    def head(self, x: str, model: net.Net) -> str:
        weight, bias = (part.detach().float().cpu().numpy() for part in model.head.parameters())
        inputs = [x, self.weight("head_w", weight), self.keep("head_b", bias)]
        return self.add("Gemm", inputs, "raw", transB=1)


class WholeGraph(Graph):
    """A graph in 8 bits: each layer is between nodes that quantize and dequantize, and ONNX Runtime
    turns all three into one integer layer. Grids end at the ceiling of ReLU6, which replaces it."""

    def __init__(self, made: Quantized) -> None:
        super().__init__("int8")
        self.made = made
        self.scales: dict[str, float] = {}

    def pixels(self) -> str:
        """Dequantizes the pixels, with a zero point of 128 instead of 127.5, for which the first
        bias compensates."""
        x = self.add("Transpose", ["pixels"], "planes", perm=[0, 3, 1, 2])
        return self.read(x, "centered", Grid(1 / GREY, 128))

    def read(self, whole: str, name: str, grid: Grid) -> str:
        self.keep(f"{name}_scale", np.array(grid.scale, np.float32))
        self.keep(f"{name}_zero", np.array(grid.zero, np.uint8))
        self.scales[name] = grid.scale
        return self.add("DequantizeLinear", [whole, f"{name}_scale", f"{name}_zero"], name)

    def seen(self, x: str, name: str) -> str:
        if name not in self.made.grids:
            return x
        whole = self.add("QuantizeLinear", [x, f"{name}_scale", f"{name}_zero"], f"{name}_whole")
        return self.read(whole, name, self.made.grids[name])

    def stored(self, name: str, whole: Array, scale: Array) -> str:
        """Adds integers with a scale for each first index, and the node that dequantizes them."""
        inputs = [
            self.keep(f"{name}_whole", whole),
            self.keep(f"{name}_scale", scale),
            self.keep(f"{name}_zero", np.zeros(len(scale), whole.dtype)),
        ]
        return self.add("DequantizeLinear", inputs, name, axis=0)

    def inputs(self, x: str, name: str) -> list[str]:
        layer = self.made.layers[name]
        bias = layer.bias
        if x == "centered":
            sums = layer.weight.sum((1, 2, 3), dtype=np.int64) * layer.scale
            bias = bias + np.float32(0.5 / GREY) * sums
        scale = (layer.scale * np.float32(self.scales[x])).astype(np.float32)
        whole = np.rint(bias / scale).astype(np.int32)
        return [
            x,
            self.stored(f"{name}_w", layer.weight, layer.scale),
            self.stored(f"{name}_b", whole, scale),
        ]

    def conv(self, layer: net.ConvNorm, x: str, name: str, side: int) -> str:
        return self.seen(self.convolve(layer, self.inputs(x, name), f"{name}_sum", side), name)

    def head(self, x: str, model: net.Net) -> str:
        x = self.seen(x, "features")
        return self.add("Gemm", self.inputs(x, "head"), "raw", transB=1)


def build(model: net.Net, graph: Graph, side: int, metadata: dict[str, str]) -> onnx.ModelProto:
    x, at = graph.pixels(), side

    def conv(layer: net.ConvNorm, x: str, name: str) -> str:
        nonlocal at
        x = graph.conv(layer, x, name, at)
        at = -(-at // layer.stride)
        return x

    for number, layer in enumerate(model.stem):
        x = conv(cast(net.ConvNorm, layer), x, f"stem{number}")
    for number, block in enumerate(model.blocks):
        before, x = x, graph.seen(x, f"block{number}_in")
        for part in ("expand", "depth", "project"):
            x = conv(getattr(block, part), x, f"block{number}_{part}")
        if block.adds:
            x = graph.add("Add", [before, x], f"block{number}")
    x = conv(model.last, x, "last")
    x = graph.add("GlobalAveragePool", [x], "pooled")
    x = graph.head(graph.add("Flatten", [x], "flat", axis=1), model)
    # No input may give a zero vector, so the first element gets a trace of length.
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


def sample(folder: Path, count: int, side: int) -> torch.Tensor:
    """(count, 3, side, side): random training photos."""
    photos = data.load(folder)
    rows = np.random.default_rng(data.SEED).choice(photos.rows("train"), count, replace=False)
    squares = np.stack([data.square(photos.pixels[row], side) for row in rows])
    return torch.from_numpy(squares).permute(0, 3, 1, 2).float()


def settings_hash(settings: dict[str, Any]) -> str:
    """Returns the first 16 hex digits of the SHA-256 of everything that determined the weights."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def read(checkpoint: Path) -> tuple[net.Net, dict[str, Any]]:
    """Returns the averaged network of a checkpoint, and the settings of its training."""
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
    parser.add_argument("--store", choices=("float32", "float16", "int8"), default="int8")
    parser.add_argument("--data", type=Path, default=data.DATA, help="photos for the quantization")
    options = parser.parse_args()
    model, settings = read(options.checkpoint)
    metadata = {
        "name": NAME,
        "version": VERSION,
        "license": "Apache-2.0",
        "settings": settings_hash(settings),
        "weights": options.store,
    }
    graph = Graph(options.store)
    if options.store == "int8":
        graph = WholeGraph(quantize(model, sample(options.data, PICTURES, settings["side"])))
    onnx.save(build(model, graph, settings["side"], metadata), options.out)
    size = options.out.stat().st_size / 1e6
    print(f"{options.out}: {size:.2f} MB, settings {metadata['settings']}")


if __name__ == "__main__":
    main()
