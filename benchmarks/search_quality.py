"""Recall of the index against a brute-force ranking of the same embeddings.

precision@10 is the share of images with the query's label among its ten nearest, itself left out;
the label is the category in `catalog`, the class in `photos`. The model is a stand-in: the
difference from brute force counts, and the absolute figure says nothing about CLIP.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import numpy as np

from benchmarks._figures import bound, finish, need_data
from lookalike import Index


def main() -> None:
    data = need_data()
    for name, table, label in (
        ("catalog", "catalog.csv", "category"),
        ("photos", "labels.csv", "label"),
    ):
        with tempfile.TemporaryDirectory() as folder:
            compare(data / name, table, label, data / "standin-clip", Path(folder) / "index")
    finish()


def compare(folder: Path, table: str, label: str, model: Path, where: Path) -> None:
    with (folder / table).open(encoding="utf-8") as file:
        labels = {row["id"]: row[label] for row in csv.DictReader(file)}
    with Index.open(where, model_dir=model) as index:
        index.add(folder, metadata=folder / table)
        name = index._manifest.semantic.name
        points = [(p.id, p.vectors[name]) for p in index.scroll(vectors=True)]
        found = np.mean([
            np.mean([labels[hit.id] == labels[id] for hit in index.search(id=id, limit=10)])
            for id, _ in points
        ])  # fmt: skip
    ids = [id for id, _ in points]
    vectors = np.array([vector for _, vector in points])
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -1)
    nearest = np.argsort(-similarity, axis=1)[:, :10]
    names = np.array([labels[id] for id in ids])
    exact = np.mean(names[nearest] == names[:, None])
    print(f"{folder.name}: index {found:.4f}, brute force {exact:.4f} (stand-in model)")
    bound(f"{folder.name}: |index - brute force|", abs(float(found - exact)), most=0.01)


if __name__ == "__main__":
    main()
