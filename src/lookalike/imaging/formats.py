"""File formats, recognized by content alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.errors import ImageRejected, Reason

if TYPE_CHECKING:
    pass

_MAGIC = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
}
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1"}


# --- which format, and Pillow's settings ------------------------------------------------------


def format_of(data: bytes) -> str | None:
    """The format by the first 512 bytes of a file, None if it is none of ours."""
    for magic, format in _MAGIC.items():
        if data.startswith(magic):
            return format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 512)
        brands = {data[8:12], *(data[at : at + 4] for at in range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def _check_whole(data: bytes, format: str) -> None:
    """Containers say how long they are; libheif makes a picture of whatever is left of one."""
    end = 0
    if format == "WEBP":
        end = 8 + int.from_bytes(data[4:8], "little")
    elif format in ("AVIF", "HEIF"):
        end = _boxes_end(data)
    if end > len(data):
        raise ImageRejected(Reason.TRUNCATED, f"{len(data):,} bytes of {end:,}")


def _boxes_end(data: bytes) -> int:
    """Where the last ISO-BMFF box that a picture needs ends; anything may follow it."""
    at = end = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size < 8:  # 0: this box runs to the end of the file
            break
        at += size
        if kind in (b"meta", b"mdat"):
            end = at
    return end
