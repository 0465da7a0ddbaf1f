"""Decisions about images that look like copies, stored in the index and respected from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from lookalike import record
from lookalike.errors import Conflict, InputError
from lookalike.protocols import Engine, SharedEngine, require_points
from lookalike.record import decided_about, record_of
from lookalike.types import Decision, Payload, Point

MAX_DECIDED = 1_000
"""Different files that one decision may cover: each image stores the digests of all the others."""
_ATTEMPTS = 100
"""Times that a decision is stored while others decide about the same image."""


def may_be_duplicates(first: Payload, second: Payload) -> bool:
    """False for two images of one file, which metadata may list twice, and for images that were
    declared not to be duplicates, or to be kept side by side."""
    if record_of(first)["uri"] == record_of(second)["uri"]:
        return False
    return not (_decided(first, second) or _decided(second, first))


def decide(engine: Engine, ids: Sequence[str], decision: Decision | None) -> None:
    """Stores a decision in each of the images; None removes earlier decisions.

    Raises:
        NotFound: no image has one of the ids.
        InputError: fewer than two images, or more than `MAX_DECIDED` different files.
        Conflict: another process decided otherwise about the same images at the same time.
    """
    points = require_points(engine, ids)
    counts = Counter(record_of(point.payload)["sha256"] for point in points)
    if len(points) < 2:
        raise InputError("A decision needs at least two images: name the others, too.")
    if len(counts) > MAX_DECIDED:
        raise InputError(
            f"A decision covers at most {MAX_DECIDED:,} different files, and these are "
            f"{len(counts):,}: decide on fewer at a time."
        )
    for point in sorted(points, key=lambda point: point.id):
        own = record_of(point.payload)["sha256"]
        others = {sha256 for sha256 in counts if sha256 != own or counts[own] > 1}
        _decide_about(engine, point, others, decision)


def _decide_about(
    engine: Engine, point: Point, others: AbstractSet[str], decision: Decision | None
) -> None:
    """Stores a decision in one image. What other processes decide meanwhile about it and other
    images stays; one about it and the same images ends in a conflict."""
    wanted = {kind: others if kind is decision else frozenset[str]() for kind in Decision}
    first = _lists(point)
    for _ in range(_ATTEMPTS):
        lists = _lists(point)
        about = {kind: lists[kind] & others for kind in Decision}
        if about == wanted:
            return
        if about != {kind: first[kind] & others for kind in Decision}:
            break
        before = {kind.value: sorted(lists[kind]) for kind in Decision}
        after = {kind.value: sorted(lists[kind] - others | wanted[kind]) for kind in Decision}
        if not isinstance(engine, SharedEngine):
            engine.set_payload(point.id, {record.KEY: after})
            return
        engine.set_lists(point.id, before, after)
        (point,) = require_points(engine, [point.id])
    raise Conflict(
        f"Another decision on {point.id!r:.200} and one of these images was made at the same time: "
        "look at them again, then decide."
    )


def _lists(point: Point) -> dict[Decision, frozenset[str]]:
    """The images that one was decided about, by decision."""
    return {kind: frozenset(decided_about(point.payload, kind)) for kind in Decision}


def _decided(payload: Payload, other: Payload) -> bool:
    sha256 = record_of(other)["sha256"]
    return any(sha256 in decided_about(payload, decision) for decision in Decision)
