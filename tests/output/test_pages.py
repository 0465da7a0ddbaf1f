"""The HTML pages: escaped, self-contained, and complete."""

from __future__ import annotations

import re

import pytest

from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import InputError
from lookalike.output.contact_sheet import Panel, contact_sheet
from lookalike.output.duplicate_report import MAX_COPIES, MAX_GROUPS, duplicate_report
from lookalike.search.hits import AspectPlan, Explanation, Hit, Hits
from lookalike.types import Payload

HOSTILE = "<script>alert('1')</script>\"\N{RIGHT-TO-LEFT OVERRIDE}gpj\x1b[31m"
ESCAPED = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&#34;\N{REPLACEMENT CHARACTER}gpj"


def payload(**fields: object) -> Payload:
    """Returns a payload whose record has hostile text wherever text comes from a file."""
    record = {
        "id": HOSTILE,
        "uri": f"/photos/{HOSTILE}",
        "width": 1200,
        "height": 800,
        "format": "JPEG",
        "bytes": 37_800,
        "colors": [{"name": "red", "hex": "#a81e2d", "share": 0.8}],
    }
    return {"image": record, **fields}


def hits(*rows: Hit, complete: bool | None = True) -> Hits:
    aspects = {"color": AspectPlan("color", HOSTILE, 1.0, 0.1, 0.2, 1.0)}
    explanation = Explanation(aspects, 400, 150, 1, 0.25, {"engine": 1.5}, reason=HOSTILE)
    return Hits(rows, complete, {"color": 1.0}, 2.5, explanation)


def hit(id: str, **fields: object) -> Hit:
    scores, shares = {"color": 0.75}, {"color": 1.0}
    return Hit(id, 0.75, scores, payload(**fields), shares=shares, variants=("v",), others=1)


def group(copies: int, verdict: Verdict = Verdict.SAME_PICTURE) -> DuplicateGroup:
    members = [
        Duplicate(HOSTILE, f"/photos/{HOSTILE}", Verdict.IDENTICAL, {"why": "kept"}, payload())
    ]
    members += [
        Duplicate(f"copy {i}", f"/photos/{i}.jpg", verdict, {"why": HOSTILE}, payload())
        for i in range(copies)
    ]
    return DuplicateGroup(HOSTILE, HOSTILE, tuple(members))


def thumbnail(id: str) -> bytes:
    return b"jpeg"


def missing(id: str) -> bytes:
    raise InputError(f"{id} does not exist.")


def assert_safe(html: str) -> None:
    """Asserts that a page has no unescaped text and refers to nothing outside itself."""
    assert "<script" not in html
    assert "\x1b" not in html
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in html
    assert ESCAPED in html
    assert not re.search(r'src="(?!data:)|src=[^"]|href|@import|url\(', html)


def test_contact_sheets_are_escaped_and_self_contained() -> None:
    panel = Panel(
        HOSTILE, hits(hit(HOSTILE, title=HOSTILE, tags=[HOSTILE])), [b"query"], ["#0000ff"]
    )
    html = contact_sheet([panel], thumbnail)
    assert_safe(html)
    assert html.count("data:image/jpeg;base64,") == 2
    assert "background:#0000ff" in html
    assert "background:#a81e2d;flex:0.8" in html
    assert "<mark>+1</mark>" in html
    assert "400 candidates per aspect, 150 compared exactly, 1 request to the engine" in html
    assert "relevance threshold 0.250" in html


def test_contact_sheets_name_what_is_missing() -> None:
    html = contact_sheet([Panel("like one", hits(hit(HOSTILE))), Panel("none", hits())], missing)
    assert_safe(html)
    assert "does not exist." in html
    assert "data:image" not in html
    assert html.count("No results.") == 1


@pytest.mark.parametrize(
    ("complete", "note"),
    [(True, ""), (None, "approximate"), (False, "a better image may have been missed")],
)
def test_contact_sheets_say_what_is_proved(complete: bool | None, note: str) -> None:
    html = contact_sheet([Panel("like one", hits(hit("a"), complete=complete))], thumbnail)
    for known in ("approximate", "a better image may have been missed"):
        assert (known in html) is (known == note)


def test_duplicate_reports_are_escaped_and_self_contained() -> None:
    html = duplicate_report([group(2)], thumbnail, lambda keeper, copy: b"difference")
    assert_safe(html)
    assert html.count("data:image/jpeg;base64,") == 3 + 2
    assert "1 group, 2 copies besides the images to keep, 75.6 kB on disk." in html
    assert '<b class="same-picture">same-picture</b> 2 · edited from one original' in html
    assert html.count("1,200 × 800") == 3


def test_duplicate_reports_show_what_they_can() -> None:
    def unknown(keeper: Duplicate, copy: Duplicate) -> bytes | None:
        if copy.id == "copy 0":
            raise InputError("The original is gone.")
        return None

    html = duplicate_report([group(2)], missing, unknown)
    assert_safe(html)
    assert html.count("does not exist.") == 3
    assert "data:image" not in html
    assert 'class="difference"' not in html


def test_duplicate_reports_are_limited() -> None:
    html = duplicate_report([group(MAX_COPIES + 3)], thumbnail, lambda *_: None)
    assert "and 3 more" in html
    html = duplicate_report([group(1)] * (MAX_GROUPS + 1_234), thumbnail, lambda *_: None)
    assert html.count("<section>") == MAX_GROUPS
    assert "And 1,234 more groups" in html


def test_similar_images_are_not_spare() -> None:
    html = duplicate_report([group(3, Verdict.SIMILAR)], thumbnail, lambda *_: None)
    assert "1 group, 3 copies besides the images to keep, 0 bytes on disk." in html


def test_a_report_without_groups() -> None:
    assert "No duplicates found." in duplicate_report([], thumbnail, lambda *_: None)
