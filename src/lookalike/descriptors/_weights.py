"""Weights files: their fingerprints, and the checks that they are an index's own."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lookalike.errors import ModelError

_BLOCKS, _BLOCK_BYTES = 16, 65_536


def fingerprint(weights: Path) -> str:
    """Returns a hash of the file's size and of 16 blocks spread over it.

    Reading all of a large model would double the time it takes to load.
    """
    size = weights.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with weights.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(size * block // _BLOCKS)
            digest.update(file.read(_BLOCK_BYTES))
    return digest.hexdigest()[:16]


def require_text_revision(model: str, revision: str, expected: str | None) -> None:
    """Checks that a text model is the one that an index was made with; None allows any.

    Raises:
        ModelError: it is not.
    """
    if expected not in (None, revision):
        raise ModelError(
            f"The index was made with another text model (revision {expected}) than {model} here "
            f"(revision {revision}): name the folder of its own model with --model-dir, or search "
            "by images."
        )


def first_line(error: Exception) -> str:
    """The beginning of an error's message, for one of ours."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else repr(error)
