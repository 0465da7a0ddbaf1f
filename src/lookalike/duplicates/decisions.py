"""Decisions people made about look-alikes, stored in the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lookalike import record
from lookalike.errors import InputError
from lookalike.protocols import Engine
from lookalike.record import decided_about, record_of
from lookalike.types import (
    Decision,
    Payload,
    Point,
)

MOST_DECIDED = 1_000
"""Contents that one decision may be about: each keeps the digests of all others."""


def _decides(one: Payload, other: Payload) -> bool:
    sha256 = record_of(other)["sha256"]
    return any(sha256 in decided_about(one, decision) for decision in Decision)


# --- what was decided -------------------------------------------------------------------------


def decide(engine: Engine, points: Sequence[Point], decision: Decision | None) -> None:
    """Remembers a decision on images, in each of them; None forgets all that was said of them.

    Raises:
        InputError: fewer than two images, or more than `MOST_DECIDED` different ones.
    """
    contents = {record_of(point.payload)["sha256"] for point in points}
    if len({point.id for point in points}) < 2:
        raise InputError("A decision is about two images or more: name the others, too.")
    if len(contents) > MOST_DECIDED:
        raise InputError(
            f"A decision is about {MOST_DECIDED:,} different images at most, and these are "
            f"{len(contents):,}: decide on fewer at a time."
        )
    equal = Counter(record_of(point.payload)["sha256"] for point in points)
    for point in points:
        own = record_of(point.payload)
        others = {sha256 for sha256 in contents if sha256 != own["sha256"]}
        if equal[own["sha256"]] > 1:
            others.add(own["sha256"])
        for kind in Decision:
            said = set(decided_about(point.payload, kind))
            now = said | others if kind is decision else said - others
            if now != said:
                engine.set_payload(point.id, {record.KEY: {kind.value: sorted(now)}})
