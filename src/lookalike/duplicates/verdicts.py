"""Verdicts on pairs of images, the evidence for them, and the duplicates that carry both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, Self, overload

from lookalike.comparison.evidence import Evidence
from lookalike.errors import InputError
from lookalike.record import record_of
from lookalike.types import Payload, Point, Scored

MIN_CROP = 0.03
"""Share of a picture that must be missing before it is called cropped."""
MIN_TILT = 0.7
"""Degrees from which a picture is called tilted."""


class Verdict(StrEnum):
    """Relations between two images, from the strongest to the weakest."""

    IDENTICAL = "identical"
    SAME_PIXELS = "same-pixels"
    SAME_PICTURE = "same-picture"
    SIMILAR = "similar"

    @property
    def rank(self) -> int:
        """Position in the order of strength; 0 is the strongest."""
        return list(Verdict).index(self)


def verdicts_of(names: Sequence[str] | None) -> frozenset[Verdict]:
    """The verdicts with these names, by default those of copies.

    Raises:
        InputError: one is not the verdict of a copy, or there is none.
    """
    copies = [verdict for verdict in Verdict if verdict is not Verdict.SIMILAR]
    if names is None:
        return frozenset(copies)
    if isinstance(names, str) or not names or not set(names) <= set(copies):
        raise InputError(f"{names!r} are not verdicts of copies: choose among {', '.join(copies)}.")
    return frozenset(Verdict(name) for name in names)


class Grade(NamedTuple):
    """The verdict on a pair of images with its evidence; see `Duplicate.evidence`."""

    verdict: Verdict
    evidence: Mapping[str, Any]


SAME_BYTES = Grade(Verdict.IDENTICAL, MappingProxyType({"why": "the same bytes"}))


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A copy of an image, or an image similar to it.

    Attributes:
        id, uri: of this image.
        verdict: `identical`: the same bytes; `same-pixels`: the same decoded picture in another
            file; `same-picture`: an edited copy of one original; `similar`: not a copy.
        evidence: the grounds of the verdict: `why`, in words; the measurements of
            `comparison.evidence.Evidence` if the two were compared; and what proposed the pair,
            `hash_distance` in bits of 64 or `similarity`, the cosine of the semantic vectors.
        payload: of this image.
        holds_more: what its file holds that the keeper's does not, in words; see `holdings`.
        protected: whether its file is in a protected folder.
    """

    id: str
    uri: str
    verdict: Verdict
    evidence: Mapping[str, Any]
    payload: Payload
    holds_more: tuple[str, ...] = ()
    protected: bool = False

    def __repr__(self) -> str:
        return f"Duplicate({self.id!r}, {str(self.verdict)!r})"

    @property
    def grade(self) -> Grade:
        """The verdict with its evidence."""
        return Grade(self.verdict, self.evidence)

    @classmethod
    def of(cls, row: Point | Scored, grade: Grade) -> Self:
        """The duplicate for a row of the engine."""
        return cls(row.id, record_of(row.payload)["uri"], *grade, row.payload)


@dataclass(frozen=True, slots=True)
class Duplicates(Sequence[Duplicate]):
    """The duplicates of one image, the strongest verdicts first: a sequence of `Duplicate`.

    Attributes:
        rows: the duplicates.
        problems: reasons why originals could not be read, by address.
    """

    rows: tuple[Duplicate, ...]
    problems: Mapping[str, str]

    @overload
    def __getitem__(self, index: int) -> Duplicate: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Duplicate, ...]: ...

    def __getitem__(self, index: int | slice) -> Duplicate | tuple[Duplicate, ...]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Duplicate]:
        return iter(self.rows)


# --- evidence -------------------------------------------------------------------------------


def measurements(evidence: Evidence) -> dict[str, Any]:
    """The part of the evidence that people can interpret, rounded to meaningful digits."""
    return {
        "correlation": round(evidence.correlation, 4),
        "weakest": round(evidence.weakest, 4),
        "shown": [round(share, 4) for share in evidence.shown],
        "scale": round(evidence.scale, 4),
        "rotation": round(evidence.rotation, 2),
        "mirrored": evidence.mirrored,
        "matches": evidence.matches,
        "inliers": evidence.inliers,
        "exact": round(evidence.exact, 4),
    }


def edits(original: Payload, copy: Payload, evidence: Evidence) -> str:
    """The edits that turn the original into the copy, in words, as far as they can be told.

    Args:
        original, copy: payloads of the first and the second image of the evidence.
    """
    words = ["mirrored"] if evidence.mirrored else []
    turn = round(evidence.rotation / 90) * 90 % 360
    if turn:
        words.append(f"rotated by {turn}°")
    if (tilt := abs((evidence.rotation + 45) % 90 - 45)) >= MIN_TILT:
        words.append(f"tilted by {tilt:.0f}°")
    original_shown, copy_shown = evidence.shown
    if original_shown < 1 - MIN_CROP:
        words.append(f"cropped to {original_shown:.0%}")
    if copy_shown < 1 - MIN_CROP:
        words.append(f"{1 - copy_shown:.0%} added")
    if size(original) not in (size(copy), size(copy)[::-1]):
        words.append(f"{_dimensions(original)} → {_dimensions(copy)}")
    formats = record_of(original)["format"], record_of(copy)["format"]
    if formats[0] != formats[1]:
        words.append(f"{formats[0]} → {formats[1]}")
    return ", ".join(words) or "re-encoded or edited"


def size(payload: Payload) -> tuple[int, int]:
    """Width and height in pixels."""
    return record_of(payload)["width"], record_of(payload)["height"]


def _dimensions(payload: Payload) -> str:
    return " × ".join(f"{side:,}" for side in size(payload))
