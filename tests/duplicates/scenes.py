"""Drawn scenes with copies of some of them, and the groups that they should form."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from PIL import Image, ImageOps

from lookalike.duplicates.groups import DuplicateGroup
from tests.support.pictures import scene

SCENES = 12

EXPECTED_GROUPS = {
    "scene00": {
        "scene00": "identical",
        "scene00 again": "identical",
        "scene00 pixels": "same-pixels",
        "scene00 small": "same-picture",
        "scene00 half": "same-picture",
    },
    "scene01": {
        "scene01": "identical",
        "scene01 mirror": "same-picture",
        "scene01 turned": "same-picture",
    },
    "scene02": {"scene02": "identical", "scene02 crop": "same-picture"},
}
"""Verdicts by file name, by the name of the keeper."""


def draw_scenes(folder: Path) -> None:
    """Saves scenes, and copies of the first three."""
    for i in range(SCENES):
        scene(i).save(folder / f"scene{i:02}.jpg", quality=92)
    first = Image.open(folder / "scene00.jpg")
    shutil.copy(folder / "scene00.jpg", folder / "scene00 again.jpg")
    first.save(folder / "scene00 pixels.png")
    first.save(folder / "scene00 small.jpg", quality=60)
    first.resize((240, 180)).save(folder / "scene00 half.jpg", quality=80)
    second = Image.open(folder / "scene01.jpg")
    ImageOps.mirror(second).save(folder / "scene01 mirror.jpg", quality=85)
    second.rotate(90, expand=True).save(folder / "scene01 turned.jpg", quality=85)
    third = Image.open(folder / "scene02.jpg")
    third.crop((40, 30, 460, 350)).save(folder / "scene02 crop.jpg", quality=85)


def verdicts_by_name(group: DuplicateGroup) -> dict[str, str]:
    return {Path(member.uri).stem: str(member.verdict) for member in group.members}


def by_keeper(groups: Iterable[DuplicateGroup]) -> dict[str, DuplicateGroup]:
    return {Path(group.keeper).stem: group for group in groups}
