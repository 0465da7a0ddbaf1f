"""Pillow's codecs: their plug-ins, their settings and their errors."""

from __future__ import annotations

import importlib
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import PIL.Image

from lookalike.errors import ImageRejected, Reason
from lookalike.types import DecodeLimits

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

SUPPORTED = tuple(_PLUGINS)
"""The formats that can be decoded."""

_settings_lock = threading.Lock()


class DecodeDeferred(Exception):
    """Raised by a `before_load` callback to stop a picture from being decoded now."""


@lru_cache
def load_plugin(format: str) -> None:
    """Imports the plug-in of one format; Pillow itself would import all of them to find it."""
    plugin: Any = importlib.import_module(_PLUGINS[format])
    if format == "HEIF":
        plugin.register_heif_opener(
            thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
        )
    if format == "AVIF":
        plugin.DEFAULT_MAX_THREADS = 1  # by default one a core, each with memory of its own


@contextmanager
def pillow_settings(max_pixels: int) -> Iterator[None]:
    """Makes Pillow refuse pictures over the limit, before any plug-in allocates their pixels, and
    keeps it from printing warnings.

    Both settings belong to the whole process, so only one thread at a time has them.
    """
    with _settings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", PIL.Image.DecompressionBombWarning)
        before, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = before


@contextmanager
def codec_errors(format: str, limits: DecodeLimits) -> Iterator[None]:
    """Turns every exception of a codec into an `ImageRejected`."""
    try:
        yield
    except (ImageRejected, DecodeDeferred):
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
    """Classifies an error by its wording, since codecs distinguish errors by nothing else."""
    if "too large" in message:
        return Reason.TOO_LARGE
    if "truncated" in message or "end of file" in message:
        return Reason.TRUNCATED
    return Reason.CORRUPT
