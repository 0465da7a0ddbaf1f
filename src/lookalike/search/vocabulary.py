"""Vocabulary of models that know certain words."""

from __future__ import annotations

from lookalike.protocols import Descriptor, KnowsWords
from lookalike.types import Word


def words_of(descriptor: Descriptor, prefix: str = "") -> list[Word]:
    """The words of a descriptor with a name that begins so; none if it takes any text, or none."""
    if not isinstance(descriptor, KnowsWords):
        return []
    start = prefix.strip().lower()
    return [
        word
        for word in descriptor.words
        if any(name.startswith(start) for name in (word.name, *word.synonyms))
    ]
