"""The migration report, as a page, as a document and in a notebook."""

from __future__ import annotations

import json
import re
from typing import Any

import lookalike.output.notebook  # noqa: F401, registers what notebooks show
from lookalike.errors import InputError
from lookalike.output.documents import of_comparison, of_gates
from lookalike.output.migration_report import migration_report
from lookalike.search.gates import Evidence, GateResult, Gates
from lookalike.search.model_comparison import Agreement, ComparedQuery, ModelComparison, Neighbor
from tests.support.comparisons import comparison, quality

HOSTILE = "<script>alert('1')</script>\"\N{RIGHT-TO-LEFT OVERRIDE}gpj\x1b[31m"
ESCAPED = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;\N{REPLACEMENT CHARACTER}gpj"


def neighbor(id: str, **fields: object) -> Neighbor:
    return Neighbor(id, 0.5, {"image": {"id": id}, **fields})


def by_image() -> ComparedQuery:
    """Of three results of each, two are shared, and one of either has the query's brand."""
    old = neighbor("a", brand="x"), neighbor("b"), neighbor("c", brand=[HOSTILE, "y"])
    new = neighbor("c", brand=[HOSTILE, "y"]), neighbor(HOSTILE, brand="z"), neighbor("a")
    return ComparedQuery("stored images", "query", {"brand": ["y", "w"]}, 2 / 3, 0.5, old, new)


def by_text() -> ComparedQuery:
    hits = (neighbor("a"),)
    return ComparedQuery("logged texts", HOSTILE, {}, 1.0, 1.0, hits, hits)


def compared(**changes: Any) -> ModelComparison:
    agreement = [
        Agreement("stored images", 199, quality(0.6), quality(0.55)),
        Agreement("logged texts", 1, quality(0.98), quality(0.98)),
    ]
    pairs = [by_image(), by_text()]
    return comparison(pairs=pairs, agreement=agreement, notes=[HOSTILE], **changes)


def results(found: ModelComparison, **evidence: int) -> tuple[GateResult, ...]:
    figures = {"filled": 10, "images": 10, "errors": 0, **evidence}
    return Gates.parse().check(Evidence(comparison=found, **figures))


def sections(html: str) -> list[str]:
    return html.split("<section>")[1:]


def test_pages_are_escaped_and_self_contained() -> None:
    html = migration_report(compared(), results(compared()), lambda id: b"jpeg")
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in html
    assert html.count(ESCAPED) >= 5
    assert not re.search(r'src="(?!data:)|src=[^"]|href|@import|url\(', html)
    assert html.count("data:image/jpeg;base64,") == 1 + 3 + 3 + 2


def test_shared_results_and_labels_are_marked() -> None:
    image, text = sections(migration_report(compared(), (), lambda id: b"jpeg"))
    assert image.count('<figure class="shared">') == 4
    assert re.findall(r"<mark[^>]*>(\d)</mark>", image) == ["3", "1", "3", "1"]
    assert image.count('class="label match"') == 2
    assert "1 of 3 with its brand" in image
    assert "<b>2</b> of 3 in common" in image
    assert "with its brand" not in text
    assert "logged text" in text


def test_figures_and_gates_are_shown() -> None:
    html = migration_report(compared(), results(compared()), lambda id: b"jpeg")
    assert "<title>old → new</title>" in html
    assert "All gates pass" in html
    for words in ("overlap@10", "0.60", "0.58 to 0.62", "150 queries", "11.0 ms"):
        assert words in html
    assert "<td>logged texts<td>1<td>0.98" in html
    refused = compared(p95=20.0)
    html = migration_report(refused, results(refused, errors=2), lambda id: b"jpeg")
    assert "2 gates refuse the new model" in html
    assert html.count('<li class="closed">') == 2
    assert "failed on 2 images" in html


def test_what_is_missing_is_named() -> None:
    def gone(id: str) -> bytes:
        raise InputError(f"{id} does not exist.")

    found = compared(precision=None)
    html = migration_report(found, results(found), gone)
    assert "query does not exist." in html
    assert "data:image" not in html
    assert '<li class="open unmeasured">' in html
    assert "with its" not in html


def test_documents_have_figures_and_ids() -> None:
    document = json.loads(json.dumps(of_comparison(compared())))
    assert document["new"] == {"model": "new", "vector": "new-1", "p50_ms": 6.0, "p95_ms": 11.0}
    assert document["overlap"]["mean"] == 0.6
    assert document["precision"]["field"] == "brand"
    assert sum(document["shared"]) == document["queries"] == 200
    assert document["pairs"][0]["new"][0] == {"id": "c", "score": 0.5}
    assert of_comparison(compared(precision=None))["precision"] is None
    (filled, *_) = of_gates(results(compared()))
    assert (filled["name"], filled["wanted"], filled["passed"]) == ("filled", 0.999, True)


def test_notebooks_show_the_figures() -> None:
    html = compared()._repr_html_() or ""
    assert "200 queries, overlap@10 0.600" in html
    assert "<td>new</td><td>6.0</td><td>11.0</td><td>0.800 (0.780 to 0.820)</td>" in html
    assert "brand" not in (compared(precision=None)._repr_html_() or "")
