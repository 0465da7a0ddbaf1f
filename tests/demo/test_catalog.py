"""The drawn catalog: reproducible, resumable, and consistent with its table."""

from __future__ import annotations

import colorsys
import csv
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.demo.catalog import draw_catalog, plan
from lookalike.demo.categories import CATEGORIES
from lookalike.demo.copies import EDITS, Copy
from lookalike.demo.designs import Design, design
from lookalike.demo.drawing.colors import PALETTE, Field, rgb
from lookalike.demo.drawing.patterns import PATTERNS, Cloth
from lookalike.errors import InputError

COUNT = 40


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the bytes of all files in a folder, by relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_catalog(tmp_path_factory.mktemp("drawn"), count=COUNT)


@pytest.fixture(scope="module")
def usual() -> list[Design | Copy]:
    return plan(640, 7)


@pytest.mark.slow
def test_the_same_bytes_in_another_process(drawn: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lookalike.demo.catalog import draw_catalog; "
        f"draw_catalog(Path(sys.argv[1]), count={COUNT})"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    assert contents(tmp_path) == contents(drawn.parent)


def test_another_seed_draws_other_products() -> None:
    assert design(0, 7).row != design(0, 8).row
    assert design(3, 7).picture().tobytes() != design(3, 8).picture().tobytes()


def test_a_whole_catalog_is_left_as_it_is(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    table = draw_catalog(tmp_path, count=5, progress=lambda *step: calls.append(step))
    assert calls == [(done, 5) for done in range(1, 6)]
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert draw_catalog(tmp_path, count=5, progress=lambda *step: calls.append(step)) == table
    assert len(calls) == 5
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == times


def test_an_interrupted_drawing_is_redone(drawn: Path, tmp_path: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_catalog(tmp_path, count=COUNT, progress=interrupt)
    assert contents(tmp_path) != contents(drawn.parent)
    draw_catalog(tmp_path, count=COUNT)
    assert contents(tmp_path) == contents(drawn.parent)


def test_a_missing_picture_is_drawn_again(tmp_path: Path) -> None:
    table = draw_catalog(tmp_path, count=3)
    before = contents(tmp_path)
    (tmp_path / rows(table)[1]["file"]).unlink()
    draw_catalog(tmp_path, count=3)
    assert contents(tmp_path) == before


def test_a_smaller_catalog_leaves_no_old_pictures_and_other_files_alone(tmp_path: Path) -> None:
    draw_catalog(tmp_path, count=6)
    foreign = tmp_path / "images" / "mine.txt"
    foreign.write_text("mine")
    table = draw_catalog(tmp_path, count=4)
    pictures = {path for path in (tmp_path / "images").iterdir() if path != foreign}
    assert pictures == {tmp_path / row["file"] for row in rows(table)}
    assert foreign.read_text() == "mine"


def test_a_table_of_ones_own_is_not_overwritten(tmp_path: Path) -> None:
    table = tmp_path / "catalog.csv"
    table.write_text("id,file\n")
    with pytest.raises(InputError, match="choose another folder"):
        draw_catalog(tmp_path, count=3)
    assert table.read_text() == "id,file\n"


def test_no_pictures_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 1"):
        draw_catalog(tmp_path, count=0)


def test_table_and_pictures(drawn: Path) -> None:
    table = rows(drawn)
    columns = "id,file,name,category,brand,color,pattern,price,in_stock,uploaded_at"
    assert list(table[0]) == columns.split(",")
    assert len(table) == len({row["id"] for row in table}) == COUNT
    prices = {kind.name: kind.price for kind in CATEGORIES}
    assert {row["category"] for row in table} == set(prices)
    for row in table:
        low, high = prices[row["category"]]
        assert low <= float(row["price"]) <= high + 1
        assert len(row["price"].partition(".")[2]) == 2
        assert row["in_stock"] in ("true", "false")
        assert row["uploaded_at"].endswith("Z")
        assert datetime.fromisoformat(row["uploaded_at"]).year == 2025
        assert row["color"] in PALETTE
        assert row["pattern"] in PATTERNS
        with Image.open(drawn.parent / row["file"]) as picture:
            picture.load()
            assert picture.mode == ("RGBA" if row["file"].endswith(".png") else "RGB")
            assert row["id"].endswith("-copy") or 400 <= max(picture.size) <= 480


def test_the_usual_catalog_is_mixed(usual: list[Design | Copy]) -> None:
    items = [item.row for item in usual]
    copies = [row for row in items if row.id.endswith("-copy")]
    assert (len(items), len(copies)) == (640, 24)
    assert {row.color for row in items} == set(PALETTE)
    assert {row.pattern for row in items} == set(PATTERNS)
    assert 10 <= sum(row.file.endswith(".png") for row in items) <= 20
    assert all(datetime.fromisoformat(row.uploaded_at).year == 2025 for row in items)
    assert {row.id.removesuffix("-copy") for row in copies} <= {row.id for row in items}


def term(color: Field) -> str:
    """Returns the basic term of a color by hue, saturation and value, not by the palette."""
    hue, saturation, value = colorsys.rgb_to_hsv(*map(float, color))
    degrees = hue * 360
    if value < 0.2:
        return "black"
    if saturation < 0.15:
        return "white" if value > 0.82 else "grey" if value > 0.24 else "black"
    if degrees < 14 or degrees >= 344:
        return "red" if saturation > 0.6 else "pink"
    if degrees < 41:
        return "orange" if value > 0.68 else "brown"
    bounds = {66: "yellow", 170: "green", 252: "blue", 312: "purple", 344: "pink"}
    return next(name for bound, name in bounds.items() if degrees < bound)


def test_most_of_each_product_is_of_the_color_in_the_table(usual: list[Design | Copy]) -> None:
    wrong = []
    for item in usual[5:616:7]:
        assert isinstance(item, Design)
        layer = item.layer()
        pixels = layer.color[:, layer.cover > 0.95].T[::53]
        ((main, _),) = Counter(map(term, np.clip(pixels, 0, 1))).most_common(1)
        if main != item.row.color:
            wrong.append((item.row.name, item.row.color, main))
    assert wrong == []


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
@pytest.mark.parametrize("color", ["white", "black", "red"])
def test_a_pattern_shows_and_leaves_the_base_its_lead(pattern: str, color: str) -> None:
    base = rgb(next(iter(PALETTE[color].values())))
    accent = rgb("#2b3d66" if color == "white" else "#f4eee1")
    v, u = np.mgrid[0:72:0.25, 0:72:0.25].astype(np.float32)
    for style in range(12):
        cloth = Cloth(pattern, base, accent, style=style, seed=1)
        painted = np.broadcast_to(cloth.color(u, v, 0.25), (3, *u.shape))
        if pattern == "plain":
            assert float(np.ptp(painted, axis=(1, 2)).max()) == 0
            continue
        assert float(painted.mean(axis=0).std()) > 0.008
        to_base = np.linalg.norm(painted - base, axis=0)
        to_accent = np.linalg.norm(painted - accent, axis=0)
        assert float((to_base < to_accent).mean()) > 0.55


def test_near_copies_look_like_their_originals(usual: list[Design | Copy], tmp_path: Path) -> None:
    def small(path: Path) -> Field:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("L").resize((24, 24)), np.float32)

    for item in [item for item in usual if isinstance(item, Copy)][: len(EDITS)]:
        copy, original = tmp_path / "copy.jpg", tmp_path / "original.jpg"
        item.save(copy)
        item.original.save(original)
        assert copy.read_bytes() != original.read_bytes()
        ways = small(original), small(original)[:, ::-1]
        alike = [np.corrcoef(small(copy).ravel(), way.ravel())[0, 1] for way in ways]
        assert max(alike) > 0.9
