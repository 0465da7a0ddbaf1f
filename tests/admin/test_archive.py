"""Backup files: their format, and damage of every kind."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.admin.archive import ARCHIVE_VERSION, open_archive
from lookalike.admin.backup_files import DiskFile
from lookalike.admin.copy import restore
from lookalike.errors import IndexDamaged, InputError, SchemaTooNew
from lookalike.manifest import Manifest
from lookalike.types import Point
from tests.admin.indexes import NAMES, At, assert_same
from tests.contract.test_engines import point, vector


def read(file: Path) -> tuple[Any, dict[str, Point]]:
    with open_archive(DiskFile(file)) as opened:
        opened.check()
        points = {
            one.id: one
            for batch in opened.batches(Manifest.from_json(opened.manifest, "it"))
            for one in batch
        }
        return opened.manifest, points


def test_a_backup_can_be_read_without_us(saved: Path) -> None:
    with zipfile.ZipFile(saved) as parts:
        lines = parts.read("00000000/payload.jsonl").split(b"\n")
        with parts.open("00000000/style.npy") as part:
            style = np.load(part)
        with parts.open("00000000/phash.npy") as part:
            phash = np.load(part)
    payloads = [json.loads(line) for line in lines]
    assert (style.dtype.str, style.shape) == ("<f4", (120, 24))
    assert (phash.dtype.str, phash.shape) == ("|u1", (120, 64))
    row = [payload["image"]["id"] for payload in payloads].index("photos/7.jpg")
    assert payloads[row] == point(7).payload
    np.testing.assert_allclose(style[row], vector(7, 24), atol=1e-6)


def test_a_backup_that_is_cut_short(saved: Path, tmp_path: Path) -> None:
    whole, part = saved.read_bytes(), tmp_path / "part"
    for length in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        part.write_bytes(whole[:length])
        with pytest.raises(IndexDamaged, match="cut short or damaged"):
            read(part)


def test_a_flipped_bit_is_found_or_harmless(saved: Path, tmp_path: Path) -> None:
    whole, (manifest, points) = saved.read_bytes(), read(saved)
    random, found = np.random.default_rng(5), 0
    tail = range(len(whole) - 900, len(whole))  # ZIP's own directory
    for place in (*random.integers(0, len(whole), 200), *tail[::3]):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            again = read(tmp_path / "damaged")
        except IndexDamaged:
            found += 1
        else:  # a date or another part that is not used
            assert again[0] == manifest
            assert_same(again[1], points)
    assert found > 250


def rewritten(saved: Path, file: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A valid ZIP file of the backup's parts after a change."""
    with zipfile.ZipFile(saved) as parts:
        content = {name: parts.read(name) for name in parts.namelist()}
    change(content)
    with zipfile.ZipFile(file, "w") as made:
        for name, data in content.items():
            made.writestr(name, data)
    return file


def drop(*names: str) -> Callable[[dict[str, bytes]], None]:
    return lambda parts: [parts.pop(name) for name in names].clear()


PARTS = [f"00000000/{name}" for name in ("payload.jsonl", *(f"{name}.npy" for name in NAMES))]


@pytest.mark.parametrize("gone", [[PARTS[0]], [PARTS[1]], PARTS, ["end.json"], ["backup.json"]])
def test_a_part_that_is_gone(gone: list[str], saved: Path, tmp_path: Path, place: At) -> None:
    target = place(tmp_path / "target")
    with pytest.raises(IndexDamaged):
        restore(rewritten(saved, tmp_path / "parts", drop(*gone)), target)
    assert target.engine.read_manifest() is None


def test_a_newer_backup(saved: Path, tmp_path: Path, place: At) -> None:
    def newer(parts: dict[str, bytes]) -> None:
        parts["backup.json"] = json.dumps({"version": ARCHIVE_VERSION + 1}).encode()

    with pytest.raises(SchemaTooNew, match="upgrade it with"):
        restore(rewritten(saved, tmp_path / "newer", newer), place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_a_damaged_backup_becomes_no_index(saved: Path, tmp_path: Path, place: At) -> None:
    damaged = bytearray(saved.read_bytes())
    damaged[len(damaged) // 2] ^= 255
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(IndexDamaged, match="use another copy"):
        restore(tmp_path / "damaged", place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_a_file_that_is_not_there(tmp_path: Path, place: At) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        restore(tmp_path / "nothing", place(tmp_path / "target"))
    assert not (tmp_path / "target").exists()
