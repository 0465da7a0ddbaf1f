"""Originals are read where they show more than thumbnails, and only there."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from benchmarks._documents import DOCUMENTS, Picture

from lookalike.comparison import batch
from lookalike.duplicates.content_check import ContentCheck
from lookalike.imaging.thumbnails import encode_thumbnail
from lookalike.types import Payload, Pixels


def described(picture: Picture, name: str) -> Payload:
    return {"image": {"sha256": name, "width": picture.width, "height": picture.height}}


def fitted(picture: Picture, side: int) -> Pixels:
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    return np.asarray(small)


@pytest.mark.parametrize(("side", "are_read"), [(1600, True), (340, True), (320, False)])
def test_originals_are_read_where_they_show_more_than_thumbnails(
    side: int, *, are_read: bool
) -> None:
    pictures = {str(number): DOCUMENTS["slide"](number) for number in range(2)}
    originals = {name: fitted(picture, side) for name, picture in pictures.items()}
    thumbnails = {name: fitted(picture, 320) for name, picture in pictures.items()}
    read: list[str] = []

    def original(payload: Payload, side: int) -> Pixels:
        read.append(payload["image"]["sha256"])
        return originals[read[-1]]

    stored = [
        batch.StoredPicture(b"", encode_thumbnail(pixels, 320)) for pixels in thumbnails.values()
    ]
    (found,) = batch.compare(stored, [(0, 1)]).comparisons
    assert found is not None
    assert found.alignment is not None
    check = ContentCheck(lambda payload: thumbnails[payload["image"]["sha256"]], original)
    payloads = [described(PIL.Image.fromarray(pixels), name) for name, pixels in originals.items()]
    assert check.differs(payloads[0], payloads[1], found.alignment) is True
    assert sorted(read) == (["0", "1"] if are_read else [])
