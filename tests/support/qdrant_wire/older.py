"""Filters as servers before 1.20 take them."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any

from qdrant_client import models


def as_before_1_20(
    filter: models.Filter | None, indexed: AbstractSet[str], prefix: str = ""
) -> models.Filter | None:
    """The filter as such a server understands it: words are a part of a text in a field without a
    text index.

    Raises:
        ValueError: it has a condition that is not known there.
    """
    if filter is None:
        return None
    change = {
        clause: [_condition(one, indexed, prefix) for one in conditions]
        for clause in ("must", "should", "must_not")
        if isinstance(conditions := getattr(filter, clause), list)
    }
    return filter.model_copy(update=change)


def _condition(condition: Any, indexed: AbstractSet[str], prefix: str) -> Any:
    match condition:
        case models.Filter():
            return as_before_1_20(condition, indexed, prefix)
        case models.NestedCondition(nested=nested):
            inner = as_before_1_20(nested.filter, indexed, f"{prefix}{nested.key}[].")
            return models.NestedCondition(nested=nested.model_copy(update={"filter": inner}))
        case models.FieldCondition(match=models.MatchSubstring()):
            raise ValueError("Malformed Match condition")
        case models.FieldCondition(key=key, match=models.MatchText(text=text)):
            if f"{prefix}{key}" not in indexed:
                return models.FieldCondition(key=key, match=models.MatchSubstring(substring=text))
    return condition
