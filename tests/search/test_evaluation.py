"""Evaluation of weights by a field."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from lookalike import PRESETS
from lookalike.errors import InputError, QueryError
from lookalike.index import Index
from lookalike.search.evaluation import Quality
from tests.support.command_line import documents, error, lookalike
from tests.support.indexes import copied
from tests.support.pictures import COLORS, folder_of

COUNT = 32


@pytest.fixture(scope="module")
def colored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn shapes, each with its color as a field: the aspect `color` finds them best."""
    folder = tmp_path_factory.mktemp("colored")
    folder_of(folder / "photos", COUNT)
    rows = [f"{i:03}.jpg,{COLORS[i % 8]},{i}.5" for i in range(COUNT)]
    (folder / "table.csv").write_text("\n".join(["file,color,price", *rows]))
    with Index.open(folder / "index", model="built-in") as index:
        index.add(folder / "photos", metadata=folder / "table.csv")
    return folder / "index"


def test_the_aspect_that_knows_the_field_is_best(colored: Path) -> None:
    with Index.open(colored) as index:
        evaluation = index.evaluate("color", limit=3, fit=True)
        assert evaluation.queries == COUNT
        results = {result.name: result for result in evaluation.results}
        assert results["color=1"].ndcg.mean > results["texture=1"].ndcg.mean
        assert evaluation.results[0].ndcg.mean == max(r.ndcg.mean for r in evaluation.results)
        (fitted,) = [result for result in evaluation.results if result.fitted]
        assert not isinstance(fitted.weights, str)
        assert fitted.weights["color"] >= 0.4
        for result in evaluation.results:
            assert 0 <= result.ndcg.low <= result.ndcg.mean <= result.ndcg.high <= 1
        # By hand, for one choice of weights.
        shares = []
        for point in index.scroll():
            hits = index.search(id=point.id, weights={"color": 1}, limit=3)
            same = [hit.payload["color"] == point.payload["color"] for hit in hits]
            shares.append(sum(same) / 3)
        assert results["color=1"].precision.mean == pytest.approx(np.mean(shares))
        with pytest.raises(QueryError, match="price holds no labels"):
            index.evaluate("price")
        with pytest.raises(QueryError, match="Too few images"):
            index.evaluate("color", where='color = "red" and price < 1')


def test_the_command_prints_the_best_first(colored: Path, tmp_path: Path) -> None:
    at = ("--index", colored, "-k", 3, "--weights", "color=1", "--weights", "material")
    shown = lookalike("evaluate", "color", *at, "--html", tmp_path / "worst.html").stdout
    assert "32 searches by image" in shown
    assert shown.index("color=1") < shown.index("material")
    assert "data:image/jpeg" in (tmp_path / "worst.html").read_text()
    document = documents("evaluate", "color", *at)
    assert [result["name"] for result in document["results"]] == ["color=1", "material"]


def test_intervals_shrink_with_more_queries() -> None:
    values = np.tile([0.0, 1.0], 10)
    few, many = Quality.of(values), Quality.of(np.tile(values, 20))
    assert few.mean == many.mean == 0.5
    assert few.high - few.low > many.high - many.low > 0


@pytest.mark.slow
def test_fitted_weights_become_a_preset(colored: Path, tmp_path: Path) -> None:
    folder = copied(colored, tmp_path / "index")
    at = ("--index", folder, "-k", 3, "--fit-weights", "--save-preset", "mine")
    document = documents("evaluate", "color", *at)
    (fitted,) = [result["weights"] for result in document["results"] if result["fitted"]]
    with Index.open(folder) as index:
        assert index.presets["mine"] == pytest.approx(fitted)
        assert set(PRESETS) < set(index.presets)
        id = next(iter(index)).id
        assert index.search(id=id, weights="mine").weights == pytest.approx(fitted)
    assert "already" in error("evaluate", "color", *at)
    assert documents("evaluate", "color", *at, "--replace")["queries"] == COUNT
    assert "add --fit-weights" in error(
        "evaluate", "color", "--index", folder, "--save-preset", "other"
    )
    documents("copy", folder, tmp_path / "copy")
    with Index.open(tmp_path / "copy") as index:
        assert index.presets["mine"] == pytest.approx(fitted)
        index.save_preset("mine", None)
        assert set(index.presets) == set(PRESETS)
    with Index.open(tmp_path / "copy") as index, pytest.raises(QueryError, match="no preset"):
        index.search(id=id, weights="mine")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("style", {"color": 1.0}, "standard preset"),
        ("a=1", {"color": 1.0}, "not a valid name"),
        ("mine", {"shape": 1.0}, "no aspect 'shape'"),
        ("mine", {"color": -1.0}, "weight of color"),
        ("mine", {"color": 0.0}, "All weights are zero"),
    ],
)
def test_presets_that_cannot_be_stored(
    index: Index, name: str, weights: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        index.save_preset(name, weights)
    assert index.presets == PRESETS


def _judgments(folder: Path, colored: Path, kind: str) -> Path:
    """Relevant images by color, as pairs: the next image of the color twice as relevant."""
    with Index.open(colored) as index:
        ids = {Path(point.payload["image"]["uri"]).stem: point.id for point in index.scroll()}
    pairs = [
        (ids[f"{i:03}"], ids[f"{j:03}"], 2 if j == (i + 8) % COUNT else 1)
        for i in range(COUNT)
        for j in range(i % 8, COUNT, 8)
        if j != i
    ]
    rows = [{"query": q, "id": id, "relevance": n} for q, id, n in pairs]
    if kind == "clicks":  # each pair as often as it is relevant
        rows = [{"query": q, "id": id} for q, id, n in pairs for _ in range(n)]
    rows.append({"query": ids["000"], "id": "gone"})
    file = folder / "judged.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    return file


@pytest.mark.parametrize("kind", ["judged", "clicks"])
def test_a_file_of_judgments_tells_relevant_images(
    colored: Path, tmp_path: Path, kind: str
) -> None:
    file = _judgments(tmp_path, colored, kind)
    with Index.open(colored) as index:
        weights: list[Mapping[str, float] | str] = [{"color": 1}, {"texture": 1}]
        by_field = index.evaluate("color", limit=3, weights=weights)
        judged = index.evaluate(judgments=file, limit=3, weights=weights)
        assert (judged.queries, judged.unknown, judged.field) == (COUNT, 1, str(file))
        for one, other in zip(by_field.results, judged.results, strict=True):
            assert one.name == other.name
            assert one.precision == other.precision
        (best, worse) = judged.results
        assert best.difference is None
        assert worse.difference is not None
        assert worse.difference.mean == pytest.approx(worse.ndcg.mean - best.ndcg.mean)
        assert worse.difference.high < 0
        # By hand, for one choice of weights.
        relevance: dict[str, Counter[str]] = defaultdict(Counter)
        for row in map(json.loads, file.read_text().splitlines()):
            relevance[row["query"]][row["id"]] += row.get("relevance", 1)
        found = [
            sum(
                relevance[query][hit.id] / math.log2(i + 2)
                for i, hit in enumerate(index.search(id=query, weights={"color": 1}, limit=3))
            )
            for query in relevance
        ]
        ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
        assert best.name == "color=1"
        assert best.ndcg.mean == pytest.approx(np.mean(found) / ideal)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("query,id\n", "no rows"),
        ("query,picture\na,b\n", "no value in the column 'id'"),
        ("query,id,relevance\na,b,much\n", "line 2: the relevance 'much' is not a number"),
        ("query,id,relevance\na,b,-1\n", "'-1' is not a number from 0"),
        ("query,id\na,b\nc,d\n", r"Too few queries .* \(0 of 2\)"),
    ],
)
def test_files_of_judgments_that_cannot_be_used(
    colored: Path, tmp_path: Path, content: str, message: str
) -> None:
    file = tmp_path / "judged.csv"
    file.write_text(content)
    with Index.open(colored) as index, pytest.raises(InputError, match=message):
        index.evaluate(judgments=file)


def test_texts_are_judged_by_the_field_that_has_them(colored: Path, tmp_path: Path) -> None:
    with Index.open(colored) as index:
        index_colors = {str(value) for value, _ in index.facets("color")}
        evaluation = index.evaluate("color", limit=3, by_text=True)
        assert (evaluation.queries, evaluation.by_text) == (len(index_colors), True)
        (result,) = evaluation.results
        assert set(result.worst) == index_colors
        shares = []
        for color in index_colors:  # by hand
            hits = index.search(text=color, limit=3)
            shares.append(sum(hit.payload["color"] == color for hit in hits) / 3)
        assert result.precision.mean == pytest.approx(np.mean(shares))
        with pytest.raises(QueryError, match="price holds no words"):
            index.evaluate("price", by_text=True)
        with pytest.raises(QueryError, match="no weights to fit"):
            index.evaluate("color", by_text=True, fit=True)
        reds = [point.id for point in index.scroll('color = "red"')]
    file = tmp_path / "judged.csv"
    rows = [*(f"red,{id}" for id in reds), *(f"zyzzyva,{id}" for id in reds), "blue,gone"]
    file.write_text("\n".join(["query,id", *rows]))
    at = ("--index", colored, "-k", 3, "--judgments", file, "--by-text")
    document = documents("evaluate", *at)
    assert (document["queries"], document["unknown"]) == (2, 1)
    (judged,) = document["results"]
    assert judged["worst"][0] == "zyzzyva"  # which finds nothing
    assert judged["ndcg"]["mean"] <= 0.5
    shown = lookalike("evaluate", *at, "--html", tmp_path / "worst.html").stdout
    assert "2 searches by text" in shown
    assert "&#34;red&#34;" in (tmp_path / "worst.html").read_text()


def test_two_indexes_side_by_side(colored: Path, tmp_path: Path) -> None:
    file = _judgments(tmp_path, colored, "judged")
    other = copied(colored, tmp_path / "other")
    with Index.open(other) as index:
        index.delete(next(iter(index)).id)
    at = ("--index", colored, "--against", other, "-k", 3, "--weights", "color=1")
    document = documents("evaluate", "--judgments", file, *at)
    assert document["queries"] == COUNT - 1
    assert {result["against"] for result in document["results"]} == {False, True}
    shown = lookalike("evaluate", "color", *at, "--html", tmp_path / "worst.html").stdout
    assert "color=1 (other)" in shown
    assert "name one of them" in error("evaluate", "--index", colored)
    assert "name one of them" in error("evaluate", "color", "--judgments", file, *at)
