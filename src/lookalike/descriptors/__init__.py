"""Descriptors: image in, vector out.

A descriptor is a class with a `spec`, in a module of its own. Those without downloads are listed
here, or registered by another package as entry points of the group `lookalike.descriptors`. The
image models of FastEmbed are all served by `clip`; `loader` chooses among them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from lookalike.errors import ModelError
from lookalike.manifest import check_spec
from lookalike.protocols import Descriptor
from lookalike.types import VectorSpec

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

STANDARD = ("color", "texture", "phash")
"""Descriptors that every index has in addition to its semantic one."""

_GROUP = "lookalike.descriptors"
_CLASSES = {
    "color": "color:Color",
    "lookalike-small-1": "lookalike_small_1:LookalikeSmall1",
    "phash": "phash:Phash",
    "texture": "texture:Texture",
}


def names() -> list[str]:
    """Returns the names of all descriptors that need no download."""
    return sorted({*_CLASSES, *(entry.name for entry in _entry_points())})


def has(name: str) -> bool:
    """Tells whether a descriptor of this name needs no download."""
    return name in _CLASSES or any(entry.name == name for entry in _entry_points())


def load(name: str) -> Descriptor:
    """Creates the descriptor of this name.

    Raises:
        ModelError: there is none, or its file in the package is damaged.
    """
    if name in _CLASSES:
        module, _, cls = _CLASSES[name].partition(":")
        built_in: Descriptor = getattr(importlib.import_module(f"{__name__}.{module}"), cls)()
        return built_in
    for entry in _entry_points():
        if entry.name == name:
            registered: Descriptor = entry.load()()
            if not isinstance(getattr(registered, "spec", None), VectorSpec):
                raise ModelError(f"The descriptor {name!r} has no `spec`: give it a `VectorSpec`.")
            check_spec(registered.spec)
            return registered
    raise ModelError(f"There is no descriptor {name!r}: use one of {', '.join(names())}.")


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points  # reads the metadata of every installed package

    return entry_points(group=_GROUP)
