"""A trained network in 8 bits: weights and what flows between layers, without training it again.

Rounding each weight for itself is not enough here: the depthwise layers add up numbers that are all
positive, so that a small error in their weights shifts every result. In order:

1. `equalize`: the channels of each stream that blocks add to get the same range, and hidden
   channels that stay far below ReLU6's ceiling are stretched: one scale then suits all channels of
   a layer. The network computes as before. After Nagel et al., "Data-Free Quantization Through
   Weight Equalization and Bias Correction", ICCV 2019.
2. Layer after layer, the weights are fitted (least squares) so that the layer gives on what reaches
   it in 8 bits what it gave on the exact numbers, and rounded one after the other, each error
   spread over the weights still to come: GPTQ, Frantar et al., ICLR 2023. The bias takes off what
   is left in the mean.

Weights are whole numbers from -127 to 127 with a scale for each channel; what flows is 0 to 255,
with a scale and a zero for each layer.
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
SPARE = 2.0  # how much higher than here a hidden channel may go before it is cut off
DAMPING = 0.02  # of the least squares, towards the trained weights
HEAD_DAMPING = 0.1  # of the last layer, which has fewer rows to be fitted on
ROWS = 40_000  # of a layer's inputs that its weights are fitted on
DEPTH_ROWS = 20_000
CUTS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6)  # shares of a range that are tried
TOGETHER = 128


@dataclass(frozen=True)
class Grid:
    """The 256 numbers that the outputs of a layer are rounded to."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> Grid:
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32((high - low) / 255))
        return cls(scale, round(-low / scale))

    @classmethod
    def fitting(cls, x: Tensor) -> Grid:
        """With the smallest squared error, where cutting off the ends is worth it."""
        some = x.flatten()[torch.randperm(x.numel())[:200_000]]
        low, high = x.min().item(), x.max().item()
        grids = [cls.of(low * cut, high * cut) for cut in CUTS]
        return min(grids, key=lambda grid: (grid(some) - some).square().mean().item())

    def __call__(self, x: Tensor) -> Tensor:
        steps = (x / self.scale).round() + self.zero
        return cast(Tensor, (steps.clamp(0, 255) - self.zero) * self.scale)


@dataclass(frozen=True)
class Whole:
    """A layer in whole numbers.

    Attributes:
        weight: int8, as the layer's own.
        scale: float32, of each output channel's weights.
        bias: float32.
    """

    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Quantized:
    """All layers by name, and the grids: of a layer's output by its name, of a block's input, where
    the block before adds to a stream, by `blockN_in`, of the features by `features`."""

    layers: dict[str, Whole]
    grids: dict[str, Grid]


def layer_names(net: Net) -> dict[str, ConvNorm]:
    named = {f"stem{n}": cast(ConvNorm, layer) for n, layer in enumerate(net.stem)}
    for n, block in enumerate(net.blocks):
        for part in ("expand", "depth", "project"):
            named[f"block{n}_{part}"] = getattr(block, part)
    return named | {"last": net.last}


@torch.no_grad()
def quantize(net: Net, pixels: Tensor) -> Quantized:
    """Args:
    pixels: (n, 3, side, side), 0 to 255; a thousand or so, as training sees them.
    """
    torch.manual_seed(0)
    named = layer_names(net)
    weights = {name: layer.folded() for name, layer in named.items()}
    equalize(net, weights, pixels[: len(pixels) // 2])
    layers: dict[str, Whole] = {}
    grids: dict[str, Grid] = {}

    def pass_on(
        name: str, exact: Tensor, rounded: Tensor, owed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        layer, (weight, bias) = named[name], weights[name]
        whole = layers[name] = fitted(layer, weight, bias, exact, rounded, owed)
        after = run(layer, exact, weight, bias)
        shape = (-1, *[1] * (weight.ndim - 1))
        around = torch.from_numpy(whole.weight * whole.scale.reshape(shape))
        out = run(layer, rounded, around, torch.from_numpy(whole.bias))
        grids[name] = Grid.fitting(out)
        out = grids[name](out)
        error = (out - after).square().mean() / after.var()
        print(f"{name}: share of the variance lost {error.item():.5f}", flush=True)
        return after, out

    exact = pixels / 127.5 - 1
    rounded = exact.clone()
    for n in range(len(net.stem)):
        exact, rounded = pass_on(f"stem{n}", exact, rounded)
    for n, block in enumerate(net.blocks):
        seen = rounded
        if n and net.blocks[n - 1].adds:  # sums are exact: only what a block sees of them is not
            grids[f"block{n}_in"] = Grid.fitting(rounded)
            seen = grids[f"block{n}_in"](rounded)
        one, other = pass_on(f"block{n}_expand", exact, seen)
        one, other = pass_on(f"block{n}_depth", one, other)
        # A block also makes up for what the stream that it is added to has lost.
        owed = exact - rounded if block.adds else None
        one, other = pass_on(f"block{n}_project", one, other, owed)
        exact, rounded = (exact + one, rounded + other) if block.adds else (one, other)
    exact, rounded = (x.mean((2, 3)) for x in pass_on("last", exact, rounded))
    grids["features"] = Grid.fitting(rounded)
    rounded = grids["features"](rounded)
    layers["head"] = fitted_head(net, exact, rounded)
    return Quantized(layers, grids)


def run(layer: ConvNorm, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    parts = [
        layer.convolve(x[at : at + TOGETHER], weight, bias) for at in range(0, len(x), TOGETHER)
    ]
    out = torch.cat(parts)
    return out.clamp_(0, CEILING) if layer.act else out


# --- 1 ----------------------------------------------------------------------------------------


def streams() -> list[tuple[list[str], list[str]]]:
    """Layers that write to the same channels, and layers that read them."""
    found = [(["stem2"], ["block0_expand"])]
    for n, shape in enumerate(BLOCKS):
        reader = f"block{n + 1}_expand" if n + 1 < len(BLOCKS) else "last"
        if shape.stride == 1 and shape.wide == shape.out:
            found[-1][0].append(f"block{n}_project")
            found[-1][1].append(reader)
        else:
            found.append(([f"block{n}_project"], [reader]))
    return found


def equalize(net: Net, weights: dict[str, tuple[Tensor, Tensor]], pixels: Tensor) -> None:
    """Scales channels where they are written, and back where they are read, in `weights`."""
    named = layer_names(net)
    highest = {name: torch.zeros(layer.conv.in_channels) for name, layer in named.items()}
    handles = [
        layer.register_forward_pre_hook(
            lambda _, given, name=name: highest.update(
                {name: torch.maximum(highest[name], given[0].abs().amax((0, 2, 3)))}
            )
        )
        for name, layer in named.items()
    ]
    for at in range(0, len(pixels), TOGETHER):
        net(pixels[at : at + TOGETHER])
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
        lowest = 0.05 * CEILING  # what is hardly ever above zero is not blown up
        scale(
            [writer], [reader], (highest[reader].clamp_min(lowest) * SPARE / CEILING).clamp_max(1)
        )


# --- 2 ----------------------------------------------------------------------------------------


def fitted(
    layer: ConvNorm,
    weight: Tensor,
    bias: Tensor,
    exact: Tensor,
    rounded: Tensor,
    owed: Tensor | None,
) -> Whole:
    """The layer that gives on `rounded` what weight and bias give on `exact`, and what is owed."""
    depthwise = layer.conv.groups > 1
    inputs = [patches(layer, x) for x in (exact, rounded)]  # (groups, rows, inputs of a channel)
    rows = torch.randperm(inputs[0].shape[1])[: DEPTH_ROWS if depthwise else ROWS]
    (a, mean_a), (b, mean_b) = (_centerd(x[:, rows].double()) for x in inputs)
    own = weight.flatten(1).double()
    own = own[:, None] if depthwise else own[None]  # (groups, channels of a group, inputs)
    shared = b.transpose(1, 2) @ b / len(rows)
    wanted = own @ (a.transpose(1, 2) @ b / len(rows))
    mean = (own @ mean_a[..., None])[..., 0]
    if owed is not None:
        more, mean_more = _centerd(
            owed.permute(0, 2, 3, 1).reshape(1, -1, len(weight))[:, rows].double()
        )
        wanted += more.transpose(1, 2) @ b / len(rows)
        mean = mean + mean_more
    damping = DAMPING * shared.diagonal(dim1=1, dim2=2).mean(1)[:, None, None] + 1e-9
    shared = shared + damping * torch.eye(shared.shape[-1])
    best = torch.linalg.solve(shared, (wanted + damping * own).transpose(1, 2)).transpose(1, 2)
    scale = best.abs().amax(2).clamp_min(1e-9) / TOP
    whole = rounded_one_by_one(best, shared, scale)
    left = mean - ((whole * scale[..., None]) @ mean_b[..., None])[..., 0]
    return Whole(
        whole.reshape(weight.shape).numpy().astype(np.int8),
        scale.flatten().numpy().astype(np.float32),
        (bias + left.flatten()).numpy().astype(np.float32),
    )


def fitted_head(net: Net, exact: Tensor, rounded: Tensor) -> Whole:
    weight, bias = net.head.weight.double(), net.head.bias.double()
    (_, mean_a), (b, mean_b) = _centerd(exact[None].double()), _centerd(rounded[None].double())
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


def _centerd(rows: Tensor) -> tuple[Tensor, Tensor]:
    mean = rows.mean(1)
    return rows - mean[:, None], mean


def patches(layer: ConvNorm, x: Tensor) -> Tensor:
    """(1 or channels, rows, inputs): what each output of the layer is computed from."""
    if layer.size == 1:
        return x.permute(0, 2, 3, 1).reshape(1, -1, x.shape[1])
    around = 1 if layer.stride == 1 or x.shape[-1] % 2 else 0
    if not around:
        x = functional.pad(x, (0, 1, 0, 1))
    depthwise = layer.conv.groups > 1
    count, channels = x.shape[:2]
    if depthwise:
        x = x.reshape(count * channels, 1, *x.shape[2:])
    seen = functional.unfold(x, layer.size, padding=around, stride=layer.stride)
    if not depthwise:
        return seen.transpose(1, 2).reshape(1, -1, seen.shape[1])
    seen = seen.view(count, channels, -1, seen.shape[-1])
    return seen.permute(1, 0, 3, 2).reshape(channels, -1, seen.shape[2])


def rounded_one_by_one(weight: Tensor, shared: Tensor, scale: Tensor) -> Tensor:
    """(groups, channels, inputs) whole numbers: weight / scale, rounded so that the product with
    the inputs, whose second moments are `shared`, changes least."""
    upper = torch.linalg.cholesky(torch.linalg.inv(shared), upper=True)
    weight, whole = weight.clone(), torch.empty_like(weight)
    for n in range(weight.shape[2]):
        whole[..., n] = (weight[..., n] / scale).round().clamp(-TOP, TOP)
        error = (weight[..., n] - whole[..., n] * scale) / upper[:, n, n][:, None]
        weight[..., n:] -= error[..., None] * upper[:, None, n, n:]
    return whole
