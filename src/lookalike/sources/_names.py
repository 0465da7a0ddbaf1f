"""Names of files and objects: those that may be images, and those that match a glob."""

from __future__ import annotations

import mimetypes
import re

# Only the types that Python itself knows: those of a machine must not change what is listed.
_TYPES = mimetypes.MimeTypes(filenames=())
_IMAGE_EXTENSIONS = frozenset(
    extension
    for extension, type in _TYPES.types_map[True].items()
    if type.startswith("image/") and extension not in _TYPES.suffix_map
)


def may_be_image(name: str) -> bool:
    """True unless the extension stands for something else: text, video, sound, a document."""
    _, dot, extension = name.rpartition(".")
    if dot + extension in _IMAGE_EXTENSIONS:  # nearly all; to guess takes four times as long
        return True
    guess, _ = _TYPES.guess_type(name)
    return guess is None or guess.startswith("image/")


def glob_regex(pattern: str) -> str:
    """Translates a glob as `glob` reads it: `*` stays within a name, `**` matches any folders."""
    parts = []
    for part in re.findall(r"\*\*/|\*\*$|\*|\?|\[!?\]?[^\]]*\]|.", pattern, re.DOTALL):
        if part == "**/":
            parts.append("(?:[^/]+/)*")
        elif part in ("*", "**"):
            parts.append("[^/]*" if part == "*" else ".*")
        elif part == "?":
            parts.append("[^/]")
        elif len(part) > 1:  # a set of characters
            negated = part[1] == "!"
            parts.append(f"[{'^' if negated else ''}{re.escape(part[1 + negated : -1])}]")
        else:
            parts.append(re.escape(part))
    return "".join(parts).replace("\\-", "-")
