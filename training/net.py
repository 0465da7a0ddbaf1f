"""The network: the teacher's blocks with fewer channels, after a cheaper first part.

MobileNetV2 (Sandler et al., CVPR 2018) spends more than a third of its time on its first six
layers, at high resolution. Here three plain convolutions replace them. Every later block keeps its
most important hidden channels, and its last layer is fitted again to the output of the teacher's
block: optimal brain surgeon (Hassibi and Stork, 1993) on channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional

DIM = 512
FEATURES = 1280
STEM = 16, 64, 24  # channels of the three first convolutions


@dataclass(frozen=True)
class Shape:
    """An inverted-residual block: channels in, hidden, out, and its stride."""

    wide: int
    hidden: int
    out: int
    stride: int


# The teacher's blocks from its third on, with the number of hidden channels that are kept.
BLOCKS = (
    Shape(24, 80, 24, 1),
    Shape(24, 80, 32, 2),
    Shape(32, 112, 32, 1),
    Shape(32, 112, 32, 1),
    Shape(32, 144, 64, 2),
    Shape(64, 224, 64, 1),
    Shape(64, 224, 64, 1),
    Shape(64, 224, 64, 1),
    Shape(64, 304, 96, 1),
    Shape(96, 352, 96, 1),
    Shape(96, 352, 96, 1),
    Shape(96, 448, 160, 2),
    Shape(160, 576, 160, 1),
    Shape(160, 576, 160, 1),
    Shape(160, 704, 320, 1),
)
TEACHER_FRONT = 6  # convolutions of the teacher that the first part replaces


class ConvNorm(nn.Module):
    """Convolution, norm and ReLU6, with the teacher's padding, TensorFlow's 'SAME'."""

    def __init__(
        self, wide: int, out: int, size: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.size, self.stride, self.act = size, stride, act
        self.conv = nn.Conv2d(wide, out, size, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # only the first part, before the blocks are added
            x = self.norm(self.convolve(x, self.conv.weight, None))
        else:
            x = self.convolve(x, *self.folded())
        return functional.relu6(x) if self.act else x

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        stride, groups = self.stride, self.conv.groups
        padding = self.size // 2 if stride == 1 or x.shape[-1] % 2 else 0
        if stride == 2 and not padding:
            x = functional.pad(x, (0, 1, 0, 1))
        if groups > 1 and stride == 2 and x.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):  # 30 times as fast as in bfloat16
                wide = x.float()
                return functional.conv2d(wide, weight, bias, stride, padding, 1, groups).to(x.dtype)
        return functional.conv2d(x, weight, bias, stride, padding, 1, groups)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Returns weight and bias with the norm folded in; these are trained, at no extra cost."""
        norm = self.norm
        scale = norm.weight / torch.sqrt(cast(Tensor, norm.running_var) + norm.eps)
        bias = norm.bias - cast(Tensor, norm.running_mean) * scale
        return self.conv.weight * scale[:, None, None, None], bias

    @torch.no_grad()
    def take(self, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        """Takes over weight and bias, with every channel scaled internally to unit variance on x.

        Otherwise no learning rate would suit all of the teacher's folded weights, whose magnitudes
        differ by a factor of a thousand. Returns the output for x.
        """
        self.conv.weight.copy_(weight)
        self.norm.reset_running_stats()
        raw = self.convolve(x, self.conv.weight, None)
        std = raw.std((0, 2, 3)).clamp_min(1e-3)
        self.conv.weight.div_(std[:, None, None, None])
        mean = raw.mean((0, 2, 3))
        cast(Tensor, self.norm.running_mean).copy_(mean / std)
        cast(Tensor, self.norm.running_var).fill_(1.0)
        self.norm.weight.copy_(std * (1 + self.norm.eps) ** 0.5)
        self.norm.bias.copy_(mean + bias)
        out = raw + bias[:, None, None]
        return functional.relu6(out) if self.act else out


class Block(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.expand = ConvNorm(shape.wide, shape.hidden)
        self.depth = ConvNorm(shape.hidden, shape.hidden, 3, shape.stride, groups=shape.hidden)
        self.project = ConvNorm(shape.hidden, shape.out, act=False)
        self.adds = shape.stride == 1 and shape.wide == shape.out

    def forward(self, x: Tensor) -> Tensor:
        out = self.project(self.depth(self.expand(x)))
        return cast(Tensor, x + out if self.adds else out)


class Net(nn.Module):
    """Pixels (n, 3, side, side) in 0..255 to features (n, 1280) and raw embeddings (n, 512)."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c = STEM
        self.stem = nn.Sequential(
            ConvNorm(3, a, 3, 2), ConvNorm(a, b, 3, 2), ConvNorm(b, c, act=False)
        )
        self.blocks = nn.Sequential(*map(Block, BLOCKS))
        self.last = ConvNorm(BLOCKS[-1].out, FEATURES)
        self.head = nn.Linear(FEATURES, DIM)

    def front(self, pixels: Tensor) -> Tensor:
        return cast(Tensor, self.stem(pixels / 127.5 - 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = self.last(self.blocks(self.front(pixels)))
        features = x.float().mean((2, 3))
        return features, self.head(features)

    def convs(self) -> list[ConvNorm]:
        return [module for module in self.modules() if isinstance(module, ConvNorm)]


class Teacher:
    """The teacher's convolutions, which the network inherits, and its classifier."""

    def __init__(self, path: Path, device: torch.device) -> None:
        graph = onnx.load(path).graph
        stored = {
            array.name: torch.from_numpy(numpy_helper.to_array(array).copy()).to(device)
            for array in graph.initializer
        }
        nodes = [node for node in graph.node if node.op_type == "Conv"]
        self.layers = [(stored[node.input[1]], stored[node.input[2]]) for node in nodes[:-1]]
        weight, bias = (stored[name] for name in nodes[-1].input[1:])
        self.classes = weight[:, :, 0, 0], bias

    @torch.no_grad()
    def front(self, pixels: Tensor) -> Tensor:
        """Returns the target of `Net.front`."""
        x = pixels / 127.5 - 1
        for (weight, bias), stride, act in zip(
            self.layers[:TEACHER_FRONT], (2, 1, 1, 1, 2, 1), (1, 1, 0, 1, 1, 0), strict=True
        ):
            x = _same(x, weight, bias, stride)
            x = functional.relu6(x) if act else x
        return x

    def block(self, number: int) -> list[tuple[Tensor, Tensor]]:
        """Returns the expand, depthwise and project layers of the n-th of BLOCKS."""
        first = TEACHER_FRONT + 3 * number
        return self.layers[first : first + 3]


def _same(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    if weight.shape[-1] == 3:
        odd = stride == 1 or x.shape[-1] % 2
        x = functional.pad(x, (1, 1, 1, 1) if odd else (0, 1, 0, 1))
    groups = 1 if weight.shape[1] > 1 else weight.shape[0]
    return functional.conv2d(x, weight, bias, stride, groups=groups)


@torch.no_grad()
def inherit(net: Net, teacher: Teacher, pixels: Tensor) -> list[float]:
    """Takes over everything after the first part, which must be trained before. Each block is
    fitted to its actual input.

    Returns:
        The share of the teacher's variance that is unexplained after each block.
    """
    net.eval()
    x, target, unexplained = net.front(pixels), teacher.front(pixels), []
    for number, block in enumerate(net.blocks):
        block = cast(Block, block)
        (we, be), (wd, bd), (wp, bp) = teacher.block(number)
        stride, adds = block.shape.stride, block.adds
        out = _hidden(target, (we, be), (wd, bd), stride)
        out = _same(out, wp, bp, 1)
        target = target + out if adds else out
        hidden = _hidden(x, (we, be), (wd, bd), stride)
        kept, project, bias = _fit(hidden, target - x if adds else target, block.shape.hidden)
        del hidden
        y = block.expand.take(we[kept], be[kept], x)
        y = block.depth.take(wd[kept], bd[kept], y)
        y = block.project.take(project[:, :, None, None], bias, y)
        x = x + y if adds else y
        unexplained.append(float((x - target).square().mean() / target.var((0, 2, 3)).mean()))
    net.last.take(*teacher.layers[-1], x)
    return unexplained


def _hidden(
    x: Tensor, expand: tuple[Tensor, Tensor], depth: tuple[Tensor, Tensor], stride: int
) -> Tensor:
    x = functional.relu6(_same(x, *expand, 1))
    return functional.relu6(_same(x, *depth, stride))


def _fit(
    hidden: Tensor, target: Tensor, count: int, rounds: int = 16
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the hidden channels to keep, and the weight and bias that map them to the target with
    the least squared error."""
    x = hidden.permute(0, 2, 3, 1).reshape(-1, hidden.shape[1]).double()
    y = target.permute(0, 2, 3, 1).reshape(-1, target.shape[1]).double()
    mx, my = x.mean(0), y.mean(0)
    xx = x.T @ x / len(x) - mx[:, None] * mx
    xy = x.T @ y / len(x) - mx[:, None] * my
    xx.diagonal().add_(1e-4 * xx.diagonal().mean())
    kept = torch.arange(len(mx), device=hidden.device)
    counts = np.linspace(len(mx), count, rounds + 1).round().astype(int)[1:]
    for remaining in counts.tolist():
        inverse = torch.linalg.inv(xx[kept][:, kept])
        weight = inverse @ xy[kept]
        loss = weight.square().sum(1) / inverse.diagonal()  # the cost of removing each channel
        kept = kept[loss.argsort(descending=True)[:remaining].sort().values]
    weight = torch.linalg.solve(xx[kept][:, kept], xy[kept])
    bias = my - mx[kept] @ weight
    return kept, weight.T.float(), bias.float()
