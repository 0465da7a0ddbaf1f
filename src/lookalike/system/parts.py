"""Parts of many things, decided by their names alone."""

from __future__ import annotations

import hashlib


def is_of_part(name: str, part: tuple[int, int]) -> bool:
    """True if a name belongs to a part; each name belongs to exactly one of them.

    The SHA-256 of the name decides, the same in every run and on every machine.

    Args:
        name: the name; one that is not Unicode has surrogates.
        part: number of the part, from 1, and number of parts.
    """
    number, count = part
    return (
        int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest()) % count
        == number - 1
    )
