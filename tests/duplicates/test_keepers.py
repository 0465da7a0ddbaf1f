"""Policies choose the keeper of a group and give the reason."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.types import Payload


@pytest.mark.parametrize(
    ("keep", "keeper"),
    [
        ("first", "scene00 again"),
        ("oldest", "scene00"),
        ("best", "scene00"),
        (lambda payload: payload["image"]["format"] == "PNG", "scene00 pixels"),
    ],
)
def test_a_policy_chooses_the_keeper(index: Index, photos: Path, keep: object, keeper: str) -> None:
    for age, name in enumerate(("scene00", "scene00 again", "scene00 small", "scene00 half")):
        os.utime(photos / f"{name}.jpg", (10**9 + age, 10**9 + age))
    index.delete([point.id for point in index.scroll()])
    index.add(photos)
    groups = [group for group in index.duplicates(keep=keep) if "scene00" in group.keeper]  # type: ignore[arg-type]
    assert [Path(group.keeper).stem for group in groups] == [keeper]
    assert len(groups[0].members) == 5


def test_an_unknown_policy_is_refused_at_once(filled: Index) -> None:
    with pytest.raises(InputError, match=r"biggest. is not a keep policy.*largest, oldest, best"):
        filled.duplicates(keep="biggest")


def test_a_policy_may_be_any_function_of_the_payload(filled: Index) -> None:
    def shortest(payload: Payload) -> int:
        return -len(payload["image"]["uri"])

    assert {group.reason for group in filled.duplicates(keep=shortest)} == {"chosen by shortest"}
