"""lookalike words."""

from __future__ import annotations

from tests.support.command_line import documents, lookalike


def test_words_are_listed() -> None:
    assert "elephant" in lookalike("words", "--like", "eleph").stdout
    words = documents("words", "--like", "dress")
    (dress,) = [word for word in words if word["name"] == "dress"]
    assert 0.2 <= dress["precision"] <= 1
    assert dress["measured_with"] == "labels"
    assert documents("words", "--like", "zzz") == []
