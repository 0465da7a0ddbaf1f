"""JPEGs that lack their last bytes: taken if the picture is whole, else rejected."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import Reason
from lookalike.imaging.decode import decode
from lookalike.index import Index
from tests.imaging.samples import encode, photo, rejection

KINDS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"optimize": True, "quality": 95, "subsampling": 0},
    {"restart_marker_blocks": 3},
]


def jpeg(**options: Any) -> bytes:
    return encode(photo(200, 130), "JPEG", **options)


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("cut", [1, 2])
@pytest.mark.parametrize("after", [b"", b"\0" * 4096])
def test_a_whole_picture_without_an_end_is_taken(
    options: dict[str, Any], cut: int, after: bytes
) -> None:
    whole = jpeg(**options)
    data = whole[:-cut] + after
    image = decode(data)
    assert np.array_equal(image.pixels, decode(whole).pixels)
    assert (image.sha256, image.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert image.note == "its last bytes are missing, but the picture is whole"
    assert not decode(whole).note


@pytest.mark.parametrize("options", KINDS)
@pytest.mark.parametrize("after", [b"", b"\0" * 4096])
def test_a_picture_that_lacks_data_is_rejected(options: dict[str, Any], after: bytes) -> None:
    whole = jpeg(**options)
    for cut in (4, 6, 10, 50, len(whole) // 2):
        assert rejection(whole[:-cut] + after).reason == Reason.TRUNCATED


def test_a_progressive_file_that_ends_between_scans_is_rejected() -> None:
    whole = jpeg(progressive=True)
    scans = [i for i in range(len(whole) - 1) if whole[i : i + 2] == b"\xff\xda"]
    tables = [i for i in range(len(whole) - 1) if whole[i : i + 2] == b"\xff\xc4"]
    assert len(scans) > 3
    for start in scans[1:]:
        before = max(place for place in [*tables, start] if scans[0] < place <= start)
        assert rejection(whole[:before]).reason == Reason.TRUNCATED


def test_the_report_notes_it(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(jpeg())
    (photos / "b.jpg").write_bytes(jpeg(quality=50)[:-2])
    with Index.open(tmp_path / "index", model="built-in") as index:
        report = index.add(photos)
        assert (report.added, report.rejected) == (2, 0)
        (note,) = report.notes
        assert note.uri == str(photos / "b.jpg")
        assert "last bytes are missing" in note.detail
