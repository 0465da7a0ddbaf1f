"""The image policy: every hostile file, and each rule on pictures made here."""

from __future__ import annotations

import csv
import hashlib
import struct
import subprocess
import sys
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import ImageCms
from PIL.ExifTags import IFD, Base
from PIL.Image import Transpose

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import DecodeDeferred, decode
from lookalike.imaging.thumbnails import encode_thumbnail, thumbnail_of
from lookalike.types import DecodeLimits, Image
from tests.support.paths import DATA

pillow_heif.register_heif_opener()

EVIL = DATA / "evil"

# What we do with a file that the manifest's baseline refuses or accepts otherwise.
OTHERWISE = {
    "heif_RGB_8__128x128.heif": "decodes",  # sound, and we read HEIC
    "heif_RGBA_10__128x128.heif": "decodes",
    "made_bomb_9000x9000_gray.png": "decodes",  # 81 Mpx: our limit is 128, the baseline's 64
    "made_strip_1x60000.png": "rejects",  # our limit of aspect
    "made_strip_60000x1.png": "rejects",
}
REASONS = {
    "avif_plum-blossom-small.profile0.8bpc.yuv420.alpha-full.avif": Reason.CORRUPT,
    "avif_plum-blossom-small.profile2.12bpc.yuv422.alpha-full.monochrome.avif": Reason.CORRUPT,
    "heif_corrupted.heic": Reason.CORRUPT,
    "heif_truncated.heic": Reason.TRUNCATED,
    "imagededup_ukbench09268_corrupt.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_bmp_huge.bmp": Reason.TOO_LARGE,
    "made_bomb_20000x10000_rgb.png": Reason.TOO_LARGE,
    "made_bomb_30000x30000_1bit.png": Reason.TOO_LARGE,
    "made_elf.png": Reason.UNSUPPORTED_FORMAT,
    "made_gif_no_frames.gif": Reason.CORRUPT,
    "made_iccp_bomb.png": Reason.TOO_LARGE,
    "made_magic_only.png": Reason.CORRUPT,
    "made_missing_eoi.jpg": Reason.TRUNCATED,
    "made_pdf.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_postscript.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_script.svg": Reason.UNSUPPORTED_FORMAT,
    "made_soi_only.jpg": Reason.CORRUPT,
    "made_strip_1x60000.png": Reason.EXTREME_ASPECT,
    "made_strip_60000x1.png": Reason.EXTREME_ASPECT,
    "made_text.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_truncated.webp": Reason.TRUNCATED,
    "made_zero_dimensions.png": Reason.CORRUPT,
    "made_zip.jpg": Reason.UNSUPPORTED_FORMAT,
    "made_ztxt_bomb.png": Reason.TOO_LARGE,
    "pil_broken.png": Reason.CORRUPT,
    "pil_broken_data_stream.png": Reason.CORRUPT,
    "pil_crash-2020-10-test.tif": Reason.CORRUPT,
    "pil_decompression_bomb.gif": Reason.TOO_LARGE,
    "pil_decompression_bomb.ico": Reason.UNSUPPORTED_FORMAT,
    "pil_oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif": Reason.CORRUPT,
    "pil_timeout-6646305047838720": Reason.TRUNCATED,
    "pil_truncated_end_chunk.png": Reason.TRUNCATED,
    "pil_truncated_image.png": Reason.TRUNCATED,
    "pil_zero_width.gif": Reason.CORRUPT,
    "pngsuite_xc9n2c08.png": Reason.CORRUPT,
    "pngsuite_xd9n2c08.png": Reason.CORRUPT,
    "pngsuite_xdtn0g01.png": Reason.CORRUPT,
    "pngsuite_xhdn0g08.png": Reason.CORRUPT,
    "pngsuite_xs1n0g01.png": Reason.UNSUPPORTED_FORMAT,
    "pngsuite_xs4n0g01.png": Reason.UNSUPPORTED_FORMAT,
}


def evil_files() -> list[Any]:
    if not EVIL.is_dir():
        skip = pytest.mark.skip(reason=f"needs the shared test data at {EVIL}, which is not there")
        return [pytest.param({}, marks=skip, id="evil")]
    with (EVIL / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return [pytest.param(row, id=Path(row["file"]).name) for row in csv.DictReader(file)]


@pytest.mark.parametrize("row", evil_files())
def test_evil_file(row: dict[str, str], recwarn: pytest.WarningsRecorder) -> None:
    name = Path(row["file"]).name
    data = (EVIL / row["file"]).read_bytes()
    if OTHERWISE.get(name, row["expected"]) == "decodes":
        image = decode(data)
        assert image.pixels.shape[2] == 3
        assert image.sha256 == hashlib.sha256(data).hexdigest()
    else:
        with pytest.raises(ImageRejected) as caught:
            decode(data)
        assert caught.value.reason == REASONS[name]
        assert 0 < len(caught.value.detail) <= 150
        assert "\n" not in caught.value.detail
        assert "0x" not in caught.value.detail  # no address of an object of ours
    assert not recwarn.list


def test_evil_files_take_little_memory(data: Path) -> None:
    """Peak resident memory of one process that decodes them all."""
    script = """
import resource, sys
from pathlib import Path
from lookalike.errors import ImageRejected
from lookalike.imaging.decode import decode
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode(file.read_bytes())
    except ImageRejected:
        pass
try:  # getrusage would count what the parent held before it started this process
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
except (OSError, StopIteration):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak // 1024 if sys.platform == "darwin" else peak)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(data / "evil" / "files")],
        capture_output=True,
        check=True,
        text=True,
    )
    assert int(done.stdout) < 700 * 1024


# --- pictures made here -----------------------------------------------------------------------


def encoded(im: PIL.Image.Image, format: str, **options: Any) -> bytes:
    file = BytesIO()
    im.save(file, format, **options)
    return file.getvalue()


def picture(width: int = 96, height: int = 64) -> PIL.Image.Image:
    """Red, green, blue and grey quarters: no turn or mirroring leaves it as it is."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return PIL.Image.fromarray(pixels)


def photo(width: int, height: int) -> PIL.Image.Image:
    """Smooth colors, different everywhere."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / 37 + k) * np.cos(y / 23 - k) for k in range(3)]
    return PIL.Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def assert_near(a: NDArray[np.uint8], b: NDArray[np.uint8], tolerance: float) -> None:
    assert a.shape == b.shape
    assert np.abs(a.astype(float) - b.astype(float)).mean() <= tolerance


def rejected(data: bytes, **options: Any) -> ImageRejected:
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value


LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
}
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
}
FORMATS = LOSSLESS | LOSSY


@pytest.mark.parametrize("format", FORMATS)
def test_format(format: str) -> None:
    data = encoded(picture(), format, **FORMATS[format])
    image = decode(data)
    assert (image.format, image.width, image.height) == (format, 96, 64)
    assert image.bytes == len(data)
    assert image.alpha is None
    assert image.taken_at is None
    assert_near(image.pixels, np.asarray(picture()), 0 if format in LOSSLESS else 4)


def test_mpo_is_a_jpeg() -> None:
    data = encoded(picture(), "MPO", save_all=True, append_images=[photo(96, 64)], quality=95)
    assert decode(data).format == "JPEG"
    assert_near(decode(data).pixels, np.asarray(picture()), 4)


# How a camera held that way stores an upright picture: EXIF 2.32, tag 274.
STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_once(format: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = picture() if turn is None else picture().transpose(turn)
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = orientation
    image = decode(encoded(stored, format, exif=exif.tobytes(), **FORMATS[format]))
    assert (image.width, image.height) == (96, 64)
    assert_near(image.pixels, np.asarray(picture()), 4)


def test_heif_is_turned_by_its_container_alone() -> None:
    """ISO/IEC 23008-12: what EXIF says of the orientation is for information only."""
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = 6
    data = encoded(picture(), "HEIF", exif=exif, quality=95)
    assert b"irot" not in data
    assert_near(decode(data).pixels, np.asarray(picture()), 4)


def test_orientation_of_real_photos(data: Path) -> None:
    """The same scene, stored upside down and on its side."""
    down, side = (
        decode((data / "evil" / "files" / f"exif_orientation_{n}.jpg").read_bytes()) for n in (3, 8)
    )
    assert_near(down.pixels, side.pixels, 3)


@pytest.mark.parametrize(
    ("stamp", "offset", "taken_at"),
    [
        ("2024:05:01 10:20:30", None, "2024-05-01T10:20:30Z"),
        ("2024:05:01 10:20:30", "+02:00", "2024-05-01T10:20:30+02:00"),
        ("2024:05:01 10:20:30", "nonsense", "2024-05-01T10:20:30Z"),
        ("0000:00:00 00:00:00", None, None),
        ("2024:05:01", None, None),
        ("    :  :     :  :  ", "+02:00", None),
        (None, "+02:00", None),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "HEIF"])
def test_taken_at(format: str, stamp: str | None, offset: str | None, taken_at: str | None) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Make] = "Camera"
    tags = {Base.DateTimeOriginal: stamp, Base.OffsetTimeOriginal: offset}
    exif.get_ifd(IFD.Exif).update({tag: value for tag, value in tags.items() if value})
    assert decode(encoded(picture(), format, exif=exif.tobytes())).taken_at == taken_at


def test_garbage_in_exif_is_no_reason_to_refuse() -> None:
    image = decode(encoded(picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff rubbish"))
    assert image.taken_at is None


# --- color -----------------------------------------------------------------------------------


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged."""
    profile = srgb_profile()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_profile_is_converted_to_srgb(format: str) -> None:
    data = encoded(picture(), format, icc_profile=swapped_profile(), **FORMATS[format])
    assert_near(decode(data).pixels, np.asarray(picture())[:, :, ::-1], 4)


def test_profile_survives_alpha_and_palette() -> None:
    clear = picture().convert("RGBA")
    clear.putpixel((0, 0), (9, 9, 9, 0))
    for im in (clear, picture().convert("P")):
        image = decode(encoded(im, "PNG", icc_profile=swapped_profile()))
        assert tuple(image.pixels[5, 5]) == (0, 0, 255)


def nearly_srgb_profile() -> bytes:
    """sRGB with a green a little off, as makers of profiles round it."""
    profile = bytearray(srgb_profile())
    entry = profile.index(b"gXYZ")
    x = int.from_bytes(profile[entry + 4 : entry + 8], "big") + 8
    profile[x : x + 4] = (int.from_bytes(profile[x : x + 4], "big") + 10).to_bytes(4, "big")
    return bytes(profile)


@pytest.mark.parametrize(
    "profile", [srgb_profile(), nearly_srgb_profile(), b"nonsense" * 40, swapped_profile()[:300]]
)
def test_srgb_and_broken_profiles_change_nothing(profile: bytes) -> None:
    colors = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(18, -1, 3)
    im = PIL.Image.fromarray(colors.astype(np.uint8))
    tagged = decode(encoded(im, "PNG", icc_profile=profile))
    assert np.array_equal(tagged.pixels, colors)


def test_grey_with_an_rgb_profile_stays_grey() -> None:
    image = decode(encoded(photo(300, 200).convert("L"), "JPEG", icc_profile=swapped_profile()))
    assert_near(image.pixels[:, :, 0], image.pixels[:, :, 2], 1)


def test_profile_that_does_not_fit_is_ignored() -> None:
    im = PIL.Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    image = decode(encoded(im, "TIFF", icc_profile=swapped_profile()))
    assert tuple(image.pixels[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format: str) -> None:
    image = decode(encoded(PIL.Image.new("CMYK", (32, 32), (0, 255, 255, 0)), format))
    assert_near(image.pixels, np.full((32, 32, 3), (255, 0, 0), np.uint8), 2)


@pytest.mark.parametrize("size", [32, 1024])
def test_lab(size: int) -> None:
    """CIELAB (54, 81, 70) under D50 is sRGB's red."""
    image = decode(encoded(PIL.Image.new("LAB", (size, size), (138, 209, 198)), "TIFF"))
    assert_near(image.pixels[:9, :9], np.full((9, 9, 3), (255, 0, 0), np.uint8), 5)


def test_bilevel() -> None:
    im = PIL.Image.fromarray(np.eye(40, dtype=bool))
    assert np.array_equal(decode(encoded(im, "PNG")).pixels[:, :, 1], np.eye(40) * 255)


# --- more than 8 bits -------------------------------------------------------------------------


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.arange(0, 65536, 16).astype(np.uint16).reshape(64, 64)
    expected = np.rint(ramp / 257)
    for format in ("PNG", "TIFF"):
        image = decode(encoded(PIL.Image.fromarray(ramp), format))
        assert np.array_equal(image.pixels[:, :, 0], expected)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.float32, [0, 0.5, 1], [0, 128, 255]),
        (np.float32, [0, 100, 255], [0, 100, 255]),
        (np.float32, [0, 25700, 65535], [0, 100, 255]),
        (np.float32, [-1, 0, 1], [0, 128, 255]),
        (np.float32, [5e6, 6e6, 7e6], [0, 128, 255]),
        (np.float32, [np.nan, 0.5, np.inf], [0, 128, 0]),
        (np.float32, [np.nan, -3, -2], [0, 0, 255]),
        (np.float32, [np.nan, np.nan, np.nan], [0, 0, 0]),
        (np.float32, [3e38, 3e38, 3e38], [0, 0, 0]),
        (np.int32, [0, 100, 255], [0, 100, 255]),
        (np.int32, [0, 25700, 65535], [0, 100, 255]),
        (np.int32, [-1000, 0, 1000], [0, 128, 255]),
        (np.int32, [0, 10**9, 2 * 10**9], [0, 128, 255]),
    ],
)
def test_32_bits(dtype: type, values: list[float], expected: list[int]) -> None:
    image = decode(encoded(PIL.Image.fromarray(np.array([values], dtype)), "TIFF"))
    assert image.pixels[0, :, 0].tolist() == expected


def tiff(bits: int, photometric: int, strip: bytes) -> bytes:
    """Two grey pixels as Pillow cannot write them."""
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: 1}
    tags[279] = len(strip)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + b"\0" * 4 + strip


def test_12_bits_and_white_is_zero() -> None:
    assert decode(tiff(12, 1, b"\xff\xf8\x00")).pixels[0, :, 0].tolist() == [255, 128]
    assert decode(tiff(16, 0, b"\0\0\xff\xff")).pixels[0, :, 0].tolist() == [255, 0]


# --- alpha ------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_hidden_color_is_white(format: str) -> None:
    pixels = np.full((64, 64, 4), (255, 0, 0, 0), np.uint8)
    pixels[:32] = (0, 0, 255, 255)
    image = decode(encoded(PIL.Image.fromarray(pixels), format, **FORMATS[format]))
    assert_near(image.pixels[40:], np.full((24, 64, 3), 255, np.uint8), 1)
    assert_near(image.pixels[:24], np.full((24, 64, 3), (0, 0, 255), np.uint8), 4)
    assert image.alpha is not None
    assert_near(image.alpha, pixels[:, :, 3], 1)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_alpha_of_every_mode(mode: str) -> None:
    im = PIL.Image.new("RGBA", (3, 1), (200, 200, 200, 0))
    im.putpixel((0, 0), (100, 100, 100, 255))
    im.putpixel((1, 0), (100, 100, 100, 51))
    im = im.convert("P").convert("PA") if mode == "PA" else im.convert(mode)
    image = decode(encoded(im, "TIFF"))
    assert image.alpha is not None
    assert image.alpha.tolist() == [[255, 51, 0]]
    assert_near(image.pixels[0, :, 0], np.array([100, 224, 255], np.uint8), 1)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_entry(format: str) -> None:
    im = picture().quantize(4)
    corner = im.getpixel((0, 0))
    image = decode(encoded(im, format, transparency=corner))
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [0] * 48 + [255] * 48
    assert tuple(image.pixels[0, 0]) == (255, 255, 255)
    assert tuple(image.pixels[0, 95]) == (0, 255, 0)


@pytest.mark.parametrize(("mode", "key"), [("1", 1), ("L", 10), ("RGB", (9, 8, 7))])
def test_transparent_color_key(mode: str, key: Any) -> None:
    im = PIL.Image.new(mode, (2, 1), key)
    im.putpixel((1, 0), 0 if mode != "RGB" else (0, 0, 0))
    image = decode(encoded(im, "PNG", transparency=key))
    assert image.alpha is not None
    assert image.alpha.tolist() == [[0, 255]]
    assert image.pixels[0].tolist() == [[255] * 3, [0] * 3]


def test_opaque_alpha_is_none() -> None:
    image = decode(encoded(picture().convert("RGBA"), "PNG"))
    assert image.alpha is None
    assert np.array_equal(image.pixels, np.asarray(picture()))


def test_shrinking_does_not_mix_in_hidden_color() -> None:
    pixels = np.full((1024, 1024, 4), (255, 0, 0, 0), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = (0, 0, 255, 255)
    image = decode(encoded(PIL.Image.fromarray(pixels), "PNG"))
    assert image.pixels.shape == (256, 256, 3)
    assert_near(image.pixels, np.full((256, 256, 3), (127, 127, 255), np.uint8), 2)


# --- animations, size -------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_only(format: str) -> None:
    frames = [PIL.Image.new("RGB", (64, 64), color) for color in ("red", "lime", "blue")]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
    assert_near(decode(data).pixels, np.full((64, 64, 3), (255, 0, 0), np.uint8), 3)


def test_small_photo_is_left_alone() -> None:
    data = encoded(photo(511, 400), "JPEG")
    with PIL.Image.open(BytesIO(data)) as im:
        assert np.array_equal(decode(data, side=256).pixels, np.asarray(im))


@pytest.mark.parametrize("side", [64, 256, 500])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_photo_is_shrunk_by_a_whole_factor(format: str, side: int) -> None:
    image = decode(large_photo(format), side=side)
    rows, columns, _ = image.pixels.shape
    assert side <= min(rows, columns) < 2 * side
    assert (image.width, image.height) == (4000, 3000)
    factor = next(n for n in range(1, 3000) if (-(-3000 // n), -(-4000 // n)) == (rows, columns))
    whole = (3000 // factor, 4000 // factor)  # blocks; those at the far edges may be smaller
    with PIL.Image.open(BytesIO(large_photo(format))) as im:
        box = (0, 0, whole[1] * factor, whole[0] * factor)
        expected = im.resize(whole[::-1], PIL.Image.Resampling.BOX, box)
    assert_near(image.pixels[: whole[0], : whole[1]], np.asarray(expected), 2)


@cache
def large_photo(format: str) -> bytes:
    """12 Mpx."""
    options = {"compress_level": 1} if format == "PNG" else {}
    return encoded(photo(800, 600).resize((4000, 3000)), format, **options)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_shrinks(mode: str) -> None:
    im = PIL.Image.new(mode, (1100, 600), 0 if mode in ("1", "L", "P", "I;16", "I", "F") else None)
    image = decode(encoded(im, "TIFF"), side=100)
    assert image.pixels.shape == (100, 184, 3)


# --- limits -----------------------------------------------------------------------------------


def test_empty_and_unknown() -> None:
    assert rejected(b"").reason == Reason.EMPTY
    assert rejected(b"<svg/>").reason == Reason.UNSUPPORTED_FORMAT
    eps = encoded(picture(), "EPS")  # Pillow can read it, through Ghostscript
    assert rejected(eps).reason == Reason.UNSUPPORTED_FORMAT
    assert rejected(encoded(picture(), "ICO")).reason == Reason.UNSUPPORTED_FORMAT
    assert rejected(encoded(picture(), "JPEG2000")).reason == Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("format", FORMATS)
def test_limits_can_be_set(format: str) -> None:
    data = encoded(picture(96, 64), format)
    sizes: list[int] = []
    for limits, reason in (
        (DecodeLimits(pixels=96 * 64 - 1), Reason.TOO_LARGE),
        (DecodeLimits(pixels=10), Reason.TOO_LARGE),
        (DecodeLimits(bytes=len(data) - 1), Reason.TOO_LARGE),
        (DecodeLimits(aspect=1.4), Reason.EXTREME_ASPECT),
    ):
        assert rejected(data, limits=limits, before_load=sizes.append).reason == reason
    assert not sizes  # nothing was decoded
    just = DecodeLimits(pixels=96 * 64, bytes=len(data), aspect=1.5)
    decode(data, limits=just, before_load=sizes.append)
    assert sizes == [96 * 64]


def test_limit_above_pillows_own() -> None:
    """Pillow alone refuses 179 Mpx and more."""
    data = encoded(PIL.Image.new("1", (15000, 12000)), "PNG")
    before = PIL.Image.MAX_IMAGE_PIXELS
    assert rejected(data).reason == Reason.TOO_LARGE
    sizes: list[int] = []

    def stop(pixels: int) -> None:
        sizes.append(pixels)
        raise MemoryError

    assert (
        rejected(data, limits=DecodeLimits(pixels=10**9), before_load=stop).reason
        == Reason.TOO_LARGE
    )
    assert sizes == [180_000_000]
    assert before == PIL.Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_truncated(format: str) -> None:
    data = encoded(photo(200, 150), format)
    assert rejected(data[: len(data) * 2 // 3]).reason == Reason.TRUNCATED


def test_before_load_counts_what_will_be_held() -> None:
    sizes: list[int] = []
    decode(encoded(photo(2400, 1600), "JPEG"), side=200, before_load=sizes.append)
    decode(encoded(photo(2400, 1600), "JPEG", progressive=True), before_load=sizes.append)
    assert sizes == [300 * 200, 2400 * 1600]


def test_a_picture_can_be_postponed() -> None:
    def later(pixels: int) -> None:
        raise DecodeDeferred

    with pytest.raises(DecodeDeferred):
        decode(encoded(photo(200, 150), "JPEG"), before_load=later)


# --- thumbnails -------------------------------------------------------------------------------


def test_thumbnail() -> None:
    exif = PIL.Image.Exif()
    exif[Base.Artist] = "somebody"
    image: Image = decode(encoded(photo(600, 400), "JPEG", exif=exif, comment=b"secret"))
    with PIL.Image.open(BytesIO(encode_thumbnail(image.pixels, 150))) as im:
        assert (im.format, im.mode, im.size) == ("JPEG", "RGB", (150, 100))
        assert set(im.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        expected = photo(600, 400).resize((150, 100), PIL.Image.Resampling.BOX)
        assert_near(np.asarray(im), np.asarray(expected), 4)


def test_a_small_jpeg_is_its_own_thumbnail() -> None:
    data = encoded(photo(330, 220), "JPEG")
    assert thumbnail_of(decode(data), data, 320) == data


def exif_of(artist: str) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[Base.Artist] = artist
    return exif


@pytest.mark.parametrize(
    "data",
    [
        encoded(photo(330, 220), "JPEG", exif=exif_of("secret")),
        encoded(photo(330, 220), "JPEG", comment=b"secret"),
        encoded(photo(330, 220), "JPEG", icc_profile=b"secret" * 30),
        encoded(photo(330, 220), "JPEG") + b"secret",
        encoded(photo(330, 220), "JPEG", progressive=True, comment=b"secret"),
        encoded(photo(330, 220).convert("CMYK"), "JPEG", comment=b"secret"),
        encoded(photo(900, 600), "JPEG", comment=b"secret"),
        encoded(photo(330, 220), "PNG"),
    ],
    ids=["exif", "comment", "icc", "tail", "progressive", "cmyk", "large", "png"],
)
def test_a_thumbnail_holds_nothing_but_the_picture(data: bytes) -> None:
    made = thumbnail_of(decode(data), data, 320)
    assert b"secret" not in made
    with PIL.Image.open(BytesIO(made)) as im:
        assert im.mode == "RGB"
        assert max(im.size) <= 330
        assert set(im.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
