"""Holdings: what the file of one copy holds that the file of another does not.

A file that holds more is never removed in favor of one that holds less. Each holding is a reason in
words; where it cannot be told which of two holds more, both do.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from lookalike.comparison.agreement import Doubles
from lookalike.comparison.full_size import full_size_alignment
from lookalike.comparison.resolution import Finer, finer
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.comparison.surroundings import Surroundings, shown_shares, surroundings
from lookalike.duplicates.verdicts import Duplicate, Verdict
from lookalike.errors import LookalikeError
from lookalike.record import ImageRecord, record_of
from lookalike.types import FileFacts, Image, Payload, Pixels

CAMERA_RAW = "camera raw"
"""The reason that no option overrides."""

Reasons: TypeAlias = tuple[str, ...]

_UNSURE: Reasons = ("possibly finer detail",)
_UNREAD: Reasons = ("possibly finer detail, as an original cannot be read",)
_IN_MEMORY = 4
"""Pictures that are held at a time; the keeper of a group is compared with every copy."""
_FULL_SIZE = 1 << 20
"""A side that no picture has, so that it is decoded in full size."""
_MIN_SHARE = 0.02
"""Share of a picture that another must lack to count; less is an error of the alignment."""
_MORE_BYTES = 1.3
"""Ratio of the bytes from which the smaller of two files in one lossy format has lost detail."""
_LOSSY = frozenset({"JPEG", "WEBP", "AVIF", "HEIF"})


class PairHoldings(NamedTuple):
    """Reasons in words why each of two files holds more than the other."""

    first: Reasons
    second: Reasons
    whole: Literal["first", "second"] | None = None
    """The one of which the other shows only a part, with nothing else in its file."""

    @property
    def second_is_better(self) -> bool:
        """True if the second is the one to keep: it holds all of the first and more, apart from
        what cannot be told, or the first shows only a part of it, even if in finer detail."""
        unsure = set(self.first) & set(self.second)
        more = bool(set(self.second) - unsure) and not set(self.first) - unsure
        return more or self.whole == "second"


@dataclass(frozen=True, slots=True)
class _Picture:
    """A decoded original.

    Attributes:
        small: at most `THUMBNAIL_SIDE` pixels wide and high.
        luma: brightness in full size.
        facts: of its file.
    """

    small: Pixels
    luma: NDArray[np.uint8]
    facts: FileFacts


@dataclass(slots=True)
class Holdings:
    """Compares what the files of copies hold.

    Attributes:
        read: reads an original, its shorter side at least as long as asked where it has that.
        problems: reasons why originals could not be read, by address; grows with the work.
    """

    read: Callable[[ImageRecord, int], Image]
    problems: dict[str, str]
    _pictures: OrderedDict[str, _Picture | None] = field(default_factory=OrderedDict)

    def compare(self, first: Duplicate, second: Duplicate) -> PairHoldings:
        """Compares what two copies hold; the verdict and the evidence of
        the second are about the two in this order."""
        if second.verdict in (Verdict.IDENTICAL, Verdict.SIMILAR):
            return PairHoldings((), ())
        one, other = first.payload, second.payload
        facts = self._facts(one), self._facts(other)
        held = PairHoldings(
            _more_in_file(one, facts[0], other, facts[1]),
            _more_in_file(other, facts[1], one, facts[0]),
        )
        if second.verdict is not Verdict.SAME_PICTURE or CAMERA_RAW in held.first + held.second:
            return held
        shown = self._shown(one, other)
        more_in_part = held.first if shown.whole == "second" else held.second
        return PairHoldings(
            held.first + shown.first,
            held.second + shown.second,
            None if more_in_part else shown.whole,
        )

    def _facts(self, payload: Payload) -> FileFacts:
        """The facts of a file: from its record, or where an older version made that, from the
        file."""
        own = record_of(payload)
        if "camera_metadata" in own:
            return FileFacts(**{name: own[name] for name in FileFacts.__slots__ if name in own})  # type: ignore[literal-required]
        picture = self._picture(payload)
        return FileFacts() if picture is None else picture.facts

    def _picture(self, payload: Payload) -> _Picture | None:
        """The original, or None if it cannot be read."""
        own = record_of(payload)
        key = own["sha256"]
        if key in self._pictures:
            self._pictures.move_to_end(key)
            return self._pictures[key]
        try:
            picture = _decoded(self.read(own, _FULL_SIZE))
        except LookalikeError as error:
            self.problems[own["uri"]] = str(error)
            picture = None
        self._pictures[key] = picture
        if len(self._pictures) > _IN_MEMORY:
            self._pictures.popitem(last=False)
        return picture

    def _shown(self, first: Payload, second: Payload) -> PairHoldings:
        """Compares what the pictures show."""
        one, other = self._picture(first), self._picture(second)
        if one is None or other is None:
            return PairHoldings(_UNREAD, _UNREAD)
        widths = one.luma.shape[1], other.luma.shape[1]
        matrix = full_size_alignment(one.small, other.small, widths)
        if matrix is None:
            return PairHoldings(_UNSURE, _UNSURE)
        inverse = np.asarray(cv2.invertAffineTransform(matrix), np.float64)
        shares = shown_shares(one.luma.shape[::-1], other.luma.shape[::-1], matrix)
        detail = _detail(finer(one.luma, other.luma, matrix), first, second)
        beyond = _beyond(one, other, inverse, shares[0])
        other_beyond = _beyond(other, one, matrix, shares[1])
        return PairHoldings(
            detail.first + beyond.first + other_beyond.second,
            detail.second + beyond.second + other_beyond.first,
            _whole(beyond, other_beyond),
        )


def _decoded(image: Image) -> _Picture:
    luma = np.asarray(cv2.cvtColor(image.pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    by = min(1.0, THUMBNAIL_SIDE / max(luma.shape))
    size = max(1, round(luma.shape[1] * by)), max(1, round(luma.shape[0] * by))
    small = np.asarray(cv2.resize(image.pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return _Picture(small, luma, image.facts)


def _more_in_file(
    payload: Payload, facts: FileFacts, other: Payload, other_facts: FileFacts
) -> Reasons:
    """Lists what a file alone holds besides the pixels of its picture."""
    reasons: list[str] = []
    if facts.camera_raw:
        reasons.append(CAMERA_RAW)
    if facts.frames > other_facts.frames:
        reasons.append(f"more pages or frames ({facts.frames:,} instead of {other_facts.frames:,})")
    if facts.alpha and not other_facts.alpha:
        reasons.append("transparency")
    if facts.bit_depth > other_facts.bit_depth:
        reasons.append(f"{facts.bit_depth} bits a channel instead of {other_facts.bit_depth}")
    if facts.motion and not other_facts.motion:
        reasons.append("a video behind the picture")
    if facts.camera_metadata and not other_facts.camera_metadata:
        reasons.append("camera metadata")
    elif "taken_at" in record_of(payload) and "taken_at" not in record_of(other):
        reasons.append("the time it was taken")
    return tuple(reasons)


def _detail(answer: Finer, first: Payload, second: Payload) -> PairHoldings:
    """The reasons for a comparison of the resolution."""
    if answer is Finer.DAMAGED:
        answer = _less_compressed(first, second)
    if answer is Finer.UNSURE:
        return PairHoldings(_UNSURE, _UNSURE)
    return PairHoldings(
        ("finer detail",) if answer is Finer.FIRST else (),
        ("finer detail",) if answer is Finer.SECOND else (),
    )


def _less_compressed(first: Payload, second: Payload) -> Finer:
    """Of two pictures of which one has lost detail by compression, the one that has not."""
    one, other = record_of(first), record_of(second)
    if one["format"] != other["format"] or one["format"] not in _LOSSY:
        return Finer.UNSURE
    ratio = one["bytes"] / other["bytes"]
    if 1 / _MORE_BYTES < ratio < _MORE_BYTES:
        return Finer.UNSURE
    return Finer.FIRST if ratio > 1 else Finer.SECOND


def _whole(beyond: PairHoldings, other_beyond: PairHoldings) -> Literal["first", "second"] | None:
    """The picture that surely shows more, where the other does not."""
    if beyond.first and not (beyond.second or other_beyond.first):
        return "first"
    if other_beyond.first and not (other_beyond.second or beyond.first):
        return "second"
    return None


def _beyond(picture: _Picture, part: _Picture, matrix: Doubles, shown: float) -> PairHoldings:
    """Compares what a picture shows beyond a part of it with what the part alone has.

    Args:
        matrix: from the part to the picture.
        shown: share of the picture that the part shows.
    """
    if 1 - shown < _MIN_SHARE:
        return PairHoldings((), ())
    more = (f"{1 - shown:.0%} of the picture that the other lacks",)
    alone = ("the picture without a frame",)
    around = surroundings(picture.luma, part.luma.shape[::-1], matrix)
    if around is Surroundings.PICTURE:
        return PairHoldings(more, ())
    return PairHoldings(() if around is Surroundings.FRAME else more, alone)
