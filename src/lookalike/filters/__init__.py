"""Filters: the `where` language and Qdrant's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lookalike.fields import Field
from lookalike.filters.parser import parse
from lookalike.filters.qdrant_json import where_of
from lookalike.types import Filter

__all__ = ["parse_where"]


def parse_where(
    where: str | Mapping[str, Any] | None, fields: Mapping[str, Field]
) -> Filter | None:
    """The filter in a text of the `where` language, or in Qdrant's JSON; None for None.

    Args:
        where: the text, or the JSON.
        fields: the fields that it may name, by name.

    Raises:
        FilterError: it does not parse, or does not fit the fields.
    """
    if where is None:
        return None
    return parse(where if isinstance(where, str) else where_of(where), fields)
