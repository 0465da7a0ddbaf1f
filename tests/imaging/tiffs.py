"""TIFF files of any structure, such as cameras write them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
import PIL.Image

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4}
_KINDS = {1: "B", 3: "H", 4: "I"}


@dataclass
class Page:
    """A directory: its entries by tag, each with its type; its data; and the pages below it."""

    entries: dict[int, tuple[int, Sequence[int] | bytes]]
    data: bytes = b""
    below: list[Page] = field(default_factory=list)


def tiff(pages: Sequence[Page], *, magic: bytes = b"II*\0", header: bytes = b"") -> bytes:
    """A little-endian TIFF with these pages in its chain.

    Args:
        header: what follows the offset of the first directory.
    """
    out = bytearray(magic + bytes(4) + header)
    last = 4
    for page in pages:
        out[last : last + 4] = struct.pack("<I", len(out) + len(out) % 2)
        last = _write(out, page)
    return bytes(out)


def _write(out: bytearray, page: Page) -> int:
    """Writes a page and those below it; returns the place of the offset of the next one."""
    out += bytes(len(out) % 2)
    entries = dict(page.entries)
    if page.data:
        entries |= {273: (4, [0]), 279: (4, [len(page.data)])}
    if page.below:
        entries[330] = (4, [0] * len(page.below))
    start = len(out)
    end = start + 2 + 12 * len(entries)
    out += struct.pack("<H", len(entries)) + bytes(12 * len(entries) + 4)
    places = {}
    for i, (tag, (kind, values)) in enumerate(sorted(entries.items())):
        place = start + 2 + 12 * i
        raw = (
            values
            if isinstance(values, bytes)
            else struct.pack(f"<{len(values)}{_KINDS[kind]}", *values)
        )
        struct.pack_into("<HHI", out, place, tag, kind, len(raw) // _SIZES[kind])
        if len(raw) <= 4:
            places[tag] = place + 8
            out[place + 8 : place + 8 + len(raw)] = raw
        else:
            places[tag] = len(out)
            struct.pack_into("<I", out, place + 8, len(out))
            out += raw + bytes(len(raw) % 2)
    if page.data:
        struct.pack_into("<I", out, places[273], len(out))
        out += page.data
    for i, child in enumerate(page.below):
        out += bytes(len(out) % 2)
        struct.pack_into("<I", out, places[330] + 4 * i, len(out))
        _write(out, child)
    return end


def rgb(im: PIL.Image.Image, kind: int = 0) -> Page:
    """An uncompressed picture of this subfile type."""
    return _picture(im.convert("RGB"), kind, 2, 3)


def mosaic(im: PIL.Image.Image, *, meaning: int = 32803, compression: int = 1) -> Page:
    """The data of a sensor that sees this picture."""
    pixels = np.asarray(im.convert("RGB"))
    seen = pixels[:, :, 1].copy()
    seen[::2, ::2] = pixels[::2, ::2, 0]
    seen[1::2, 1::2] = pixels[1::2, 1::2, 2]
    page = _picture(PIL.Image.fromarray(seen), 0, meaning, 1, compression)
    page.entries |= {33421: (3, [2, 2]), 33422: (1, [0, 1, 1, 2])}
    return page


def preview(im: PIL.Image.Image) -> Page:
    """A picture in JPEG, in a single strip."""
    file = BytesIO()
    im.save(file, "JPEG", quality=92)
    page = _picture(im.convert("RGB"), 1, 6, 3, 7)
    page.data = file.getvalue()
    return page


def _picture(
    im: PIL.Image.Image, kind: int, meaning: int, channels: int, compression: int = 1
) -> Page:
    entries: dict[int, tuple[int, Sequence[int] | bytes]] = {
        254: (4, [kind]),
        256: (4, [im.width]),
        257: (4, [im.height]),
        258: (3, [8] * channels),
        259: (3, [compression]),
        262: (3, [meaning]),
        277: (3, [channels]),
        278: (4, [im.height]),
        284: (3, [1]),
    }
    return Page(entries, im.tobytes())


def dng(*below: Page, thumbnail: PIL.Image.Image, orientation: int = 1) -> bytes:
    """A DNG: a thumbnail, with these pages below it."""
    page = rgb(thumbnail, 1)
    page.entries |= {
        271: (2, b"ACME\0"),
        274: (3, [orientation]),
        50706: (1, [1, 4, 0, 0]),
        50708: (2, b"ACME One\0"),
    }
    page.below = list(below)
    return tiff([page])
