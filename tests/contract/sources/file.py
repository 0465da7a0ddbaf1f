"""Folders, files and globs of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lookalike.protocols import Source
from lookalike.sources import open_paths, open_source
from tests.contract.sources import SourceSample

FORMS = ("{}", "{}/", "file://{}", "{}/**/*.jpg", "{}/b/*", "paths", "parts")
SLOW = False


class Sample(SourceSample):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._place = folder / "place"
        self._moment = 1_000_000_000
        self.elsewhere = ["/elsewhere/a.jpg", f"{self._place}-twin/a.jpg"]

    def fill(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        self._moment += 60
        for name, data in files.items():
            path = self._place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (self._moment, self._moment))

    def open(self, form: str) -> Source:
        here = self._place
        if form == "paths":
            return open_paths(sorted(here.glob("**/*.jpg")))
        if form == "parts":
            return open_paths(iter([f"{here}/b/010.jpg", f"{here}/b", f"{here}/a/*"]))
        return open_source(form.format(here))
