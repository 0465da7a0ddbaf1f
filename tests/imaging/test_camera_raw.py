"""Camera raw: recognized by structure, developed upright, and never taken for its thumbnail."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from contextlib import suppress

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging import camera_raw
from lookalike.imaging.decode import decode
from lookalike.imaging.formats import image_format
from lookalike.types import DecodeLimits, Image
from tests.imaging.samples import assert_near, encode, photo, picture, rejection
from tests.imaging.tiffs import Page, dng, mosaic, preview, rgb, tiff

THUMBNAIL = picture(48, 32)


def named(maker: bytes) -> Page:
    """A thumbnail as in the first directory of a NEF, PEF or ARW."""
    page = rgb(THUMBNAIL, 1)
    page.entries |= {271: (2, maker)}
    return page


def above(page: Page, *below: Page) -> Page:
    page.below = list(below)
    return page


RAWS = {
    "dng": dng(mosaic(picture()), thumbnail=THUMBNAIL),
    "linear dng": dng(mosaic(picture(), meaning=34892), thumbnail=THUMBNAIL),
    "dng whose first picture is whole": tiff([rgb(picture())]).replace(
        struct.pack("<HHI", 284, 3, 1), struct.pack("<HHI", 50706, 1, 4)
    ),
    "nef": tiff([above(named(b"NIKON\0"), preview(picture()), mosaic(picture()))]),
    "compressed nef": tiff(
        [above(named(b"NIKON\0"), mosaic(picture(), meaning=2, compression=34713))]
    ),
    "arw": tiff([above(named(b"SONY\0"), mosaic(picture(), compression=32767))]),
    "pef": tiff([mosaic(picture(), compression=65535), rgb(THUMBNAIL, 1)]),
    "mosaic in the second directory": tiff([rgb(picture()), mosaic(picture())]),
    "mosaic two levels down": tiff(
        [above(named(b"ACME\0"), above(rgb(THUMBNAIL, 1), mosaic(picture())))]
    ),
    "cr2": tiff([preview(picture())], header=b"CR\x02\0" + bytes(4)),
    "orf": tiff([rgb(THUMBNAIL)], magic=b"IIRO"),
    "older orf": tiff([rgb(THUMBNAIL)], magic=b"IIRS"),
    "rw2": tiff([rgb(THUMBNAIL)], magic=b"IIU\0"),
    "raf": b"FUJIFILMCCD-RAW 0201" + bytes(200),
    "cr3": b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom" + bytes(200),
    "crw": b"II\x1a\0\0\0HEAPCCDR" + bytes(200),
}


@pytest.mark.parametrize("data", RAWS.values(), ids=RAWS)
def test_recognized_by_structure(data: bytes) -> None:
    assert image_format(data) == "RAW"


ORDINARY = {
    "tiff": encode(picture(), "TIFF"),
    "with a camera's name": tiff([above(rgb(picture()), rgb(THUMBNAIL, 1))]),
    "with a thumbnail in the chain": tiff([rgb(picture()), rgb(THUMBNAIL, 1)]),
    "with the thumbnail first": tiff([rgb(THUMBNAIL, 1), rgb(picture())]),
    "with the picture below the thumbnail": tiff([above(named(b"NIKON\0"), rgb(picture()))]),
}


@pytest.mark.parametrize("data", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_tiff_stays_one_and_is_not_taken_for_its_thumbnail(data: bytes) -> None:
    image = decode(data)
    assert (image.format, image.width, image.height) == ("TIFF", 96, 64)
    assert image.facts.frames == 1
    assert not image.facts.camera_raw
    assert np.array_equal(image.pixels, np.asarray(picture()))


def test_without_the_extra_the_rejection_says_how_to_install_it() -> None:
    script = """
import sys
sys.modules["rawpy"] = None
from lookalike.errors import ImageRejected
from lookalike.imaging.decode import decode
try:
    decode(sys.stdin.buffer.read())
except ImageRejected as rejected:
    print(rejected)
"""
    for name in ("dng", "cr2", "raf", "cr3"):
        output = subprocess.run(
            [sys.executable, "-c", script], input=RAWS[name], capture_output=True, check=True
        ).stdout.decode()
        assert output.startswith("camera_raw: ")
        assert "pip install 'lookalike[raw]'" in output


# --- developing ---


@pytest.fixture
def _rawpy() -> None:
    pytest.importorskip("rawpy", reason="needs lookalike[raw]")


@pytest.mark.usefixtures("_rawpy")
def test_developed_from_the_sensor_in_full_size_and_in_half() -> None:
    data = dng(mosaic(photo(640, 480)), thumbnail=photo(640, 480).resize((64, 48)))
    small, large = decode(data, side=100), decode(data, side=400)
    assert small.pixels.shape[:2] in ((240, 320), (120, 160))
    assert large.pixels.shape[:2] == (480, 640)
    for image in (small, large):
        assert (image.format, image.width, image.height) == ("RAW", 640, 480)
        assert image.facts.camera_raw
        assert image.facts.camera_metadata
        gray = image.pixels.mean(axis=2)
        seen = np.asarray(photo(640, 480).resize(gray.shape[::-1])).mean(axis=2)
        assert np.corrcoef(gray.ravel(), seen.ravel())[0, 1] > 0.9


@pytest.mark.usefixtures("_rawpy")
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("with_preview", [False, True])
def test_developed_upright(orientation: int, with_preview: bool) -> None:
    seen = picture(256, 128)
    below = [mosaic(seen), preview(seen)] if with_preview else [mosaic(seen)]
    data = dng(*below, thumbnail=THUMBNAIL, orientation=orientation)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    upright = decode(encode(seen, "JPEG", exif=exif.tobytes(), quality=95), side=64)
    image = decode(data, side=64)
    assert (image.width, image.height) == (upright.width, upright.height)
    hues = np.asarray(PIL.Image.fromarray(image.pixels).resize((2, 2), PIL.Image.Resampling.BOX))
    wanted = np.asarray(
        PIL.Image.fromarray(upright.pixels).resize((2, 2), PIL.Image.Resampling.BOX)
    )
    for got, want in zip(hues.reshape(4, 3), wanted.reshape(4, 3), strict=True):
        if np.ptp(want) > 50:  # a color; the gray quarter has none
            assert got.argmax() == want.argmax()


def quarters(image: Image) -> NDArray[np.uint8]:
    """The mean color of each quarter."""
    small = PIL.Image.fromarray(image.pixels).resize((2, 2), PIL.Image.Resampling.BOX)
    return np.asarray(small).reshape(4, 3)


@pytest.mark.usefixtures("_rawpy")
def test_a_large_preview_is_used_and_a_small_one_is_not() -> None:
    night, day = PIL.Image.new("RGB", (640, 480), "navy"), photo(640, 480)
    used = dng(mosaic(day), preview(night.resize((400, 300))), thumbnail=THUMBNAIL)
    assert_near(decode(used).pixels, np.asarray(night.resize((400, 300))), 3)
    unused = dng(mosaic(day), preview(night.resize((200, 150))), thumbnail=THUMBNAIL)
    assert decode(unused).pixels.std() > 20


@pytest.mark.usefixtures("_rawpy")
def test_limits() -> None:
    data = dng(mosaic(photo(640, 480)), thumbnail=THUMBNAIL)
    assert rejection(data, limits=DecodeLimits(pixels=640 * 480 - 1)).reason == Reason.TOO_LARGE
    assert rejection(data, limits=DecodeLimits(aspect=1.2)).reason == Reason.EXTREME_ASPECT
    sizes: list[int] = []
    decode(data, before_load=sizes.append)
    assert sizes == [640 * 480]


@pytest.mark.usefixtures("_rawpy")
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.999])
def test_cut(share: float) -> None:
    data = dng(preview(photo(640, 480)), mosaic(photo(640, 480)), thumbnail=THUMBNAIL)
    assert rejection(data[: int(len(data) * share)]).reason == Reason.TRUNCATED


def test_hostile_directories_end() -> None:
    """Cycles, and counts that no file can have."""
    cycle = bytearray(RAWS["mosaic two levels down"].replace(struct.pack("<H", 32803), b"\2\0"))
    place = cycle.index(struct.pack("<HHI", 330, 4, 1))
    struct.pack_into("<I", cycle, place + 8, 8)
    assert image_format(bytes(cycle)) == "TIFF"
    many = tiff([Page({330: (4, [8] * 50_000)})])
    assert image_format(many) == "TIFF"
    huge = RAWS["dng"].replace(struct.pack("<HHI", 330, 4, 1), struct.pack("<HHI", 330, 4, 2**31))
    assert camera_raw.stated_size(huge) <= len(huge)
    for data in (bytes(cycle), many, huge):
        with suppress(ImageRejected):
            decode(data)


@pytest.mark.usefixtures("_rawpy")
@pytest.mark.parametrize("name", RAWS)
def test_damaged_raws_are_rejected_or_decoded(name: str) -> None:
    """Any byte may be wrong. No other exception than a rejection is raised."""
    random_bytes = random.Random(name)
    for _ in range(25):
        damaged = bytearray(RAWS[name])
        for _ in range(random_bytes.randint(1, 6)):
            damaged[random_bytes.randrange(min(len(damaged), 700))] = random_bytes.choice(
                (0, 1, 127, 128, 255, random_bytes.randrange(256))
            )
        with suppress(ImageRejected):
            image = decode(bytes(damaged), limits=DecodeLimits(pixels=10**6))
            assert image.pixels.shape[2] == 3
