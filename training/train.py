"""Trains the network against the teacher's answers (`views.py` first), by the clock.

    python train.py --views DIR --out DIR --minutes 75 [--data DIR] [--resume]

1. The first part learns the teacher's, a few minutes. 2. The other blocks are inherited, with
the channels that matter most. 3. All is trained together, towards the teacher's embedding in its
512 main directions, its similarities within the batch, its thousand classes, and the labels.

Writes DIR/last.pt every two minutes; `export.py` makes an ONNX file of it at any time.
"""

from __future__ import annotations

import argparse
import copy
import math
import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import data
import metrics
import numpy as np
import torch
from data import Photos, Pixels
from net import BLOCKS, DIM, STEM, Net, Teacher, inherit
from numpy.typing import NDArray
from render import Batch, Pictures
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from views import Recipes

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Settings:
    """All that decides how the weights come about, apart from the machine's speed."""

    side: int = data.SIDE
    small_side: int = 112  # for the first part of the time: faster
    small_share: float = 0.45
    batch: int = 64  # of each part of a step
    parts: int = 2
    stem_minutes: float = 3.0
    minutes: float = 75.0
    rate: float = 3e-4
    decay: float = 0.02
    average: float = 0.999
    power: float = 0.0  # 0: directions weigh as the teacher's variances, -0.5: all alike
    class_warmth: float = 2.0  # of the teacher's classes
    label_scale: float = 12.0
    weights: tuple[float, float, float, float] = (4.0, 1.0, 0.1, 0.3)  # of the four aims
    seed: int = data.SEED


class Aims(nn.Module):
    """What the network is trained towards."""

    mean: Tensor
    main: Tensor
    class_weight: Tensor
    class_bias: Tensor
    label_weight: Tensor

    def __init__(
        self,
        teacher: Teacher,
        targets: Tensor,
        labels: Tensor,
        counts: list[int],
        settings: Settings,
    ) -> None:
        super().__init__()
        self.settings = settings
        mean = targets.mean(0)
        spread = (targets - mean).T @ (targets - mean) / len(targets)
        values, vectors = torch.linalg.eigh(spread.double())
        values, vectors = values[-DIM:], vectors[:, -DIM:]
        main = (vectors * values**settings.power).float()
        main = main / (main.T @ spread @ main).trace().sqrt()
        self.register_buffer("mean", mean)
        self.register_buffer("main", main)
        weight, bias = teacher.classes
        self.register_buffer("class_weight", weight)
        self.register_buffer("class_bias", bias)
        # Rare labels count more than their number, common ones less.
        share = torch.tensor(counts, dtype=torch.float32) ** -0.5
        self.register_buffer("label_weight", share / share.mean())
        wanted = functional.normalize((targets - mean) @ main, dim=1)
        middle = torch.stack([wanted[labels == n].mean(0) for n in range(len(counts))])
        self.proxies = nn.Parameter(functional.normalize(middle, dim=1))

    @torch.no_grad()
    def start(self, net: Net, pixels: Tensor) -> None:
        """The head as the main directions of the teacher, about the network's own mean."""
        mean = net(pixels)[0].mean(0)
        net.head.weight.copy_(self.main.T)
        net.head.bias.copy_(-mean @ self.main)

    def forward(
        self, features: Tensor, embedding: Tensor, target: Tensor, label: Tensor
    ) -> list[Tensor]:
        s = self.settings
        ours = functional.normalize(embedding, dim=1)
        wanted = functional.normalize((target - self.mean) @ self.main, dim=1)
        direction = (1 - (ours * wanted).sum(1)).mean()
        goal = _others(wanted)
        alike = (_others(ours) - goal).square().mean() / goal.var()
        classes = _divergence(
            (target @ self.class_weight.T + self.class_bias) / s.class_warmth,
            (features @ self.class_weight.T + self.class_bias) / s.class_warmth,
        )
        known = label >= 0
        scores = s.label_scale * ours[known] @ functional.normalize(self.proxies, dim=1).T
        labels = functional.cross_entropy(
            scores, label[known], weight=self.label_weight, label_smoothing=0.1
        )
        return [direction, alike, classes, labels]


def _others(rows: Tensor) -> Tensor:
    """(n, n - 1): cosines of each row with all others."""
    n = len(rows)
    cosines = rows @ rows.T
    return cosines[~torch.eye(n, dtype=torch.bool, device=rows.device)].view(n, n - 1)


def _divergence(wanted: Tensor, ours: Tensor) -> Tensor:
    return functional.kl_div(
        ours.log_softmax(1), wanted.log_softmax(1), reduction="batchmean", log_target=True
    )


def label_numbers(photos: Photos, views: Recipes) -> tuple[NDArray[np.int64], list[int]]:
    """The label of each view as a number, -1 where it has none or is a mixture; and the counts."""
    known = Counter(photos.labels[row] for row in photos.rows("train") if photos.labels[row])
    names = sorted(name for name, count in known.items() if count >= 5)
    number = {name: n for n, name in enumerate(names)}
    of_photo = np.array([number.get(label, -1) for label in photos.labels])
    labels = np.where(views["other"] < 0, of_photo[views["photo"]], -1)
    return labels.astype(np.int64), [known[name] for name in names]


def prepared(pixels: Tensor) -> Tensor:
    return pixels.to(DEVICE).float().contiguous(memory_format=torch.channels_last)


def half() -> torch.autocast:
    return torch.autocast(DEVICE.type, torch.bfloat16)


def train_stem(net: Net, teacher: Teacher, pictures: Iterator[Batch], minutes: float) -> None:
    """The first part towards the teacher's, which is not trained."""
    steps = torch.optim.AdamW(net.stem.parameters(), 4e-3, weight_decay=0.01)
    start, step = time.monotonic(), 0
    net.stem.train()
    while (done := (time.monotonic() - start) / 60 / minutes) < 1:
        for group in steps.param_groups:
            group["lr"] = 4e-3 * min(1, step / 50) * (1 - done)
        pixels = prepared(next(pictures)[0])
        with half():
            with torch.no_grad():
                wanted = teacher.front(pixels).float()
            loss = (net.front(pixels).float() - wanted).square().mean()
        loss = loss / wanted.var((0, 2, 3)).mean()
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
        if step % 50 == 0:
            print(f"stem: step {step}, unexplained {loss.item():.3f}", flush=True)
        step += 1


@torch.no_grad()
def embed(net: Net, squares: list[Pixels]) -> NDArray[np.float32]:
    rows = []
    for at in range(0, len(squares), 64):
        pixels = torch.from_numpy(np.stack(squares[at : at + 64])).permute(0, 3, 1, 2)
        with half():
            rows.append(net(prepared(pixels))[1].float().cpu().numpy())
    return np.concatenate(rows)


@torch.no_grad()
def move_average(average: Net, net: Net, keep: float) -> None:
    pairs = zip(average.state_dict().values(), net.state_dict().values(), strict=True)
    for kept, new in pairs:
        if kept.dtype.is_floating_point:
            kept.lerp_(new.to(kept.dtype), 1 - keep)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data.DATA)
    parser.add_argument("--views", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=Settings.minutes)
    parser.add_argument("--stem-minutes", type=float, default=Settings.stem_minutes)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw pictures")
    parser.add_argument("--start", type=Path, help="a start.pt of an earlier run: skips 1 and 2")
    parser.add_argument("--resume", action="store_true", help="go on from --out/last.pt")
    options = parser.parse_args()
    settings = replace(Settings(), minutes=options.minutes, stem_minutes=options.stem_minutes)
    torch.manual_seed(settings.seed)
    options.out.mkdir(parents=True, exist_ok=True)

    photos = data.load(options.data)
    views = cast(Recipes, np.load(options.views / "views.npy"))
    targets = torch.from_numpy(np.load(options.views / "targets.npy")).float()
    label_of, counts = label_numbers(photos, views)
    labels = torch.from_numpy(label_of)
    teacher = Teacher(options.data / "teacher" / "mobilenet_v2.onnx", DEVICE)
    aims = Aims(teacher, targets, labels, counts, settings).to(DEVICE)
    saved = None
    if options.resume:
        saved = torch.load(options.out / "last.pt", map_location=DEVICE, weights_only=True)
    side = multiprocessing.Value("i", settings.side)
    seed = settings.seed + (saved["step"] if saved else 0)  # not the same pictures again
    pictures = iter(
        DataLoader(
            Pictures(photos.pixels, views, settings.batch, side, seed),
            batch_size=None,
            num_workers=options.workers,
            prefetch_factor=8,
        )
    )
    net = Net().to(DEVICE).to(memory_format=torch.channels_last)
    if options.start:
        net.load_state_dict(torch.load(options.start, map_location=DEVICE, weights_only=True))
    elif not saved:
        train_stem(net, teacher, pictures, settings.stem_minutes)
        left = inherit(net, teacher, prepared(torch.cat([next(pictures)[0] for _ in range(10)])))
        print("inherited, unexplained:", " ".join(f"{share:.2f}" for share in left), flush=True)
        aims.start(net, prepared(torch.cat([next(pictures)[0] for _ in range(8)])))
        torch.save(net.state_dict(), options.out / "start.pt")
    net.eval()
    run(net, aims, pictures, side, targets, labels, photos, settings, options.out, saved)


def run(
    net: Net,
    aims: Aims,
    pictures: Iterator[Batch],
    side: Any,
    targets: Tensor,
    labels: Tensor,
    photos: Photos,
    settings: Settings,
    out: Path,
    saved: dict[str, Any] | None,
) -> None:
    average = copy.deepcopy(net)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in net.parameters() if p.ndim >= 2]},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
        {"params": list(aims.parameters()), "weight_decay": 0.0},
    ]
    steps = torch.optim.AdamW(groups, settings.rate, weight_decay=settings.decay)
    step, before = 0, 0.0
    if saved:
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        aims.load_state_dict(saved["aims"])
        steps.load_state_dict(saved["steps"])
        step, before = saved["step"], saved["minutes"]
    start = told = kept = time.monotonic()
    sums, since = np.zeros(4), 0

    def minutes() -> float:
        return before + (time.monotonic() - start) / 60

    def tell() -> None:
        found = metrics.held_out(photos, lambda squares: embed(average, squares))
        line = (
            f"{time.strftime('%H:%M:%S')} {minutes():.1f} min, step {step}, side {side.value}, "
            f"{since * settings.batch * settings.parts / max(1, time.monotonic() - told):.0f}/s, "
            + "aims "
            + " ".join(f"{value:.3f}" for value in sums / max(1, since))
            + ", precision@10 "
            + ", ".join(f"{name} {value:.3f}" for name, value in found.items())
        )
        print(line, flush=True)
        with (out / "progress.txt").open("a") as file:
            file.write(line + "\n")

    def keep() -> None:
        settled = asdict(settings) | {"blocks": [asdict(b) for b in BLOCKS], "stem": list(STEM)}
        settled["weights"] = list(settings.weights)
        state = {
            "net": net.state_dict(),
            "average": average.state_dict(),
            "aims": aims.state_dict(),
            "steps": steps.state_dict(),
            "step": step,
            "minutes": minutes(),
            "settings": settled,
        }
        torch.save(state, out / "next.pt")
        (out / "next.pt").replace(out / "last.pt")

    def part(drawn: Batch) -> tuple[tuple[Tensor, ...], NDArray[np.float32]]:
        """Slopes and values of the aims on one part of a step, each in its own thread: on a busy
        machine that is twice as fast as operations that each wait for two threads."""
        torch.set_num_threads(threads)
        pixels, numbers = drawn
        with half():
            features, embedding = net(prepared(pixels))
        values = torch.stack(
            aims(
                features,
                embedding.float(),
                targets[numbers].to(DEVICE),
                labels[numbers].to(DEVICE),
            )
        )
        slopes = torch.autograd.grad((values * weights).sum(), parameters)
        return slopes, values.detach().cpu().numpy()

    parameters = [*net.parameters(), *aims.parameters()]
    threads = max(1, torch.get_num_threads() // settings.parts)
    pool = ThreadPoolExecutor(settings.parts)
    tell()
    weights = torch.tensor(settings.weights, device=DEVICE)
    while (done := minutes() / settings.minutes) < 1:
        side.value = settings.small_side if done < settings.small_share else settings.side
        falling = 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
        rate = settings.rate * min(1, (step + 1) / 300) * falling
        for group in steps.param_groups:
            group["lr"] = rate
        drawn = [next(pictures) for _ in range(settings.parts)]
        found = list(pool.map(part, drawn))
        for number, parameter in enumerate(parameters):
            parameter.grad = torch.stack([slopes[number] for slopes, _ in found]).mean(0)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        steps.step()
        sums += np.mean([values for _, values in found], axis=0)
        step, since = step + 1, since + 1
        move_average(average, net, min(settings.average, 1 - 1 / (1 + step / 4)))
        if time.monotonic() - kept > 120:
            keep()
            kept = time.monotonic()
        if time.monotonic() - told > 400 or step in (100, 300):
            tell()
            told, sums, since = time.monotonic(), np.zeros(4), 0
    keep()
    tell()


if __name__ == "__main__":
    main()
