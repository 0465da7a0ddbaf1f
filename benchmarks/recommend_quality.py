"""Precision of recommendations by likes and dislikes, against the best like alone.

A user who looks for the photos of one class likes 3 of them, searches by the first, and dislikes
2 of the first 5 photos of other classes in the answer: the misleading ones. precision@10 is the
share of the class among the first ten, the five examples left out of every answer. "The best like"
is chosen for each query by its labels, which no user can do. The model is a stand-in: the ratios
count, and the absolute figures say nothing about CLIP.
"""

from __future__ import annotations

import csv
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks._figures import bound, finish, need_data
from lookalike import Index

QUERIES = 500
LIKES, DISLIKES, TOP = 3, 2, 10


def main() -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        precision = compare(data / "photos", data / "standin-clip", Path(folder) / "index")
    best = precision["the best like"]
    print(
        f"{QUERIES} queries, {LIKES} likes, {DISLIKES} dislikes: precision@{TOP} (stand-in model)"
    )
    for name, values in precision.items():
        gain = values - best
        error = 1.96 * gain.std() / np.sqrt(QUERIES)
        print(f"{name:16}{values.mean():.3f}  to the best like {gain.mean():+.3f} ± {error:.3f}")
    ratio = float(precision["default"].mean() / best.mean())
    bound(
        "precision@10 of the default with 3 likes and 2 dislikes over the single best like",
        ratio,
        least=1.0,
    )
    finish()


def compare(folder: Path, model: Path, where: Path) -> dict[str, np.ndarray]:
    """precision@10 of every query, by kind of search."""
    with (folder / "labels.csv").open(encoding="utf-8") as file:
        labels = {row["id"]: row["label"] for row in csv.DictReader(file)}
    precision: dict[str, list[float]] = defaultdict(list)
    with Index.open(where, model_dir=model) as index:
        index.add(folder, metadata=folder / "labels.csv")
        members: dict[str, list[str]] = defaultdict(list)
        for id in sorted(point.id for point in index.scroll()):
            members[labels[id]].append(id)
        # So many that ten are left to be found.
        classes = [label for label, ids in members.items() if len(ids) >= LIKES + TOP]
        deep = max(map(len, members.values())) + 5  # holds five of another class for certain
        rng = np.random.default_rng(0)
        for _ in range(QUERIES):
            label = classes[rng.integers(len(classes))]
            likes = _draw(rng, members[label], LIKES)
            ranked = [hit.id for hit in index.search(id=likes[0], limit=deep)]
            wrong = [id for id in ranked if labels[id] != label][:5]
            dislikes = _draw(rng, wrong, DISLIKES)
            examples = {*likes, *dislikes}
            alone = [
                _precision(_found(index, like, examples), label, labels) for like in likes
            ]  # the examples left out here too, so that all answers are drawn from the same photos
            precision["the best like"].append(max(alone))
            precision["the mean like"].append(float(np.mean(alone)))
            hits = index.recommend(like=likes, unlike=dislikes, limit=TOP)
            precision["default"].append(_precision((h.id for h in hits), label, labels))
            for strategy in ("average", "best", "sum"):
                hits = index.recommend(like=likes, unlike=dislikes, strategy=strategy, limit=TOP)
                precision[strategy].append(_precision((h.id for h in hits), label, labels))
    return {name: np.array(values) for name, values in precision.items()}


def _draw(rng: np.random.Generator, ids: Sequence[str], count: int) -> list[str]:
    return [ids[i] for i in rng.choice(len(ids), count, replace=False)]


def _found(index: Index, like: str, examples: Collection[str]) -> list[str]:
    """The ten nearest to one like, without the examples."""
    hits = index.search(id=like, limit=TOP + len(examples))
    return [hit.id for hit in hits if hit.id not in examples][:TOP]


def _precision(found: Iterable[str], label: str, labels: Mapping[str, str]) -> float:
    return sum(labels[id] == label for id in found) / TOP


if __name__ == "__main__":
    main()
