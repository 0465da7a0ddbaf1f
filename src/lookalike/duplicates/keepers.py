"""Policies that choose the image of a group to keep. Each is a sort key that explains itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from lookalike.errors import InputError
from lookalike.record import record_of
from lookalike.types import Payload

LOSSLESS = frozenset({"PNG", "BMP", "TIFF", "GIF"})
"""Formats that store every pixel exactly."""
FULL_DETAIL = 1.0
"""Bits per pixel below which a photo in a lossy format has visibly lost detail, about JPEG quality
60. Below it, the pixels count for proportionally less."""


@dataclass(frozen=True, slots=True)
class KeeperPolicy:
    """A rule for choosing keepers.

    Attributes:
        key: sort key of an image, from its payload; the greatest is kept.
        reason: why an image with this payload was kept.
    """

    key: Callable[[Payload], Any]
    reason: Callable[[Payload], str]


KeeperChoice: TypeAlias = str | Callable[[Payload], Any]
"""The name of a policy, or a function of an image's payload whose greatest value is kept."""


def policy_of(keep: KeeperChoice) -> KeeperPolicy:
    """The policy with this name, or one for this function.

    Raises:
        InputError: no policy has this name.
    """
    if not isinstance(keep, str):
        name = getattr(keep, "__name__", "a function")
        return KeeperPolicy(keep, lambda payload: f"chosen by {name}")
    if keep not in POLICIES:
        raise InputError(f"{keep!r} is not a keep policy: choose one of {', '.join(POLICIES)}.")
    return POLICIES[keep]


def protecting(policy: KeeperPolicy, is_protected: Callable[[str], bool]) -> KeeperPolicy:
    """A policy that prefers protected images, and otherwise chooses as another."""

    def key(payload: Payload) -> Any:
        return is_protected(record_of(payload)["uri"]), policy.key(payload)

    def reason(payload: Payload) -> str:
        if is_protected(record_of(payload)["uri"]):
            return "in a protected folder"
        return policy.reason(payload)

    return KeeperPolicy(key, reason)


def _pixels(payload: Payload) -> int:
    return record_of(payload)["width"] * record_of(payload)["height"]


def _detail(payload: Payload) -> float:
    """Number of pixels that the file has enough bytes for."""
    image = record_of(payload)
    if image["format"] in LOSSLESS:
        return float(_pixels(payload))
    return min(float(_pixels(payload)), 8 * image["bytes"] / FULL_DETAIL)


def _time(payload: Payload) -> str:
    """The best known time of origin. RFC 3339 texts sort by time."""
    image = record_of(payload)
    return image.get("taken_at") or image.get("modified_at") or image["indexed_at"]


def _size(payload: Payload) -> str:
    image = record_of(payload)
    return f"{image['width']:,} × {image['height']:,}"


class Descending(str):
    """A text that sorts in reverse, so that the greatest is the first."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)

    def __gt__(self, other: str) -> bool:
        return str.__lt__(self, other)


def _largest(payload: Payload) -> tuple[Any, ...]:
    """Among equal dimensions, an original is likelier to have a camera date, to have kept its
    detail, and to be older. Bytes alone mislead: a copy with a logo on it often has the most."""
    dated = "taken_at" in record_of(payload)
    return _pixels(payload), dated, _detail(payload), Descending(_time(payload))


def _best_reason(payload: Payload) -> str:
    image = record_of(payload)
    bits = 8 * image["bytes"] / _pixels(payload)
    stored = "lossless" if image["format"] in LOSSLESS else f"at {bits:.1f} bits per pixel"
    return f"most detail: {_size(payload)} {stored}"


POLICIES: Mapping[str, KeeperPolicy] = MappingProxyType(
    {
        "largest": KeeperPolicy(
            _largest,
            lambda payload: f"largest: {_size(payload)}",
        ),
        "oldest": KeeperPolicy(
            lambda payload: Descending(_time(payload)),
            lambda payload: f"oldest: {_time(payload)[:19].replace('T', ' ')}",
        ),
        "best": KeeperPolicy(lambda payload: (_detail(payload), *_largest(payload)), _best_reason),
        "first": KeeperPolicy(
            lambda payload: Descending(record_of(payload)["uri"]),
            lambda payload: "first by address",
        ),
    }
)
"""Policies by name: the most pixels; the earliest date, of the camera or else of the file; the most
pixels that the file has the bytes for; the address that sorts first."""
