"""Precision of "like this, but blue" and "like this, but not blue" on the drawn catalog, where all
kinds and colors are known.

A query is a drawn product and a color that two or more others of its kind have. Of the first
five hits, or as many as exist, the share that has both the kind and the color is measured for the
words as they stand, for a plain sum at equal and at the best weights, and for a perfect color
filter: what the model could reach if colors were known.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from statistics import mean
from typing import Any, TypeAlias

from benchmarks._figures import bound, finish, need_data
from lookalike import Index
from lookalike.demo.catalog import draw_catalog
from lookalike.search.hits import Hits

QUERIES = 160
FIRST = 5
SHORT_OF_FILTER = 0.03
"""Most precision that the words may lose against the perfect filter."""

SHORT_OF_EXCLUSION = 0.05
"""The same for a color that is not wanted."""

Query: TypeAlias = tuple[str, str]
"""The id of a product, and a color."""


def main() -> None:
    data = need_data()
    with tempfile.TemporaryDirectory() as folder:
        table = draw_catalog(Path(folder) / "drawn")
        with table.open(encoding="utf-8") as file:
            products = {row["id"]: row for row in csv.DictReader(file)}
        models: Mapping[str, dict[str, Any]] = {
            "built-in model": {"model": "built-in"},
            "stand-in model": {"model_dir": data / "standin-clip"},
        }
        for name, options in models.items():
            with Index.open(Path(folder) / name, **options) as index:
                index.add(table.parent, metadata=table)
                compare(name, index, products)
                if "model" in options:  # the stand-in takes words as a whole
                    exclude(name, index, products)
    finish()


def queries_of(products: Mapping[str, Mapping[str, str]]) -> list[Query]:
    """Random products, each with a random color of which its kind has two or more others."""
    counts = Counter((row["category"], row["color"]) for row in products.values())
    colors = sorted({color for _, color in counts})
    every = [
        (id, color)
        for id, row in products.items()
        for color in colors
        if color != row["color"] and counts[row["category"], color] > 1
    ]
    return Random(5).sample(every, QUERIES)


def compare(name: str, index: Index, products: Mapping[str, Mapping[str, str]]) -> None:
    queries = queries_of(products)

    def precision(search: Callable[[str, str], Hits]) -> float:
        return mean(_share(search(id, color), products, id, color) for id, color in queries)

    def summed(weight: float) -> float:
        weights = {"semantic": 1 - weight, "color": weight}
        return precision(
            lambda id, color: index.search(id=id, color=color, weights=weights, limit=FIRST)
        )

    words = precision(lambda id, color: index.search(id=id, color=color, limit=FIRST))
    perfect = precision(
        lambda id, color: index.search(
            id=id, where="color = :color", params={"color": color}, limit=FIRST
        )
    )
    equal, best = summed(0.5), max(summed(weight) for weight in (0.3, 0.4, 0.6, 0.7, 0.8))
    print(
        f"{name}: words {words:.2f}, perfect filter {perfect:.2f}, sum at equal weights "
        f"{equal:.2f}, at the best {best:.2f} ({QUERIES} queries)"
    )
    bound(f"{name}: perfect filter - words", perfect - words, most=SHORT_OF_FILTER)


def exclude(name: str, index: Index, products: Mapping[str, Mapping[str, str]]) -> None:
    """Measures "like this, but not in its color"."""
    words, perfect = list[float](), list[float]()
    for id in Random(5).sample(sorted(products), QUERIES):
        kind, color = products[id]["category"], products[id]["color"]
        right = {
            other
            for other, row in products.items()
            if row["category"] == kind and row["color"] != color
        }
        if color == "multicolor" or not right:
            continue
        limit = min(FIRST, len(right))
        found = index.search(id=id, negative_text=color, limit=limit)
        ideal = index.search(id=id, where="color != :c", params={"c": color}, limit=limit)
        words.append(sum(hit.id in right for hit in found) / limit)
        perfect.append(sum(hit.id in right for hit in ideal) / limit)
    print(
        f"{name}: not its color {mean(words):.2f}, perfect filter {mean(perfect):.2f} "
        f"({len(words)} queries)"
    )
    short = mean(perfect) - mean(words)
    bound(f"{name}: perfect filter - not its color", short, most=SHORT_OF_EXCLUSION)


def _share(
    hits: Sequence[Any], products: Mapping[str, Mapping[str, str]], id: str, color: str
) -> float:
    kind = products[id]["category"]
    right = [
        products[hit.id]["category"] == kind and products[hit.id]["color"] == color for hit in hits
    ]
    existing = sum(row["category"] == kind and row["color"] == color for row in products.values())
    return sum(right) / min(FIRST, existing)


if __name__ == "__main__":
    main()
