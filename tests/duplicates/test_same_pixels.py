"""`same-pixels` is about all of a file: every page and frame, alpha and bit depth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lookalike.index import Index
from lookalike.record import record_of
from tests.support.pictures import scene


def verdict(folder: Path, tmp_path: Path, forget: tuple[str, ...] = ()) -> str | None:
    """The verdict on the two files of a folder; None if neither is a copy of the other.

    Args:
        forget: facts to remove from the records, as if an older version had indexed the files.
    """
    with Index.open(tmp_path / "index", model="built-in") as index:
        assert index.add(folder).added == 2
        if forget:
            for point in list(index._engine.retrieve(sorted(map(str, folder.iterdir())))):
                index._engine.set_payload(point.id, {"image": dict.fromkeys(forget)})
        groups = list(index.duplicates())
    return str(groups[0].copies[0].verdict) if groups else None


def save(im: PIL.Image.Image, path: Path, *others: PIL.Image.Image, **options: Any) -> None:
    if others:
        options |= {"save_all": True, "append_images": others}
    im.save(path, **options)


def tiffs(folder: Path) -> None:
    save(scene(1), folder / "a.tif", scene(2), scene(3))
    save(scene(1), folder / "b.tif", scene(4), scene(5))


def more_pages(folder: Path) -> None:
    save(scene(1), folder / "a.tif", scene(2))
    save(scene(1), folder / "b.tif")


def animations(folder: Path) -> None:
    save(scene(1), folder / "a.webp", scene(2), lossless=True)
    save(scene(1), folder / "b.webp", scene(3), lossless=True)


def animation_and_still(folder: Path) -> None:
    save(scene(1), folder / "a.webp", scene(2), lossless=True)
    save(scene(1), folder / "b.png")


def cutout(folder: Path) -> None:
    im = scene(1).convert("RGBA")
    im.paste((255, 255, 255, 0), (0, 0, 60, 360))
    save(im, folder / "a.png")
    flat = PIL.Image.alpha_composite(PIL.Image.new("RGBA", im.size, "white"), im)
    save(flat.convert("RGB"), folder / "b.png")


def depths(folder: Path) -> None:
    gray = np.asarray(scene(1).convert("L"))
    save(PIL.Image.fromarray(gray), folder / "a.png")
    save(PIL.Image.fromarray(gray.astype(np.uint16) * 257), folder / "b.png")


def motion(folder: Path) -> None:
    save(scene(1), folder / "a.jpg")
    video = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes() + video)


HOLDS_MORE = [tiffs, more_pages, animations, animation_and_still, cutout, depths, motion]


@pytest.mark.parametrize("draw", HOLDS_MORE)
@pytest.mark.parametrize("forget", [(), ("frames", "alpha", "bit_depth", "motion")])
def test_not_the_same_pixels(
    tmp_path: Path, draw: Callable[[Path], None], forget: tuple[str, ...]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw(folder)
    assert verdict(folder, tmp_path, forget) in ("same-picture", None)


def same_document(folder: Path) -> None:
    save(scene(1), folder / "a.tif", scene(2), compression="tiff_lzw")
    save(scene(1), folder / "b.tif", scene(2))


def same_depth(folder: Path) -> None:
    gray = np.asarray(scene(1).convert("L")).astype(np.uint16) * 255
    save(PIL.Image.fromarray(gray), folder / "a.png")
    save(PIL.Image.fromarray(gray), folder / "b.tif")


def same_animation(folder: Path) -> None:
    save(scene(1), folder / "a.webp", scene(2), lossless=True, duration=100)
    save(scene(1), folder / "b.png", scene(2), duration=300)


@pytest.mark.parametrize("draw", [same_document, same_depth, same_animation])
@pytest.mark.parametrize("forget", [(), ("frames", "alpha", "bit_depth", "motion")])
def test_the_same_pixels(
    tmp_path: Path, draw: Callable[[Path], None], forget: tuple[str, ...]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw(folder)
    assert verdict(folder, tmp_path, forget) == "same-pixels"


def test_facts_are_stored_and_filter(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    more_pages(folder)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        rows = {Path(row.id).name: record_of(row.payload) for row in index.scroll()}
        assert [rows[name]["frames"] for name in ("a.tif", "b.tif")] == [2, 1]
        assert index.count("image.frames > 1") == 1
        assert index.count("image.bit_depth = 8 and not image.alpha and not image.motion") == 2
