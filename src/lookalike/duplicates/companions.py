"""Companions of a picture's file: the files beside it that belong to it and are of no use alone.

These are sidecars with edits and metadata (`IMG.xmp`, `IMG.jpg.xmp`, `IMG.aae`), the video of a
Live Photo (`IMG.mov`), and the camera raw of a pair (`IMG.nef` beside `IMG.jpg`) unless it is
indexed as an image of its own. They have the name of the picture, and any case of their suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import PurePath

from lookalike.duplicates.file_places import Location

SIDECARS = frozenset({".xmp", ".aae"})
VIDEOS = frozenset({".mov", ".mp4"})
RAWS = frozenset(
    {".dng", ".nef", ".nrw", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw"}
)


def companions(
    picture: Location, gone: Collection[str], is_indexed: Callable[[str], bool]
) -> list[PurePath]:
    """The companions of a picture that belong to no other file that stays.

    Args:
        picture: its file.
        gone: addresses of files that have left the folder, or would have in a dry run.
        is_indexed: whether the index has an image at an address.
    """
    place, path = picture
    here = [one for one in sorted(place.neighbors(path)) if place.address(one) not in gone]
    own = [other for other in here if _is_named_after(other, path)]
    same_stem = [other for other in here if other.stem == path.stem and other not in own]
    shared = [
        other
        for other in same_stem
        if other.suffix.lower() in SIDECARS | VIDEOS | RAWS and not is_indexed(place.address(other))
    ]
    if len(shared) == len(same_stem):  # no other picture has this name
        own += shared
    return own


def _is_named_after(path: PurePath, picture: PurePath) -> bool:
    """True for a sidecar with the whole name of a picture, such as `IMG.jpg.xmp`."""
    return path.stem == picture.name and path.suffix.lower() in SIDECARS
