"""Trains the network for a given time, on the teacher's embeddings (run `views.py` first).

    python train.py --views DIR --out DIR --minutes 75 [--data DIR] [--resume]

1. The first part is trained on the output of the teacher's first part, for a few minutes. 2. The
other blocks are inherited with their most important channels. 3. Everything is trained together,
with four losses: the teacher's embedding in its 512 principal components, its similarities within
the batch, its thousand classes, and the labels.

Writes DIR/last.pt every two minutes; `export.py` can turn it into an ONNX file at any time.
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
    """Everything that determines the weights, apart from the speed of the machine."""

    side: int = data.SIDE
    small_side: int = 112  # faster; for the first part of the time
    small_share: float = 0.45
    batch: int = 64  # of each part of a step
    parts: int = 2
    stem_minutes: float = 3.0
    minutes: float = 75.0
    rate: float = 3e-4
    decay: float = 0.02
    average: float = 0.999
    power: float = 0.0  # 0: components weighted by the teacher's variances; -0.5: all equally
    class_warmth: float = 2.0  # the temperature of the teacher's classes
    label_scale: float = 12.0
    weights: tuple[float, float, float, float] = (4.0, 1.0, 0.1, 0.3)  # of the four losses
    seed: int = data.SEED


class Losses(nn.Module):
    """The four losses: direction, similarities, classes and labels."""

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
        # Rare labels get more weight for each picture than common ones.
        share = torch.tensor(counts, dtype=torch.float32) ** -0.5
        self.register_buffer("label_weight", share / share.mean())
        reduced = functional.normalize((targets - mean) @ main, dim=1)
        centers = torch.stack([reduced[labels == n].mean(0) for n in range(len(counts))])
        self.proxies = nn.Parameter(functional.normalize(centers, dim=1))

    @torch.no_grad()
    def start(self, net: Net, pixels: Tensor) -> None:
        """Initializes the head to the teacher's principal components, about the network's mean."""
        mean = net(pixels)[0].mean(0)
        net.head.weight.copy_(self.main.T)
        net.head.bias.copy_(-mean @ self.main)

    def forward(
        self, features: Tensor, embedding: Tensor, target: Tensor, label: Tensor
    ) -> list[Tensor]:
        s = self.settings
        ours = functional.normalize(embedding, dim=1)
        expected = functional.normalize((target - self.mean) @ self.main, dim=1)
        direction = (1 - (ours * expected).sum(1)).mean()
        cosines = _other_cosines(expected)
        similarities = (_other_cosines(ours) - cosines).square().mean() / cosines.var()
        classes = _divergence(
            (target @ self.class_weight.T + self.class_bias) / s.class_warmth,
            (features @ self.class_weight.T + self.class_bias) / s.class_warmth,
        )
        known = label >= 0
        scores = s.label_scale * ours[known] @ functional.normalize(self.proxies, dim=1).T
        labels = functional.cross_entropy(
            scores, label[known], weight=self.label_weight, label_smoothing=0.1
        )
        return [direction, similarities, classes, labels]


def _other_cosines(rows: Tensor) -> Tensor:
    """(n, n - 1): cosines of each row with all the others."""
    n = len(rows)
    cosines = rows @ rows.T
    return cosines[~torch.eye(n, dtype=torch.bool, device=rows.device)].view(n, n - 1)


def _divergence(expected: Tensor, ours: Tensor) -> Tensor:
    return functional.kl_div(
        ours.log_softmax(1), expected.log_softmax(1), reduction="batchmean", log_target=True
    )


def label_numbers(photos: Photos, views: Recipes) -> tuple[NDArray[np.int64], list[int]]:
    """Returns the label of each view as a number, -1 for mixtures and photos without one, and the
    number of photos with each label."""
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
    """Trains the first part on the output of the teacher's first part."""
    steps = torch.optim.AdamW(net.stem.parameters(), 4e-3, weight_decay=0.01)
    start, step = time.monotonic(), 0
    net.stem.train()
    while (done := (time.monotonic() - start) / 60 / minutes) < 1:
        for group in steps.param_groups:
            group["lr"] = 4e-3 * min(1, step / 50) * (1 - done)
        pixels = prepared(next(pictures)[0])
        with half():
            with torch.no_grad():
                target = teacher.front(pixels).float()
            loss = (net.front(pixels).float() - target).square().mean()
        loss = loss / target.var((0, 2, 3)).mean()
        steps.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        steps.step()
        if step % 50 == 0:
            print(f"stem: step {step}, unexplained {loss.item():.3f}", flush=True)
        step += 1


@torch.no_grad()
def embed(net: Net, squares: list[Pixels]) -> NDArray[np.float32]:
    rows = []
    for start in range(0, len(squares), 64):
        pixels = torch.from_numpy(np.stack(squares[start : start + 64])).permute(0, 3, 1, 2)
        with half():
            rows.append(net(prepared(pixels))[1].float().cpu().numpy())
    return np.concatenate(rows)


@torch.no_grad()
def update_average(average: Net, net: Net, keep: float) -> None:
    pairs = zip(average.state_dict().values(), net.state_dict().values(), strict=True)
    for old, new in pairs:
        if old.dtype.is_floating_point:
            old.lerp_(new.to(old.dtype), 1 - keep)


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
    parser.add_argument(
        "--start", type=Path, help="start.pt of an earlier run; skips steps 1 and 2"
    )
    parser.add_argument("--resume", action="store_true", help="continue from --out/last.pt")
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
    losses = Losses(teacher, targets, labels, counts, settings).to(DEVICE)
    saved = None
    if options.resume:
        saved = torch.load(options.out / "last.pt", map_location=DEVICE, weights_only=True)
    side = multiprocessing.Value("i", settings.side)
    seed = settings.seed + (saved["step"] if saved else 0)  # so that pictures do not repeat
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
        sample = prepared(torch.cat([next(pictures)[0] for _ in range(10)]))
        unexplained = " ".join(f"{share:.2f}" for share in inherit(net, teacher, sample))
        print("inherited, unexplained:", unexplained, flush=True)
        losses.start(net, prepared(torch.cat([next(pictures)[0] for _ in range(8)])))
        torch.save(net.state_dict(), options.out / "start.pt")
    net.eval()
    run(net, losses, pictures, side, targets, labels, photos, settings, options.out, saved)


def run(
    net: Net,
    losses: Losses,
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
        {"params": list(losses.parameters()), "weight_decay": 0.0},
    ]
    steps = torch.optim.AdamW(groups, settings.rate, weight_decay=settings.decay)
    step, before = 0, 0.0
    if saved:
        net.load_state_dict(saved["net"])
        average.load_state_dict(saved["average"])
        losses.load_state_dict(saved["aims"])
        steps.load_state_dict(saved["steps"])
        step, before = saved["step"], saved["minutes"]
    start = reported_at = saved_at = time.monotonic()
    sums, since = np.zeros(4), 0

    def minutes() -> float:
        return before + (time.monotonic() - start) / 60

    def report() -> None:
        figures = metrics.held_out(photos, lambda squares: embed(average, squares))
        rate = since * settings.batch * settings.parts / max(1, time.monotonic() - reported_at)
        line = (
            f"{time.strftime('%H:%M:%S')} {minutes():.1f} min, step {step}, side {side.value}, "
            f"{rate:.0f}/s, "
            + "losses "
            + " ".join(f"{value:.3f}" for value in sums / max(1, since))
            + ", precision@10 "
            + ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
        )
        print(line, flush=True)
        with (out / "progress.txt").open("a") as file:
            file.write(line + "\n")

    def save() -> None:
        recorded = asdict(settings) | {"blocks": [asdict(b) for b in BLOCKS], "stem": list(STEM)}
        recorded["weights"] = list(settings.weights)
        state = {
            "net": net.state_dict(),
            "average": average.state_dict(),
            "aims": losses.state_dict(),
            "steps": steps.state_dict(),
            "step": step,
            "minutes": minutes(),
            "settings": recorded,
        }
        torch.save(state, out / "next.pt")
        (out / "next.pt").replace(out / "last.pt")

    def part(drawn: Batch) -> tuple[tuple[Tensor, ...], NDArray[np.float32]]:
        """Returns gradients and values of the losses on one part of a step. Each part has a thread
        of its own: on a busy machine this is twice as fast as operations on two threads."""
        torch.set_num_threads(threads)
        pixels, numbers = drawn
        with half():
            features, embedding = net(prepared(pixels))
        values = torch.stack(
            losses(
                features,
                embedding.float(),
                targets[numbers].to(DEVICE),
                labels[numbers].to(DEVICE),
            )
        )
        gradients = torch.autograd.grad((values * weights).sum(), parameters)
        return gradients, values.detach().cpu().numpy()

    parameters = [*net.parameters(), *losses.parameters()]
    threads = max(1, torch.get_num_threads() // settings.parts)
    pool = ThreadPoolExecutor(settings.parts)
    report()
    weights = torch.tensor(settings.weights, device=DEVICE)
    while (done := minutes() / settings.minutes) < 1:
        side.value = settings.small_side if done < settings.small_share else settings.side
        decay = 0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2
        rate = settings.rate * min(1, (step + 1) / 300) * decay
        for group in steps.param_groups:
            group["lr"] = rate
        drawn = [next(pictures) for _ in range(settings.parts)]
        results = list(pool.map(part, drawn))
        for number, parameter in enumerate(parameters):
            parameter.grad = torch.stack([gradients[number] for gradients, _ in results]).mean(0)
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        steps.step()
        sums += np.mean([values for _, values in results], axis=0)
        step, since = step + 1, since + 1
        update_average(average, net, min(settings.average, 1 - 1 / (1 + step / 4)))
        if time.monotonic() - saved_at > 120:
            save()
            saved_at = time.monotonic()
        if time.monotonic() - reported_at > 400 or step in (100, 300):
            report()
            reported_at, sums, since = time.monotonic(), np.zeros(4), 0
    save()
    report()


if __name__ == "__main__":
    main()
