"""The field that judges neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lookalike.fields import Field
from lookalike.search.label_precision import choose_field, label_shares
from lookalike.types import FieldType

COUNT = 200


def field(name: str, type: FieldType = FieldType.KEYWORD) -> Field:
    return Field(name, type, name)


def chosen(precisions: dict[str, float], payloads: Sequence[dict[str, Any]]) -> str | None:
    """The field of these precisions, alike for both models, that is chosen."""
    fields = [field(name) for name in precisions]
    shares = np.array(
        [
            [[value if name in payload else np.nan] * 2 for name, value in precisions.items()]
            for payload in payloads
        ]
    )
    best = choose_field(fields, payloads, shares)
    return None if best is None else fields[best].name


PAYLOADS: list[dict[str, Any]] = [
    {
        "source": f"source {i % 2}",
        "category": f"category {i * 7 % 100}",
        "serial": f"no. {i}",
        "shop": "ours",
        **({"brand": f"brand {i % 50}"} if i % 10 == 0 else {}),
    }
    for i in range(COUNT)
]


@pytest.mark.parametrize(
    ("precisions", "expected"),
    [
        ({"source": 1.0, "category": 0.66}, "category"),
        ({"source": 0.99, "category": 0.1}, "source"),
        ({"category": 0.4, "brand": 0.6}, "category"),  # only a tenth has a brand
        ({"serial": 0.0, "shop": 1.0, "source": 0.5}, None),
        ({"source": 0.4}, None),  # less than by chance
        ({}, None),
    ],
)
def test_the_most_informative_field_is_chosen(
    precisions: dict[str, float], expected: str | None
) -> None:
    assert chosen(precisions, PAYLOADS) == expected


def test_shares_of_values_and_lists() -> None:
    fields = [field("brand"), field("tags", FieldType.KEYWORDS), field("gone")]
    query = {"brand": "x", "tags": ["a", "b"]}
    found: list[dict[str, Any]] = [
        {"brand": "x", "tags": ["b"]},
        {"brand": "y", "tags": ["c"]},
        {},
        {"tags": ["a", "b"]},
    ]
    np.testing.assert_array_equal(label_shares(fields, query, found), [0.25, 0.5, np.nan])
    assert np.isnan(label_shares(fields, query, [])).all()
