"""Search by words of the built-in model, on drawings whose colors and kinds are known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lookalike import Hit, Index
from lookalike.demo.catalog import draw_catalog


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("words")
    table = draw_catalog(folder / "catalog", count=270, seed=11)
    with Index.open(folder / "index", model="built-in") as index:
        index.add(table.parent, metadata=table)
        yield index


def shows(hit: Hit, **fields: str) -> bool:
    return all(hit.payload[name] == value for name, value in fields.items())


def least_existing(index: Index, **fields: str) -> int:
    return min(5, index.count(" and ".join(f'{k} = "{v}"' for k, v in fields.items())))


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ({"text": "dress"}, {"category": "dress"}),
        ({"text": "boots"}, {"category": "boot"}),
        ({"text": "red"}, {"color": "red"}),
        ({"text": "blue shirt"}, {"color": "blue", "category": "shirt"}),
        ({"text": ["shirt", "blue"]}, {"color": "blue", "category": "shirt"}),
        ({"text": "shirt", "color": "blue"}, {"color": "blue", "category": "shirt"}),
    ],
)
def test_words_and_colors(drawn: Index, query: dict[str, Any], fields: dict[str, str]) -> None:
    count = least_existing(drawn, **fields)
    hits = drawn.search(**query, limit=count)
    assert sum(shows(hit, **fields) for hit in hits) >= 0.6 * count > 0


@pytest.mark.parametrize("query", [{"text": "shirt not red"}, {"text": "shirt, without red"}])
def test_a_color_that_is_not_wanted_comes_last(drawn: Index, query: dict[str, Any]) -> None:
    assert not any(shows(hit, color="red") for hit in drawn.search(**query, limit=10))


def test_examples_may_be_words(drawn: Index) -> None:
    hits = drawn.recommend(["text:blue shirt"], limit=5)
    assert sum(shows(hit, color="blue") for hit in hits) >= 3


def test_words_have_vectors(drawn: Index) -> None:
    dress, red_dress = drawn.embed(texts=["dress", "red dress"])
    assert dress @ red_dress == pytest.approx(1)  # colors are in vectors of their own


def test_the_index_lists_its_words(drawn: Index) -> None:
    assert drawn.supports_text
    assert {"dress", "drum"} <= {word.name for word in drawn.words("dr")}
    assert all(
        any(name.startswith("dr") for name in (word.name, *word.synonyms))
        for word in drawn.words("DR ")
    )
