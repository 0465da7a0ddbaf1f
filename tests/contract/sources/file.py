"""Folders, files and globs of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from lookalike.protocols import Source
from lookalike.sources import open_paths, open_source

FORMS = ("{}", "{}/", "file://{}", "{}/**/*.jpg", "{}/b/*", "paths", "parts")
SLOW = False


class Sample(AbstractContextManager["Sample"]):
    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "place"
        self._moment = 1_000_000_000
        self.elsewhere = ["/elsewhere/a.jpg", f"{self._folder}-twin/a.jpg"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self._folder)

    def fill(self, files: Mapping[str, bytes]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._moment += 60
        for name, data in files.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (self._moment, self._moment))

    def open(self, form: str) -> Source:
        here = self._folder
        if form == "paths":
            return open_paths(sorted(here.glob("**/*.jpg")))
        if form == "parts":
            return open_paths(iter([f"{here}/b/010.jpg", f"{here}/b", f"{here}/a/*"]))
        return open_source(form.format(here))
