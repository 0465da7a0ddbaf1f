"""Queries in every form, and ids: one text is one id wherever ids are taken."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import InputError, LookalikeError, NotFound, QueryError
from lookalike.index import Index
from lookalike.ingest.uploads import Upload
from lookalike.search.request import VectorInput
from lookalike.types import Decision
from tests.support.pictures import folder_of

IDS = ("1", "2", "12", "x")


@contextmanager
def made(folder: Path) -> Iterator[Index]:
    """Images with the ids 1, 2, 12 and x."""
    photos = folder_of(folder / "photos", len(IDS))
    with Index.open(folder / "index", model="built-in") as index:
        files = [photos / f"{i:03}.jpg" for i in range(len(IDS))]
        uploads = [
            Upload(file.read_bytes(), str(file), id) for file, id in zip(files, IDS, strict=True)
        ]
        index.put(uploads)
        yield index


@pytest.fixture
def numbered(tmp_path: Path) -> Iterator[Index]:
    with made(tmp_path) as index:
        yield index


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """The same images, for tests that change nothing."""
    with made(tmp_path_factory.mktemp("unchanged")) as index:
        yield index


def updated(index: Index, id: Any) -> list[str]:
    index.update(id, {"price": 1})
    return [point.id for point in index.scroll("price = 1")]


def decided(index: Index, id: Any) -> list[str]:
    index.decide([id, "x"], Decision.KEEP_ALL)
    return sorted(p.id for p in index.scroll() if "keep_all" in p.payload["image"])


CALLS: dict[str, Callable[[Index, Any], Any]] = {
    "get": lambda index, id: index.get(id).id,
    "get_many": lambda index, id: [point.id for point in index.get_many(id)],
    "delete": lambda index, id: (index.delete(id), sorted(p.id for p in index.scroll())),
    "update": lambda index, id: updated(index, id),
    "decide": lambda index, id: decided(index, id),
    "scroll": lambda index, id: [point.id for point in index.scroll(after=id)],
    "thumbnail": lambda index, id: index.thumbnail(id),
    "search": lambda index, id: [hit.id for hit in index.search(id=id)],
    "recommend": lambda index, id: [hit.id for hit in index.recommend(id)],
    "duplicates_of": lambda index, id: [one.id for one in index.duplicates_of(id=id)],
}
"""A call of every method that takes ids, with one id; its result in plain values."""


def test_calls_cover_every_method_that_takes_ids() -> None:
    taking = {
        name
        for name, method in inspect.getmembers(Index, inspect.isfunction)
        if not name.startswith("_")
        and {"id", "ids", "after", "like"} & set(inspect.signature(method).parameters)
    }
    assert taking == set(CALLS)


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("form", [12, np.int32(12)])
def test_one_text_is_one_id(numbered: Index, method: str, form: Any) -> None:
    before = {point.id: point.payload for point in numbered.scroll()}
    result = CALLS[method](numbered, "12")
    if method == "delete":
        assert result == (1, ["1", "2", "x"])
        numbered.put([Upload(Path(before["12"]["image"]["uri"]).read_bytes(), "again", "12")])
    for other in ("1", "2"):
        assert numbered.get(other).payload == before[other]
    assert CALLS[method](numbered, form) == result


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("id", [1.5, True, b"12"])
def test_what_is_no_id_changes_nothing(unchanged: Index, method: str, id: Any) -> None:
    before = [point.payload for point in unchanged.scroll()]
    with pytest.raises(LookalikeError):
        CALLS[method](unchanged, id)
    assert [point.payload for point in unchanged.scroll()] == before


def test_ids_of_searches_and_uploads_may_be_numbers(numbered: Index, photos: Path) -> None:
    hits = numbered.search(id=[1, "2"], limit=5)
    assert {hit.id for hit in hits} == {"12", "x"}
    assert numbered.put([Upload((photos / "007.jpg").read_bytes(), "a", 99)]).added == 1
    assert numbered.get(99).id == numbered.get("99").id == "99"


def test_a_query_is_a_picture_in_any_form(numbered: Index, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "002.jpg"
    picture = Image.open(path)
    forms: Any = (path, path.read_bytes(), bytearray(path.read_bytes()), path.open("rb"), picture,
                 np.asarray(picture), [np.asarray(picture)], iter([path]))  # fmt: skip
    for form in forms:
        assert numbered.search(image=form)[0].id == "12"
    for form in (path, np.asarray(picture)):
        assert len(numbered.recommend([form], limit=2)) == 2
        assert numbered.decode(form).width == 120
        assert numbered.preview(form)
    assert numbered.duplicates_of(picture)[0].id == "12"
    answers = numbered.search_many([{"image": np.asarray(picture)}, {"image": bytearray(70_000)}])
    assert not isinstance(answers[0], LookalikeError)
    assert answers[0][0].id == "12"
    assert len(str(answers[1])) < 200


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "photos"))

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_urls_are_refused_unless_allowed(numbered: Index, tmp_path: Path, site: str) -> None:
    url = f"{site}/002.jpg"
    for call in (
        lambda: numbered.search(image=url),
        lambda: numbered.recommend(url),
        lambda: numbered.preview(url),
    ):
        with pytest.raises(QueryError, match="allow_url_fetch=True"):
            call()
    with pytest.raises(InputError, match=r"add --fetch .* fetch=True"):
        numbered.duplicates_of(url)
    with pytest.raises(NotFound):
        numbered.recommend(url, files=False)
    numbered.close()
    index = Index.open(tmp_path / "index", allow_url_fetch=True)
    with index, pytest.raises(InputError, match="not a host on the public internet"):
        index.search(image=url)


def test_a_query_is_a_vector(numbered: Index, tmp_path: Path) -> None:
    path = tmp_path / "photos" / "002.jpg"
    vector = numbered.embed(path)[0]
    assert numbered.search(vector=vector)[0].id == "12"  # each also as mypy sees it
    assert numbered.search(vector={"semantic": vector})[0].id == "12"
    numbers: list[float] = vector.tolist()
    by_aspect = {"semantic": numbers}
    forms: list[VectorInput] = [vector, numbers, by_aspect, {"semantic": vector}, 3 * vector]
    for form in forms:
        hits = numbered.search(vector=form)
        assert hits[0].id == "12"
        assert hits[0].scores["semantic"] == pytest.approx(1, abs=1e-3)
    color = numbered.embed(path, aspect="color")[0]
    both = numbered.search(vector={"semantic": vector, "color": color})
    assert both.weights == {"semantic": 0.5, "color": 0.5}
    assert both[0].id == "12"
    mixed = numbered.search(vector=vector, id="1")
    assert "1" not in [hit.id for hit in mixed]


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0, 2.0], r"has 512 numbers in this index \(got 2\)"),
        ([], "has 512 numbers"),
        ([0.0] * 512, "is zero"),
        ([float("nan")] * 512, "NaN"),
        ([1e300] * 512, "infinity"),
        ({"shape": [1.0]}, "no aspect 'shape'"),
        ("0.1,0.2", "vector must be lists of numbers by name or a list of numbers"),
        ({"semantic": "0.1"}, "vector must be"),
        ([[1.0] * 512], "vector must be"),
        (np.ones((2, 512)), "vector must be"),
        ([None] * 512, "vector must be"),
    ],
)
def test_vectors_that_no_image_could_have(unchanged: Index, vector: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message) as caught:
        unchanged.search(vector=vector)
    assert len(str(caught.value)) < 300
