"""Decisions people made about look-alikes, stored in the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lookalike.errors import InputError
from lookalike.protocols import Engine
from lookalike.types import (
    Decision,
    Payload,
    Point,
)

MOST_DECIDED = 1_000
"""Contents that one decision may be about: each keeps the digests of all others."""


def _decides(one: Payload, other: Payload) -> bool:
    own, sha256 = one["image"], other["image"]["sha256"]
    return any(sha256 in own.get(decision, ()) for decision in Decision)


# --- what was decided -------------------------------------------------------------------------


def decide(engine: Engine, points: Sequence[Point], decision: Decision | None) -> None:
    """Remembers a decision on images, in each of them; None forgets all that was said of them.

    Raises:
        InputError: fewer than two images, or more than `MOST_DECIDED` different ones.
    """
    contents = {point.payload["image"]["sha256"] for point in points}
    if len({point.id for point in points}) < 2:
        raise InputError("A decision is about two images or more: name the others, too.")
    if len(contents) > MOST_DECIDED:
        raise InputError(
            f"A decision is about {MOST_DECIDED:,} different images at most, and these are "
            f"{len(contents):,}: decide on fewer at a time."
        )
    equal = Counter(point.payload["image"]["sha256"] for point in points)
    for point in points:
        own = point.payload["image"]
        others = {sha256 for sha256 in contents if sha256 != own["sha256"]}
        if equal[own["sha256"]] > 1:
            others.add(own["sha256"])
        for kind in Decision:
            said = set(own.get(kind, ()))
            now = said | others if kind is decision else said - others
            if now != said:
                engine.set_payload(point.id, {"image": {kind.value: sorted(now)}})
