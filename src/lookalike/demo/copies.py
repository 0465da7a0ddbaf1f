"""Edited copies of product pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

from lookalike.demo.designs import Design, Row
from lookalike.system.times import format_datetime, parse_datetime


def _crop(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    return picture.crop((width // 24, height // 30, width - width // 30, height - height // 24))


EDITS: tuple[tuple[Callable[[Image.Image], Image.Image], int], ...] = (
    (lambda picture: picture, 42),
    (lambda picture: picture.resize((picture.width * 5 // 8, picture.height * 5 // 8)), 85),
    (_crop, 88),
    (ImageOps.mirror, 88),
    (lambda picture: ImageEnhance.Brightness(picture).enhance(1.1), 88),
    (lambda picture: ImageEnhance.Brightness(picture).enhance(0.86), 80),
)
"""Edits that people make to a picture they reuse, each with a JPEG quality."""


@dataclass(frozen=True, slots=True)
class Copy:
    """An edited copy of a product's picture, with its own id."""

    row: Row
    original: Design
    edit: int

    def save(self, path: Path) -> None:
        """Writes the edited picture."""
        change, quality = EDITS[self.edit]
        change(self.original.picture()).save(path, quality=quality)


def edited_copy(original: Design, edit: int) -> Copy:
    """Makes a copy with one of the `EDITS`, uploaded some days after the original."""
    name = f"{original.row.id}-copy"
    at = parse_datetime(original.row.uploaded_at) + timedelta(days=edit + 1, hours=3)
    row = replace(original.row, id=name, file=f"images/{name}.jpg", uploaded_at=format_datetime(at))
    return Copy(row, original, edit)
