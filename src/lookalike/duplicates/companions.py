"""Companions of a picture's file: the files beside it that belong to it and are of no use alone.

These are sidecars with edits and metadata (`IMG.xmp`, `IMG.jpg.xmp`, `IMG.aae`), the video of a
Live Photo (`IMG.mov`), and the camera raw of a pair (`IMG.nef` beside `IMG.jpg`) unless it is
indexed as an image of its own. They have the name of the picture, and any case of their suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

SIDECARS = frozenset({".xmp", ".aae"})
VIDEOS = frozenset({".mov", ".mp4"})
RAWS = frozenset(
    {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"}
)


def companions(path: Path, gone: Collection[Path], is_indexed: Callable[[str], bool]) -> list[Path]:
    """The companions of a picture that belong to no other file that stays.

    Args:
        path: of the picture.
        gone: files that have left the folder, or would have in a dry run.
        is_indexed: whether the index has an image at an address.
    """
    named = sorted(one for one in path.parent.iterdir() if one.name.startswith(path.stem))
    here = [one for one in named if one != path and one not in gone and one.is_file()]
    own = [other for other in here if _is_named_after(other, path)]
    same_stem = [other for other in here if other.stem == path.stem and other not in own]
    shared = [other for other in same_stem if _may_be_companion(other, is_indexed)]
    if len(shared) == len(same_stem):  # no other picture has this name
        own += shared
    return own


def _is_named_after(path: Path, picture: Path) -> bool:
    """True for a sidecar with the whole name of a picture, such as `IMG.jpg.xmp`."""
    return path.stem == picture.name and path.suffix.lower() in SIDECARS


def _may_be_companion(path: Path, is_indexed: Callable[[str], bool]) -> bool:
    if path.suffix.lower() not in SIDECARS | VIDEOS | RAWS:
        return False
    return not is_indexed(str(path))
