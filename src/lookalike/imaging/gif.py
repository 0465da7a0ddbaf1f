"""Frames of a GIF, counted without decoding them."""

from __future__ import annotations

MAX_FRAMES = 100_000
"""Frames that are counted. A hostile file has millions."""


def count_frames(data: bytes) -> int:
    """The number of frames, at least 1. A broken file is counted up to where it breaks."""
    frames = 0
    position = 13 + _palette_size(data, 10)
    while position < len(data) and frames < MAX_FRAMES:
        match data[position]:
            case 0x2C:  # image
                frames += 1
                position = _skip_blocks(data, position + 11 + _palette_size(data, position + 9))
            case 0x21:  # extension
                position = _skip_blocks(data, position + 2)
            case 0x3B:  # end
                break
            case _:
                position += 1  # as Pillow does
    return max(frames, 1)


def _palette_size(data: bytes, flags_at: int) -> int:
    """Bytes of the palette that the flags at this position announce."""
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 << ((flags & 0x07) + 1) if flags & 0x80 else 0


def _skip_blocks(data: bytes, position: int) -> int:
    """Returns the position after a sequence of data blocks, which ends with an empty one."""
    while position < len(data) and data[position]:
        position += 1 + data[position]
    return position + 1
