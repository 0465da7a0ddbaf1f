"""Sorting and joining in files: the same rows as in memory, within any memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.system.external_sort import (
    Division,
    ExternalSort,
    Table,
    absent,
    attach,
    first_of_groups,
    read_table,
    write_table,
)

MEMORIES = [100, 20_000, 10**7]


def numbers(count: int, columns: int, most: int, seed: int = 0) -> Table:
    return np.random.default_rng(seed).integers(0, most, (count, columns), dtype=np.uint64)


def blocks(table: Table, size: int = 70) -> Iterator[Table]:
    return (table[start : start + size] for start in range(0, len(table), size))


def in_order(table: Table) -> Table:
    return table[np.lexsort(table.T[::-1])]


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("columns", [1, 3])
def test_rows_are_sorted(tmp_path: Path, columns: int, memory: int) -> None:
    rows = numbers(9_000, columns, 40)
    sort = ExternalSort(tmp_path, columns, memory)
    for block in blocks(rows, 777):
        sort.add(*block.T)
    assert np.array_equal(np.concatenate(list(sort)), in_order(rows))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_first_rows_of_each_group_are_kept(tmp_path: Path, memory: int) -> None:
    rows = numbers(9_000, 2, 60)
    sort = ExternalSort(tmp_path, 2, memory, group=lambda table: table[:, 0], most=3)
    for block in blocks(rows, 500):
        sort.add(*block.T)
    ordered = in_order(rows)
    expected = [ordered[ordered[:, 0] == group][:3] for group in range(60)]
    assert np.array_equal(np.concatenate(list(sort)), np.concatenate(expected))


def test_nothing_is_sorted_to_nothing(tmp_path: Path) -> None:
    sort = ExternalSort(tmp_path, 2, 100, group=lambda table: table[:, 0], most=1)
    assert sum(map(len, sort)) == 0


def test_files_are_read_from_anywhere(tmp_path: Path) -> None:
    rows = numbers(500, 2, 10**9)
    assert write_table(tmp_path / "file", blocks(rows)) == 500
    assert np.array_equal(np.concatenate(list(read_table(tmp_path / "file", 2, 64))), rows)
    part = np.concatenate(list(read_table(tmp_path / "file", 2, 64, start=17, stop=40)))
    assert np.array_equal(part, rows[17:40])
    assert not list(read_table(tmp_path / "file", 2, start=5, stop=5))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_rows_are_looked_up_in_a_table(size: int) -> None:
    rows = in_order(numbers(300, 2, 200))
    table = np.array([[key, key * 3] for key in range(0, 150, 2)], np.uint64)
    found = np.concatenate(list(attach(blocks(rows, size), blocks(table, size + 1))))
    expected = [[a, b, a * 3] for a, b in rows.tolist() if a % 2 == 0 and a < 150]
    assert found.tolist() == expected


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_rows_of_another_table_are_left_out(size: int) -> None:
    rows, others = (np.unique(numbers(200, 1, 400, seed), axis=0) for seed in (1, 2))
    left = np.concatenate(list(absent(blocks(rows, size), blocks(others, 2 * size))))
    assert left.ravel().tolist() == sorted(
        set(rows.ravel().tolist()) - set(others.ravel().tolist())
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_row_has_the_first_of_its_group(size: int) -> None:
    rows = in_order(numbers(300, 3, 6))
    pairs = list(first_of_groups(blocks(rows, size), 2))
    assert np.array_equal(np.concatenate([table for table, _ in pairs]), rows)
    for row, first in zip(rows, np.concatenate([first for _, first in pairs]), strict=True):
        same = rows[(rows[:, :2] == row[:2]).all(axis=1)]
        assert np.array_equal(first, same[0])


def test_parts_of_a_division_keep_their_order(tmp_path: Path) -> None:
    rows = numbers(1_000, 2, 10**9)
    parts = numbers(1_000, 1, 7, seed=3).ravel()
    division = Division(tmp_path, 2, 8)
    for start in range(0, 1_000, 130):
        division.add(rows[start : start + 130], parts[start : start + 130])
    for part in range(8):
        assert np.array_equal(division.take(part), rows[parts == part])
    assert not list(tmp_path.iterdir())
