"""The search over the whole index finds what the search for one image finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageEnhance
import PIL.ImageOps
import pytest
from benchmarks._transforms import chat_screenshot

from lookalike.index import Index

Picture = PIL.Image.Image


def screenshot(picture: Picture) -> Picture:
    shown = PIL.Image.open(BytesIO(chat_screenshot(picture, np.random.default_rng(0))))
    return shown.convert("RGB")


def inside(picture: Picture) -> Picture:
    width, height = picture.size
    return picture.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8))


FOUND: Mapping[str, Callable[[Picture], Picture]] = {
    "border": lambda one: PIL.ImageOps.expand(one, 30, "white"),
    "bars": lambda one: PIL.ImageOps.pad(one, (one.width, one.width * 2), color="black"),
    "screenshot": screenshot,
    "stretched": lambda one: one.resize((round(one.width * 1.3), one.height)),
    "gray": lambda one: one.convert("L"),
    "mirrored": PIL.ImageOps.mirror,
    "turned": lambda one: one.rotate(90, expand=True),
    "tilted": lambda one: one.rotate(3, PIL.Image.Resampling.BICUBIC),
    "cropped": inside,
    "half": lambda one: one.resize((one.width // 2, one.height // 2)),
    "brighter": lambda one: PIL.ImageEnhance.Brightness(one).enhance(1.4),
}
NOT_FOUND = {"inverted": PIL.ImageOps.invert}
"""Edits that neither search finds; see the limitations in docs/duplicates.md."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cup/image_0020.jpg", "bass/image_0048.jpg"])
def test_both_searches_find_the_same_copies(data: Path, tmp_path: Path, name: str) -> None:
    photo = PIL.Image.open(data / "photos" / "caltech101" / name).convert("RGB")
    by_group, by_lookup = {}, {}
    for edit, change in {**FOUND, **NOT_FOUND}.items():
        folder = tmp_path / edit
        folder.mkdir()
        photo.save(folder / "original.png")
        change(photo).save(folder / "copy.jpg", quality=88)
        with Index.open(tmp_path / f"index of {edit}", model="built-in") as index:
            index.add(folder)
            by_group[edit] = sum(len(group.copies) for group in index.duplicates())
            duplicates = index.duplicates_of(folder / "copy.jpg")
            by_lookup[edit] = sum(Path(one.uri).stem == "original" for one in duplicates)
    assert by_group == by_lookup
    assert by_group == {**dict.fromkeys(FOUND, 1), **dict.fromkeys(NOT_FOUND, 0)}
