"""Quantization of a trained network: weights and activations in 8 bits, without further training.

Rounding each weight independently is not enough here: the depthwise layers add up numbers that are
all positive, so that a small error in their weights shifts every result. The steps are:

1. `equalize`: the channels of each stream that blocks add to get the same range, and hidden
   channels that remain far below ReLU6's ceiling are stretched, so that one scale suits all
   channels of a layer. The network computes the same as before. From Nagel et al., "Data-Free
   Quantization Through Weight Equalization and Bias Correction", ICCV 2019.
2. Layer by layer, the weights are fitted by least squares, so that the layer's output for its
   quantized input is as close as possible to its output for the exact input. They are rounded one
   after the other, and each error is distributed over the weights that follow: GPTQ, Frantar et
   al., ICLR 2023. The bias corrects the remaining difference of the means.

Weights are integers from -127 to 127 with a scale for each channel. Activations are 0 to 255, with
a scale and a zero point for each layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from net import BLOCKS, ConvNorm, Net
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

TOP = 127  # the largest weight
CEILING = 6.0  # of ReLU6
HEADROOM = 2.0  # factor by which a hidden channel may exceed its maximum before it is cut off
DAMPING = 0.02  # of the least squares, towards the trained weights
HEAD_DAMPING = 0.1  # of the last layer, which is fitted to fewer rows
ROWS = 40_000  # of a layer's inputs, to fit its weights
DEPTH_ROWS = 20_000
CUTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)  # candidates for the covered share of a range
BATCH = 128


@dataclass(frozen=True)
class Grid:
    """The 256 numbers to which the outputs of a layer are rounded."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> Grid:
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32((high - low) / 255))
        return cls(scale, round(-low / scale))

    @classmethod
    def fitting(cls, x: Tensor) -> Grid:
        """Returns the grid with the smallest squared error, which may cut off the extremes."""
        some = x.flatten()[torch.randperm(x.numel())[:200_000]]
        low, high = x.min().item(), x.max().item()
        grids = [cls.of(low * cut, high * cut) for cut in CUTS]
        return min(grids, key=lambda grid: (grid(some) - some).square().mean().item())

    def __call__(self, x: Tensor) -> Tensor:
        steps = (x / self.scale).round() + self.zero
        return cast(Tensor, (steps.clamp(0, 255) - self.zero) * self.scale)


@dataclass(frozen=True)
class Whole:
    """A layer with integer weights.

    Attributes:
        weight: int8, in the shape of the layer's own.
        scale: float32, one for each output channel.
        bias: float32.
    """

    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Quantized:
    """All layers by name, and the grids of activations.

    The grid of a layer's output has the layer's name; that of a block's input is `blockN_in`, if
    the block before adds to a stream; that of the features is `features`.
    """

    layers: dict[str, Whole]
    grids: dict[str, Grid]


def layer_names(net: Net) -> dict[str, ConvNorm]:
    """Returns all convolutions by name."""
    named = {f"stem{n}": cast(ConvNorm, layer) for n, layer in enumerate(net.stem)}
    for n, block in enumerate(net.blocks):
        for part in ("expand", "depth", "project"):
            named[f"block{n}_{part}"] = getattr(block, part)
    return named | {"last": net.last}


@torch.no_grad()
def quantize(net: Net, pixels: Tensor) -> Quantized:
    """Quantizes a network.

    Args:
        net: the trained network.
        pixels: (n, 3, side, side), 0 to 255; about a thousand, prepared as in training.
    """
    torch.manual_seed(0)
    named = layer_names(net)
    weights = {name: layer.folded() for name, layer in named.items()}
    equalize(net, weights, pixels[: len(pixels) // 2])
    layers: dict[str, Whole] = {}
    grids: dict[str, Grid] = {}

    def quantize_layer(
        name: str, exact: Tensor, rounded: Tensor, correction: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Quantizes a layer; returns its outputs for the exact and for the rounded input."""
        layer, (weight, bias) = named[name], weights[name]
        whole = layers[name] = fitted(layer, weight, bias, exact, rounded, correction)
        after = run(layer, exact, weight, bias)
        shape = (-1, *[1] * (weight.ndim - 1))
        dequantized = torch.from_numpy(whole.weight * whole.scale.reshape(shape))
        out = run(layer, rounded, dequantized, torch.from_numpy(whole.bias))
        grids[name] = Grid.fitting(out)
        out = grids[name](out)
        error = (out - after).square().mean() / after.var()
        print(f"{name}: share of the variance lost {error.item():.5f}", flush=True)
        return after, out

    exact = pixels / 127.5 - 1
    rounded = exact.clone()
    for n in range(len(net.stem)):
        exact, rounded = quantize_layer(f"stem{n}", exact, rounded)
    for n, block in enumerate(net.blocks):
        seen = rounded
        if n and net.blocks[n - 1].adds:  # sums are exact; only the block's view of them is rounded
            grids[f"block{n}_in"] = Grid.fitting(rounded)
            seen = grids[f"block{n}_in"](rounded)
        a, b = quantize_layer(f"block{n}_expand", exact, seen)
        a, b = quantize_layer(f"block{n}_depth", a, b)
        # A block also corrects the error of the stream to which it is added.
        correction = exact - rounded if block.adds else None
        a, b = quantize_layer(f"block{n}_project", a, b, correction)
        exact, rounded = (exact + a, rounded + b) if block.adds else (a, b)
    exact, rounded = (x.mean((2, 3)) for x in quantize_layer("last", exact, rounded))
    grids["features"] = Grid.fitting(rounded)
    rounded = grids["features"](rounded)
    layers["head"] = fitted_head(net, exact, rounded)
    return Quantized(layers, grids)


def run(layer: ConvNorm, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    parts = [
        layer.convolve(x[start : start + BATCH], weight, bias) for start in range(0, len(x), BATCH)
    ]
    out = torch.cat(parts)
    return out.clamp_(0, CEILING) if layer.act else out


# --- 1: equalization --------------------------------------------------------------------------


def streams() -> list[tuple[list[str], list[str]]]:
    """Returns the layers that write to the same channels, and the layers that read them."""
    groups = [(["stem2"], ["block0_expand"])]
    for n, shape in enumerate(BLOCKS):
        reader = f"block{n + 1}_expand" if n + 1 < len(BLOCKS) else "last"
        if shape.stride == 1 and shape.wide == shape.out:
            groups[-1][0].append(f"block{n}_project")
            groups[-1][1].append(reader)
        else:
            groups.append(([f"block{n}_project"], [reader]))
    return groups


def equalize(net: Net, weights: dict[str, tuple[Tensor, Tensor]], pixels: Tensor) -> None:
    """Scales channels in `weights` where they are written, and inversely where they are read."""
    named = layer_names(net)
    highest = {name: torch.zeros(layer.conv.in_channels) for name, layer in named.items()}
    handles = [
        layer.register_forward_pre_hook(
            lambda _, inputs, name=name: highest.update(
                {name: torch.maximum(highest[name], inputs[0].abs().amax((0, 2, 3)))}
            )
        )
        for name, layer in named.items()
    ]
    for start in range(0, len(pixels), BATCH):
        net(pixels[start : start + BATCH])
    for handle in handles:
        handle.remove()

    def scale(writers: list[str], readers: list[str], by: Tensor) -> None:
        for name in writers:
            weight, bias = weights[name]
            weights[name] = weight / by[:, None, None, None], bias / by
        for name in readers:
            weight, bias = weights[name]
            depthwise = named[name].conv.groups > 1
            weights[name] = (
                weight * (by[:, None, None, None] if depthwise else by[:, None, None]),
                bias,
            )

    for writers, readers in streams():
        widest = torch.stack([highest[name] for name in readers]).amax(0).clamp_min(1e-6)
        scale(writers, readers, widest / widest.log().mean().exp())
    hidden = [("stem0", "stem1"), ("stem1", "stem2")]
    for n in range(len(BLOCKS)):
        hidden += [
            (f"block{n}_expand", f"block{n}_depth"),
            (f"block{n}_depth", f"block{n}_project"),
        ]
    for writer, reader in hidden:
        lowest = 0.05 * CEILING  # channels that are hardly ever above zero are not stretched
        factor = (highest[reader].clamp_min(lowest) * HEADROOM / CEILING).clamp_max(1)
        scale([writer], [reader], factor)


# --- 2: fitting and rounding ------------------------------------------------------------------


def fitted(
    layer: ConvNorm,
    weight: Tensor,
    bias: Tensor,
    exact: Tensor,
    rounded: Tensor,
    correction: Tensor | None,
) -> Whole:
    """Returns the layer whose output for `rounded` is closest to that of weight and bias for
    `exact`, plus the correction."""
    depthwise = layer.conv.groups > 1
    inputs = [patches(layer, x) for x in (exact, rounded)]  # (groups, rows, inputs of a channel)
    rows = torch.randperm(inputs[0].shape[1])[: DEPTH_ROWS if depthwise else ROWS]
    (a, mean_a), (b, mean_b) = (_centered(x[:, rows].double()) for x in inputs)
    trained = weight.flatten(1).double()
    trained = trained[:, None] if depthwise else trained[None]  # (groups, channels, inputs)
    shared = b.transpose(1, 2) @ b / len(rows)
    target = trained @ (a.transpose(1, 2) @ b / len(rows))
    mean = (trained @ mean_a[..., None])[..., 0]
    if correction is not None:
        more, mean_more = _centered(
            correction.permute(0, 2, 3, 1).reshape(1, -1, len(weight))[:, rows].double()
        )
        target += more.transpose(1, 2) @ b / len(rows)
        mean = mean + mean_more
    damping = DAMPING * shared.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-9
    shared = shared + damping * torch.eye(shared.shape[-1])
    best = torch.linalg.solve(shared, (target + damping * trained).transpose(1, 2)).transpose(1, 2)
    scale = best.abs().amax(2).clamp_min(1e-9) / TOP
    whole = rounded_one_by_one(best, shared, scale)
    left = mean - ((whole * scale[..., None]) @ mean_b[..., None])[..., 0]
    return Whole(
        whole.reshape(weight.shape).numpy().astype(np.int8),
        scale.flatten().numpy().astype(np.float32),
        (bias + left.flatten()).numpy().astype(np.float32),
    )


def fitted_head(net: Net, exact: Tensor, rounded: Tensor) -> Whole:
    """Returns the last layer, whose weights are rounded and not fitted."""
    weight, bias = net.head.weight.double(), net.head.bias.double()
    (_, mean_a), (b, mean_b) = _centered(exact[None].double()), _centered(rounded[None].double())
    shared = b.transpose(1, 2) @ b / b.shape[1]
    shared += HEAD_DAMPING * shared.diagonal(dim1=1, dim2=2).mean() * torch.eye(shared.shape[-1])
    scale = weight.abs().amax(1)[None] / TOP
    whole = rounded_one_by_one(weight[None], shared, scale)[0]
    left = weight @ mean_a[0] - (whole * scale[0, :, None]) @ mean_b[0]
    return Whole(
        whole.numpy().astype(np.int8),
        scale[0].numpy().astype(np.float32),
        (bias + left).numpy().astype(np.float32),
    )


def _centered(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean = rows.mean(1)
    return rows - mean[:, None], mean


def patches(layer: ConvNorm, x: Tensor) -> Tensor:
    """(1 or channels, rows, inputs): the inputs of each output of the layer."""
    if layer.size == 1:
        return x.permute(0, 2, 3, 1).reshape(1, -1, x.shape[1])
    padding = 1 if layer.stride == 1 or x.shape[-1] % 2 else 0
    if not padding:
        x = functional.pad(x, (0, 1, 0, 1))
    depthwise = layer.conv.groups > 1
    count, channels = x.shape[:2]
    if depthwise:
        x = x.reshape(count * channels, 1, *x.shape[2:])
    seen = functional.unfold(x, layer.size, padding=padding, stride=layer.stride)
    if not depthwise:
        return seen.transpose(1, 2).reshape(1, -1, seen.shape[1])
    seen = seen.view(count, channels, -1, seen.shape[-1])
    return seen.permute(1, 0, 3, 2).reshape(channels, -1, seen.shape[2])


def rounded_one_by_one(weight: Tensor, shared: Tensor, scale: Tensor) -> Tensor:
    """(groups, channels, inputs) integers: weight / scale, rounded so that the product with the
    inputs, whose second moments are `shared`, changes least."""
    upper = torch.linalg.cholesky(torch.linalg.inv(shared), upper=True)
    weight, whole = weight.clone(), torch.empty_like(weight)
    for n in range(weight.shape[2]):
        whole[..., n] = (weight[..., n] / scale).round().clamp(-TOP, TOP)
        error = (weight[..., n] - whole[..., n] * scale) / upper[:, n, n][:, None]
        weight[..., n:] -= error[..., None] * upper[:, None, n, n:]
    return whole
