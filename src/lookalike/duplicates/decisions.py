"""Decisions about images that look like copies, stored in the index and respected from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lookalike import record
from lookalike.errors import InputError
from lookalike.protocols import Engine, require_points
from lookalike.record import decided_about, record_of
from lookalike.types import Decision, Payload

MAX_DECIDED = 1_000
"""Different files that one decision may cover: each image stores the digests of all the others."""


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
    for point in points:
        own = record_of(point.payload)["sha256"]
        others = {sha256 for sha256 in counts if sha256 != own or counts[own] > 1}
        for kind in Decision:
            before = set(decided_about(point.payload, kind))
            after = before | others if kind is decision else before - others
            if after != before:
                engine.set_payload(point.id, {record.KEY: {kind.value: sorted(after)}})


def _decided(payload: Payload, other: Payload) -> bool:
    sha256 = record_of(other)["sha256"]
    return any(sha256 in decided_about(payload, decision) for decision in Decision)
