"""The docs are true: links resolve, names exist, the README's Python runs."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

import lookalike
from lookalike.demo.catalog import draw_catalog
from lookalike.index import Index
from tests.support.command_line import lookalike as lookalike_command
from tests.support.paths import ROOT
from tests.support.pictures import draw, folder_of

README = (ROOT / "README.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_every_public_name_exists_and_is_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for name in lookalike.__all__:
        assert getattr(lookalike, name) is not None
        assert f"`{name}`" in page, name
    for name, member in vars(Index).items():
        if not name.startswith("_") and name not in ("engine", "manifest", "notice"):
            documented = member.fget if isinstance(member, property) else member
            assert getattr(documented, "__doc__", None), name
            assert name in page, f"docs/python.md does not mention Index.{name}"
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = lookalike.Nothing


def test_the_readme_s_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = re.search(r"```python\n(.*?)```", README, re.S)
    assert code
    monkeypatch.chdir(tmp_path)
    folder_of(tmp_path / "photos", 4)
    draw(2).save("query.jpg")
    Path("catalog.csv").write_text("file,price\n" + "".join(f"{i:03}.jpg,{i}\n" for i in range(4)))
    Index.open("shop.index", model="built-in").close()
    exec(code[1], {})  # noqa: S102 -- it is our own README


def test_figures_name_scripts_that_exist() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    named = set(re.findall(r"\| `(\w+)` \|", page))
    scripts = {p.stem for p in (ROOT / "benchmarks").glob("*.py") if not p.stem.startswith("_")}
    assert named == scripts


def test_the_readme_is_short() -> None:
    words = [word for word in README.split() if re.search(r"\w", word)]
    assert len(words) <= 500


def test_figures_of_the_readme_are_benchmarks() -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", README.partition("## Figures")[2], re.M)
    assert len(rows) == 5
    for text in (text for row in rows for text in row):
        for figure in re.findall(r"\d[\d,.]*\d|\d", text):
            assert figure in page, text


@pytest.mark.slow
def test_the_search_of_the_first_picture_finds_blue_shirts(tmp_path: Path) -> None:
    command = re.search(r"^    lookalike (search --id [^#]*)", README, re.M)
    assert command
    table = draw_catalog(tmp_path / "catalog")
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(table.parent, metadata=table)
    arguments = [*shlex.split(command[1]), "--index", tmp_path / "index", "--json"]
    payloads = [hit["payload"] for hit in json.loads(lookalike_command(*arguments).stdout)["hits"]]
    assert [payload["color"] for payload in payloads[:5]] == ["blue"] * 5
    assert {payload["category"] for payload in payloads[:4]} == {"shirt", "t-shirt"}
