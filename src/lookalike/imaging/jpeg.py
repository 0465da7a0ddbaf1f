"""JPEGs that lack their last bytes: whether the picture is whole nevertheless."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import PIL.Image

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.camera_raw import check_pixels
from lookalike.imaging.codecs import codec_errors, load_plugin, pillow_settings
from lookalike.types import DecodeLimits

_END = b"\xff\xd9"
_FILLERS = (b"\x55" * 64, b"\xa6" * 64)
"""Bytes after the file that show as picture data if a decoder still wants some."""
_ZEROS = 4
"""Zeros at the end of a file, from which on they are no picture data but unwritten space."""
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_SCAN = 0xDA
_COEFFICIENTS = 64


def with_end(
    data: bytes, limits: DecodeLimits, before_load: Callable[[int], object]
) -> bytes | None:
    """Completes a truncated JPEG whose picture data is all there.

    A decoder fills in missing picture data without an error. Different fillers after the file tell
    whether it does: if the picture is whole, none of them shows.

    Args:
        data: a JPEG without an end.
        limits: those of `decode.decode`.
        before_load: as in `decode.decode`.

    Returns:
        The file with an end; None if picture data is missing.
    """
    rest = _without_zeros(data).removesuffix(b"\xff")
    if not _has_all_scans(rest):
        return None
    try:
        first = _pixels(rest + _END, limits, before_load)
        fillings = (_pixels(rest + filler + _END, limits, before_load) for filler in _FILLERS)
        return rest + _END if all(pixels == first for pixels in fillings) else None
    except ImageRejected:
        return None


def zeros_hide_a_cut(
    data: bytes, limits: DecodeLimits, before_load: Callable[[int], object]
) -> bool:
    """Tells whether a JPEG is truncated and filled up with zeros, as downloads are that were broken
    off. A decoder takes the zeros for picture data."""
    rest = _without_zeros(data)
    if rest is data or rest.endswith(_END):
        return False
    try:
        _pixels(rest, limits, before_load)
    except ImageRejected as rejected:
        return rejected.reason is Reason.TRUNCATED
    return False


def _without_zeros(data: bytes) -> bytes:
    rest = data.rstrip(b"\0")
    return rest if len(data) - len(rest) >= _ZEROS else data


def _pixels(data: bytes, limits: DecodeLimits, before_load: Callable[[int], object]) -> bytes:
    with codec_errors("JPEG", limits), pillow_settings(limits.pixels):
        load_plugin("JPEG")
        with PIL.Image.open(BytesIO(data), formats=["JPEG"]) as stored:
            check_pixels(*stored.size, limits)
            before_load(2 * stored.width * stored.height)  # two are in memory at a time
            return stored.tobytes()


def _has_all_scans(data: bytes) -> bool:
    """Tells whether scans bring each coefficient of each channel in full. A progressive file that
    ends between two scans shows a coarse picture."""
    missing: dict[int, set[int]] = {}
    for kind, segment in _segments(data):
        if kind in _FRAMES:
            channels = segment[5] if len(segment) > 5 else 0
            missing = {id: set(range(_COEFFICIENTS)) for id in segment[6 : 6 + 3 * channels : 3]}
        elif kind == _SCAN and segment:
            end = 1 + 2 * segment[0]
            first, last, precision = segment[end : end + 3].ljust(3, b"\xff")
            if precision & 15 == 0:  # down to the last bit
                for id in segment[1:end:2]:
                    missing.get(id, set()).difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the marker and the content of each segment; ITU-T T.81, annex B."""
    position = 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        kind = data[position + 1]
        if kind in (0x00, 0x01, 0xFF) or 0xD0 <= kind <= 0xD8:  # data, fill bytes, bare markers
            position += 1 if kind == 0xFF else 2
            continue
        size = int.from_bytes(data[position + 2 : position + 4], "big")
        yield kind, data[position + 4 : position + 2 + size]
        position += 2 + size
