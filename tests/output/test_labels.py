"""Short texts about images, searches and files."""

from __future__ import annotations

import pytest

from lookalike.output.labels import display_name, field_summary, file_size
from lookalike.system.text import count


def test_the_user_s_own_name_comes_before_the_id() -> None:
    assert display_name("/photos/one.jpg", {"title": "One", "image": {}}) == "One"
    assert display_name("/photos/one.jpg", {"name": "Uno", "title": "One"}) == "Uno"
    assert display_name("/photos/one.jpg", {"name": 1}) == "one.jpg"


def test_fields_in_one_line_with_the_shortest_first() -> None:
    payload = {
        "name": "One",
        "image": {"id": "1"},
        "price": 19.5,
        "in_stock": False,
        "on_sale": True,
        "added": "2026-01-02T00:00:00Z",
        "tags": ["b", "a"],
        "empty": "",
        "none": None,
    }
    summary = field_summary(payload)
    assert summary == "b, a · on sale · 2026-01-02 · price 19.5 · not in stock"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (37_800, "37.8 kB"),
        (146_000, "146 kB"),
        (2.5e12, "2.5 TB"),
    ],
)
def test_file_sizes(size: float, text: str) -> None:
    assert file_size(size) == text


def test_counts_with_their_noun() -> None:
    assert count(1, "image") == "1 image"
    assert count(1_000, "image") == "1,000 images"
    assert count(2, "copy", "copies") == "2 copies"
