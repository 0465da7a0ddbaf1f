"""File formats, recognized by content alone."""

from __future__ import annotations

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.boxes import boxes
from lookalike.imaging.camera_raw import is_camera_raw, stated_size

CAMERA_RAW = "RAW"
"""The format of all camera raws, whatever the camera."""

_SIGNATURES = {
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


def image_format(data: bytes) -> str | None:
    """Returns the format, or None if it is not supported. It is judged by the first 512 bytes, and
    that of a TIFF by its directories, since most camera raws are built like a TIFF."""
    if is_camera_raw(data):
        return CAMERA_RAW
    for signature, format in _SIGNATURES.items():
        if data.startswith(signature):
            return format
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 512)
        brands = {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None


def check_not_truncated(data: bytes, format: str) -> None:
    """Compares the file with the length that its container states.

    Needed because libheif decodes whatever is left of a truncated file without an error.

    Raises:
        ImageRejected: `truncated`.
    """
    stated = 0
    if format == "WEBP":
        stated = 8 + int.from_bytes(data[4:8], "little")
    elif format in ("AVIF", "HEIF"):
        stated = _end_of_boxes(data)
    elif format == CAMERA_RAW:
        stated = stated_size(data)
    if stated > len(data):
        raise ImageRejected(Reason.TRUNCATED, f"{len(data):,} bytes of {stated:,}")


def _end_of_boxes(data: bytes) -> int:
    """Returns the end of the last ISO-BMFF box that a picture needs; anything may follow it."""
    return max((box.end for box in boxes(data) if box.kind in (b"meta", b"mdat")), default=0)
