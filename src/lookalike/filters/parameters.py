"""Parameters of a `where` text: values by name, so that no caller quotes by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from lookalike.errors import FilterError
from lookalike.fields import TEXTS, Field, is_unicode
from lookalike.filters.tokens import Token, error_at, shorten


def is_parameter(token: Token) -> bool:
    """True for `:name`."""
    return token.kind == "word" and token.text.startswith(":")


@dataclass(slots=True)
class Parameters:
    """The parameters of one text.

    Attributes:
        values: values by name.
        used: names that the text has used.
    """

    values: Mapping[str, Any]
    used: set[str] = field(default_factory=set)

    def value_of(self, field: Field, token: Token) -> Token:
        """The literal that stands for a parameter.

        Raises:
            FilterError: it has no value, or a list.
        """
        value = self._value(token)
        if isinstance(value, list | tuple | set | frozenset):
            raise error_at(
                token.column, f"{token} is a list: write {field.name} in {shorten(token.text)}"
            )
        return _literal(field, token, value)

    def list_of(self, field: Field, token: Token) -> list[Token]:
        """The literals of a parameter that is a list.

        Raises:
            FilterError: it is not a list, or an empty one.
        """
        value = self._value(token)
        if not isinstance(value, list | tuple | set | frozenset):
            return [_literal(field, token, value)]
        if not value:
            raise error_at(token.column, f"{token} is an empty list: give at least one value")
        return [_literal(field, token, one) for one in value]

    def require_all_used(self) -> None:
        """Refuses parameters that the text does not use, which are rather misspelled.

        Raises:
            FilterError: there is one.
        """
        unused = sorted(map(str, set(self.values) - self.used))
        if unused:
            raise FilterError(
                f"The filter has no parameter :{shorten(unused[0])}: use it in the where text, or "
                "leave it out."
            )

    def _value(self, token: Token) -> Any:
        name = token.text.removeprefix(":")
        if name not in self.values:
            given = ", ".join(sorted(map(str, self.values)))
            hint = f"there are {shorten(given)}" if given else "give it in params"
            raise error_at(token.column, f"the parameter {token} has no value; {hint}")
        self.used.add(name)
        return self.values[name]


def _literal(field: Field, token: Token, value: Any) -> Token:
    """The literal of a value: quoted for a field of texts, else as the language writes it."""
    if value is None:
        raise error_at(token.column, f"{token} is null: write {field.name} is null")
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, datetime | date):
        text = value.isoformat()
    else:
        text = str(value) if isinstance(value, str | int | float) else ""
    if (not text and value != "") or not is_unicode(text):
        message = f"{token} is neither a text, a number, a date, true nor false"
        raise error_at(token.column, message)
    is_text = field.type in TEXTS
    return replace(token, kind="string" if is_text else "word", text=text)
