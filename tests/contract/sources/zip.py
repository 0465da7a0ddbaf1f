"""ZIP archives: the source that docs/sources.md shows, installed as a package."""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from lookalike.protocols import Source
from lookalike.sources import open_source
from tests.contract.sources import SourceSample
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "sources.md").read_text("utf-8")
FORMS = ("zip://{}",)
SLOW = False


class Sample(SourceSample):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._archive = folder / "place.zip"
        self.elsewhere = [f"zip://{folder}/place.zip2!/a.jpg", str(self._archive), "/a.jpg"]

    def start(self) -> None:
        site = self.folder / "site"
        (module,) = re.findall(r"```python\n(\"\"\"Images in ZIP.*?)```", PAGE, re.DOTALL)
        (entry,) = re.findall(r'\[project.entry-points."(.*?)"\]\n(.*?)\n```', PAGE, re.DOTALL)
        information = site / "zip_source-1.0.dist-info"
        information.mkdir(parents=True)
        (site / "zip_source.py").write_text(module)
        metadata = "Metadata-Version: 2.1\nName: zip-source\nVersion: 1.0\n"
        (information / "METADATA").write_text(metadata)
        points = f"[{entry[0]}]\n{entry[1]}\n".replace('"', "")
        (information / "entry_points.txt").write_text(points)
        sys.path.insert(0, str(site))
        self.callback(sys.modules.pop, "zip_source", None)
        self.callback(sys.path_importer_cache.pop, str(site), None)
        self.callback(sys.path.remove, str(site))

    def fill(self, files: Mapping[str, bytes]) -> None:
        with zipfile.ZipFile(self._archive, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)

    def open(self, form: str) -> Source:
        return open_source(form.format(self._archive))
