"""The conversation between a `DecoderPool` and its child processes.

The parent sends a request, the child answers with one reply. Each is a message of
`system.framing`: a JSON header, here in braces, and raw bytes whose lengths the header gives.

    child -> parent   {"ready"}, once, when it has started

    parent -> child   {"task": "describe", "sizes", "max_pixels", the fields of
                      DescribeOptions}; the files
    child -> parent   {"outcomes", "vectors": {name: {"size", "payload"}}}; the vectors of all
                      decoded pictures, descriptor by descriptor; then for each decoded picture
                      its pixels, its alpha and its thumbnail

    parent -> child   {"task": "digest", "sizes", "max_pixels"}; a file
    child -> parent   {"digest"}: as `imaging.digest.content_digest` returns it, empty also for a
                      rejected file; null for a deferred one

    parent -> child   {"task": "sketch", "sizes"}; a thumbnail
    child -> parent   {"sizes"}; its sketch

    parent -> child   {"task": "compare", "sizes", "pairs"}; the sketch and the thumbnail of each
                      picture
    child -> parent   {"found", "sizes"}: each `Comparison` as a list; the new sketch of each
                      picture, empty where nothing is to be added

An outcome stands for one file. It is {"reason", "detail"} for a rejected one, the attributes of
its `Image` for a decoded one, and {} for a deferred one: the parent must send that file again by
itself, because it holds more than `max_pixels` in memory or a descriptor failed on the batch.
"""

from __future__ import annotations

from typing import TypedDict

SAME_AS_FILE = -1
"""The size of a thumbnail that is the file itself and is not sent back."""


class DescribeOptions(TypedDict):
    """The results that are wanted for each picture of a request.

    Attributes:
        side: as in `imaging.decode.decode`.
        descriptors: names of the descriptors to run.
        pixels: sends the pixels back, too.
        thumbnail: longer side of the thumbnail in pixels; 0 for none.
    """

    side: int
    descriptors: list[str]
    pixels: bool
    thumbnail: int
