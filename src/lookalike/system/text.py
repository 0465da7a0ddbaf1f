"""Text for people to read."""

from __future__ import annotations


def clip(text: str, length: int) -> str:
    """Cuts a text that is longer than `length` characters, and marks the cut."""
    return text if len(text) <= length else text[:length] + "…"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Formats a number with its noun: 1 copy, 2 copies."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def with_article(noun: str) -> str:
    """Puts the article before a noun: an integer, a keyword."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
