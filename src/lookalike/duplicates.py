"""Copies of one image: proposed by the index, confirmed on thumbnails, graded.

A perceptual hash and the semantic vector only propose; neither can tell a copy from a picture
that is like it. What they propose is laid over one another (`copies`), and only that is evidence.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike import copies
from lookalike.copies import THUMBNAIL_SIDE, Evidence, Sketch
from lookalike.errors import InputError, LookalikeError
from lookalike.hamming import oriented, says_something
from lookalike.images import decode_thumbnail, encode_thumbnail
from lookalike.protocols import Engine
from lookalike.types import (
    Background,
    Decision,
    Image,
    Near,
    Not,
    Payload,
    Pixels,
    Point,
    Query,
    Scored,
    Vector,
)
from lookalike.types import Match as Equals

PHASH = "phash"

RADIUS = 10
"""Bits of 64 up to which two hashes propose a pair, in one of the eight orientations."""
MOST_DECIDED = 1_000
"""Contents that one decision may be about: each keeps the digests of all others."""
NEIGHBOURS = 10
"""How many of the nearest the hash, in each orientation, and the semantic vector propose. At
300,000 images 16 found no more of 608 copies than 8, and took twice the time."""

TRIMMED = 0.03
"""Share of a picture that may be out of sight before it is called cropped."""
TILTED = 0.7
"""Degrees."""

SAME_SHADES = 2.0
"""Of 256: the mean by which two thumbnails of the same pixels may differ, for one may have been
shrunk by its decoder and the other not."""

SKETCHES = 2048
"""Sketches in memory at a time, some 190 kB each."""

Clues: TypeAlias = dict[str, Any]
Proposed: TypeAlias = dict[str, tuple[Scored, Clues]]
"""By id what may be a copy, and what speaks for it."""

EQUAL: Mapping[str, Any] = MappingProxyType({"why": "the same bytes"})


class Verdict(StrEnum):
    """How far two images are the same, from the strongest."""

    IDENTICAL = "identical"
    SAME_PIXELS = "same-pixels"
    SAME_PICTURE = "same-picture"
    SIMILAR = "similar"


@dataclass(frozen=True, slots=True)
class Floors:
    """Semantic similarities that mean something, whatever the model.

    Attributes:
        proposed: below it nothing is proposed as a copy.
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
class Match:
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


class Reader(Protocol):
    """Reads an original again."""

    def __call__(self, uri: str, *, side: int) -> Image:
        """Raises LookalikeError where it cannot be read."""
        ...


class Thumbnails(Protocol):
    """What is needed of `thumbnails.Cache`."""

    def get_many(self, keys: Sequence[str]) -> Mapping[str, bytes]: ...

    def put_many(self, thumbnails: Mapping[str, bytes]) -> None: ...


@dataclass(slots=True)
class Comparer:
    """Grades pairs of images of one index. For one thread, which has others at work.

    Attributes:
        read: reads an original again, where a thumbnail is missing or the pixels must be equal.
        thumbnails: those that are kept.
        threads: how many look at pictures.
        problems: why an original could not be read, by address.
    """

    read: Reader
    thumbnails: Thumbnails
    threads: int = 1
    problems: dict[str, str] = field(default_factory=dict)
    _sketches: OrderedDict[str, Sketch | None] = field(default_factory=OrderedDict)
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "lookalike-compare")

    def load(self, payloads: Sequence[Payload]) -> None:
        """Makes sketches of several images at once, for the comparisons that follow."""
        wanted = {payload["image"]["sha256"]: payload["image"]["uri"] for payload in payloads}
        wanted = {key: uri for key, uri in wanted.items() if key not in self._sketches}
        found = self.thumbnails.get_many(list(wanted))

        def make(key: str) -> tuple[bytes | None, Sketch | None]:
            jpeg = found.get(key) or self._thumbnail(wanted[key])
            return jpeg, _sketch_of(jpeg)

        made = {}
        for key, (jpeg, sketch) in zip(wanted, self._pool.map(make, wanted), strict=True):
            self._hold(key, sketch)
            if jpeg is not None and key not in found:
                made[key] = jpeg
        if made:
            self.thumbnails.put_many(made)

    def keep(self, key: str, jpeg: bytes) -> None:
        """Makes the sketch of an image from its thumbnail."""
        self._hold(key, _sketch_of(jpeg))

    def screen(self, pairs: Sequence[tuple[Payload, Payload]]) -> list[bool]:
        """Which of many pairs are copies, without saying what kind."""
        self.load([payload for pair in pairs for payload in pair])
        sketches = [(self._sketch(one), self._sketch(other)) for one, other in pairs]
        return list(self._pool.map(lambda pair: _are_copies(*pair), sketches))

    def compare(self, one: Payload, other: Payload) -> tuple[Verdict, dict[str, Any]] | None:
        """The verdict on two images with its evidence; None where neither is the other's copy."""
        if one["image"]["sha256"] == other["image"]["sha256"]:
            return Verdict.IDENTICAL, dict(EQUAL)
        a, b = self._sketch(one), self._sketch(other)
        if a is None or b is None:
            return None
        found = copies.compare(a, b)
        if found is None or not found.is_copy:
            return None
        evidence = _measured(found)
        may_be_same = _size(one) == _size(other) and _look_the_same(a, b)
        if may_be_same and self._same_pixels(one, other):
            return Verdict.SAME_PIXELS, {"why": "the same pixels in another file", **evidence}
        return Verdict.SAME_PICTURE, {"why": _why(one, other, found), **evidence}

    def difference(self, one: Payload, other: Payload) -> bytes | None:
        """A JPEG of `copies.difference`; None where the two cannot be laid over one another."""
        pixels = [self._pixels(payload) for payload in (one, other)]
        if pixels[0] is None or pixels[1] is None:
            return None
        shown = copies.difference(pixels[0], pixels[1])
        return None if shown is None else encode_thumbnail(shown, THUMBNAIL_SIDE)

    def _pixels(self, payload: Payload) -> Pixels | None:
        key, uri = payload["image"]["sha256"], payload["image"]["uri"]
        jpeg = self.thumbnails.get_many([key]).get(key) or self._thumbnail(uri)
        return None if jpeg is None else decode_thumbnail(jpeg)

    def _hold(self, key: str, sketch: Sketch | None) -> None:
        self._sketches[key] = sketch
        if len(self._sketches) > SKETCHES:
            self._sketches.popitem(last=False)

    def _sketch(self, payload: Payload) -> Sketch | None:
        key = payload["image"]["sha256"]
        if key not in self._sketches:
            self.load([payload])
        self._sketches.move_to_end(key)
        return self._sketches[key]

    def _thumbnail(self, uri: str) -> bytes | None:
        image = self._read(uri, THUMBNAIL_SIDE)
        return None if image is None else encode_thumbnail(image.pixels, THUMBNAIL_SIDE)

    def _same_pixels(self, one: Payload, other: Payload) -> bool:
        side = max(_size(one))  # nothing is shrunk
        first = self._read(one["image"]["uri"], side)
        second = None if first is None else self._read(other["image"]["uri"], side)
        if first is None or second is None:
            return False
        opaque = first.alpha is None and second.alpha is None
        return np.array_equal(first.pixels, second.pixels) and (
            opaque or np.array_equal(_alpha(first), _alpha(second))
        )

    def _read(self, uri: str, side: int) -> Image | None:
        try:
            return self.read(uri, side=side)
        except LookalikeError as error:
            self.problems[uri] = str(error)
            return None


def _sketch_of(jpeg: bytes | None) -> Sketch | None:
    pixels = None if jpeg is None else decode_thumbnail(jpeg)
    return None if pixels is None else copies.sketch(pixels)


def _are_copies(one: Sketch | None, other: Sketch | None) -> bool:
    if one is None or other is None:
        return False
    found = copies.compare(one, other)
    return found is not None and found.is_copy


def may_be_copies(one: Payload, other: Payload) -> bool:
    """False for two images of one file, which metadata may name twice, and where someone said that
    the two are no duplicates, or shall both be kept."""
    if one["image"]["uri"] == other["image"]["uri"]:
        return False
    return not (_decides(one, other) or _decides(other, one))


def _decides(one: Payload, other: Payload) -> bool:
    own, sha256 = one["image"], other["image"]["sha256"]
    return any(sha256 in own.get(decision, ()) for decision in Decision)


def _size(payload: Payload) -> tuple[int, int]:
    return payload["image"]["width"], payload["image"]["height"]


def _alpha(image: Image) -> NDArray[np.uint8]:
    return np.full(image.pixels.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha


def _look_the_same(one: Sketch, other: Sketch) -> bool:
    """Whether it is worth decoding both originals to see if they are the same."""
    if one.shades.shape != other.shades.shape:
        return False
    differing = np.abs(one.shades.astype(np.int16) - other.shades)
    return bool(differing.mean() <= SAME_SHADES)


def _measured(found: Evidence) -> dict[str, Any]:
    """What of the evidence means something to people, to as many digits."""
    return {
        "correlation": round(found.correlation, 4),
        "weakest": round(found.weakest, 4),
        "shown": [round(share, 4) for share in found.shown],
        "scale": round(found.scale, 4),
        "rotation": round(found.rotation, 2),
        "mirrored": found.mirrored,
        "matches": found.matches,
        "inliers": found.inliers,
        "exact": round(found.exact, 4),
    }


def _why(one: Payload, other: Payload, found: Evidence) -> str:
    """What was done to the first picture to make the second, as far as it can be told."""
    words = ["mirrored"] if found.mirrored else []
    turn = round(found.rotation / 90) * 90 % 360
    if turn:
        words.append(f"rotated by {turn}°")
    if (tilt := abs((found.rotation + 45) % 90 - 45)) >= TILTED:
        words.append(f"tilted by {tilt:.0f}°")
    shown, filled = found.shown
    if shown < 1 - TRIMMED:
        words.append(f"shows {shown:.0%} of it")
    if filled < 1 - TRIMMED:
        words.append(f"{1 - filled:.0%} of this is not in it")
    if _size(one) not in (_size(other), _size(other)[::-1]):
        words.append(f"{_dimensions(other)} for {_dimensions(one)}")
    formats = one["image"]["format"], other["image"]["format"]
    if formats[0] != formats[1]:
        words.append(f"{formats[1]} for {formats[0]}")
    return ", ".join(words) or "encoded anew or edited"


def _dimensions(payload: Payload) -> str:
    return " × ".join(f"{side:,}" for side in _size(payload))


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
    ) -> list[Match]:
        """The copies of an image, the surest first.

        Args:
            point: the image with its vectors; it need not be in the index, and is no match itself.
            thumbnail: of the image; by default the one that is kept, or is made anew.
            meaning: waits for its semantic vector, where the point has none yet.
            similar: whether to add what is similar and no copy.
            limit: how many at most.
        """
        own = point.payload
        if thumbnail is not None:
            self.comparer.keep(own["image"]["sha256"], thumbnail)
        equal, by_hash = self._by_bits(point, limit)
        vector = meaning() if meaning else point.vectors[self.semantic]
        proposed = self._by_meaning(vector, equal, by_hash)
        matches = [match_of(row, Verdict.IDENTICAL, EQUAL) for row in equal if _may(point, row)]
        rows = [(row, clues) for row, clues in proposed if _may(point, row)]
        are_copies = self.comparer.screen([(own, row.payload) for row, _ in rows])
        for (row, clues), is_copy in zip(rows, are_copies, strict=True):
            graded = self.comparer.compare(own, row.payload) if is_copy else None
            if graded is None and similar:
                graded = self._similar(clues)
            if graded is not None:
                matches.append(match_of(row, graded[0], {**graded[1], **clues}))
        matches.sort(key=lambda match: list(Verdict).index(match.verdict))
        return matches[:limit]

    def similar(self, one: Point, other: Point) -> tuple[Verdict, dict[str, Any]] | None:
        """The verdict on two images that are no copies; None where they are not similar either."""
        points = self.engine.retrieve([one.id, other.id], payload=False, vectors=[self.semantic])
        a, b = (point.vectors[self.semantic] for point in points)
        return self._similar({"similarity": float(a @ b)})

    def _similar(self, clues: Clues) -> tuple[Verdict, dict[str, Any]] | None:
        if clues.get("similarity", 0.0) < self.floors.similar:
            return None
        return Verdict.SIMILAR, {"why": "similar, and no copy", **clues}

    def _by_bits(self, point: Point, limit: int) -> tuple[list[Point], Proposed]:
        """Images of the same bytes, and what the hash proposes."""
        own = point.payload["image"]
        equal = next(self.engine.scroll(_same(point), batch=limit + 1), [])
        # A filter takes time: it is there only where something must make room for others.
        others = Not(_same(point)) if equal else None
        queries = [
            Query((Near(PHASH, bits, 1.0),), others, NEIGHBOURS)
            for bits in oriented_bits(int(own["phash"], 16))
        ]
        found: Proposed = {}
        rows = [row for rows in self.engine.query(queries) for row in rows if row.score <= RADIUS]
        for row in sorted(rows, key=lambda row: row.score):
            found.setdefault(row.id, (row, {"hash_distance": int(row.score)}))
        return equal, found

    def _by_meaning(
        self, vector: Vector, equal: Sequence[Point], found: Proposed
    ) -> Iterable[tuple[Scored, Clues]]:
        """What the hash proposed, and what the semantic vector does: the likeliest first."""
        others = Not(_same(equal[0])) if equal else None
        query = Query((Near(self.semantic, vector, 1.0),), others, NEIGHBOURS)
        for row in self.engine.query([query])[0]:
            if row.score >= self.floors.proposed:
                found.setdefault(row.id, (row, {}))[1]["similarity"] = row.score
        return found.values()


def _same(point: Point) -> Equals:
    return Equals("image.sha256", (point.payload["image"]["sha256"],))


def _may(point: Point, row: Point | Scored) -> bool:
    return row.id != point.id and may_be_copies(point.payload, row.payload)


def oriented_bits(hash: int) -> list[Vector]:
    """The hash's bits in the eight orientations; nothing of a hash that says nothing."""
    hashes = np.array([hash], np.uint64)
    if not says_something(hashes)[0]:
        return []
    rows = oriented(hashes)[0].astype(">u8")
    return [np.unpackbits(row.view(np.uint8)).astype(np.float32) for row in rows[:, None]]


def match_of(row: Point | Scored, verdict: Verdict, evidence: Mapping[str, Any]) -> Match:
    return Match(row.id, row.payload["image"]["uri"], verdict, evidence, row.payload)
