"""Words that a model without a text tower knows: directions among its vectors.

`training/words.py` fits and measures them, and writes the file that is read here.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Container, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ModelError, QueryError
from lookalike.imaging import color_terms
from lookalike.types import Mention, Vector, Word

_UNWANTED = 0.5
"""Weight of the words after "not" beside the others."""
LONGEST = 4
"""Words of a name, such as "flat-coated retriever"."""

_NEGATIONS = {"not", "no", "without", "except"}
_BREAKS = {",", ";", "and", "but", "or", "with"}
_FILLERS = {
    *("a", "an", "the", "of", "in", "on", "at", "by", "for", "to", "from", "some", "any", "my"),
    *("one", "two", "three", "four", "five", "several", "many", "pair"),
    *("is", "are", "it", "this", "that", "photo", "photos", "picture", "pictures"),
    *("image", "images", "showing", "pattern", "patterned", "colored", "coloured"),
}
"""Words that say nothing of what a picture shows."""

_MATERIALS = {"denim"}
"""Names of colors that are things before another word, too."""

_PLURALS = (
    ("ies", "y"),
    ("ves", "f"),
    ("ves", "fe"),
    ("men", "man"),
    ("es", ""),
    ("s", ""),
    ("", "s"),
    ("", "es"),
)
"""Endings and what stands in their place in the singular, or in a plural such as "pants"."""

_MISSPELLED = 0.8
"""Likeness of two spellings, from which on one may be a mistake for the other."""

_NEIGHBORS = "lookalike-small-1-neighbors.tsv"

_TOKEN = re.compile(r"#?\w+(?:['’&]\w+)*|[,;]")


class Vocabulary:
    """Words with their directions, read from a file with the first use."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def words(self) -> Sequence[Word]:
        """All words, in alphabetical order."""
        return sorted(self._content[0], key=lambda word: word.name)

    def mentions(self, text: str) -> list[Mention]:
        """The known words and colors that a text mentions, each the longest possible.

        "Orange" is a fruit by itself or as the last word, and a color before another word.

        Raises:
            QueryError: a word is not known.
        """
        tokens = tokens_of(text)
        found, wanted, start = list[Mention](), True, 0
        while start < len(tokens):
            token = tokens[start]
            if token in _NEGATIONS or token in _BREAKS:
                wanted = token not in _NEGATIONS
                start += 1
            elif (longest := self._longest(tokens, start, wanted=wanted)) is not None:
                mention, start = longest
                found.append(mention)
            elif token in _FILLERS:
                start += 1
            else:
                raise QueryError(self._unknown(token))
        if not found:
            raise QueryError(f"The text {text[:60]!r} has no word that says what to look for.")
        return found

    def vector(self, text: str) -> Vector:
        """The direction of a text: the mean of its words less a part of those after "not"."""
        mentions = [one for one in self.mentions(text) if not one.is_color]
        if not mentions:
            raise QueryError(
                f"The text {text[:60]!r} names only colors, which are not in this model's vectors: "
                "search by color."
            )
        total = np.zeros(self._content[1].shape[1], np.float32)
        for wanted, weight in ((True, 1.0), (False, -_UNWANTED)):
            rows = [self._rows[one.name] for one in mentions if one.wanted is wanted]
            if rows:
                total += weight * _unit(self._content[1][rows]).mean(axis=0)
        return np.asarray(_unit(total[None])[0], np.float32)

    def _longest(
        self, tokens: Sequence[str], start: int, *, wanted: bool
    ) -> tuple[Mention, int] | None:
        for end in range(min(start + LONGEST, len(tokens)), start, -1):
            name = " ".join(tokens[start:end])
            thing = self._name(name)
            is_last = end == len(tokens) or tokens[end] in _BREAKS | _NEGATIONS
            color = color_terms.find(name)
            if color is not None and not (thing and (is_last or name in _MATERIALS)):
                return Mention(color.name, True, wanted), end
            if thing is not None:
                return Mention(thing, False, wanted), end
        return None

    def _name(self, name: str) -> str | None:
        """The known spelling of a name, which may be in the plural."""
        return _spelling_in(self._rows, name)

    def _unknown(self, token: str) -> str:
        hint = ""
        if near := self._neighbors.get(_spelling_in(self._neighbors, token) or ""):
            hint = f"it knows {' and '.join(near)}; "
        elif near := get_close_matches(token, self._rows, n=3, cutoff=_MISSPELLED):
            hint = f"did you mean {' or '.join(near)}? "
        return (
            f"The built-in model does not know the word {token[:60]!r}; {hint}`lookalike words` "
            "lists those that it knows, and an index made with `--model clip` takes any."
        )

    @cached_property
    def _neighbors(self) -> Mapping[str, Sequence[str]]:
        """Known words that are near in meaning, by word."""
        lines = self._file.with_name(_NEIGHBORS).read_text(encoding="utf-8").splitlines()
        return {word: near for word, *near in (line.split("\t") for line in lines)}

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        """The row of each name. A word that comes first in one row wins over a synonym."""
        words = self._content[0]
        rows = {name: row for row, word in enumerate(words) for name in word.synonyms}
        return rows | {word.name: row for row, word in enumerate(words)}

    @cached_property
    def _content(self) -> tuple[Sequence[Word], NDArray[np.int8]]:
        try:
            with np.load(self._file, allow_pickle=False) as file:
                entries: list[dict[str, Any]] = json.loads(file["words"].tobytes())
                directions: NDArray[np.int8] = file["directions"]
        except (OSError, ValueError, KeyError, BadZipFile, zlib.error) as error:
            raise ModelError(
                f"The built-in model's file {self._file} is missing or damaged: install lookalike "
                "again."
            ) from error
        words = [
            Word(one["names"][0], one["precision"], one["measured_with"], tuple(one["names"][1:]))
            for one in entries
        ]
        return words, directions


def _spelling_in(known: Container[str], name: str) -> str | None:
    """The known spelling of a name, which may be in the plural; None if there is none."""
    if name in known:
        return name
    for ending, instead in _PLURALS:
        if name.endswith(ending) and len(name) - len(ending) > 2:
            other = name.removesuffix(ending) + instead
            if other in known:
                return other
    return None


def tokens_of(text: str) -> list[str]:
    """Words and commas of a text in lower case."""
    return _TOKEN.findall(text.lower())


def _unit(rows: NDArray[Any]) -> NDArray[np.float32]:
    floats = rows.astype(np.float32)
    return np.asarray(floats / np.linalg.norm(floats, axis=-1, keepdims=True), np.float32)
