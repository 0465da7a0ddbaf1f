"""Facts of a file beyond the pixels of its first frame."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import IFD, Base
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lookalike.imaging.decode import decode
from lookalike.imaging.gif import MAX_FRAMES, count_frames
from lookalike.imaging.tiff import TiffReader, page_numbers
from lookalike.types import FileFacts
from tests.imaging.samples import FORMATS, encode, photo, picture

VIDEO = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40


@pytest.mark.parametrize("format", FORMATS)
def test_an_ordinary_file_holds_nothing_else(format: str) -> None:
    assert decode(encode(picture(), format)).facts == FileFacts()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF", "HEIF", "MPO"])
@pytest.mark.parametrize("count", [2, 5])
def test_frames(format: str, count: int) -> None:
    frames = [photo(96 + i, 64).resize((96, 64)) for i in range(count)]
    for i, frame in enumerate(frames):
        frame.putpixel((i, 0), (255, 255, 255))
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert decode(data).facts.frames == count


def test_big_tiff_pages() -> None:
    frames = [PIL.Image.new("L", (8, 8), i) for i in range(3)]
    data = encode(frames[0], "TIFF", save_all=True, append_images=frames[1:], big_tiff=True)
    assert decode(data).facts.frames == 3


def test_smaller_versions_and_masks_are_no_pages() -> None:
    data = encode(picture(), "TIFF", tiffinfo=_subfile(0))
    pages = [data, encode(picture(), "TIFF"), encode(picture(48, 32), "TIFF", tiffinfo=_subfile(1))]
    pages.append(encode(picture(), "TIFF", tiffinfo=_subfile(4)))
    pages.append(encode(picture(), "TIFF", tiffinfo=_subfile(2)))
    assert len(page_numbers(_chained(pages))) == 3


def _subfile(kind: int) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2()
    tags[254] = kind
    return tags


def _chained(files: list[bytes]) -> bytes:
    """One TIFF with the directories of several; the offsets of all but the first are wrong."""
    joined, last = bytearray(files[0]), 4
    for file in files:
        start = len(joined) + len(joined) % 2
        joined += bytes(start - len(joined))
        (offset,) = struct.unpack("<I", file[4:8])
        (count,) = struct.unpack("<H", file[offset : offset + 2])
        joined[last : last + 4] = struct.pack("<I", start)
        joined += file[offset : offset + 2 + 12 * count] + bytes(4)
        last = len(joined) - 4
    return bytes(joined)


def test_a_preview_in_a_multi_picture_jpeg_is_no_frame() -> None:
    data = encode(picture(), "MPO", save_all=True, append_images=[picture(48, 32)])
    with PIL.Image.open(BytesIO(data)) as im:
        types = [entry["Attribute"]["MPType"] for entry in im.mpinfo[0xB002]]  # type: ignore[attr-defined]
    assert types == ["Baseline MP Primary Image", "Undefined"]
    table = data.rindex(struct.pack("<I", 0x00030000), 0, data.index(b"\xff\xdb"))
    preview = data[: table + 16] + struct.pack("<I", 0x00010001) + data[table + 20 :]
    assert decode(data).facts.frames == 2
    assert decode(preview).facts.frames == 1


def test_hostile_tiffs_are_counted_within_bounds() -> None:
    loop = b"II*\0" + struct.pack("<I", 8) + struct.pack("<HHHII", 1, 256, 3, 1, 5)
    assert len(page_numbers(loop + struct.pack("<I", 8))) == 1
    assert len(page_numbers(loop + struct.pack("<I", 2**32 - 1))) == 1
    assert len(page_numbers(b"II*\0" + b"\xff" * 40)) == 1
    assert len(page_numbers(b"MM\0+" + b"\xff" * 40)) == 1
    assert len(page_numbers(b"II*\0")) == 1
    full = b"II*\0" + struct.pack("<I", 8) + (b"\x09\0" + b"\0" * 108) * 60_000
    assert len(page_numbers(full)) < 60_000
    values = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 256, 4, 2**32 - 1, 8, 0)
    reader = TiffReader(values)
    assert [reader.integers(page, 256) for page in reader.pages()] == [()]


def test_hostile_gifs_are_counted_within_bounds() -> None:
    frame = b"\x2c" + bytes(9) + b"\x02\0"
    head = b"GIF89a" + bytes(7)
    assert count_frames(head + frame * 3 + b"\x3b" + frame) == 3
    assert count_frames(head + frame * 3 + b"\x2c") == 4
    assert count_frames(head + frame * (MAX_FRAMES + 5)) == MAX_FRAMES
    assert count_frames(b"GIF89a") == 1


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_one_transparent_pixel_is_alpha_however_large_the_picture(format: str) -> None:
    im = picture(1000, 800).convert("RGBA")
    assert not decode(encode(im, format), side=16).facts.alpha
    im.paste((0, 0, 0, 0), (500, 400, 502, 402))
    image = decode(encode(im, format, **FORMATS[format]), side=16)
    assert image.facts.alpha


@pytest.mark.parametrize(
    ("data", "depth"),
    [
        (encode(picture().convert("1"), "PNG"), 8),
        (encode(picture().quantize(4), "PNG", bits=2), 8),
        (encode(PIL.Image.new("I;16", (9, 9), 700), "PNG"), 16),
        (encode(PIL.Image.new("I;16", (9, 9), 700), "TIFF"), 16),
        (encode(PIL.Image.new("I", (9, 9), 700), "TIFF"), 32),
        (encode(PIL.Image.new("F", (9, 9), 0.5), "TIFF"), 32),
        (encode(picture().convert("CMYK"), "TIFF"), 8),
    ],
)
def test_bit_depth(data: bytes, depth: int) -> None:
    assert decode(data).facts.bit_depth == depth


def test_bit_depth_of_rgb16_png() -> None:
    import cv2

    _, png = cv2.imencode(".png", np.full((9, 9, 3), 700, np.uint16))
    assert decode(png.tobytes()).facts.bit_depth == 16
    _, tiff = cv2.imencode(".tiff", np.full((9, 9, 3), 700, np.uint16))
    assert decode(tiff.tobytes()).facts.bit_depth == 16


@pytest.mark.parametrize(
    ("name", "depth"),
    [
        ("avif_fox.profile0.8bpc.yuv420.avif", 8),
        ("avif_red-at-12-oclock-with-color-profile-10bpc.avif", 10),
        ("heif_RGB_8__128x128.heif", 8),
        ("heif_RGBA_10__128x128.heif", 10),
    ],
)
def test_bit_depth_of_shared_files(data: Path, name: str, depth: int) -> None:
    (file,) = (data / "evil").rglob(name)
    assert decode(file.read_bytes()).facts.bit_depth == depth


def _exif(**details: Any) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    for name, value in details.items():
        tag = Base[name]
        (exif if name in ("Make", "Model", "Software") else exif.get_ifd(IFD.Exif))[tag] = value
    return exif


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize(
    ("details", "camera"),
    [
        ({"Make": "Acme"}, True),
        ({"ExposureTime": 0.01}, True),
        ({"ISOSpeedRatings": 100}, True),
        ({"Software": "Editor"}, False),
        ({"DateTimeOriginal": "2024:05:01 10:00:00"}, False),
    ],
)
def test_camera_metadata(format: str, details: dict[str, Any], camera: bool) -> None:
    data = encode(picture(), format, exif=_exif(**details).tobytes())
    assert decode(data).facts.camera_metadata is camera


def test_motion_photos() -> None:
    jpeg = encode(photo(320, 240), "JPEG")
    heic = encode(photo(320, 240), "HEIF")
    assert decode(jpeg + VIDEO).facts.motion
    assert decode(jpeg + b"MotionPhoto_Data" + VIDEO).facts.motion
    assert decode(heic + VIDEO).facts.motion
    assert decode(heic + struct.pack(">I", 8 + len(VIDEO)) + b"mpvd" + VIDEO).facts.motion
    assert not decode(jpeg + b"\0" * 500).facts.motion
    assert not decode(jpeg + b"ftyp is a word" + bytes(40)).facts.motion
    assert not decode(jpeg).facts.motion
