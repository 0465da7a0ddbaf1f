"""Edited copies of a picture, as phones, messengers and shops make them, to test the search for
near-duplicates.

A transform takes a picture and a random generator and returns an encoded file. The percentage of a
crop is the share of the area that is cut off, at random from all four sides. Edited pictures are
saved as JPEG at quality 85, unless the transform is about the encoding itself.

Nearly every copy by a "mild" transform must be found. "hard" transforms are larger crops, and
rotations by angles other than multiples of 90°.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageEnhance
import PIL.ImageFilter
import PIL.ImageFont
import PIL.ImageOps
from PIL.ExifTags import Base
from PIL.Image import Resampling, Transpose

Picture = PIL.Image.Image
Generator = np.random.Generator
Make = Callable[[Picture, Generator], bytes]
Change = Callable[[Picture, Generator], Picture]


@dataclass(frozen=True, slots=True)
class Transform:
    name: str
    group: Literal["mild", "hard"]
    make: Make

    def __call__(self, picture: Picture, seed: int) -> bytes:
        """Returns the transformed file, which is the same for the same seed.

        Args:
            picture: as returned by `PIL.Image.open`, as one transform rewrites the file itself.
            seed: seed of the random choices.
        """
        return self.make(picture, np.random.default_rng([zlib.crc32(self.name.encode()), seed]))


# --- encoding ---------------------------------------------------------------------------------


def encoded(picture: Picture, format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def saved(format: str = "JPEG", **options: Any) -> Make:
    return lambda picture, rng: encoded(picture.convert("RGB"), format, **options)


def changed(*changes: Change, quality: int = 85) -> Make:
    """Applies changes one after the other and saves as JPEG."""

    def make(picture: Picture, rng: Generator) -> bytes:
        picture = picture.convert("RGB")
        for change in changes:
            picture = change(picture, rng)
        return encoded(picture, quality=quality)

    return make


def other_metadata(picture: Picture, rng: Generator) -> bytes:
    """Gives a JPEG file other metadata and leaves its pixels alone."""
    data = Path(getattr(picture, "filename")).read_bytes()  # noqa: B009  files only, untyped
    exif = PIL.Image.Exif()
    exif[Base.Make], exif[Base.ImageDescription] = "Edited", f"copy {rng.integers(10**6)}"
    payload = exif.tobytes()
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    after = 2  # the start-of-image marker
    if data[2:4] == b"\xff\xe0":  # JFIF must come first
        after = 4 + int.from_bytes(data[4:6], "big")
    return data[:after] + segment + data[after:]


def turned_by_exif(picture: Picture, rng: Generator) -> bytes:
    """Stores the picture on its side with an EXIF orientation, as phones do; it looks the same."""
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = 6
    lying = picture.convert("RGB").transpose(Transpose.ROTATE_90)
    return encoded(lying, quality=90, exif=exif)


def chat_screenshot(picture: Picture, rng: Generator) -> bytes:
    """Draws a phone's screen, 540 x 1170, with the picture as wide as the screen, bars and text."""
    picture = picture.convert("RGB")
    dark = rng.random() < 0.5
    paper, ink, bar = (
        ((18, 18, 20), (230, 230, 230), (38, 38, 42))
        if dark
        else ((255, 255, 255), (20, 20, 20), (242, 242, 247))
    )
    screen = PIL.Image.new("RGB", (540, 1170), paper)
    draw = PIL.ImageDraw.Draw(screen)
    draw.rectangle((0, 0, 540, 120), bar)
    draw.text((28, 14), f"{rng.integers(24)}:{rng.integers(10, 60)}", ink, _font(24))
    draw.rounded_rectangle((460, 18, 510, 40), 6, outline=ink, width=2)
    draw.text((70, 68), "‹  Photos", ink, _font(30))
    draw.ellipse((470, 60, 518, 108), (90, 140, 220))
    shown = PIL.ImageOps.contain(picture, (540, 800), Resampling.BICUBIC)
    top = 130 + int(rng.integers(0, 820 - shown.height))
    screen.paste(shown, ((540 - shown.width) // 2, top))
    below = top + shown.height + 16
    draw.text((24, below), "128 likes   12 comments", ink, _font(24))
    draw.text((24, below + 40), "Found this one again, what do you think?", ink, _font(22))
    draw.rectangle((0, 1070, 540, 1170), bar)
    for place in range(5):
        draw.ellipse((42 + place * 104, 1094, 82 + place * 104, 1134), outline=ink, width=3)
    return encoded(screen, "PNG")


# --- geometry ---------------------------------------------------------------------------------


def cropped(lost: float) -> Change:
    """Cuts off a share of the area, divided between width and height and positioned at random."""

    def change(picture: Picture, rng: Generator) -> Picture:
        split = rng.random()
        width = max(1, round(picture.width * (1 - lost) ** split))
        height = max(1, round(picture.height * (1 - lost) ** (1 - split)))
        left = int(rng.integers(picture.width - width + 1))
        top = int(rng.integers(picture.height - height + 1))
        return picture.crop((left, top, left + width, top + height))

    return change


def scaled(factor: float) -> Change:
    def change(picture: Picture, rng: Generator) -> Picture:
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        return picture.resize(size, Resampling.BICUBIC)

    return change


def transposed(method: Transpose) -> Change:
    return lambda picture, rng: picture.transpose(method)


def tilted(*, inside: bool) -> Change:
    """Rotates by 1-5° either way, on a plain ground or cropped to the picture inside of it."""

    def change(picture: Picture, rng: Generator) -> Picture:
        angle = float(rng.uniform(1, 5) * rng.choice((-1, 1)))
        ground = ((0, 0, 0), (255, 255, 255), (128, 128, 128))[rng.integers(3)]
        turned = picture.rotate(angle, Resampling.BICUBIC, expand=not inside, fillcolor=ground)
        return _within(turned, abs(np.radians(angle))) if inside else turned

    return change


def _within(turned: Picture, angle: float) -> Picture:
    """Crops to the largest centered rectangle of the old proportions without any ground."""
    width, height = turned.size
    long, short = max(width, height), min(width, height)
    factor = short / (long * np.sin(angle) + short * np.cos(angle))
    left, top = (int(np.ceil(side * (1 - factor) / 2)) + 1 for side in (width, height))
    return turned.crop((left, top, width - left, height - top))


def framed(picture: Picture, rng: Generator) -> Picture:
    """Adds a frame of one color, 3-10 % of the shorter side wide."""
    width = round(min(picture.size) * rng.uniform(0.03, 0.10))
    color = tuple(int(c) for c in rng.integers(0, 256, 3))
    return PIL.ImageOps.expand(picture, width, color)


def squared(picture: Picture, rng: Generator) -> Picture:
    """Puts the picture on a white or black square, as shops and social networks require."""
    side = max(picture.size)
    return PIL.ImageOps.pad(picture, (side, side), color=("white", "black")[rng.integers(2)])


# --- color and light -------------------------------------------------------------------------


def _either(rng: Generator, low: tuple[float, float], high: tuple[float, float]) -> float:
    return float(rng.uniform(*(low if rng.random() < 0.5 else high)))


def brightened(picture: Picture, rng: Generator) -> Picture:
    return PIL.ImageEnhance.Brightness(picture).enhance(_either(rng, (0.55, 0.8), (1.2, 1.5)))


def contrasted(picture: Picture, rng: Generator) -> Picture:
    return PIL.ImageEnhance.Contrast(picture).enhance(_either(rng, (0.5, 0.75), (1.3, 1.8)))


def gamma_changed(picture: Picture, rng: Generator) -> Picture:
    gamma = _either(rng, (0.5, 0.75), (1.35, 2.0))
    return picture.point([round(255 * (v / 255) ** gamma) for v in range(256)] * 3)


def grey(picture: Picture, rng: Generator) -> Picture:
    return picture.convert("L")


def hue_shifted(picture: Picture, rng: Generator) -> Picture:
    """Shifts hues by 15-60°."""
    shift = round(_either(rng, (-60, -15), (15, 60)) * 256 / 360)
    hsv = np.array(picture.convert("HSV"))
    hsv[..., 0] = (hsv[..., 0].astype(int) + shift) % 256
    return PIL.Image.fromarray(hsv, "HSV").convert("RGB")


def retouched(picture: Picture, rng: Generator) -> Picture:
    """Applies a photo app's filter: a warm or cold tint, more saturation, dark corners."""
    picture = PIL.ImageEnhance.Color(picture).enhance(float(rng.uniform(1.1, 1.5)))
    warm = float(_either(rng, (-0.15, -0.05), (0.05, 0.15)))
    y, x = np.mgrid[-1 : 1 : picture.height * 1j, -1 : 1 : picture.width * 1j]
    light = (1 - 0.25 * (x * x + y * y))[..., None] * np.array((1 + warm, 1, 1 - warm))
    return PIL.Image.fromarray(np.clip(np.asarray(picture) * light, 0, 255).astype(np.uint8))


def blurred(picture: Picture, rng: Generator) -> Picture:
    """Blurs with a radius of 0.3-0.6 % of the longer side, as camera shake and upscaling do."""
    radius = max(picture.size) * float(rng.uniform(0.003, 0.006))
    return picture.filter(PIL.ImageFilter.GaussianBlur(radius))


def noisy(picture: Picture, rng: Generator) -> Picture:
    noise = rng.normal(0, rng.uniform(8, 16), (picture.height, picture.width, 3))
    return PIL.Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))


# --- overlays ---------------------------------------------------------------------------------


def _font(size: float) -> PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont:
    return PIL.ImageFont.load_default(size)


def captioned(picture: Picture, rng: Generator) -> Picture:
    """Writes white text with a black outline across the top or the bottom."""
    words = ("SOLD OUT", "NEW IN TODAY", "when it is monday", "50 % OFF NOW")[rng.integers(4)]
    size = picture.width / (0.62 * len(words))
    y = picture.height * (0.12 if rng.random() < 0.5 else 0.88)
    written = picture.copy()
    PIL.ImageDraw.Draw(written).text(
        (picture.width / 2, y),
        words,
        "white",
        _font(size),
        anchor="mm",
        stroke_width=max(1, round(size / 14)),
        stroke_fill="black",
    )
    return written


def watermarked(picture: Picture, rng: Generator) -> Picture:
    """Repeats a stock agency's name over the picture, slanted and half transparent."""
    side = max(picture.size) * 2
    sheet = PIL.Image.new("L", (side, side))
    draw = PIL.ImageDraw.Draw(sheet)
    size = max(picture.size) / 14
    for row in range(0, side, round(size * 4)):
        draw.text((size * (row % 3), row), "PHOTOSTOCK      " * 8, 90, _font(size))
    sheet = sheet.rotate(30, Resampling.BILINEAR)
    left, top = ((side - full) // 2 + int(rng.integers(40)) for full in picture.size)
    mask = sheet.crop((left, top, left + picture.width, top + picture.height))
    written = picture.copy()
    light = np.asarray(picture.convert("L")).mean() > 170
    written.paste((60, 60, 60) if light else (255, 255, 255), mask=mask)
    return written


def logo_added(picture: Picture, rng: Generator) -> Picture:
    """Puts an opaque badge into a corner, a fifth to a quarter of the shorter side wide."""
    side = round(min(picture.size) * rng.uniform(0.2, 0.25))
    badge = PIL.Image.new("RGBA", (side, side))
    draw = PIL.ImageDraw.Draw(badge)
    color = tuple(int(c) for c in rng.integers(0, 256, 3))
    draw.ellipse((0, 0, side - 1, side - 1), (*color, 255), "white", max(1, side // 20))
    draw.text((side / 2, side / 2), "AB", "white", _font(side * 0.45), anchor="mm")
    margin = side // 5
    left = margin if rng.random() < 0.5 else picture.width - side - margin
    top = margin if rng.random() < 0.5 else picture.height - side - margin
    stamped = picture.copy()
    stamped.paste(badge, (left, top), badge)
    return stamped


TRANSFORMS: tuple[Transform, ...] = (
    Transform("metadata", "mild", other_metadata),
    Transform("png", "mild", saved("PNG")),
    Transform("webp 75", "mild", saved("WEBP", quality=75)),
    Transform("jpeg 90", "mild", saved(quality=90)),
    Transform("jpeg 50", "mild", saved(quality=50)),
    Transform("jpeg 20", "mild", saved(quality=20)),
    Transform("resize 0.25", "mild", changed(scaled(0.25))),
    Transform("resize 0.5", "mild", changed(scaled(0.5))),
    Transform("resize 2", "mild", changed(scaled(2))),
    Transform("crop 2 %", "mild", changed(cropped(0.02))),
    Transform("crop 6 %", "mild", changed(cropped(0.06))),
    Transform("crop 10 %", "mild", changed(cropped(0.10))),
    Transform("crop 15 %", "hard", changed(cropped(0.15))),
    Transform("crop 25 %", "hard", changed(cropped(0.25))),
    Transform("border", "mild", changed(framed)),
    Transform("square", "mild", changed(squared)),
    Transform("screenshot", "mild", chat_screenshot),
    Transform("rotate 90", "mild", changed(transposed(Transpose.ROTATE_90))),
    Transform("rotate 180", "mild", changed(transposed(Transpose.ROTATE_180))),
    Transform("rotate 270", "mild", changed(transposed(Transpose.ROTATE_270))),
    Transform("exif turn", "mild", turned_by_exif),
    Transform("mirror", "mild", changed(transposed(Transpose.FLIP_LEFT_RIGHT))),
    Transform("tilt, filled", "hard", changed(tilted(inside=False))),
    Transform("tilt, cropped", "hard", changed(tilted(inside=True))),
    Transform("brightness", "mild", changed(brightened)),
    Transform("contrast", "mild", changed(contrasted)),
    Transform("gamma", "mild", changed(gamma_changed)),
    Transform("grey", "mild", changed(grey)),
    Transform("hue", "mild", changed(hue_shifted)),
    Transform("filter", "mild", changed(retouched)),
    Transform("blur", "mild", changed(blurred)),
    Transform("noise", "mild", changed(noisy)),
    Transform("caption", "mild", changed(captioned)),
    Transform("watermark", "mild", changed(watermarked)),
    Transform("logo", "mild", changed(logo_added)),
    Transform("crop, half, 60", "mild", changed(cropped(0.06), scaled(0.5), quality=60)),
    Transform(
        "mirror, caption, 50",
        "mild",
        changed(transposed(Transpose.FLIP_LEFT_RIGHT), captioned, quality=50),
    ),
    Transform("crop 15, filter, 40", "hard", changed(cropped(0.15), retouched, quality=40)),
)
