"""Ids of points: the same in every engine and every version."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest

from lookalike.system.point_ids import point_id


@pytest.mark.parametrize("id", ["", "7-s", "https://cdn.example/ü 1.jpg", "photos/" * 99])
def test_the_id_of_a_point_is_the_uuid_of_its_name(id: str) -> None:
    assert point_id(id) == uuid5(UUID("6f6b1f5e-0f9c-5c1b-8f0e-6c6f6f6b616c"), id)


def test_an_id_that_is_no_text_has_a_point_too() -> None:
    assert point_id("\udc80") == point_id("\\udc80") != point_id("x")
