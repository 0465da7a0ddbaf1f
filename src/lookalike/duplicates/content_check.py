"""A second comparison of confirmed copies, at the resolution at which text can be told apart.

Thumbnails cannot tell two documents on one template, memes with other text, or two prints on one
garment. So the marks of a pair are compared again: on the originals where either picture may be a
document or the thumbnails differ anywhere, else on the thumbnails.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from lookalike.comparison.marks import SIDE, fitted, mark_changes, may_be_document
from lookalike.record import record_of
from lookalike.types import Payload, Pixels

ORIGINAL_SIDE = SIDE * 5 // 8
"""Pixels of the shorter side to which originals are decoded."""
_IN_MEMORY = 16
"""Originals that are held at a time, 3 MB each: a keeper is compared with every copy."""


@dataclass(slots=True)
class ContentCheck:
    """Tells whether two pictures that agree elsewhere have other text or parts in some places.

    Attributes:
        thumbnail: returns the thumbnail of an image; None if there is none.
        original: reads the original, its shorter side at least as long as asked where it has that;
            None if it cannot be read.
    """

    thumbnail: Callable[[Payload], Pixels | None]
    original: Callable[[Payload, int], Pixels | None]
    _originals: OrderedDict[str, Pixels] = field(default_factory=OrderedDict)
    _answers: dict[tuple[str, str], bool] = field(default_factory=dict)

    def differs(self, first: Payload, second: Payload) -> bool:
        """True if the pictures have other contents. The order does not matter."""
        one, other = sorted((first, second), key=_key)
        pair = _key(one), _key(other)
        if pair not in self._answers:
            self._answers[pair] = self._compare(one, other)
        return self._answers[pair]

    def _compare(self, first: Payload, second: Payload) -> bool:
        one, other = self.thumbnail(first), self.thumbnail(second)
        if one is None or other is None:
            return False
        may_have_text = may_be_document(one) or may_be_document(other)
        if not may_have_text and _is_unchanged(one, other):
            return False
        large, other_large = self._original(first), self._original(second)
        if large is not None and other_large is not None:
            one, other = large, other_large
        return _is_other_content(one, other)

    def _original(self, payload: Payload) -> Pixels | None:
        key = _key(payload)
        if key in self._originals:
            self._originals.move_to_end(key)
            return self._originals[key]
        pixels = self.original(payload, ORIGINAL_SIDE)
        if pixels is None:
            return None
        self._originals[key] = fitted(pixels)
        if len(self._originals) > _IN_MEMORY:
            self._originals.popitem(last=False)
        return self._originals[key]


# A coarse alignment is tried first, in a quarter of the time: with a wrong one, marks would change.


def _is_unchanged(first: Pixels, second: Pixels) -> bool:
    for refine in (False, True):
        changes = mark_changes(first, second, refine=refine)
        if changes is None or changes.is_unchanged:
            return True
    return False


def _is_other_content(first: Pixels, second: Pixels) -> bool:
    changes = mark_changes(first, second, refine=False)
    if changes is not None and not changes.is_negligible:
        changes = mark_changes(first, second)
    return changes is not None and changes.is_other_content


def _key(payload: Payload) -> str:
    return str(record_of(payload)["sha256"])
