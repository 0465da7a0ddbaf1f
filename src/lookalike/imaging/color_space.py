"""Color spaces: ICC profiles, CMYK, CIELAB, YCbCr and gray to sRGB."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import PIL.Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

_MAX_PROFILE_BYTES = 4 * 2**20
"""Larger profiles are ignored, as those in use stay in memory. Real ones reach 2 MiB."""

_SRGB_TOLERANCE = 2
"""Levels, of 255, by which rounding alone lets a profile differ from sRGB."""


def to_srgb(im: PIL.Image.Image, profile: bytes | None) -> PIL.Image.Image:
    """Converts a picture without alpha to sRGB: by its ICC profile if that is sound and fits the
    picture, otherwise by Pillow's plain conversion."""
    if profile and (conversion := _conversion(profile)):
        mode, transform = conversion
        if mode == im.mode or (mode, im.mode) in (("RGB", "L"), ("RGB", "YCbCr")):
            return transform.apply(_in_mode(im, mode))
    return _in_mode(im, "RGB")


def changes_colors(profile: bytes) -> bool:
    """Tells whether colors look different with this ICC profile and without it."""
    return _conversion(profile) is not None


def _in_mode(im: PIL.Image.Image, mode: str) -> PIL.Image.Image:
    return im if im.mode == mode else im.convert(mode)  # `convert` would copy


@lru_cache(maxsize=16)
def _conversion(profile: bytes) -> tuple[str, ImageCmsTransform] | None:
    """Returns the mode that a profile applies to and the transform to sRGB; None for a profile that
    is broken, or as good as sRGB."""
    from PIL import ImageCms  # takes 10 ms, and most pictures do without

    if len(profile) > _MAX_PROFILE_BYTES:
        return None
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}[source.profile.xcolor_space]
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        transform = ImageCms.ImageCmsTransform(source, srgb, mode, "RGB")
    except Exception:  # LittleCMS refused it: the picture is converted without its profile
        return None
    return None if mode == "RGB" and _is_srgb(transform) else (mode, transform)


def _is_srgb(transform: ImageCmsTransform) -> bool:
    """Tells whether a transform from RGB changes no color visibly."""
    levels = np.arange(0, 256, 15).astype(np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = np.asarray(transform.apply(PIL.Image.fromarray(cube)), np.int16)
    return bool(np.abs(converted - cube).max() <= _SRGB_TOLERANCE)
