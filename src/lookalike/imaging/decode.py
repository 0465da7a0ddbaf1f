"""Bytes to upright sRGB pixels: the only decoder in the project. `docs/images.md` is its policy.

A hostile file can crash or hang a codec, so programs decode through `decoders.DecoderPool`, which
calls `decode` in child processes.
"""

from __future__ import annotations

import hashlib
import importlib
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.ExifTags import IFD, Base
from PIL.Image import Transpose

from lookalike.errors import ImageRejected, Reason
from lookalike.system.times import format_datetime
from lookalike.types import DecodeLimits, Image, Pixels

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

from lookalike.imaging.formats import _check_whole, format_of

_PLUGINS = {
    "JPEG": "PIL.JpegImagePlugin",
    "PNG": "PIL.PngImagePlugin",
    "WEBP": "PIL.WebPImagePlugin",
    "GIF": "PIL.GifImagePlugin",
    "BMP": "PIL.BmpImagePlugin",
    "TIFF": "PIL.TiffImagePlugin",
    "AVIF": "PIL.AvifImagePlugin",
    "HEIF": "pillow_heif",
}

_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

_PROFILE_BYTES = 4 * 2**20  # real profiles reach 2 MiB; a cached one stays in memory
_NEARLY_SRGB = 2  # of 255: what rounding makes of a profile that is sRGB in all but name
_STRIP = 2**20  # pixels converted at a time, so that no second full-size bitmap is needed

_one_picture = threading.Lock()


class Postponed(Exception):
    """What `before_load` raises where a picture is not to be decoded now."""


def decode(
    data: bytes,
    *,
    side: int = 256,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008  frozen
    before_load: Callable[[int], object] = lambda pixels: None,
) -> Image:
    """Decodes one picture in this process, one at a time: `DecoderPool` is for many.

    Args:
        side: pixels; where the shorter side has twice that or more, the picture is shrunk by a
            whole factor, its shorter side ending in [side, 2 x side).
        limits: what to refuse, all but `seconds`, which needs a `DecoderPool`.
        before_load: called with the number of pixels about to be held in memory, after every
            check of the header and before anything is decoded. It may raise `Postponed`.

    Raises:
        ImageRejected: for whatever reason the bytes do not make a picture; nothing else.
    """
    check_size(len(data), limits)
    format = format_of(data)
    if format is None:
        raise ImageRejected(
            Reason.UNSUPPORTED_FORMAT, f"the content is none of {', '.join(_PLUGINS)}"
        )
    _check_whole(data, format)
    with _refusals(format, limits), _pillow(limits.pixels):
        _register(format)
        with PIL.Image.open(BytesIO(data), formats=[format]) as stored:
            width, height = stored.size
            if max(width, height) > limits.aspect * min(width, height):
                raise ImageRejected(
                    Reason.EXTREME_ASPECT, f"{width} x {height} pixels, beyond {limits.aspect:g}:1"
                )
            if format == "JPEG":  # only here: a HEIF draft is a thumbnail, maybe of something else
                stored.draft(None, (side, side))
            # A progressive JPEG keeps the coefficients of the whole picture, drafted or not.
            drafted = stored.width * stored.height
            before_load(width * height if "progressive" in stored.info else drafted)
            stored.load()
            orientation, taken_at = _exif(stored)
            profile = stored.info.get("icc_profile")
            small = _shrunk(_plain(stored), side)
        upright = small.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else small
        if orientation >= 5:
            width, height = height, width
        pixels, alpha = _composited(upright, profile)
    return Image(
        pixels=pixels,
        alpha=alpha,
        width=width,
        height=height,
        format=format,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        taken_at=taken_at,
    )


def check_size(size: int, limits: DecodeLimits) -> None:
    """Refuses what needs no look inside, by the number of bytes.

    Raises:
        ImageRejected: `empty` or `too_large`.
    """
    if not size:
        raise ImageRejected(Reason.EMPTY, "the file has no bytes")
    if size > limits.bytes:
        raise ImageRejected(
            Reason.TOO_LARGE, f"{size:,} bytes, more than the limit of {limits.bytes:,}"
        )


@lru_cache
def _register(format: str) -> None:
    """Imports one plug-in; Pillow itself would import all of them to find it."""
    plugin: Any = importlib.import_module(_PLUGINS[format])
    if format == "HEIF":
        plugin.register_heif_opener(
            thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
        )
    if format == "AVIF":
        plugin.DEFAULT_MAX_THREADS = 1  # as many as cores would each need memory


@contextmanager
def _pillow(pixels: int) -> Iterator[None]:
    """Pillow without a word on standard error, and with our limit as its own.

    Both settings are the whole process's, hence one picture at a time. With our limit in place
    Pillow refuses too many pixels before any plug-in allocates them.
    """
    with _one_picture, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, pixels
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before


@contextmanager
def _refusals(format: str, limits: DecodeLimits) -> Iterator[None]:
    """WriteLock whatever a codec throws into an `ImageRejected`."""
    try:
        yield
    except (ImageRejected, Postponed):
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning):
        detail = f"more pixels than the limit of {limits.pixels:,}"
        raise ImageRejected(Reason.TOO_LARGE, detail) from None
    except MemoryError:
        raise ImageRejected(Reason.TOO_LARGE, "not enough memory to decode it") from None
    except PIL.UnidentifiedImageError:
        raise ImageRejected(Reason.CORRUPT, f"not a readable {format}") from None
    except Exception as error:
        detail = " ".join(str(error).split())[:120] or type(error).__name__
        raise ImageRejected(_reason(detail.lower()), detail) from None


def _reason(message: str) -> Reason:
    """Codecs tell their failures apart by wording only."""
    if "too large" in message:
        return Reason.TOO_LARGE
    if "truncated" in message or "end of file" in message:
        return Reason.TRUNCATED
    return Reason.CORRUPT


# --- what EXIF says ---------------------------------------------------------------------------


def _exif(stored: PIL.Image.Image) -> tuple[int, str | None]:
    """(orientation still to be undone, when it was taken) of a loaded picture.

    Loading a TIFF turns it upright and pillow_heif does so too; both then report orientation 1.
    """
    orientation, taken_at = 1, None
    with suppress(Exception):  # garbage in EXIF is no reason to refuse the picture
        exif = stored.getexif()
        stated = exif.get(Base.Orientation)
        orientation = stated if stated in _UPRIGHT else 1
        taken_at = _rfc3339(exif.get_ifd(IFD.Exif))
    return orientation, taken_at


def _rfc3339(exif: dict[int, object]) -> str | None:
    """EXIF's "2024:05:01 10:00:00", in UTC where no offset is given: cameras rarely know."""
    stamp = str(exif.get(Base.DateTimeOriginal, "")).strip("\0 ")
    offset = str(exif.get(Base.OffsetTimeOriginal, "")).strip("\0 ")
    if len(stamp) != len("2024:05:01 10:00:00"):
        return None
    try:
        taken = datetime.fromisoformat(stamp.replace(":", "-", 2))
    except ValueError:
        return None
    with suppress(ValueError):  # an offset that makes no sense counts as none
        taken = datetime.fromisoformat(f"{taken.isoformat()}{offset}")
    return format_datetime(taken)


# --- pixels -----------------------------------------------------------------------------------


def _plain(im: PIL.Image.Image) -> PIL.Image.Image:
    """The same picture in a mode that can be averaged: 8 bits, no palette, no color key."""
    if im.mode[0] in "IF":
        return _scaled(im)
    if im.mode in ("P", "PA"):
        return im.convert("RGBA" if im.has_transparency_data else "RGB")
    if "transparency" in im.info and im.mode in ("1", "L", "RGB"):
        return im.convert("RGBA" if im.mode == "RGB" else "LA")
    return im.convert("L") if im.mode == "1" else im


def _scaled(im: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit, 32-bit or float grey in 8 bits: scaled, never clipped; NaN and infinity black."""
    black, white = _range(im)
    scale = 255 / (white - black) if white != black else 0.0
    grey = np.empty((im.height, im.width), np.uint8)
    top = 0
    for strip in _strips(im):
        known = np.where(np.isfinite(strip), strip, black)
        grey[top : top + len(strip)] = np.rint((known - black) * scale)
        top += len(strip)
    return PIL.Image.fromarray(grey)


def _range(im: PIL.Image.Image) -> tuple[float, float]:
    """The values that become black and white: the natural range if it fits, else the extremes."""
    tags = getattr(im, "tag_v2", {})
    if im.mode.startswith("I;16"):
        low, high = 0.0, 2.0 ** tags.get(Base.BitsPerSample, (16,))[0] - 1  # a TIFF may have 12
    else:
        low, high = _extremes(im)
        natural = (1.0, 255.0, 65535.0) if im.mode == "F" else (255.0, 65535.0)
        if low >= 0 and high <= natural[-1]:
            low, high = 0.0, next(top for top in natural if high <= top)
    if tags.get(Base.PhotometricInterpretation) == 0:  # "white is zero", which Pillow leaves to us
        return high, low
    return low, high


def _extremes(im: PIL.Image.Image) -> tuple[float, float]:
    """The least and the greatest finite value."""
    finite = (strip[np.isfinite(strip)] for strip in _strips(im))
    found = [(float(values.min()), float(values.max())) for values in finite if values.size]
    lows, highs = zip(*found, strict=True) if found else ((0.0,), (0.0,))
    return min(lows), max(highs)


def _strips(im: PIL.Image.Image) -> Iterator[NDArray[np.float64]]:
    """The rows of a one-channel picture, a strip at a time."""
    rows = max(1, _STRIP // im.width)
    for top in range(0, im.height, rows):
        strip = im.crop((0, top, im.width, min(top + rows, im.height)))
        yield np.asarray(strip, np.float64)


def _shrunk(im: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Averages whole blocks; transparent pixels do not count."""
    factor = min(im.size) // side
    return im.reduce(factor) if factor > 1 else im


def _composited(
    im: PIL.Image.Image, profile: bytes | None
) -> tuple[Pixels, NDArray[np.uint8] | None]:
    """sRGB on white, and the alpha where the picture is not opaque everywhere."""
    if im.mode in ("La", "RGBa"):
        im = im.convert(im.mode.upper())
    if im.mode not in ("LA", "RGBA"):
        return np.asarray(_srgb(im, profile)), None
    alpha = im.getchannel("A")
    colors = _srgb(im.convert(im.mode[:-1]), profile)
    if alpha.getextrema() == (255, 255):
        return np.asarray(colors), None
    page = PIL.Image.new("RGB", im.size, "white")
    page.paste(colors, mask=alpha)
    return np.asarray(page), np.asarray(alpha)


def _srgb(im: PIL.Image.Image, profile: bytes | None) -> PIL.Image.Image:
    """Converts colors by the file's profile if it has a sound one that fits, else plainly."""
    if profile and (found := _to_srgb(profile)):
        space, transform = found
        if space == im.mode or (space, im.mode) in (("RGB", "L"), ("RGB", "YCbCr")):
            return transform.apply(_in_mode(im, space))
    return _in_mode(im, "RGB")


def _in_mode(im: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    return im if im.mode == mode else im.convert(mode)  # `convert` would copy


@lru_cache(maxsize=16)
def _to_srgb(profile: bytes) -> tuple[str, ImageCmsTransform] | None:
    """(mode it takes, transform), or None for a profile that is broken or as good as sRGB."""
    from PIL import ImageCms  # costs 10 ms that most pictures need not pay

    if len(profile) > _PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space]
        transform = ImageCms.ImageCmsTransform(
            source, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), space, "RGB"
        )
    except Exception:  # any failure of the color engine: the picture does without
        return None
    if space == "RGB":
        levels = np.arange(0, 256, 15).astype(np.uint8)
        cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
        converted = np.asarray(transform.apply(PIL.Image.fromarray(cube)), np.int16)
        if np.abs(converted - cube).max() <= _NEARLY_SRGB:
            return None
    return space, transform
