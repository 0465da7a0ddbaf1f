"""The drawn catalog: pictures of products, and a table that describes them.

It serves to try lookalike without photos, and to measure it: the color and pattern of a drawn
product are known.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, fields
from pathlib import Path
from random import Random

from lookalike.demo.copies import EDITS, Copy, edited_copy
from lookalike.demo.designs import Design, Row, design
from lookalike.errors import InputError

_VERSION = 1
"""Version of the drawings. Raise it with every change to a picture, so that old catalogs are drawn
again."""

_COPIES = 24 / 640
"""Share of edited copies among all pictures."""

_MARK = ".drawn.json"
"""File that marks a folder as a drawn catalog."""


def plan(count: int, seed: int) -> list[Design | Copy]:
    """Plans a catalog of `count` pictures, edited copies last."""
    copies = round(count * _COPIES)
    designs = [design(number, seed) for number in range(count - copies)]
    whole = [item for item in designs if not item.cut]
    chosen = Random(f"{seed}/copies").sample(whole, copies)
    return [*designs, *(edited_copy(item, i % len(EDITS)) for i, item in enumerate(chosen))]


def draw_catalog(
    folder: Path,
    *,
    count: int = 640,
    seed: int = 7,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Draws product pictures and a table that describes them: the same bytes for the same seed.

    A complete catalog in the folder is left as it is. One that was interrupted, or was drawn by
    another version, is drawn again. Other files are not touched.

    Args:
        folder: folder for `catalog.csv` and `images/`.
        count: number of pictures; one in 27 is an edited copy of another.
        seed: seed of everything random.
        progress: called with the number of finished pictures and their total.

    Returns:
        The path of catalog.csv. `color` is the basic color term of most of the product,
        `pattern` its pattern; `file` is relative to the table.

    Raises:
        InputError: `count` is not positive, or the folder contains another catalog.csv.
    """
    if count < 1:
        raise InputError(f"A catalog of {count} pictures cannot be drawn; ask for at least 1.")
    table, mark = folder / "catalog.csv", folder / _MARK
    wanted = {"version": _VERSION, "count": count, "seed": seed, "complete": True}
    if table.exists():
        if not mark.exists():
            raise InputError(f"{table} is not a drawn catalog; choose another folder.")
        if json.loads(mark.read_text()) == wanted and all(map(Path.exists, _files(table))):
            return table
    items = plan(count, seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps({**wanted, "complete": False}))
    stale = set(_files(table)) - {folder / item.row.file for item in items}
    for path in stale:
        path.unlink(missing_ok=True)
    _write_table(table, [item.row for item in items])
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(item.save, folder / item.row.file) for item in items]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if progress:
                    progress(done, count)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    mark.write_text(json.dumps(wanted))
    return table


def _files(table: Path) -> list[Path]:
    """Returns the pictures listed in a table."""
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as lines:
        return [table.parent / "images" / Path(row["file"]).name for row in csv.DictReader(lines)]


def _write_table(table: Path, rows: list[Row]) -> None:
    with table.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(map(asdict, rows))
