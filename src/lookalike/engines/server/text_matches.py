"""Matches of texts on servers older than Qdrant 1.20.

They know no match of a part of a text. There, a match of words means that on a field without a text
index; on one with such an index it means what it does from 1.20 on everywhere.
"""

from __future__ import annotations

from typing import Any

from qdrant_client import models

from lookalike.errors import FilterError

FIRST_VERSION = (1, 20)
"""The first version of Qdrant that matches parts of texts by themselves."""


def text_indexed(info: models.CollectionInfo) -> frozenset[str]:
    """The paths of the fields with a text index."""
    schema = info.payload_schema or {}
    return frozenset(
        path for path, index in schema.items() if index.data_type is models.PayloadSchemaType.TEXT
    )


def for_older_server(
    filter: models.Filter, indexed: frozenset[str], prefix: str = ""
) -> models.Filter:
    """The filter in terms of an older server.

    Args:
        filter: the filter.
        indexed: paths of the fields with a text index.
        prefix: what its paths are relative to, in a list of objects.

    Raises:
        FilterError: it has no such terms.
    """
    change = {
        clause: [_condition(one, indexed, prefix) for one in conditions]
        for clause in ("must", "should", "must_not")
        if isinstance(conditions := getattr(filter, clause), list)
    }
    return filter.model_copy(update=change)


def _condition(condition: Any, indexed: frozenset[str], prefix: str) -> Any:
    match condition:
        case models.Filter():
            return for_older_server(condition, indexed, prefix)
        case models.NestedCondition(nested=nested):
            inner = for_older_server(nested.filter, indexed, f"{prefix}{nested.key}[].")
            nested = nested.model_copy(update={"filter": inner})
            return models.NestedCondition(nested=nested)
        case models.FieldCondition(key=key, match=models.MatchSubstring(substring=text)):
            if f"{prefix}{key}" in indexed:
                raise _too_old("contains", f"{prefix}{key}", "with")
            return models.FieldCondition(key=key, match=models.MatchText(text=text))
        case models.FieldCondition(key=key, match=models.MatchText()):
            if f"{prefix}{key}" not in indexed:
                raise _too_old("matches", f"{prefix}{key}", "without")
    return condition


def _too_old(operator: str, path: str, having: str) -> FilterError:
    return FilterError(
        f"This server is older than Qdrant 1.20, which `{operator}` needs for a field {having} a "
        f"text index, as {path} is: upgrade the server, or leave the condition out."
    )
