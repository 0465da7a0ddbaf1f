"""Copies of indexes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def copied(folder: Path, target: Path) -> Path:
    """A copy of an index; its holes need not be read."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if subprocess.run(["cp", "-a", str(folder), str(target)]).returncode:
        shutil.copytree(folder, target)
    return target


def restored(template: Path, place: Path) -> Path:
    """A place with a copy of a folder, whatever a test before has left there.

    An index names its files by their paths, so that a copy elsewhere is not the same index.
    """
    shutil.rmtree(place, ignore_errors=True)
    return copied(template, place)
