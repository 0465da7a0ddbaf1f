"""Tokens of the `where` language, and errors that name the column of one."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lookalike.errors import FilterError
from lookalike.system.text import clip

KEYWORDS = frozenset({"and", "or", "not", "in", "has", "is", "null", "true", "false"})
"""Words of the language, in any case; a field of such a name takes backticks."""

WORD = r"""(?:[^\s"'`()<>=!,~]|~(?!=))+"""
"""A field name that needs no backticks, unless it is a keyword; or a number, a date, a keyword."""

# A word is anything without an operator, quote or space in it: a name, a keyword, a number or a
# date, depending on its place.
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<string> "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
    | (?P<name> `(?:[^`]|``)+` )
    | (?P<operator> == | != | <> | <= | >= | ~= | [=<>(),] )
    | (?P<word> {WORD} )
    | (?P<end> \Z )
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of a text.

    Attributes:
        kind: "string", "name", "operator", "word" or "end"; a word that begins with a colon is a
            parameter.
        text: without quotes and escapes.
        column: of its first character, from 1.
    """

    kind: str
    text: str
    column: int

    def is_word(self, word: str) -> bool:
        return self.kind == "word" and self.text.lower() == word

    def __str__(self) -> str:
        prefix = "the text " if self.kind == "string" else ""
        return "the end" if self.kind == "end" else f'{prefix}"{shorten(self.text)}"'


def tokenize(text: str) -> list[Token]:
    """The tokens of a text; the last is its end."""
    tokens: list[Token] = []
    at = 0
    while not tokens or tokens[-1].kind != "end":
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            rest = text[at:].lstrip()
            problem = f"the quote {rest[0]} that opens here is never closed"
            if rest[0] == "!":
                problem = 'write "not" for "!"'
            raise error_at(len(text) - len(rest) + 1, problem)
        kind, value = match.lastgroup, match[match.lastgroup]
        if kind == "string":
            value = _ESCAPED.sub(r"\1", value[1:-1])
        elif kind == "name":
            value = value[1:-1].replace("``", "`")
        tokens.append(Token(kind, value, match.start(kind) + 1))
        at = match.end()
    return tokens


def error_at(column: int, message: str) -> FilterError:
    """The error for a text that goes wrong at a column."""
    return FilterError(f"where, column {column}: {message}.")


def shorten(text: str) -> str:
    """The text, cut where it is too long for an error message."""
    return clip(text, 40)
