"""Filters: the `where` language and Qdrant's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lookalike.errors import FilterError
from lookalike.fields import Field
from lookalike.filters.parser import parse
from lookalike.filters.qdrant_json import where_of
from lookalike.protocols import Engine
from lookalike.types import Filter

__all__ = ["parse_where", "spellings"]


MAX_SPELLINGS = 1_000_000
"""Distinct values of a field that `~=` compares with."""


def parse_where(
    where: str | Mapping[str, Any] | None,
    fields: Mapping[str, Field],
    parameters: Mapping[str, Any] | None = None,
    *,
    engine: Engine,
) -> Filter | None:
    """The filter in a text of the `where` language, or in Qdrant's JSON; None for None.

    Args:
        where: the text, or the JSON.
        fields: the fields that it may name, by name.
        parameters: the values of `:name` in the text, by name.
        engine: has the spellings of a text, for `~=`.

    Raises:
        FilterError: it does not parse, or does not fit the fields or the parameters.
    """
    if where is None:
        if parameters:
            raise FilterError("There are parameters and no where text that uses them.")
        return None
    text = where if isinstance(where, str) else where_of(where)
    return parse(text, fields, parameters, partial(spellings, engine))


def spellings(engine: Engine, field: Field) -> list[str]:
    """The distinct values of a field of texts.

    Raises:
        FilterError: there are too many to compare.
    """
    values = engine.facet(field.path, limit=MAX_SPELLINGS)
    if len(values) == MAX_SPELLINGS:
        raise FilterError(
            f"{field.name} has {MAX_SPELLINGS:,} values or more, too many to ignore their case: "
            "use = instead."
        )
    return [str(value) for value, _ in values]
