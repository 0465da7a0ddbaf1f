"""ZIP archives: the source that docs/sources.md shows, installed as a package."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from lookalike.protocols import Source
from lookalike.sources import open_source
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "sources.md").read_text("utf-8")
FORMS = ("zip://{}",)
SLOW = False


class Sample(AbstractContextManager["Sample"]):
    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._site = folder / "site"
        self._archive = folder / "place.zip"
        self.elsewhere = [f"zip://{folder}/place.zip2!/a.jpg", str(folder / "place.zip"), "/a.jpg"]

    def __enter__(self) -> Self:
        (module,) = re.findall(r"```python\n(\"\"\"Images in ZIP.*?)```", PAGE, re.DOTALL)
        (entry,) = re.findall(r'\[project.entry-points."(.*?)"\]\n(.*?)\n```', PAGE, re.DOTALL)
        information = self._site / "zip_source-1.0.dist-info"
        information.mkdir(parents=True)
        (self._site / "zip_source.py").write_text(module)
        metadata = "Metadata-Version: 2.1\nName: zip-source\nVersion: 1.0\n"
        (information / "METADATA").write_text(metadata)
        points = f"[{entry[0]}]\n{entry[1]}\n".replace('"', "")
        (information / "entry_points.txt").write_text(points)
        sys.path.insert(0, str(self._site))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.path.remove(str(self._site))
        sys.path_importer_cache.pop(str(self._site), None)
        sys.modules.pop("zip_source", None)

    def fill(self, files: Mapping[str, bytes]) -> None:
        with zipfile.ZipFile(self._archive, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)

    def open(self, form: str) -> Source:
        return open_source(form.format(self._archive))
