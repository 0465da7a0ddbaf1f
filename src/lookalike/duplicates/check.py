"""Duplicates of one image: proposed by nearest-neighbor queries, confirmed on thumbnails, graded.

A perceptual hash and the semantic vector only propose pairs: neither can tell a copy from a
similar picture. Each proposal is then aligned and compared (`comparison.evidence`), and only that
counts as evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lookalike import record
from lookalike.comparison.hamming import all_orientations, is_informative
from lookalike.duplicates.comparer import Comparer, PairResult
from lookalike.duplicates.decisions import may_be_duplicates
from lookalike.duplicates.verdicts import SAME_BYTES, Duplicate, Grade, Verdict
from lookalike.protocols import Engine
from lookalike.record import record_of
from lookalike.system.point_ids import as_point_id
from lookalike.types import (
    AnyOfValues,
    Background,
    CandidateQuery,
    Distance,
    Not,
    Point,
    PointId,
    Query,
    Scored,
    Vector,
    WeightedVector,
    point_id,
)

PHASH = "phash"

LOOKUP_RADIUS = 10
"""Bits of 64 by which the hashes of a proposed pair may differ, in one of eight orientations."""
HASH_NEIGHBORS = 10
"""Nearest hashes that are considered, in each orientation."""
EXPLORED = 38
"""Points explored beyond these. Of 9,784 hashes within the radius of 2,000 edited photos', among
300,000, 9,214 are found in 1.2 ms an image; with 100 points 9,242 in 2.8, with 22 9,171 in 0.9."""
SEMANTIC_NEIGHBORS = 6
"""Nearest semantic vectors that are proposed, at any distance. Of 5,700 edited copies among 3,849
photos 5,531 are among them or within the radius; of 10 neighbors with at least half the similarity
of identical images 5,425 were, and at 300,000 images those took half as long again."""


@dataclass(frozen=True, slots=True)
class SimilarityThresholds:
    """Semantic similarities that mean the same for every model.

    Attributes:
        proposed: least similarity of a pair that is proposed when the whole index is searched.
        similar: least similarity of an image that is called similar.
    """

    proposed: float = 0.5
    similar: float = 0.8

    @classmethod
    def above(cls, background: Background) -> SimilarityThresholds:
        """Thresholds at fixed shares of the way from the similarity of random images to 1."""
        room = 1 - background.mean
        return cls(background.mean + 0.5 * room, background.mean + 0.8 * room)


@dataclass(frozen=True, slots=True)
class _Proposal:
    """An image that may be a copy, and what suggests it."""

    row: Scored
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DuplicateSearch:
    """A search for duplicates in one index.

    Attributes:
        engine: of the index.
        semantic: name of the vector that proposes what the hash cannot.
        thresholds: of the similarity of these vectors.
        comparer: compares and grades pairs.
    """

    engine: Engine
    semantic: str
    thresholds: SimilarityThresholds
    comparer: Comparer

    def check(
        self,
        point: Point,
        thumbnail: bytes | None = None,
        *,
        semantic_vector: Callable[[], Vector] | None = None,
        similar: bool = False,
        limit: int = 100,
    ) -> list[Duplicate]:
        """The duplicates of an image, the strongest verdicts first.

        Args:
            point: the image with its vectors. It need not be in the index, and is not a duplicate
                of itself.
            thumbnail: of the image; by default read from the cache, or made from the original.
            semantic_vector: waits for the semantic vector, if the point has none yet.
            similar: whether to add similar images that are not copies.
            limit: most duplicates to return.
        """
        if thumbnail is not None:
            self.comparer.add(record_of(point.payload)["sha256"], thumbnail)
        identical = next(self.engine.scroll(_same_bytes(point), batch=limit + 1), [])
        proposals = self._hash_proposals(point, identical)
        results = self._start(point, proposals)  # while the model runs
        vector = semantic_vector() if semantic_vector else point.vectors[self.semantic]
        for row in self._semantic_neighbors(vector, identical):
            proposal = proposals.setdefault(row.id, _Proposal(row, {}))
            proposal.evidence["similarity"] = row.score
        new = {id: proposal for id, proposal in proposals.items() if id not in results}
        results |= self._start(point, new)
        duplicates = [Duplicate.of(row, SAME_BYTES) for row in identical if _may_be(point, row)]
        for id, result in results.items():
            proposal = proposals[id]
            grade = self.comparer.grade(point.payload, proposal.row.payload, result.result())
            if grade is None and similar:
                grade = self._similar(proposal.evidence)
            if grade is not None:
                evidence = {**grade.evidence, **proposal.evidence}
                duplicates.append(Duplicate.of(proposal.row, Grade(grade.verdict, evidence)))
        self.comparer.save()
        duplicates.sort(key=lambda duplicate: duplicate.verdict.rank)
        return duplicates[:limit]

    def similar(self, first: Point, second: Point) -> Grade | None:
        """The grade of two images that are not copies: None if they are not similar either, or one
        of them has been deleted."""
        ids = [first.id, second.id]
        points = self.engine.retrieve(ids, payload=False, vectors=[self.semantic])
        if len(points) < 2:
            return None
        a, b = (point.vectors[self.semantic] for point in points)
        return self._similar({"similarity": float(a @ b)})

    def _similar(self, evidence: Mapping[str, Any]) -> Grade | None:
        if evidence.get("similarity", 0.0) < self.thresholds.similar:
            return None
        return Grade(Verdict.SIMILAR, {"why": "similar, but not a copy", **evidence})

    def _hash_proposals(self, point: Point, identical: Sequence[Point]) -> dict[str, _Proposal]:
        """Images with a near hash, the nearest first, by id."""
        hash = int(record_of(point.payload)["phash"], 16)
        vectors = [
            WeightedVector(PHASH, bits, 1.0, Distance.MANHATTAN) for bits in orientation_bits(hash)
        ]
        # A filter takes time, so it is set only if identical files would crowd out others.
        others = Not(_same_bytes(point)) if identical else None
        distances: dict[PointId, int] = {}
        for candidates in self.engine.nearest(
            [CandidateQuery(vector, others, HASH_NEIGHBORS, EXPLORED) for vector in vectors]
        ):
            for id, similarity in candidates:
                if -similarity <= LOOKUP_RADIUS:
                    known = distances.get(as_point_id(id), LOOKUP_RADIUS)
                    distances[as_point_id(id)] = min(int(-similarity), known)
        if not distances:
            return {}
        # Payloads are read only now: of 80 candidates one or two are near enough.
        query = Query((vectors[0],), limit=len(distances), among=list(distances))
        (rows,) = self.engine.query([query])
        rows.sort(key=lambda row: (distances[point_id(row.id)], row.id))
        return {
            row.id: _Proposal(row, {"hash_distance": distances[point_id(row.id)]}) for row in rows
        }

    def _semantic_neighbors(self, vector: Vector, identical: Sequence[Point]) -> list[Scored]:
        others = Not(_same_bytes(identical[0])) if identical else None
        target = WeightedVector(self.semantic, vector, 1.0)
        return self.engine.query([Query((target,), others, SEMANTIC_NEIGHBORS)])[0]

    def _start(self, point: Point, proposals: Mapping[str, _Proposal]) -> dict[str, PairResult]:
        """Starts comparing an image with those proposed."""
        rows = [proposal.row for proposal in proposals.values() if _may_be(point, proposal.row)]
        results = self.comparer.start([(point.payload, row.payload) for row in rows])
        return {row.id: result for row, result in zip(rows, results, strict=True)}


def _same_bytes(point: Point) -> AnyOfValues:
    return AnyOfValues(record.SHA256, (record_of(point.payload)["sha256"],))


def _may_be(point: Point, row: Point | Scored) -> bool:
    return row.id != point.id and may_be_duplicates(point.payload, row.payload)


def orientation_bits(hash: int) -> list[Vector]:
    """The bits of a hash in all eight orientations; empty for an uninformative (flat) image."""
    hashes = np.array([hash], np.uint64)
    if not is_informative(hashes)[0]:
        return []
    rows = all_orientations(hashes)[0].astype(">u8")
    return [np.unpackbits(row.view(np.uint8)).astype(np.float32) for row in rows[:, None]]
