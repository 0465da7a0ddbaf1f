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


@pytest.mark.parametrize("option", ["text", "negative_text"])
def test_like_this_but_not_in_its_color(drawn: Index, option: str) -> None:
    right = asked = 0
    for point in list(drawn)[::9]:
        kind, color = point.payload["category"], point.payload["color"]
        others = f'category = "{kind}" and color != "{color}"'
        count = min(5, drawn.count(others))
        if not count or color == "multicolor":
            continue
        asked += count
        text = f"not {color}" if option == "text" else color
        query: dict[str, Any] = {"id": point.id, option: text}
        hits = drawn.search(limit=count, **query)
        right += sum(shows(hit, category=kind) and not shows(hit, color=color) for hit in hits)
    assert right > 0.6 * asked > 0


def test_a_color_of_what_is_not_wanted_is_not_excluded(drawn: Index) -> None:
    hits = drawn.search(text="red shirt, not blue boots", limit=3)
    assert hits.explanation.colors == "red"
    assert sum(shows(hit, color="red") for hit in hits) >= 2
    assert drawn.search(text="red shirt, not blue").explanation.colors == "red and not blue"
    assert drawn.search(text="not red", limit=3).explanation.colors is None
    weighed = drawn.search(text="shirt, not red", weights={"semantic": 0.5, "color": 0.5})
    assert weighed.explanation.colors is None


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
