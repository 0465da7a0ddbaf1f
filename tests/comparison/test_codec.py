"""Packed sketches lead to the same results and spare work."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from lookalike.comparison.codec import completeness, pack, packed_completeness, unpack
from lookalike.comparison.evidence import compare
from lookalike.comparison.sketch import FLAT, Sketch
from lookalike.types import Pixels
from tests.comparison.edits import Picture, brightened, cropped, screenshot, sketch_of, tilted


def repacked(sketch: Sketch) -> Sketch:
    unpacked = unpack(pack(sketch), lambda: sketch.pixels)
    assert unpacked is not None
    return unpacked


def test_a_packed_sketch_leads_to_the_same_evidence(photos: list[Picture]) -> None:
    edits = tilted, cropped, screenshot, brightened
    for picture, edit in zip(photos[:4], edits, strict=True):
        first, second = sketch_of(edit(picture)), sketch_of(picture)
        before = compare(first, second)
        assert before is not None
        _ = first.corners, second.corners, second.features
        again = [repacked(sketch) for sketch in (first, second)]
        assert [completeness(sketch) for sketch in again] == [
            completeness(one) for one in (first, second)
        ]
        after = compare(*again)
        assert after is not None
        assert after.is_copy == before.is_copy
        assert after.matches == before.matches
        assert after.correlation == pytest.approx(before.correlation)


def test_corners_of_the_mirror_image_are_packed_once_computed(photos: list[Picture]) -> None:
    sketch = sketch_of(photos[0])
    assert "mirrored_corners" not in repacked(sketch).__dict__
    mirrored = sketch.mirrored_corners.descriptors
    assert np.array_equal(repacked(sketch).__dict__["mirrored_corners"].descriptors, mirrored)


def test_completeness_is_read_from_packed_sketches(photos: list[Picture]) -> None:
    sketch = sketch_of(photos[0])
    assert packed_completeness(pack(sketch)) == 1
    _ = sketch.features
    assert packed_completeness(pack(sketch)) == 3
    _ = sketch.mirrored_corners
    assert packed_completeness(pack(sketch)) == 4
    assert packed_completeness(b"") == packed_completeness(b"of another version") == 0


def test_pairs_are_rejected_without_pixels(photos: list[Picture]) -> None:
    def no_pixels() -> Pixels:
        raise AssertionError

    sketches = [sketch_of(picture) for picture in photos[:6]]
    for sketch in sketches:
        _ = sketch.corners, sketch.mirrored_corners, sketch.features
    packed = [unpack(pack(sketch), no_pixels) for sketch in sketches]
    assert all(packed)
    rejected = [
        compare(first, second)
        for at, first in enumerate(sketches)
        for second in packed[:at]
        if second and max(first.flat, second.flat) < FLAT
    ]
    assert len(rejected) > 5
    assert not any(rejected)


def test_few_unrelated_pictures_need_features(photos: list[Picture]) -> None:
    sketches = [sketch_of(picture) for picture in photos]
    detailed = [one for one in sketches if one.flat < FLAT and len(one.corners.at) > 100]
    pairs = list(combinations(detailed, 2))
    assert len(pairs) > 10
    for first, second in pairs:
        compare(first, second)
    assert sum(completeness(sketch) > 2 for sketch in detailed) < 0.5 * len(detailed)
