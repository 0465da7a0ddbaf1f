"""Copies of one image: proposed by the index, confirmed on thumbnails, graded.

A perceptual hash and the semantic vector only propose; neither can tell a copy from a picture
that is like it. What they propose is laid over one another (`copies`), and only that is evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from lookalike import record
from lookalike.comparison.batch import Found
from lookalike.comparison.hamming import is_informative, oriented
from lookalike.duplicates.comparer import EQUAL, Comparer, Graded, Verdict
from lookalike.duplicates.decisions import _decides
from lookalike.protocols import Engine
from lookalike.record import record_of
from lookalike.types import (
    AnyOfValues,
    Background,
    CandidateQuery,
    Not,
    Payload,
    Point,
    PointId,
    Query,
    Scored,
    Vector,
    WeightedVector,
    point_id,
)

PHASH = "phash"

RADIUS = 10
"""Bits of 64 up to which two hashes propose a pair, in one of the eight orientations."""
BY_HASH = 10
"""How many of the nearest by hash are looked at, in each orientation."""
EXPLORED = 38
"""Points explored beyond these. Of 9,784 hashes within the radius of 2,000 edited photos', among
300,000, 9,214 are found in 1.2 ms an image; with 100 points 9,242 in 2.8, with 22 9,171 in 0.9."""
BY_MEANING = 6
"""How many of the nearest by the semantic vector are proposed, however near they are. Of 5,700
edited copies among 3,849 photos 5,531 are among them or within the radius; of 10 that are at least
half as like as equal ones, 5,425 were, and at 300,000 images that took half as long again."""

Clues: TypeAlias = dict[str, Any]
Proposed: TypeAlias = dict[str, tuple[Scored, Clues]]
"""By id what may be a copy, and what speaks for it."""
Comparing: TypeAlias = dict[str, "Future[Found | None]"]
"""By id what is being compared."""


@dataclass(frozen=True, slots=True)
class Floors:
    """Semantic similarities that mean something, whatever the model.

    Attributes:
        proposed: below it no pair is proposed where all images are looked at.
        similar: from it on an image that is no copy is called similar.
    """

    proposed: float = 0.5
    similar: float = 0.8

    @classmethod
    def above(cls, background: Background) -> Floors:
        """Parts of the way from how similar random images are to a similarity of 1."""
        room = 1 - background.mean
        return cls(background.mean + 0.5 * room, background.mean + 0.8 * room)


@dataclass(frozen=True, slots=True)
class Duplicate:
    """An image that is another one's copy, or similar to it.

    Attributes:
        id, uri: of the image.
        verdict: `identical`: the same bytes; `same-pixels`: the same decoded picture, in another
            file; `same-picture`: an edited copy of one original; `similar`: no copy.
        evidence: what the verdict rests on: `why`, in words; what `copies.Evidence` says where
            the two were compared; and what proposed it, `hash_distance` in bits of 64, or
            `similarity`, the cosine of the semantic vectors.
        payload: of the image.
    """

    id: str
    uri: str
    verdict: Verdict
    evidence: Mapping[str, Any]
    payload: Payload


def may_be_copies(one: Payload, other: Payload) -> bool:
    """False for two images of one file, which metadata may name twice, and where someone said that
    the two are no duplicates, or shall both be kept."""
    if record_of(one)["uri"] == record_of(other)["uri"]:
        return False
    return not (_decides(one, other) or _decides(other, one))


# --- one image against the index --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Checker:
    """Finds the copies of one image in an index.

    Attributes:
        engine: of the index.
        semantic: name of the vector that proposes what the hash cannot.
        floors: its similarities from which on it does.
        comparer: grades.
    """

    engine: Engine
    semantic: str
    floors: Floors
    comparer: Comparer

    def check(
        self,
        point: Point,
        thumbnail: bytes | None = None,
        *,
        meaning: Callable[[], Vector] | None = None,
        similar: bool = False,
        limit: int = 100,
    ) -> list[Duplicate]:
        """The copies of an image, the surest first.

        Args:
            point: the image with its vectors; it need not be in the index, and is no match itself.
            thumbnail: of the image; by default the one that is kept, or is made anew.
            meaning: waits for its semantic vector, where the point has none yet.
            similar: whether to add what is similar and no copy.
            limit: how many at most.
        """
        if thumbnail is not None:
            self.comparer.keep(record_of(point.payload)["sha256"], thumbnail)
        equal, proposed = self._by_bits(point, limit)
        running = self._begin(point, proposed, {})  # while the model runs
        vector = meaning() if meaning else point.vectors[self.semantic]
        self._by_meaning(vector, equal, proposed)
        running |= self._begin(point, proposed, running)
        matches = [match_of(row, Verdict.IDENTICAL, EQUAL) for row in equal if _may(point, row)]
        for id, comparing in running.items():
            row, clues = proposed[id]
            graded = self.comparer.grade(point.payload, row.payload, comparing.result())
            if graded is None and similar:
                graded = self._similar(clues)
            if graded is not None:
                matches.append(match_of(row, graded[0], {**graded[1], **clues}))
        self.comparer.remember()
        matches.sort(key=lambda match: list(Verdict).index(match.verdict))
        return matches[:limit]

    def similar(self, one: Point, other: Point) -> Graded | None:
        """The verdict on two images that are no copies; None where they are not similar either, or
        one of them was deleted meanwhile."""
        points = self.engine.retrieve([one.id, other.id], payload=False, vectors=[self.semantic])
        if len(points) < 2:
            return None
        a, b = (point.vectors[self.semantic] for point in points)
        return self._similar({"similarity": float(a @ b)})

    def _similar(self, clues: Clues) -> Graded | None:
        if clues.get("similarity", 0.0) < self.floors.similar:
            return None
        return Verdict.SIMILAR, {"why": "similar, and no copy", **clues}

    def _by_bits(self, point: Point, limit: int) -> tuple[list[Point], Proposed]:
        """Images of the same bytes, and what the hash proposes, the likeliest first."""
        own = record_of(point.payload)
        equal = next(self.engine.scroll(_same(point), batch=limit + 1), [])
        # A filter takes time: it is there only where something must make room for others.
        others = Not(_same(point)) if equal else None
        near = [WeightedVector(PHASH, bits, 1.0) for bits in oriented_bits(int(own["phash"], 16))]
        bits: dict[PointId, int] = {}
        for candidates in self.engine.nearest(
            [CandidateQuery(one, others, BY_HASH, EXPLORED) for one in near]
        ):
            for id, distance in candidates:
                if distance <= RADIUS:
                    bits[id] = min(int(distance), bits.get(id, RADIUS))
        if not bits:
            return equal, {}
        # Only now the payloads: of 80 candidates one or two are near enough.
        (rows,) = self.engine.query([Query((near[0],), limit=len(bits), among=list(bits))])
        rows.sort(key=lambda row: (bits[point_id(row.id)], row.id))
        return equal, {row.id: (row, {"hash_distance": bits[point_id(row.id)]}) for row in rows}

    def _by_meaning(self, vector: Vector, equal: Sequence[Point], found: Proposed) -> None:
        """Adds what the semantic vector proposes, the likeliest first."""
        others = Not(_same(equal[0])) if equal else None
        query = Query((WeightedVector(self.semantic, vector, 1.0),), others, BY_MEANING)
        for row in self.engine.query([query])[0]:
            found.setdefault(row.id, (row, {}))[1]["similarity"] = row.score

    def _begin(self, point: Point, proposed: Proposed, running: Comparing) -> Comparing:
        """Begins to compare an image with what is proposed and is not compared yet."""
        rows = [row for id, (row, _) in proposed.items() if id not in running and _may(point, row)]
        begun = self.comparer.begin([(point.payload, row.payload) for row in rows])
        return {row.id: comparing for row, comparing in zip(rows, begun, strict=True)}


def _same(point: Point) -> AnyOfValues:
    return AnyOfValues(record.SHA256, (record_of(point.payload)["sha256"],))


def _may(point: Point, row: Point | Scored) -> bool:
    return row.id != point.id and may_be_copies(point.payload, row.payload)


def oriented_bits(hash: int) -> list[Vector]:
    """The hash's bits in the eight orientations; nothing of a hash that says nothing."""
    hashes = np.array([hash], np.uint64)
    if not is_informative(hashes)[0]:
        return []
    rows = oriented(hashes)[0].astype(">u8")
    return [np.unpackbits(row.view(np.uint8)).astype(np.float32) for row in rows[:, None]]


def match_of(row: Point | Scored, verdict: Verdict, evidence: Mapping[str, Any]) -> Duplicate:
    return Duplicate(row.id, record_of(row.payload)["uri"], verdict, evidence, row.payload)
