"""Pictures for the tests of descriptors, and their vectors."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import PIL.ImageColor
from numpy.typing import NDArray

from lookalike.protocols import Descriptor
from lookalike.types import Image, Pixels, Vector

Rgb = tuple[int, int, int]


WHITE, RED, NAVY, WOOD = (255, 255, 255), (200, 30, 40), (25, 30, 80), (196, 160, 120)


def image(pixels: Pixels, alpha: NDArray[np.uint8] | None = None) -> Image:
    height, width = pixels.shape[:2]
    return Image(pixels, alpha, width, height, "PNG", "", 0, None)


def vector(
    descriptor: Descriptor, pixels: Pixels, alpha: NDArray[np.uint8] | None = None
) -> Vector:
    row: Vector = descriptor.describe([image(pixels, alpha)]).vectors[0]
    return row


def flat(color: Rgb, height: int = 200, width: int = 160) -> Pixels:
    return np.full((height, width, 3), color, np.uint8)


def shirt(color: Rgb, background: Rgb) -> Pixels:
    """A plain shirt in the center, with the noise of a camera."""
    pixels = flat(background)
    pixels[40:160, 50:110] = color
    pixels[40:75, 25:135] = color
    noise = np.random.default_rng(1).normal(0, 3, pixels.shape)
    return np.asarray(np.clip(pixels + noise, 0, 255), np.uint8)


def scene(seed: int) -> Pixels:
    """Smooth blobs of color with a fine pattern, different for every seed."""
    rng = np.random.default_rng(seed)
    blobs = cv2.resize(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8), (160, 200))
    weave = (np.indices((200, 160)).sum(axis=0) // int(rng.integers(2, 6)) % 2 * 40)[..., None]
    return np.asarray(np.clip(blobs.astype(int) + weave - 20, 0, 255), np.uint8)


def stripes(period: int, dark: Rgb, light: Rgb) -> Pixels:
    on = np.indices((200, 160))[0] // period % 2
    return np.where(on[..., None] > 0, np.array(light), np.array(dark)).astype(np.uint8)


def jpeg(pixels: Pixels) -> Pixels:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return np.asarray(PIL.Image.open(buffer))


def cropped(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[height // 50 :, width // 50 :]


def mirrored(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


def sample(data: Path, count: int) -> list[Pixels]:
    """Photos of the catalog, evenly picked."""
    files = sorted((data / "catalog" / "images").rglob("*.jpg"))
    step = len(files) // count
    return [np.asarray(PIL.Image.open(file).convert("RGB")) for file in files[::step][:count]]


def rgb(name: str) -> Rgb:
    red, green, blue = PIL.ImageColor.getrgb(name)[:3]
    return red, green, blue
