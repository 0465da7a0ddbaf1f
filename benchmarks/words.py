"""Precision of the built-in model's words, and the time of a search by them.

For each label of the photos and categories of the catalog that is a known word, the share of the
first ten hits with this label; for two words, a color and a kind, on the drawn catalog.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean

from benchmarks._figures import bound, finish, median_seconds, need_data
from lookalike import Index
from lookalike.demo.catalog import draw_catalog
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.errors import QueryError

MODEL = LookalikeSmall1()
HITS = 10
LEAST_EXISTING = 3
"""Drawings of a color and kind, for its precision to count."""


def main() -> None:
    data = need_data()
    labeled = list[float]()
    with tempfile.TemporaryDirectory() as folder:
        for name, table, column in (
            ("photos", "labels.csv", "label"),
            ("catalog", "catalog.csv", "category"),
        ):
            with Index.open(Path(folder) / name, model="built-in") as index:
                index.add(data / name, metadata=data / name / table)
                labeled += report(index, name, _rows(data / name / table), column)
        seconds = median_seconds(lambda: MODEL.describe_text(["striped dress not floral"]), 100)
        bound("milliseconds to read a text", seconds * 1e3, most=2)
        bound("words that were measured with labels", mean(labeled), least=0.85)
        table_file = draw_catalog(Path(folder) / "drawn")
        with Index.open(Path(folder) / "drawings", model="built-in") as index:
            index.add(table_file.parent, metadata=table_file)
            report_pairs(index, _rows(table_file))
    finish()


def report(index: Index, name: str, rows: Sequence[Mapping[str, str]], column: str) -> list[float]:
    """Prints the precision of a set's labels; returns that of words that labels measured."""
    counts = Counter(row[column] for row in rows)
    found = {}
    for label, existing in counts.items():
        limit = min(HITS, existing)
        try:
            hits = index.search(text=label, limit=limit)
        except QueryError:
            continue
        found[label] = mean(hit.payload[column] == label for hit in hits)
    worst = sorted(found, key=lambda label: found[label])[:8]
    print(f"{name}: {len(found)} of {len(counts)} labels are known")
    print("  worst:", ", ".join(f"{label} {found[label]:.1f}" for label in worst))
    bound(f"precision of words on {name}", mean(found.values()), least=0.65)
    by_labels = {word.name for word in MODEL.words if word.measured_with == "labels"}
    return [found[label] for label in found if MODEL.mentions(label)[0].name in by_labels]


def report_pairs(index: Index, rows: Sequence[Mapping[str, str]]) -> None:
    counts = Counter((row["color"], row["category"]) for row in rows)
    found = {}
    for (color, kind), existing in counts.items():
        if existing < LEAST_EXISTING:
            continue
        try:
            hits = index.search(text=f"{color} {kind}", limit=min(HITS, existing))
        except QueryError:
            continue
        found[color, kind] = mean(
            (hit.payload["color"], hit.payload["category"]) == (color, kind) for hit in hits
        )
    print(f"drawn catalog: {len(found)} pairs of color and kind")
    bound("precision of two words on the drawn catalog", mean(found.values()), least=0.6)


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


if __name__ == "__main__":
    main()
