"""Two images compared on their thumbnails, and graded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.cache.store import Cache
from lookalike.comparison import evidence
from lookalike.comparison.batch import Compared, Found, Kept
from lookalike.comparison.evidence import THUMBNAIL_SIDE, Evidence
from lookalike.errors import LookalikeError
from lookalike.imaging.thumbnails import decode_thumbnail, encode_thumbnail
from lookalike.record import record_of
from lookalike.types import Image, Payload, Pixels

TRIMMED = 0.03
"""Share of a picture that may be out of sight before it is called cropped."""
TILTED = 0.7
"""Degrees."""

HELD = 1536
"""Pictures held in memory at a time: a thumbnail and a packed sketch, 30 to 60 kB each."""

TOGETHER = 4
"""Pairs that are compared in one go, some 8 ms: few, as one pair may take ten times as long as
another, and as pictures wait for the decoder meanwhile."""

EQUAL: Mapping[str, Any] = MappingProxyType({"why": "the same bytes"})


class Verdict(StrEnum):
    """How far two images are the same, from the strongest."""

    IDENTICAL = "identical"
    SAME_PIXELS = "same-pixels"
    SAME_PICTURE = "same-picture"
    SIMILAR = "similar"


class Reader(Protocol):
    """Reads an original again."""

    def __call__(self, uri: str, *, side: int) -> Image:
        """Raises LookalikeError where it cannot be read."""
        ...


class Pictures(Protocol):
    """Compares pictures: `comparing` in this process, `decoders.DecoderPool` in others."""

    def sketch(self, thumbnail: bytes) -> bytes: ...

    def compare(self, pictures: Sequence[Kept], pairs: Sequence[tuple[int, int]]) -> Compared: ...


Graded: TypeAlias = tuple[Verdict, dict[str, Any]]
"""A verdict with its evidence."""


@dataclass(slots=True)
class Comparer:
    """Grades pairs of images of one index. For one thread, which has others at work.

    Attributes:
        read: reads an original again, where a thumbnail is missing or the pixels must be equal.
        thumbnails: those that are kept.
        pictures: compares them.
        threads: how many it may be asked by at a time.
        problems: why an original could not be read, by address.
    """

    read: Reader
    thumbnails: Cache
    pictures: Pictures
    threads: int = 1
    problems: dict[str, str] = field(default_factory=dict)
    _held: OrderedDict[str, Future[Kept]] = field(default_factory=OrderedDict)
    _grown: dict[str, bytes] = field(default_factory=dict)  # sketches, not remembered yet
    _given: set[str] = field(default_factory=set)  # what need not be in the index
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "lookalike-compare")

    def keep(self, key: str, jpeg: bytes) -> None:
        """Begins to make the sketch of an image that others will be compared with. It need not be
        in the index, so nothing of it is remembered."""
        self._given.add(key)
        self._hold(key, self._pool.submit(lambda: Kept(self.pictures.sketch(jpeg), jpeg)))

    def remember(self) -> None:
        """Keeps what was made of sketches since they were loaded, for other times."""
        grown, self._grown = self._grown, {}
        for key, sketch in grown.items():
            if key in self._held:
                self._held[key] = _done(self._held[key].result()._replace(sketch=sketch))
        if grown:
            self.thumbnails.put_sketches(grown)

    def begin(self, pairs: Sequence[tuple[Payload, Payload]]) -> list[Future[Found | None]]:
        """Begins to compare many pairs, for `grade`. Equal files are not compared."""
        begun: list[Future[Found | None]] = [Future() for _ in pairs]
        waiting = []
        for pair, answer in zip(pairs, begun, strict=True):
            if _equal(*pair):
                answer.set_result(None)
            else:
                waiting.append((pair, answer))
        self._load([payload for pair, _ in waiting for payload in pair])
        size = max(1, min(TOGETHER, -(-len(waiting) // self.threads)))
        for first in range(0, len(waiting), size):
            some = waiting[first : first + size]
            keys = [(_key(one), _key(other)) for (one, other), _ in some]
            held = {key: self._held[key] for pair in keys for key in pair}
            for key in held:
                self._held.move_to_end(key)
            # The pool takes up in order what it is given: what is waited for was begun before.
            self._pool.submit(self._compare, keys, held, [answer for _, answer in some])
        return begun

    def grade(self, one: Payload, other: Payload, found: Found | None) -> Graded | None:
        """The verdict on two images with its evidence, by what `begin` found; None where neither
        is the other's copy."""
        if _equal(one, other):
            return Verdict.IDENTICAL, dict(EQUAL)
        if found is None:
            return None
        evidence = _measured(found.evidence)
        may_be_same = found.look_the_same and _size(one) == _size(other)
        if may_be_same and self._same_pixels(one, other):
            return Verdict.SAME_PIXELS, {"why": "the same pixels in another file", **evidence}
        return Verdict.SAME_PICTURE, {"why": _why(one, other, found.evidence), **evidence}

    def difference(self, one: Payload, other: Payload) -> bytes | None:
        """A JPEG of `copies.difference`; None where the two cannot be laid over one another."""
        pixels = [self._pixels(payload) for payload in (one, other)]
        if pixels[0] is None or pixels[1] is None:
            return None
        shown = evidence.difference(pixels[0], pixels[1])
        return None if shown is None else encode_thumbnail(shown, THUMBNAIL_SIDE)

    def _pixels(self, payload: Payload) -> Pixels | None:
        key, uri = record_of(payload)["sha256"], record_of(payload)["uri"]
        jpeg = self.thumbnails.get_many([key]).get(key) or self._thumbnail(uri)
        return None if jpeg is None else decode_thumbnail(jpeg)

    def _load(self, payloads: Sequence[Payload]) -> None:
        """Gets ready what is kept of several images."""
        wanted = {_key(payload): record_of(payload)["uri"] for payload in payloads}
        wanted = {key: uri for key, uri in wanted.items() if key not in self._held}
        found = self.thumbnails.get_many(list(wanted))
        sketches = self.thumbnails.get_sketches(list(found))
        for key, uri in wanted.items():
            if key in found:
                self._hold(key, _done(Kept(sketches.get(key, b""), found[key])))
            else:
                self._hold(key, self._pool.submit(self._make, key, uri))

    def _make(self, key: str, uri: str) -> Kept:
        """Makes the thumbnail, where none is kept."""
        jpeg = self._thumbnail(uri)
        if jpeg is None:
            return Kept(b"", b"")
        self.thumbnails.put_many({key: jpeg})
        return Kept(b"", jpeg)

    def _compare(
        self,
        keys: Sequence[tuple[str, str]],
        held: Mapping[str, Future[Kept]],
        answers: Sequence[Future[Found | None]],
    ) -> None:
        """Answers for each pair; for one of the pool's threads."""
        try:
            places = {key: place for place, key in enumerate(held)}
            pictures = [holding.result() for holding in held.values()]
            pairs = [(places[one], places[other]) for one, other in keys]
            found, grown = self.pictures.compare(pictures, pairs)
            for key, sketch in zip(held, grown, strict=True):
                if sketch and key not in self._given:
                    self._grown[key] = sketch
            for answer, one in zip(answers, found, strict=True):
                answer.set_result(one)
        except BaseException as error:  # for whoever waits
            for answer in answers:
                if not answer.done():
                    answer.set_exception(error)

    def _hold(self, key: str, kept: Future[Kept]) -> None:
        self._held[key] = kept
        if len(self._held) > HELD:
            oldest, _ = self._held.popitem(last=False)
            self._given.discard(oldest)

    def _thumbnail(self, uri: str) -> bytes | None:
        image = self._read(uri, THUMBNAIL_SIDE)
        return None if image is None else encode_thumbnail(image.pixels, THUMBNAIL_SIDE)

    def _same_pixels(self, one: Payload, other: Payload) -> bool:
        side = max(_size(one))  # nothing is shrunk
        first = self._read(record_of(one)["uri"], side)
        second = None if first is None else self._read(record_of(other)["uri"], side)
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


def _done(kept: Kept) -> Future[Kept]:
    future: Future[Kept] = Future()
    future.set_result(kept)
    return future


def _key(payload: Payload) -> str:
    key: str = record_of(payload)["sha256"]
    return key


def _equal(one: Payload, other: Payload) -> bool:
    return _key(one) == _key(other)


def _size(payload: Payload) -> tuple[int, int]:
    return record_of(payload)["width"], record_of(payload)["height"]


def _alpha(image: Image) -> NDArray[np.uint8]:
    return np.full(image.pixels.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha


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
    formats = record_of(one)["format"], record_of(other)["format"]
    if formats[0] != formats[1]:
        words.append(f"{formats[1]} for {formats[0]}")
    return ", ".join(words) or "encoded anew or edited"


def _dimensions(payload: Payload) -> str:
    return " × ".join(f"{side:,}" for side in _size(payload))
