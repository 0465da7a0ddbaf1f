"""Every snippet of docs/python.md runs, and so does the notebook."""

from __future__ import annotations

import ast
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import LookalikeError, ModelError, QueryError
from lookalike.index import Index
from tests.support.indexes import copied, restored
from tests.support.paths import ROOT
from tests.support.pictures import draw, folder_of

COUNT = 22
PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `template` beside `world`; both have the shop at `world`."""
    folder = tmp_path_factory.mktemp("worlds")
    (folder / "world").mkdir()
    with contextlib.chdir(folder / "world"):
        make_shop()
    return copied(folder / "world", folder / "template")


def make_shop() -> None:
    """Makes the files that the page takes for granted: a shop's pictures and its index."""
    folder_of(Path("photos"), COUNT)
    draw(3).save("photos/copy.png")
    rows = [f"{i:03}.jpg,sku-{i},{i},{i % 3},true,dress,blue" for i in range(COUNT - 1)]
    rows += [f"{COUNT - 1:03}.jpg,sku-80,9,1,true,shoe,red", "copy.png,sku-81,9,1,true,shoe,red"]
    head = "file,id,price,stock,in_stock,category,color"
    Path("catalog.csv").write_text("\n".join([head, *rows]))
    Path("prices.csv").write_text("id,price\nsku-3,7\nsku-99,1\n")
    for i, name in enumerate(["query.jpg", "photo.jpg", "a.jpg", "b.jpg"]):
        draw(30 + i).save(name)
    with Index.open("shop.index", model="built-in") as index:
        index.add("photos", metadata="catalog.csv")


@pytest.fixture
def world(template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the page takes for granted, in a folder with a shop."""
    monkeypatch.chdir(restored(template, template.with_name("world")))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # FastEmbed tries for 40 s where no hub answers
    pictures = [draw(40 + i) for i in range(2)]
    names: dict[str, Any] = {
        "LookalikeError": LookalikeError,
        "Index": Index,
        "data": Path("query.jpg").read_bytes(),
        "pictures": pictures,
        "frame": [{"file": "a.jpg", "id": "a"}],
        "dataset": [{"image": picture, "label": "dress"} for picture in pictures],
    }
    yield names
    if "index" in names:
        names["index"].close()


@pytest.mark.parametrize("code", SNIPPETS, ids=lambda code: code.strip().splitlines()[0][:40])
def test_snippets_run(code: str, world: dict[str, Any]) -> None:
    if "Index.open" not in code:
        world["index"] = Index.open("shop.index", create=False)
    for statement in ast.parse(code).body:
        text = ast.unparse(statement)
        if "Index.open" in text and "index" in world:
            world["index"].close()
        module = ast.Module([statement], [])
        try:
            exec(compile(module, "docs/python.md", "exec"), world)  # noqa: S102 -- our own page
        except QueryError as error:  # the model of this index knows only certain words
            if "text" not in text or "know the word" not in str(error):
                raise
        except ModelError:  # weights that are not on this machine
            if "model" not in text:
                raise


def test_the_notebook_runs(world: dict[str, Any]) -> None:
    pytest.importorskip("sklearn")
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    shown = 0
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), str(NOTEBOOK), "exec"), world)  # noqa: S102
        if last is not None:
            assert isinstance(last, ast.Expr)
            value = eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), world)  # noqa: S307
            with contextlib.suppress(AttributeError):
                shown += "<" in (value._repr_html_() or "")
    assert shown >= 3
