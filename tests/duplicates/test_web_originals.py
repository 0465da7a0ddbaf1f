"""Originals on the web are read where that is asked for, and the reasons are told where not."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lookalike.duplicates.verdicts import Verdict
from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.sources.web.fetcher import Fetcher
from lookalike.sources.web.files import WebFiles
from lookalike.sources.web.hosts import Hosts
from lookalike.types import DecodeLimits
from tests.support.command_line import documents
from tests.support.pictures import folder_of
from tests.support.web import HOME, Page, Site, open_site

NAMES = ("/one.png", "/two.bmp")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Two files with the same pixels, and one with others."""
    same, other = sorted(folder_of(tmp_path_factory.mktemp("pictures"), 2).iterdir())
    files = []
    for form in ("PNG", "BMP"):
        with Image.open(same) as opened, BytesIO() as data:
            opened.save(data, form)
            files.append(data.getvalue())
    return [*files, other.read_bytes()]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(autouse=True)
def pages(site: Site, pictures: list[bytes]) -> None:
    """Puts the pictures on the site, whatever a test did to them."""
    site.pages = {name: Page.tagged(data) for name, data in zip(NAMES, pictures, strict=False)}
    site.forget()


@pytest.fixture(scope="module")
def folder(site: Site, pictures: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the pictures of the site, which no test changes."""
    folder = tmp_path_factory.mktemp("shop")
    site.pages = {name: Page.tagged(data) for name, data in zip(NAMES, pictures, strict=False)}
    rows = (f"{name[1:4]},{site.url}{name}" for name in NAMES)
    (folder / "shop.csv").write_text("\n".join(["id,image_link", *rows]))
    with Index.open(folder / "index", model="built-in") as index:
        index.add(metadata=folder / "shop.csv", fetch=True, private=[site.host])
    return folder / "index"


def test_the_pixels_of_originals_are_compared(folder: Path, site: Site) -> None:
    with Index.open(folder) as index:
        groups = index.duplicates()
        (group,) = groups
        assert group.verdict is Verdict.SAME_PICTURE
        reason = groups.problems[f"{site.url}/one.png"]
        assert "is on the web: add --fetch to read it" in reason
        assert not site.requests

        web: dict[str, Any] = {"fetch": True, "private": [site.host]}
        groups = index.duplicates(**web)
        (group,) = groups
        assert group.verdict is Verdict.SAME_PIXELS
        assert not groups.problems
        assert sorted(site.requests) == list(NAMES)  # each once
        (copy,) = index.duplicates_of(id="one", **web)
        assert copy.verdict is Verdict.SAME_PIXELS
        (first, *_) = index.duplicates_of(f"{site.url}/one.png", **web)
        assert first.verdict is Verdict.IDENTICAL
        with pytest.raises(InputError, match="is on the web: add --fetch"):
            index.duplicates_of(f"{site.url}/one.png")
        with pytest.raises(InputError, match="by this process alone"):
            index.duplicates(fetch=True, executor=lambda *_: [])  # type: ignore[arg-type]


def test_originals_decide_about_new_images_too(site: Site, tmp_path: Path) -> None:
    table = tmp_path / "shop.csv"
    options: dict[str, Any] = {"metadata": table, "fetch": True, "private": [site.host]}
    with Index.open(":memory:", model="built-in") as index:
        table.write_text(f"id,image_link\none,{site.url}/one.png\n")
        assert index.add(**options).added == 1
        table.write_text(f"id,image_link\none,{site.url}/one.png\ntwo,{site.url}/two.bmp\n")
        (copy,) = index.add(**options, copies="skip").copies
        assert (copy.of, copy.verdict) == ("one", Verdict.SAME_PIXELS)
        assert index.count() == 1


def test_what_cannot_be_read_has_a_reason(folder: Path, site: Site, pictures: list[bytes]) -> None:
    with Index.open(folder) as index:
        web: dict[str, Any] = {"fetch": True, "private": [site.host]}
        site.pages["/one.png"] = Page(status=404)
        site.pages["/two.bmp"] = Page.tagged(pictures[2])
        groups = index.duplicates(**web)
        (group,) = groups
        assert group.verdict is Verdict.SAME_PICTURE
        assert "answers 404" in groups.problems[f"{site.url}/one.png"]
        site.pages["/one.png"] = Page.tagged(pictures[0])
        groups = index.duplicates(**web)
        assert len(list(groups)) == 1
        assert "has changed since it was indexed" in groups.problems[f"{site.url}/two.bmp"]
        groups = index.duplicates(fetch=True)  # the site is in a private network
        assert len(list(groups)) == 1
        assert "not a host on the public internet" in groups.problems[f"{site.url}/one.png"]


def test_the_command_fetches_where_it_is_told(folder: Path, site: Site) -> None:
    command = ("duplicates", "--index", folder)
    assert documents(*command)["groups"][0]["verdict"] == "same-picture"
    web = ("--fetch", "--private", site.host)
    assert documents(*command, *web)["groups"][0]["verdict"] == "same-pixels"
    assert documents(*command, "--id", "one", *web)["matches"][0]["verdict"] == "same-pixels"


def test_a_file_is_read_once_and_a_failure_is_final(site: Site) -> None:
    fetcher = Fetcher(DecodeLimits(), allowed={(HOME, site.port)})
    files = WebFiles(Hosts(fetcher))
    site.pages["/file"] = Page(b"content")
    for _ in range(3):
        assert files.read(f"{site.url}/file") == b"content"
        with pytest.raises(InputError, match=f"{site.url}/none: .* answers 404"):
            files.read(f"{site.url}/none")
    assert sorted(site.requests) == ["/file", "/none"]
    files.close()
