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

from lookalike import copies
from lookalike.copies import THUMBNAIL_SIDE, Evidence, Sketch
from lookalike.errors import LookalikeError
from lookalike.images import decode_thumbnail, encode_thumbnail
from lookalike.kept import EVERYTHING, pack, parts, unpack
from lookalike.sketches import shrunk
from lookalike.thumbnails import Cache
from lookalike.types import Image, Payload, Pixels

TRIMMED = 0.03
"""Share of a picture that may be out of sight before it is called cropped."""
TILTED = 0.7
"""Degrees."""

SAME_SHADES = 2.0
"""Of 256: the mean by which two thumbnails of the same pixels may differ, for one may have been
shrunk by its decoder and the other not."""

SKETCHES = 1536
"""Sketches in memory at a time: 95 kB each as long as corners tell pictures apart, and 260 kB (of a
square picture 320 kB) once they were compared by features and laid over one another."""

EQUAL: Mapping[str, Any] = MappingProxyType({"why": "the same bytes"})


_Making: TypeAlias = "Future[Sketch | None]"


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


Graded: TypeAlias = tuple[Verdict, dict[str, Any]]
"""A verdict with its evidence."""


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
    thumbnails: Cache
    threads: int = 1
    problems: dict[str, str] = field(default_factory=dict)
    _sketches: OrderedDict[str, _Making] = field(default_factory=OrderedDict)
    _kept: dict[str, int] = field(default_factory=dict)  # parts of sketches
    _pool: ThreadPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "lookalike-compare")

    def keep(self, key: str, jpeg: bytes) -> None:
        """Begins to make the sketch of an image that others will be compared with. It need not be
        in the index, so nothing of it is remembered."""
        self._kept[key] = EVERYTHING
        self._hold(key, self._pool.submit(_ready_sketch, jpeg))

    def load(self, payloads: Sequence[Payload]) -> None:
        """Begins to make sketches of several images, for the comparisons that follow."""
        wanted = {payload["image"]["sha256"]: payload["image"]["uri"] for payload in payloads}
        wanted = {key: uri for key, uri in wanted.items() if key not in self._sketches}
        found = self.thumbnails.get_many(list(wanted))
        sketches = self.thumbnails.sketches_many(list(found))
        for key, uri in wanted.items():
            making = self._pool.submit(self._make, key, uri, found.get(key), sketches.get(key))
            self._hold(key, making)

    def remember(self) -> None:
        """Keeps what was made of sketches since they were loaded, for other times."""
        fresh = {}
        for key, making in self._sketches.items():
            sketch = making.result() if making.done() else None
            if sketch is not None and parts(sketch) > self._kept.get(key, 0):
                self._kept[key] = parts(sketch)
                fresh[key] = pack(sketch)
        if fresh:
            self.thumbnails.put_sketches(fresh)

    def begin(self, pairs: Sequence[tuple[Payload, Payload]]) -> list[Future[Evidence | None]]:
        """Begins to compare many pairs; what comes is None where they are no copies."""
        self.load([payload for pair in pairs for payload in pair])
        # The pool takes up in order what it is given: a sketch is begun before it is waited for.
        return [
            self._pool.submit(_compared, self._sketch(one), self._sketch(other))
            for one, other in pairs
        ]

    def compare(self, one: Payload, other: Payload) -> Graded | None:
        """The verdict on two images with its evidence; None where neither is the other's copy."""
        if one["image"]["sha256"] == other["image"]["sha256"]:
            return Verdict.IDENTICAL, dict(EQUAL)
        return self.grade(one, other, _compared(self._sketch(one), self._sketch(other)))

    def grade(self, one: Payload, other: Payload, found: Evidence | None) -> Graded | None:
        """As `compare`, of two images that were compared already."""
        if found is None:
            return None
        evidence = _measured(found)
        if self._may_be_same(one, other) and self._same_pixels(one, other):
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

    def _make(self, key: str, uri: str, kept: bytes | None, packed: bytes | None) -> Sketch | None:
        """Makes a sketch of what is kept, and the thumbnail where none is."""
        if kept is not None and packed is not None:
            sketch = unpack(packed, lambda: shrunk(_decoded(kept)))
            if sketch is not None:
                self._kept[key] = parts(sketch)
                return sketch
        jpeg = kept or self._thumbnail(uri)
        if jpeg is not None and kept is None:
            self.thumbnails.put_many({key: jpeg})
        return _sketch_of(jpeg)

    def _hold(self, key: str, sketch: _Making) -> None:
        self._sketches[key] = sketch
        if len(self._sketches) > SKETCHES:
            oldest, _ = self._sketches.popitem(last=False)
            self._kept.pop(oldest, None)

    def _sketch(self, payload: Payload) -> _Making:
        key = payload["image"]["sha256"]
        if key not in self._sketches:
            self.load([payload])
        self._sketches.move_to_end(key)
        return self._sketches[key]

    def _thumbnail(self, uri: str) -> bytes | None:
        image = self._read(uri, THUMBNAIL_SIDE)
        return None if image is None else encode_thumbnail(image.pixels, THUMBNAIL_SIDE)

    def _may_be_same(self, one: Payload, other: Payload) -> bool:
        """Whether it is worth decoding both originals to see if they are the same."""
        if _size(one) != _size(other):
            return False
        a, b = (self._sketch(payload).result() for payload in (one, other))
        return a is not None and b is not None and _look_the_same(a, b)

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


def _decoded(jpeg: bytes) -> Pixels:
    """The pixels of a thumbnail that a sketch was made of."""
    pixels = decode_thumbnail(jpeg)
    assert pixels is not None  # noqa: S101 -- its checksum says that it is as it was
    return pixels


def _ready_sketch(jpeg: bytes) -> Sketch | None:
    """With what every comparison needs of the one image that is asked about."""
    made = _sketch_of(jpeg)
    if made is not None and made.says_something:
        _ = made.corners, made.mirrored_corners
    return made


def _compared(one: _Making, other: _Making) -> Evidence | None:
    """The evidence that two images are copies; None where they are none."""
    a, b = one.result(), other.result()
    if a is None or b is None:
        return None
    found = copies.compare(a, b)
    return found if found is not None and found.is_copy else None


def _size(payload: Payload) -> tuple[int, int]:
    return payload["image"]["width"], payload["image"]["height"]


def _alpha(image: Image) -> NDArray[np.uint8]:
    return np.full(image.pixels.shape[:2], 255, np.uint8) if image.alpha is None else image.alpha


def _look_the_same(one: Sketch, other: Sketch) -> bool:
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
