"""Results in notebooks and tables."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from lookalike import progress_bar
from lookalike.errors import InputError, QueryError
from lookalike.index import Index
from tests.support.pictures import draw


@pytest.fixture
def filled(index: Index, photos: Path) -> Index:
    index.add(photos)
    index.update(str(photos / "000.jpg"), {"price": 5, "name": "<b>odd</b>"})
    return index


def test_hits_are_rows_and_pictures(filled: Index, photos: Path) -> None:
    hits = filled.search(image=photos / "000.jpg", weights="style", limit=4)
    row = hits.to_dicts()[0]
    assert (row["rank"], row["id"], row["price"]) == (1, str(photos / "000.jpg"), 5)
    assert row["score.color"] == hits[0].scores["color"]
    assert row["image.width"] == 120
    html = hits._repr_html_() or ""
    assert html.count("data:image/jpeg;base64,") == 4
    assert "&lt;b&gt;odd" in html
    assert len(repr(hits)) < 400
    assert repr(hits[0]).startswith("Hit(")
    assert pickle.loads(pickle.dumps(hits)) == hits  # noqa: S301
    frame = pytest.importorskip("pandas").DataFrame(hits.to_dicts())
    assert hits.to_pandas().equals(frame)


def test_groups_and_reports_are_shown(index: Index, photos: Path) -> None:
    draw(3).save(photos / "copy.png")
    (photos / "bad.jpg").write_bytes(b"no picture")
    report = index.add(photos)
    html = report._repr_html_() or ""
    assert "bad.jpg" in html
    assert "rejected" in html
    group = next(index.duplicates())
    assert (group._repr_html_() or "").count("data:image/jpeg;base64,") == 2
    assert "1 copy" in repr(group)


def test_an_index_is_a_collection_of_images(filled: Index, photos: Path) -> None:
    id = str(photos / "000.jpg")
    assert filled[id].payload["price"] == 5
    assert id in filled
    assert "nothing" not in filled
    assert len(list(filled)) == len(filled) == 12
    assert len(repr(filled[id])) < 300
    assert "lookalike-small-1" in repr(filled)


def test_vectors_by_themselves_are_those_of_the_index(filled: Index, photos: Path) -> None:
    files = [photos / "001.jpg", photos / "002.jpg"]
    for aspect, name in (("semantic", "lookalike-small-1"), ("color", "color")):
        vectors = filled.embed(files, aspect=aspect)
        stored = [filled.get(str(file), vectors=True).vectors[name] for file in files]
        for vector, own in zip(vectors, stored, strict=True):
            unit = own / np.linalg.norm(own)
            assert vector @ unit / np.linalg.norm(vector) == pytest.approx(1, abs=1e-4)
    assert filled.embed(np.asarray(draw(1))).shape == (1, 512)
    assert filled.embed([]).shape == (0, 512)
    with pytest.raises(QueryError, match="no aspect 'shape'"):
        filled.embed(files, aspect="shape")
    with pytest.raises(QueryError, match="does not know the word 'garblefrotz'"):
        filled.embed(texts="a red garblefrotz")


def test_clusters(index: Index, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    for i in range(12):  # two colors, six pictures of each
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        draw(8 * (i % 4) + (i % 2)).resize((120 + i, 160)).save(folder / f"{i}.png")
    index.add(folder)
    groups = index.cluster(2, aspect="color")
    reds = {groups[str(folder / f"{i}.png")] for i in range(0, 12, 2)}
    greens = {groups[str(folder / f"{i}.png")] for i in range(1, 12, 2)}
    assert len(reds) == len(greens) == 1 != len(reds | greens)
    assert set(index.cluster(aspect="color", min_size=3)) == set(groups)
    assert index.update_many((id, {"group": n}) for id, n in groups.items()).updated == 12
    with pytest.raises(InputError, match="k must be"):
        index.cluster(13)


def test_other_reports_are_shown(filled: Index, photos: Path, tmp_path: Path) -> None:
    filled.update_many((str(photos / f"{i:03}.jpg"), {"kind": "ab"[i % 2]}) for i in range(12))
    html = filled.evaluate("kind", limit=3, weights=["style"])._repr_html_() or ""
    assert "12 searches by image, by kind" in html
    assert "<td>style</td>" in html
    html = filled.update_many([("<gone>", {"price": 1})], dry_run=True)._repr_html_() or ""
    assert "0 images would be updated" in html
    assert "&lt;gone&gt;" in html
    shutil.copy(photos / "003.jpg", photos / "copy.jpg")
    filled.add(photos)
    log = tmp_path / "log.jsonl"
    report = filled.resolve_duplicates(filled.duplicates(), "delete", log=log, dry_run=True)
    assert "1 file done, 0 skipped" in (report._repr_html_() or "")


class Notebook(ModuleType):
    """Stands in for IPython in a notebook: shows HTML, and changes what it has shown."""

    kernel = "running"

    def __init__(self) -> None:
        super().__init__("IPython")
        self.cell: list[str] = []
        self.display = SimpleNamespace(HTML=str, display=self.show)

    def get_ipython(self) -> Notebook:
        return self

    def show(self, html: str, *, display_id: bool) -> Notebook:
        assert display_id
        self.cell.append(html)
        return self

    def update(self, html: str) -> None:
        self.cell[-1] = html


def test_progress_in_a_notebook(
    index: Index, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = Notebook()
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    with progress_bar() as progress:
        index.add(photos, progress=progress)
    (cell,) = notebook.cell
    assert 'value="12" max="12"' in cell
    assert "12 of 12" in cell
    with progress_bar() as progress:
        list(index.duplicates(progress=progress))
    assert len(notebook.cell) == 2


def test_progress_elsewhere(index: Index, photos: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as progress:
        index.add(photos, progress=progress)
        assert len(list(index.duplicates(progress=progress))) == 0
    assert capfd.readouterr().out == ""
