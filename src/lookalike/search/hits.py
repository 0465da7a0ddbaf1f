"""The answer to a search: hits with their scores, and the explanation of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from lookalike.system.display import Displayed, data_frame, flat_hit
from lookalike.types import Payload


@dataclass(frozen=True, slots=True)
class Hit:
    """One result of a search.

    Attributes:
        id: the image's id.
        score: the sum of `scores`, each times its effective weight; higher is better.
        scores: similarities by aspect; with color words, `color` is the extent of the color.
        payload: the user's fields and, under "image", the record.
        calibrated: lead over a random image in standard deviations, by which hits rank. Without
            calibration, equal to `raw`.
        raw: the sum of `scores`, each times the requested weight.
        shares: contribution of each aspect to `calibrated`; they add up to 1.
        variants, others: ids of images collapsed into it, as far as is known; number of them all.
    """

    id: str
    score: float
    scores: Mapping[str, float]
    payload: Payload = field(default_factory=dict)
    calibrated: float = 0.0
    raw: float = 0.0
    shares: Mapping[str, float] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    others: int = 0

    def __repr__(self) -> str:
        return f"Hit({self.id!r}, {self.score:z.3f})"


@dataclass(frozen=True, slots=True)
class AspectPlan:
    """One aspect's part in a search.

    Attributes:
        vector: name of the vector compared.
        target: description of the target.
        weight: the requested weight.
        mean, spread: of the similarity of random images to it; None without calibration.
        effective: `weight` divided by `spread`, scaled so that all add up to 1.
    """

    vector: str
    target: str
    weight: float
    mean: float | None
    spread: float | None
    effective: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """The plan of a search, and its cost.

    Attributes:
        aspects: the plan by aspect.
        candidates: points that each aspect proposed in the last round.
        compared: candidates compared by their original vectors in that round.
        rounds: requests to the engine.
        relevant_from: threshold of `calibrated` up to which hits were dropped; None without
            `relevant`, or with fewer than 30 images.
        milliseconds: time by stage: `targets`, `engine`, `ranking`.
        reason: a sentence that explains `Hits.complete`.
        colors: the color words that images must have to come first; None without them.
    """

    aspects: Mapping[str, AspectPlan]
    candidates: int
    compared: int
    rounds: int
    relevant_from: float | None
    milliseconds: Mapping[str, float]
    reason: str
    colors: str | None = None


@dataclass(frozen=True, slots=True)
class Hits(Displayed, Sequence[Hit]):
    """The results of a search, best first.

    Attributes:
        complete: whether it is proved that no image belongs above the last hit; None if nothing
            is proved; False if the search stopped early. `explanation.reason` says why.
        weights: the requested weights by aspect; they add up to 1.
        took_ms: milliseconds from the call to the answer.
        explanation: the plan, its cost, and the effective weights.
    """

    rows: tuple[Hit, ...]
    complete: bool | None
    weights: Mapping[str, float]
    took_ms: float
    explanation: Explanation

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return f"<Hits: {', '.join(map(repr, self.rows[:3]))}{', …' * (len(self) > 3)}>"

    def to_dicts(self) -> list[dict[str, Any]]:
        """One flat row per hit: rank, id, score, `score.` by aspect, fields, `image.width`, …"""
        return [flat_hit(rank, hit) for rank, hit in enumerate(self.rows, 1)]

    def to_pandas(self) -> Any:
        """A data frame of `to_dicts`; needs pandas."""
        return data_frame(self.to_dicts())
