"""Comparison of image pairs on their thumbnails, and the verdicts that follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from lookalike.cache.store import Cache
from lookalike.comparison.batch import BatchResult, Comparison, StoredPicture
from lookalike.comparison.difference import difference
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates.comparison_store import ComparisonStore
from lookalike.duplicates.content_check import ContentCheck
from lookalike.duplicates.holdings import Holdings
from lookalike.duplicates.verdicts import SAME_BYTES, Grade, Verdict, edits, measurements, size
from lookalike.errors import LookalikeError
from lookalike.imaging.thumbnails import decode_thumbnail, encode_thumbnail
from lookalike.record import ImageRecord, record_of
from lookalike.types import Image, Payload, Pixels

PICTURES_IN_MEMORY = 1536
"""Thumbnails with their packed sketches that are held at a time: 30 to 60 kB each."""

PAIRS_PER_CALL = 4
"""Pairs compared in one call, about 8 ms of work. Few, because one pair may take ten times as long
as another, and because pictures wait for the decoder meanwhile."""

_CONTENT: tuple[Literal["frames", "alpha", "bit_depth", "camera_raw", "motion"], ...] = (
    "frames",
    "alpha",
    "bit_depth",
    "camera_raw",
    "motion",
)
"""Facts of a file in which files with the same pixels agree."""

PairResult: TypeAlias = "Future[Comparison | None]"
"""The comparison of one pair to come; None if neither image is a copy of the other."""


class OriginalReader(Protocol):
    """Reads the original of an image."""

    def __call__(self, own: ImageRecord, /, *, side: int) -> Image:
        """The decoded original, its shorter side at least `side` pixels where it has them.

        Raises:
            LookalikeError: it cannot be read.
        """
        ...


class PairComparer(Protocol):
    """Compares pictures: `comparison.batch` in this process, `workers.pool.DecoderPool` in child
    processes."""

    def sketch(self, thumbnail: bytes) -> bytes: ...

    def compare(
        self, pictures: Sequence[StoredPicture], pairs: Sequence[tuple[int, int]]
    ) -> BatchResult: ...


@dataclass(slots=True)
class Comparer:
    """Compares and grades pairs of images of one index. For use by one thread; it runs others.

    Attributes:
        read_original: reads an original.
        read_thumbnail: makes a thumbnail that is missing in the cache as an ingest does, so that a
            verdict does not depend on what is cached.
        content_digest: digests all that the original shows; empty if it cannot be told. It raises
            what `read_original` raises.
        cache: thumbnails and sketches.
        backend: compares pictures.
        threads: concurrent calls to the backend.
        store: results of earlier comparisons; None compares everything.
        problems: reasons why originals could not be read, by address; grows with the work.
    """

    read_original: OriginalReader
    read_thumbnail: Callable[[ImageRecord], bytes]
    content_digest: Callable[[ImageRecord], str]
    cache: Cache
    backend: PairComparer
    threads: int = 1
    store: ComparisonStore | None = None
    problems: dict[str, str] = field(default_factory=dict, init=False)
    _pictures: OrderedDict[str, Future[StoredPicture]] = field(default_factory=OrderedDict)
    _new_sketches: dict[str, bytes] = field(default_factory=dict)
    _new_results: dict[tuple[str, str], Comparison | None] = field(default_factory=dict)
    _external: set[str] = field(default_factory=set)
    _digests: dict[str, str] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(init=False)
    _content: ContentCheck = field(init=False)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.threads, "lookalike-compare")
        self._content = ContentCheck(self._pixels, self._original)

    def add(self, sha256: str, thumbnail: bytes) -> None:
        """Adds a picture to compare others with, and starts making its sketch.

        It need not be in the index, so its sketch is not stored.
        """
        self._external.add(sha256)
        make = self._pool.submit(lambda: StoredPicture(self.backend.sketch(thumbnail), thumbnail))
        self._hold(sha256, make)

    def start(self, pairs: Sequence[tuple[Payload, Payload]]) -> list[PairResult]:
        """Starts comparing pairs, for `grade`. Files with the same bytes are not compared, nor is
        what the store knows."""
        results: list[PairResult] = [Future() for _ in pairs]
        keys = [(_key(first), _key(second)) for first, second in pairs]
        known = {} if self.store is None else self.store.get_many(keys)
        waiting = []
        for pair, key, result in zip(pairs, keys, results, strict=True):
            if key[0] == key[1] or key in known:
                result.set_result(known.get(key))
            else:
                waiting.append((pair, result))
        most = PICTURES_IN_MEMORY // 2  # both pictures of each pair must be in memory
        for start in range(0, len(waiting), most):
            self._start(waiting[start : start + most])
        return results

    def grade(self, first: Payload, second: Payload, comparison: Comparison | None) -> Grade | None:
        """The grade of a pair, by the result of `start`; None if neither is a copy of the other."""
        if _have_same_bytes(first, second):
            return SAME_BYTES
        if comparison is None:
            return None
        evidence = measurements(comparison.evidence)
        may_be_same_pixels = comparison.looks_identical and size(first) == size(second)
        if may_be_same_pixels and self._have_same_pixels(first, second):
            why = "the same pixels in another file"
            return Grade(Verdict.SAME_PIXELS, {"why": why, **evidence})
        alignment = comparison.alignment
        if alignment is not None and self._content.differs(first, second, alignment):
            return None
        why = edits(first, second, comparison.evidence)
        return Grade(Verdict.SAME_PICTURE, {"why": why, **evidence})

    def save(self) -> None:
        """Stores the results since the last call, and the sketches that were made or extended."""
        if self.store is not None:
            self.store.put_many(self.take_results())
        sketches, self._new_sketches = self._new_sketches, {}
        for key, sketch in sketches.items():
            if key in self._pictures:
                picture = self._pictures[key].result()
                self._pictures[key] = _done(picture._replace(sketch=sketch))
        if sketches:
            self.cache.put_sketches(sketches)

    def take_results(self) -> Mapping[tuple[str, str], Comparison | None]:
        """The results since the last call that have not been stored."""
        results, self._new_results = self._new_results, {}
        return results

    def difference(self, keeper: Payload, copy: Payload) -> bytes | None:
        """A JPEG of the differences between two images; None if they cannot be aligned."""
        keeper_pixels, copy_pixels = self._pixels(keeper), self._pixels(copy)
        if keeper_pixels is None or copy_pixels is None:
            return None
        shown = difference(keeper_pixels, copy_pixels)
        return None if shown is None else encode_thumbnail(shown, THUMBNAIL_SIDE)

    def holdings(self) -> Holdings:
        """Compares what the files of copies hold; for one group or one image."""
        return Holdings(lambda own, side: self.read_original(own, side=side), self.problems)

    # --- comparing --------------------------------------------------------------------------

    def _start(self, waiting: Sequence[tuple[tuple[Payload, Payload], PairResult]]) -> None:
        self._load([payload for pair, _ in waiting for payload in pair])
        calls = max(1, min(PAIRS_PER_CALL, -(-len(waiting) // self.threads)))
        for start in range(0, len(waiting), calls):
            batch = waiting[start : start + calls]
            keys = [(_key(first), _key(second)) for (first, second), _ in batch]
            pictures = {key: self._pictures[key] for pair in keys for key in pair}
            # The pool runs jobs in the order of submission, so what this one waits for has begun.
            self._pool.submit(self._compare, keys, pictures, [result for _, result in batch])

    def _compare(
        self,
        keys: Sequence[tuple[str, str]],
        pictures: Mapping[str, Future[StoredPicture]],
        results: Sequence[PairResult],
    ) -> None:
        """Compares pairs and sets their results. Runs in a thread of the pool."""
        try:
            places = {key: place for place, key in enumerate(pictures)}
            pairs = [(places[first], places[second]) for first, second in keys]
            loaded = [picture.result() for picture in pictures.values()]
            comparisons, sketches = self.backend.compare(loaded, pairs)
            for key, sketch in zip(pictures, sketches, strict=True):
                if sketch and key not in self._external:
                    self._new_sketches[key] = sketch
            readable = [bool(picture.thumbnail) for picture in loaded]
            for both, (first, second), comparison in zip(keys, pairs, comparisons, strict=True):
                if readable[first] and readable[second]:
                    self._new_results[both] = comparison
            for result, comparison in zip(results, comparisons, strict=True):
                result.set_result(comparison)
        except BaseException as error:  # raised again where the result is used
            for result in results:
                if not result.done():
                    result.set_exception(error)

    def _have_same_pixels(self, first: Payload, second: Payload) -> bool:
        """True if two files show the same in all their pages and frames, alpha and depth included.
        Where this cannot be told, they do not count as the same."""
        one, other = record_of(first), record_of(second)
        if any(key in one and key in other and one[key] != other[key] for key in _CONTENT):
            return False
        digest = self._digest(first)
        return bool(digest) and digest == self._digest(second)

    def _digest(self, payload: Payload) -> str:
        key, own = _key(payload), record_of(payload)
        if key not in self._digests:
            try:
                self._digests[key] = self.content_digest(own)
            except LookalikeError as error:
                self.problems[own["uri"]] = str(error)
                return ""
        return self._digests[key]

    # --- loading ----------------------------------------------------------------------------

    def _load(self, payloads: Sequence[Payload]) -> None:
        """Brings the pictures of these images into memory, or starts making them."""
        records = {_key(payload): record_of(payload) for payload in payloads}
        missing = {key: own for key, own in records.items() if key not in self._pictures}
        for key in records.keys() - missing.keys():
            self._pictures.move_to_end(key)  # so that loading the others does not evict it
        thumbnails = self.cache.get_many(list(missing))
        sketches = self.cache.get_sketches(list(thumbnails))
        for key, own in missing.items():
            if key in thumbnails:
                self._hold(key, _done(StoredPicture(sketches.get(key, b""), thumbnails[key])))
            else:
                self._hold(key, self._pool.submit(self._make, own))

    def _hold(self, key: str, picture: Future[StoredPicture]) -> None:
        self._pictures[key] = picture
        if len(self._pictures) > PICTURES_IN_MEMORY:
            oldest, _ = self._pictures.popitem(last=False)
            self._external.discard(oldest)

    def _make(self, own: ImageRecord) -> StoredPicture:
        """Makes and stores a thumbnail that is missing in the cache."""
        thumbnail = self._thumbnail(own)
        if thumbnail is None:
            return StoredPicture(b"", b"")
        self.cache.put_many({own["sha256"]: thumbnail})
        return StoredPicture(b"", thumbnail)

    def _pixels(self, payload: Payload) -> Pixels | None:
        """The pixels of the thumbnail of an image."""
        key = _key(payload)
        held = self._pictures.get(key)
        thumbnail = (held.result().thumbnail if held else b"") or self.cache.get_many([key]).get(
            key
        )
        thumbnail = thumbnail or self._thumbnail(record_of(payload))
        return None if thumbnail is None else decode_thumbnail(thumbnail)

    def _original(self, payload: Payload, side: int) -> Pixels | None:
        """The pixels of the original, its shorter side at least this long where it has that."""
        own = record_of(payload)
        try:
            return self.read_original(own, side=side).pixels
        except LookalikeError as error:
            self.problems[own["uri"]] = str(error)
            return None

    def _thumbnail(self, own: ImageRecord) -> bytes | None:
        try:
            return self.read_thumbnail(own)
        except LookalikeError as error:
            self.problems[own["uri"]] = str(error)
            return None


def _done(picture: StoredPicture) -> Future[StoredPicture]:
    future: Future[StoredPicture] = Future()
    future.set_result(picture)
    return future


def _key(payload: Payload) -> str:
    return record_of(payload)["sha256"]


def _have_same_bytes(first: Payload, second: Payload) -> bool:
    return _key(first) == _key(second)
