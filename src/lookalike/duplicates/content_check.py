"""A second comparison of confirmed copies, at the resolution at which text can be told apart.

Thumbnails cannot tell two documents on one template, memes with other text, or two prints on one
garment. So where either picture may be a document, or the thumbnails differ anywhere, the marks of
the originals are compared.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from lookalike.comparison.batch import RelativeAlignment
from lookalike.comparison.full_size import full_size_alignment
from lookalike.comparison.marks import SIDE, fitted, mark_changes
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates.verdicts import size
from lookalike.record import record_of
from lookalike.types import Payload, Pixels

ORIGINAL_SIDE = SIDE * 5 // 8
"""Pixels of the shorter side to which originals are decoded."""
_MORE = 1.01
"""Ratio of the pixels along one side from which originals show more than thumbnails. Two prints on
garments of 346 pixels were already told apart worse by their thumbnails of 320."""
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
    _answers: dict[frozenset[str], bool] = field(default_factory=dict)

    def differs(self, first: Payload, second: Payload, alignment: RelativeAlignment) -> bool:
        """True if the pictures, aligned like this, have other contents."""
        pair = frozenset((_key(first), _key(second)))
        if pair not in self._answers:
            self._answers[pair] = self._compare(first, second, alignment)
        return self._answers[pair]

    def _compare(self, first: Payload, second: Payload, alignment: RelativeAlignment) -> bool:
        one = other = None
        if _originals_show_more(size(first), size(second), alignment):
            one, other = self._original(first), self._original(second)
        if one is None or other is None:
            one, other = self.thumbnail(first), self.thumbnail(second)
        if one is None or other is None:
            return False
        return _is_other_content(one, other, alignment)

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


def _originals_show_more(
    first: tuple[int, int], second: tuple[int, int], alignment: RelativeAlignment
) -> bool:
    """True if two originals of these sizes show what they share in more pixels than their
    thumbnails do. The picture with fewer pixels counts."""
    scale = abs(float(np.linalg.det(alignment.between((1, 1))[:, :2]))) ** 0.5
    widths, small_widths = (
        [width * min(1.0, side / max(width, height)) for width, height in (first, second)]
        for side in (SIDE, THUMBNAIL_SIDE)
    )
    least = min(small_widths[0], scale * small_widths[1])
    return bool(min(widths[0], scale * widths[1]) > _MORE * least)


def _is_other_content(first: Pixels, second: Pixels, alignment: RelativeAlignment) -> bool:
    widths = first.shape[1], second.shape[1]
    changes = mark_changes(first, second, alignment.between(widths))
    if changes.is_negligible or alignment.is_refined:
        return changes.is_other_content
    small = fitted(first, THUMBNAIL_SIDE), fitted(second, THUMBNAIL_SIDE)
    matrix = full_size_alignment(*small, widths)
    return matrix is not None and mark_changes(first, second, matrix).is_other_content


def _key(payload: Payload) -> str:
    return str(record_of(payload)["sha256"])
