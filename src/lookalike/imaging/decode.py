"""The only decoder in the project: bytes to upright sRGB pixels. Its policy is `docs/images.md`.

A hostile file can crash or hang a codec. Programs therefore decode through
`workers.pool.DecoderPool`, which calls `decode` in child processes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.bit_depth import to_8_bits
from lookalike.imaging.camera_raw import check_pixels, develop
from lookalike.imaging.codecs import (
    SUPPORTED,
    DecodeDeferred,
    codec_errors,
    load_plugin,
    pillow_settings,
)
from lookalike.imaging.color_space import to_srgb
from lookalike.imaging.contents import facts_of
from lookalike.imaging.exif import read_exif, read_tiff_exif, swaps_sides, turn_upright
from lookalike.imaging.formats import CAMERA_RAW, check_not_truncated, image_format
from lookalike.imaging.jpeg import with_end, zeros_hide_a_cut
from lookalike.imaging.tiff import first_page
from lookalike.types import DecodeLimits, FileFacts, Image, Pixels

_LACKS_END = "its last bytes are missing, but the picture is whole"

_WITH_ALPHA = "LA", "La", "RGBA", "RGBa"

__all__ = ["DecodeDeferred", "check_size", "decode"]


def decode(
    data: bytes,
    *,
    side: int = 256,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008  frozen
    before_load: Callable[[int], object] = lambda pixels: None,
) -> Image:
    """Decodes one picture in this process. Threads take turns; for many pictures use `DecoderPool`.

    Args:
        data: content of the file.
        side: pixels. A picture whose shorter side has twice as many or more is shrunk by a whole
            factor, so that its shorter side ends in [side, 2 x side).
        limits: all are enforced but `seconds`, which needs a `DecoderPool`.
        before_load: called with the number of pixels about to be held in memory, after every
            check of the header and before anything is decoded. It may raise `DecodeDeferred`.

    Raises:
        ImageRejected: the picture cannot be decoded. No other exception is raised for a bad file.
    """
    check_size(len(data), limits)
    format = image_format(data)
    if format is None:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT, f"the content is none of {', '.join(SUPPORTED)}"
        )
    check_not_truncated(data, format)
    if format == CAMERA_RAW:
        return _decode_raw(data, side, limits, before_load)
    if format == "JPEG":
        return _decode_jpeg(data, side, limits, before_load)
    return _decode(data, format, side, limits, before_load)


def _decode_jpeg(
    data: bytes, side: int, limits: DecodeLimits, before_load: Callable[[int], object]
) -> Image:
    if not zeros_hide_a_cut(data, limits, before_load):
        try:
            return _decode(data, "JPEG", side, limits, before_load)
        except ImageRejected as rejected:
            if rejected.reason is not Reason.TRUNCATED:
                raise
    whole = with_end(data, limits, before_load)
    if whole is None:
        raise ImageRejected(Reason.TRUNCATED, "the end of the picture is missing")
    image = _decode(whole, "JPEG", side, limits, before_load)
    return replace(image, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), note=_LACKS_END)


def _decode(
    data: bytes,
    format: str,
    side: int,
    limits: DecodeLimits,
    before_load: Callable[[int], object],
) -> Image:
    with codec_errors(format, limits), pillow_settings(limits.pixels):
        load_plugin(format)
        with PIL.Image.open(
            BytesIO(first_page(data) if format == "TIFF" else data), formats=[format]
        ) as stored:
            width, height = stored.size
            check_pixels(width, height, limits)
            if format == "JPEG":  # a HEIF draft is its thumbnail, which may show something else
                stored.draft(None, (side, side))
            before_load(_pixels_in_memory(stored, width * height))
            stored.load()
            exif = read_exif(stored)
            profile = stored.info.get("icc_profile")
            full = to_8_bits(stored)
            facts = facts_of(
                data, format, stored, alpha=_has_alpha(full), camera_metadata=exif.camera
            )
            small = _shrink(full, side)
        if swaps_sides(exif.orientation):
            width, height = height, width
        pixels, alpha = _composite(turn_upright(small, exif.orientation), profile)
    return Image(
        pixels=pixels,
        alpha=alpha,
        width=width,
        height=height,
        format=format,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        taken_at=exif.taken_at,
        gps=exif.gps,
        facts=facts,
    )


def _decode_raw(
    data: bytes, side: int, limits: DecodeLimits, before_load: Callable[[int], object]
) -> Image:
    raw = develop(data, side=side, limits=limits, before_load=before_load)
    if raw.pixels is None:
        try:
            preview = decode(raw.jpeg, side=side, limits=limits, before_load=before_load)
            pixels, taken_at, gps = preview.pixels, preview.taken_at, preview.gps
        except ImageRejected:  # broken: the data of the sensor may still be sound
            raw = develop(data, side=side, limits=limits, before_load=before_load, previews=False)
    if raw.pixels is not None:
        pixels, taken_at, gps = raw.pixels, None, None
    small = _shrink(PIL.Image.fromarray(pixels), side)
    with pillow_settings(limits.pixels):
        exif = read_tiff_exif(data)
    return Image(
        pixels=np.asarray(turn_upright(small, raw.orientation)),
        alpha=None,
        width=raw.width,
        height=raw.height,
        format=CAMERA_RAW,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        taken_at=exif.taken_at or taken_at,
        gps=exif.gps or gps,
        facts=FileFacts(bit_depth=raw.bit_depth, camera_raw=True, camera_metadata=True),
    )


def check_size(size: int, limits: DecodeLimits) -> None:
    """Checks the number of bytes of a file.

    Raises:
        ImageRejected: `empty` or `too_large`.
    """
    if not size:
        raise ImageRejected(Reason.EMPTY, "the file has no bytes")
    if size > limits.bytes:
        raise ImageRejected(
            Reason.TOO_LARGE, f"{size:,} bytes, more than the limit of {limits.bytes:,}"
        )


def _pixels_in_memory(stored: PIL.Image.Image, full: int) -> int:
    """Returns the number of pixels that loading will hold, given the number of the full picture. A
    progressive JPEG keeps the coefficients of all of them, even as a draft."""
    return full if "progressive" in stored.info else stored.width * stored.height


def _shrink(im: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Averages whole blocks of pixels. Transparent pixels do not count."""
    factor = min(im.size) // side
    return im.reduce(factor) if factor > 1 else im


def _has_alpha(im: PIL.Image.Image) -> bool:
    """Tells whether any pixel is not opaque, also one that shrinking would hide."""
    return im.mode in _WITH_ALPHA and im.getchannel(im.mode[-1]).getextrema() != (255, 255)


def _composite(
    im: PIL.Image.Image, profile: bytes | None
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """Returns the picture in sRGB on white, and its alpha unless it is opaque everywhere."""
    if im.mode in ("La", "RGBa"):
        im = im.convert(im.mode.upper())
    if im.mode not in ("LA", "RGBA"):
        return np.asarray(to_srgb(im, profile)), None
    alpha = im.getchannel("A")
    colors = to_srgb(im.convert(im.mode[:-1]), profile)
    if alpha.getextrema() == (255, 255):
        return np.asarray(colors), None
    page = PIL.Image.new("RGB", im.size, "white")
    page.paste(colors, mask=alpha)
    return np.asarray(page), np.asarray(alpha)
