"""Precision of color words on the drawn catalog, whose colors and shades are known.

For each of the eleven basic terms, the share of the first 20 hits that have the color; for each
drawn shade whose name is a term ("navy", "saffron"), the share of the first ten whose shade it is.
Both as the words stand, and as a mixture of all shades of a term (`weights={"color": 1}`), as they
were searched by before.
"""

from __future__ import annotations

import csv
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks._figures import bound, finish
from lookalike import Index
from lookalike.demo.catalog import draw_catalog
from lookalike.imaging import color_terms

BASIC_HITS = 20
SHADE_HITS = 10


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        table = draw_catalog(Path(folder) / "drawn")
        with table.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with Index.open(Path(folder) / "index", model="built-in") as index:
            index.add(table.parent, metadata=table)
            report(index, rows)
    finish()


def report(index: Index, rows: list[dict[str, str]]) -> None:
    colors = {row["id"]: row["color"] for row in rows}
    shades = {row["id"]: row["name"].partition(", ")[2].split()[0] for row in rows}
    for name, known, count, least in (
        ("basic terms", colors, BASIC_HITS, 0.97),
        ("shades", shades, SHADE_HITS, 0.65),
    ):
        words = precision(index, known, count)
        mixed = precision(index, known, count, weights={"color": 1})
        print(f"{name}: as they stand {words:.2f}, as a mixture of their shades {mixed:.2f}")
        bound(f"precision of {name}", words, least=least)


def precision(index: Index, known: Mapping[str, str], count: int, **options: Any) -> float:
    """The mean precision of the words that a column of the table has."""
    found = []
    for word, existing in Counter(known.values()).items():
        term = color_terms.find(word)
        if term is None or (term.is_basic and count == SHADE_HITS):
            continue
        hits = index.search(color=word, limit=min(count, existing), **options)
        found.append(mean(known[hit.id] == word for hit in hits))
    return mean(found)


if __name__ == "__main__":
    main()
