"""Files with one digest show the same in all their pages and frames, in every bit."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import DecodeDeferred
from lookalike.imaging.digest import content_digest
from lookalike.types import DecodeLimits
from tests.imaging.samples import LOSSLESS, encode, photo, picture
from tests.imaging.test_color_space import srgb_profile, swapped_profile
from tests.imaging.test_contents import VIDEO
from tests.imaging.tiffs import dng, mosaic, rgb, tiff

LIMITS = DecodeLimits()


def digest(data: bytes, limits: DecodeLimits = LIMITS) -> str:
    return content_digest(data, limits=limits)


def pages(*colors: str) -> list[PIL.Image.Image]:
    return [PIL.Image.new("RGB", (40, 30), color) for color in colors]


def document(*colors: str, format: str = "TIFF", **options: Any) -> bytes:
    first, *others = pages(*colors)
    return encode(first, format, save_all=True, append_images=others, **options)


def rgb16(value: int, extension: str = ".png") -> bytes:
    import cv2

    _, data = cv2.imencode(extension, np.full((9, 9, 3), value, np.uint16))
    return data.tobytes()


def with_thumbnail(im: PIL.Image.Image) -> bytes:
    return tiff([rgb(im), rgb(photo(9, 9), 1)])


GRAY16 = PIL.Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16)
CUTOUT = picture().convert("RGBA")
CUTOUT.paste((255, 255, 255, 0), (0, 0, 20, 20))

SAME = {
    "every lossless format": [encode(picture(), format, **LOSSLESS[format]) for format in LOSSLESS],
    "gray in one channel or three": [
        encode(photo(90, 60).convert("L"), "PNG"),
        encode(photo(90, 60).convert("L").convert("RGB"), "TIFF"),
    ],
    "a palette": [encode(picture(), "PNG"), encode(picture().quantize(4).convert("P"), "PNG")],
    "opaque alpha": [encode(picture(), "PNG"), encode(picture().convert("RGBA"), "PNG")],
    "a cut-out": [encode(CUTOUT, "PNG"), encode(CUTOUT, "TIFF")],
    "pages": [
        document("red", "lime", compression="tiff_lzw"),
        document("red", "lime"),
        document("red", "lime", big_tiff=True),
    ],
    "frames of any duration": [
        document("red", "lime", format="PNG", duration=100),
        document("red", "lime", format="PNG", duration=300),
        document("red", "lime", format="WEBP", lossless=True),
        document("red", "lime", format="GIF"),
    ],
    "16 bits": [encode(GRAY16, "PNG"), encode(GRAY16, "TIFF")],
    "a page and its thumbnail": [
        tiff([rgb(picture())]),
        tiff([rgb(picture()), rgb(photo(9, 9), 1)]),
    ],
    "the profile of sRGB": [
        encode(picture(), "PNG"),
        encode(picture(), "PNG", icc_profile=srgb_profile()),
    ],
    "another orientation": [
        encode(picture(), "PNG"),
        encode(
            picture().transpose(PIL.Image.Transpose.ROTATE_90),
            "PNG",
            exif=b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
        ),
    ],
    "video": [encode(picture(), "JPEG") + VIDEO, encode(picture(), "JPEG", comment="x") + VIDEO],
}


@pytest.mark.parametrize("files", SAME.values(), ids=SAME)
def test_same(files: list[bytes]) -> None:
    digests = {digest(data) for data in files}
    assert len(digests) == 1
    assert digests != {""}


DIFFERENT = {
    "other pages behind one cover": [document("red", "lime"), document("red", "blue")],
    "more pages": [document("red", "red"), document("red"), document("red", "red", "red")],
    "another order": [document("red", "lime", "blue"), document("red", "blue", "lime")],
    "an animation and its still": [document("red", "lime", format="GIF"), document("red")],
    "two animations": [
        document("red", "lime", format="WEBP"),
        document("red", "blue", format="WEBP"),
    ],
    "a multi-picture file": [
        document("red", "lime", format="MPO"),
        document("red", "blue", format="MPO"),
        encode(pages("red")[0], "JPEG"),
    ],
    "a cut-out and its flat copy": [
        encode(CUTOUT, "PNG"),
        encode(PIL.Image.alpha_composite(PIL.Image.new("RGBA", (96, 64), "white"), CUTOUT), "PNG"),
    ],
    "hidden colors": [
        encode(PIL.Image.new("RGBA", (9, 9), (9, 9, 9, 0)), "PNG"),
        encode(PIL.Image.new("RGBA", (9, 9), (8, 9, 9, 0)), "PNG"),
    ],
    "16 bits and 8": [
        encode(PIL.Image.new("I;16", (9, 9), 257 * 7), "PNG"),
        encode(PIL.Image.new("L", (9, 9), 7), "PNG"),
    ],
    "low bits": [
        encode(PIL.Image.new("I;16", (9, 9), 257), "PNG"),
        encode(PIL.Image.new("I;16", (9, 9), 258), "PNG"),
    ],
    "a profile and none": [
        encode(photo(90, 60), "PNG", icc_profile=swapped_profile()),
        encode(photo(90, 60), "PNG"),
    ],
    "inks": [encode(picture().convert("CMYK"), "TIFF"), encode(picture(), "TIFF")],
    "another shape": [
        encode(PIL.Image.new("L", (12, 6)), "PNG"),
        encode(PIL.Image.new("L", (6, 12)), "PNG"),
    ],
    "video": [encode(picture(), "JPEG") + VIDEO, encode(picture(), "JPEG")],
}


@pytest.mark.parametrize("files", DIFFERENT.values(), ids=DIFFERENT)
def test_different(files: list[bytes]) -> None:
    digests = {digest(data) for data in files}
    assert len(digests) == len(files)
    assert "" not in digests


def test_what_cannot_be_told_has_no_digest() -> None:
    assert digest(rgb16(700)) == ""  # Pillow shows 8 bits of it
    assert digest(rgb16(700, ".tiff")) == ""
    assert digest(dng(mosaic(picture()), thumbnail=photo(9, 9))) == ""
    layered = rgb(picture())
    layered.entries[37724] = (1, b"Adobe Photoshop Document Data Block")
    assert digest(tiff([layered])) == ""
    assert digest(b"no picture") == ""
    assert digest(document(*["red", "lime"] * 40), DecodeLimits(seconds=0)) == ""


def test_broken_frames_are_rejected() -> None:
    gif = document("red", "lime", "blue", format="GIF")
    png = document("red", "lime", "blue", format="PNG")
    for data in (gif[:-30], png[:-60], document("red", "lime")[:-40]):
        with pytest.raises(ImageRejected):
            digest(data)
    with pytest.raises(ImageRejected) as caught:
        digest(document("red", "lime"), DecodeLimits(pixels=40 * 30 - 1))
    assert caught.value.reason == Reason.TOO_LARGE


def test_a_later_page_is_within_the_limits_and_can_be_deferred() -> None:
    small, large = PIL.Image.new("L", (30, 30)), PIL.Image.new("L", (300, 300))
    data = encode(small, "TIFF", save_all=True, append_images=[large])
    with pytest.raises(ImageRejected) as caught:
        digest(data, DecodeLimits(pixels=1000))
    assert caught.value.reason == Reason.TOO_LARGE

    def defer(pixels: int) -> None:
        if pixels > 1000:
            raise DecodeDeferred

    with pytest.raises(DecodeDeferred):
        content_digest(data, limits=LIMITS, before_load=defer)


@pytest.mark.slow
def test_memory_holds_one_frame_at_a_time() -> None:
    """Also a long animation is digested frame by frame: this one has 200 megapixels."""
    frames = [PIL.Image.new("L", (1000, 1000), i % 250) for i in range(200)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    sizes: list[int] = []
    assert content_digest(data, limits=LIMITS, before_load=sizes.append)
    assert max(sizes) == 1_000_000
    with PIL.Image.open(BytesIO(data)) as im:
        assert len(sizes) == im.n_frames  # type: ignore[attr-defined]
