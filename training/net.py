"""The network: the teacher's own blocks with fewer channels, behind a cheaper first part.

MobileNetV2 (Sandler et al., CVPR 2018) spends more than a third of its time on its first six
layers, at high resolution. Three plain convolutions take their place here. Of every later block
those hidden channels stay that matter most, and the block's last layer is fitted anew to what the
teacher's block gives: optimal brain surgeon (Hassibi and Stork, 1993) on channels.
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
    """One inverted-residual block: channels in, hidden, out, and its stride."""

    wide: int
    hidden: int
    out: int
    stride: int


# The teacher's blocks from its third on, with the hidden channels that stay.
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
TEACHER_FRONT = 6  # convolutions of the teacher that the first part stands for


class ConvNorm(nn.Module):
    """Convolution, norm, ReLU6; padded as TensorFlow's 'SAME', which the teacher used."""

    def __init__(
        self, wide: int, out: int, size: int = 1, stride: int = 1, groups: int = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.size, self.stride, self.act = size, stride, act
        self.conv = nn.Conv2d(wide, out, size, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, momentum=0.02)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:  # only the first part, before the blocks are put behind it
            x = self.norm(self.convolve(x, self.conv.weight, None))
        else:
            x = self.convolve(x, *self.folded())
        return functional.relu6(x) if self.act else x

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        stride, groups = self.stride, self.conv.groups
        around = self.size // 2 if stride == 1 or x.shape[-1] % 2 else 0
        if stride == 2 and not around:
            x = functional.pad(x, (0, 1, 0, 1))
        if groups > 1 and stride == 2 and x.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):  # 30 times as fast as in bfloat16
                wide = x.float()
                return functional.conv2d(wide, weight, bias, stride, around, 1, groups).to(x.dtype)
        return functional.conv2d(x, weight, bias, stride, around, 1, groups)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias with the norm in them: what is trained in the end, at no cost in time."""
        norm = self.norm
        scale = norm.weight / torch.sqrt(cast(Tensor, norm.running_var) + norm.eps)
        bias = norm.bias - cast(Tensor, norm.running_mean) * scale
        return self.conv.weight * scale[:, None, None, None], bias

    @torch.no_grad()
    def take(self, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        """Computes as weight and bias do, every channel scaled to unit variance on x inside.

        Without that, one learning rate would not suit the teacher's folded weights, whose sizes
        differ a thousandfold.
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
    """(n, 3, side, side) in 0..255 -> features (n, 1280) and embedding (n, 512), not normalized."""

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
    """The teacher's convolutions as tensors: what the network inherits, and its classifier."""

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
        """What `Net.front` is to give."""
        x = pixels / 127.5 - 1
        for (weight, bias), stride, act in zip(
            self.layers[:TEACHER_FRONT], (2, 1, 1, 1, 2, 1), (1, 1, 0, 1, 1, 0), strict=True
        ):
            x = _same(x, weight, bias, stride)
            x = functional.relu6(x) if act else x
        return x

    def block(self, number: int) -> list[tuple[Tensor, Tensor]]:
        """Expand, depthwise and project of the n-th of BLOCKS."""
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
    """Fills all but the first part, which must be trained: each block is fitted on what reaches it.

    Gives the share of the teacher's variance that is still unexplained after each block.
    """
    net.eval()
    x, wanted, left = net.front(pixels), teacher.front(pixels), []
    for number, block in enumerate(net.blocks):
        block = cast(Block, block)
        (we, be), (wd, bd), (wp, bp) = teacher.block(number)
        stride, adds = block.shape.stride, block.adds
        out = _hidden(wanted, (we, be), (wd, bd), stride)
        out = _same(out, wp, bp, 1)
        wanted = wanted + out if adds else out
        hidden = _hidden(x, (we, be), (wd, bd), stride)
        stays, project, bias = _fit(hidden, wanted - x if adds else wanted, block.shape.hidden)
        del hidden
        y = block.expand.take(we[stays], be[stays], x)
        y = block.depth.take(wd[stays], bd[stays], y)
        y = block.project.take(project[:, :, None, None], bias, y)
        x = x + y if adds else y
        left.append(float((x - wanted).square().mean() / wanted.var((0, 2, 3)).mean()))
    net.last.take(*teacher.layers[-1], x)
    return left


def _hidden(
    x: Tensor, expand: tuple[Tensor, Tensor], depth: tuple[Tensor, Tensor], stride: int
) -> Tensor:
    x = functional.relu6(_same(x, *expand, 1))
    return functional.relu6(_same(x, *depth, stride))


def _fit(
    hidden: Tensor, wanted: Tensor, keep: int, rounds: int = 16
) -> tuple[Tensor, Tensor, Tensor]:
    """The channels that stay, and the linear map from them that comes closest to what is wanted."""
    x = hidden.permute(0, 2, 3, 1).reshape(-1, hidden.shape[1]).double()
    y = wanted.permute(0, 2, 3, 1).reshape(-1, wanted.shape[1]).double()
    mx, my = x.mean(0), y.mean(0)
    xx = x.T @ x / len(x) - mx[:, None] * mx
    xy = x.T @ y / len(x) - mx[:, None] * my
    xx.diagonal().add_(1e-4 * xx.diagonal().mean())
    stays = torch.arange(len(mx), device=hidden.device)
    goals = np.linspace(len(mx), keep, rounds + 1).round().astype(int)[1:]
    for goal in goals.tolist():
        inverse = torch.linalg.inv(xx[stays][:, stays])
        weight = inverse @ xy[stays]
        loss = weight.square().sum(1) / inverse.diagonal()  # what leaving one out would cost
        stays = stays[loss.argsort(descending=True)[:goal].sort().values]
    weight = torch.linalg.solve(xx[stays][:, stays], xy[stays])
    bias = my - mx[stays] @ weight
    return stays, weight.T.float(), bias.float()
