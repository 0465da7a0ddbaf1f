"""Which image of a group stays: a policy is a sort key, and says in words why it chose. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from lookalike.errors import InputError
from lookalike.record import record_of
from lookalike.types import Payload

LOSSLESS = frozenset({"PNG", "BMP", "TIFF", "GIF"})
FULL_DETAIL = 1.0
"""Bits a pixel below which a photo that was compressed with losses has visibly lost detail, at some
JPEG quality 60: below it, pixels count for as much less."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a keeper is chosen.

    Attributes:
        key: of an image's payload; the greatest is kept.
        reason: why an image with this payload was kept.
    """

    key: Callable[[Payload], Any]
    reason: Callable[[Payload], str]


Keep: TypeAlias = str | Callable[[Payload], Any]
"""The name of a policy, or a key of an image's payload of which the greatest is kept."""


def policy_of(keep: Keep) -> Policy:
    """The policy of a name, or around a key.

    Raises:
        InputError: there is no policy of this name.
    """
    if not isinstance(keep, str):
        return Policy(keep, lambda payload: f"chosen by {getattr(keep, '__name__', 'a function')}")
    if keep not in POLICIES:
        raise InputError(
            f"There is no policy {keep!r} to keep by; it can be {', '.join(POLICIES)}."
        )
    return POLICIES[keep]


def _pixels(payload: Payload) -> int:
    width, height = record_of(payload)["width"], record_of(payload)["height"]
    return int(width) * int(height)


def _detail(payload: Payload) -> float:
    """Pixels that the file has the bytes for."""
    image = record_of(payload)
    if image["format"] in LOSSLESS:
        return float(_pixels(payload))
    return float(min(_pixels(payload), 8 * image["bytes"] / FULL_DETAIL))


def _time(payload: Payload) -> str:
    """When the picture came to be, as far as is known: RFC 3339 texts sort by time."""
    image = record_of(payload)
    return str(image.get("taken_at") or image.get("modified_at") or image["indexed_at"])


def _size(payload: Payload) -> str:
    image = record_of(payload)
    return f"{image['width']:,} × {image['height']:,}"


class _Earlier(str):
    """A text that is the greater the earlier it sorts."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


def _largest(payload: Payload) -> tuple[Any, ...]:
    """Of equally many pixels an original is more likely to have a camera's date, has not lost
    detail, and is the elder: a copy with a logo on it often has the most bytes."""
    dated = "taken_at" in record_of(payload)
    return _pixels(payload), dated, _detail(payload), _Earlier(_time(payload))


def _best(payload: Payload) -> str:
    image = record_of(payload)
    bits = 8 * image["bytes"] / _pixels(payload)
    stored = "without loss" if image["format"] in LOSSLESS else f"at {bits:.1f} bits a pixel"
    return f"most detail: {_size(payload)} {stored}"


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "largest": Policy(
            _largest,
            lambda payload: f"largest: {_size(payload)}",
        ),
        "oldest": Policy(
            lambda payload: _Earlier(_time(payload)),
            lambda payload: f"oldest: {_time(payload)[:19].replace('T', ' ')}",
        ),
        "best": Policy(lambda payload: (_detail(payload), *_largest(payload)), _best),
        "first": Policy(
            lambda payload: _Earlier(record_of(payload)["uri"]),
            lambda payload: "first in the order of the addresses",
        ),
    }
)
"""By name: the most pixels; the earliest camera's date, else file's date; the most pixels that the
file has the bytes for; the address that sorts first."""
