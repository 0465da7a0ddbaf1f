"""Text for people to read."""

from __future__ import annotations


def clip(text: str, length: int) -> str:
    """Cuts a text that is longer than `length` characters, and marks the cut."""
    return text if len(text) <= length else text[:length] + "…"
