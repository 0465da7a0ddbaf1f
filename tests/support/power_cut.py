"""A power cut, for tests: what was not synced is lost.

`environment` preloads a small library into a process. Kill that process, and `leftover` makes the
folder as a disk would hold it that kept every synced write and none of the others, or some.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

_PAGE = 4096


def environment(folder: Path) -> dict[str, str]:
    """The environment of a process whose syncs are recorded in a folder.

    Skips the test where no C compiler is installed.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("a power cut needs a C compiler, cc")
    folder.mkdir()
    library = folder.with_suffix(".so")
    source = Path(__file__).with_name("power_cut.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-w", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {**os.environ, "LD_PRELOAD": str(library), "POWER_CUT": str(folder)}


def leftover(synced: Path, folder: Path, target: Path, kept: random.Random | None = None) -> None:
    """Makes `target` what a power cut would leave of a folder.

    Args:
        synced: the folder of `environment`.
        folder: the folder as the killed process left it.
        target: the folder to make.
        kept: decides which pages of files reach the disk all the same; by default none does.
    """
    current = {path.stat().st_ino: path for path in folder.rglob("*") if path.is_file()}
    _restore(synced, f"d{folder.stat().st_ino}", target, current, kept)


def _restore(
    synced: Path,
    key: str,
    target: Path,
    current: dict[int, Path],
    kept: random.Random | None,
) -> None:
    stored = synced / key
    if key.startswith("f"):
        shutil.copy(stored, target) if stored.exists() else target.touch()
        if kept is not None and int(key[1:]) in current:
            _mix(target, current[int(key[1:])], kept)
        return
    target.mkdir()
    for line in stored.read_text().splitlines() if stored.exists() else ():
        entry, _, name = line.partition(" ")
        _restore(synced, entry, target / name, current, kept)


def _mix(file: Path, current: Path, kept: random.Random) -> None:
    """Lets some pages of a file have their current content."""
    new = current.read_bytes()
    with file.open("r+b") as opened:
        old = opened.read()
        opened.truncate(max(len(old), len(new)))
        for start in range(0, len(new), _PAGE):
            page = new[start : start + _PAGE]
            if page != old[start : start + _PAGE] and kept.random() < 0.5:
                opened.seek(start)
                opened.write(page)
