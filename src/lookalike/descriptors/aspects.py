"""Aspects of the user's own: their descriptors, checked when they are loaded.

A user gives an `AspectDescriptor`, or a package registers one as an entry point of the group
`lookalike.aspects`. `OwnAspect` makes a `Descriptor` of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors._probes import depends_on_batch
from lookalike.errors import LookalikeError, ModelError
from lookalike.manifest import check_spec
from lookalike.protocols import AspectDescriptor, Descriptor
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

AspectsInput: TypeAlias = Mapping[str, AspectDescriptor] | Iterable[str] | None
"""Descriptors by the name of their aspect, or names of registered ones."""

GROUP = "lookalike.aspects"
RESERVED = ("semantic", "color", "texture", "phash")
SIDE = 224
"""Pixels on the shorter side of the images that a descriptor gets, if it does not say."""

_NAME = re.compile(r"[A-Za-z_][\w-]{0,59}", re.ASCII)


def load_aspects(given: AspectsInput) -> dict[str, Descriptor]:
    """Loads and checks the descriptors of own aspects; returns them by vector name.

    Raises:
        ModelError: a name or a descriptor cannot be used, or none is registered by the name.
    """
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return {name: _own(name, descriptor) for name, descriptor in given.items()}
    return {name: load_registered(name) for name in ([given] if isinstance(given, str) else given)}


def load_registered(name: str) -> Descriptor:
    """Loads and checks the descriptor that a package registers for an aspect.

    Raises:
        ModelError: there is none, or it cannot be used.
    """
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _own(name, _called(name, partial(_made, entry)))
    raise ModelError(
        f"No descriptor of the aspect {name!r:.80} is registered: open the index with "
        "aspects={name: descriptor}, or install the package that has it."
    )


def _made(entry: EntryPoint) -> AspectDescriptor:
    descriptor: AspectDescriptor = entry.load()()
    return descriptor


def is_registered(name: str) -> bool:
    """Tells if a package registers a descriptor for an aspect."""
    return any(entry.name == name for entry in entry_points(group=GROUP))


class OwnAspect:
    """The descriptor of an own aspect. See `protocols.Descriptor`.

    Calls come one at a time, so that the user's code need not be thread-safe.
    """

    def __init__(self, spec: VectorSpec, descriptor: AspectDescriptor, side: int) -> None:
        self.spec = spec
        self.side = side
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def describe(self, images: Sequence[Image]) -> Description:
        return Description(self._rows(self._descriptor.describe, images))

    def _rows(self, function: Callable[[Any], Any], inputs: Sequence[Any]) -> NDArray[np.float32]:
        """(n, size): checked vectors.

        Raises:
            ModelError: the descriptor failed, or a vector is of another size, zero, or not finite.
        """
        name, size = self.spec.name, self.spec.size
        with self._lock:
            made: NDArray[np.float32] = _called(
                name, lambda: np.asarray(function(list(inputs)), np.float32)
            )
        if made.shape != (len(inputs), size):
            raise ModelError(
                f"The descriptor of the aspect {name!r} returned an array of shape {made.shape} "
                f"for {len(inputs)} inputs: it must be {(len(inputs), size)}."
            )
        flaw = self.spec.distance.flaw(made) if np.isfinite(made).all() else "has NaN or infinity"
        if flaw:
            raise ModelError(
                f"The descriptor of the aspect {name!r} returned a vector that {flaw}: mend the "
                "descriptor."
            )
        return made


class OwnTextAspect(OwnAspect):
    """The descriptor of an own aspect that can also be searched by text."""

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        describe: Any = self._descriptor
        return list(self._rows(describe.describe_text, texts))


class MissingAspect:
    """The descriptor of an own aspect that was not given: it serves images with vectors of the
    caller's, and describes none."""

    side = 1

    def __init__(self, spec: VectorSpec) -> None:
        self.spec = spec

    def describe(self, images: Sequence[Image]) -> Description:
        name = self.spec.name
        raise ModelError(
            f"The aspect {name!r} of this index needs its descriptor ({self.spec.model}, version "
            f"{self.spec.revision}) to describe new images: open the index with "
            f'aspects={{"{name}": …}}, or search by stored images and other aspects.'
        )


def _own(name: str, descriptor: AspectDescriptor) -> OwnAspect:
    """The checked descriptor of an aspect.

    Raises:
        ModelError: it cannot be used.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in RESERVED:
        raise ModelError(
            f"{name!r:.80} is not a valid name of an own aspect: use letters, digits, - and _, and "
            f"none of {', '.join(RESERVED)}."
        )
    cls = type(descriptor)
    if not callable(getattr(descriptor, "describe", None)):
        raise ModelError(
            f"The descriptor of the aspect {name!r} is a {cls.__name__} without `describe`: see "
            "`lookalike.AspectDescriptor`."
        )
    model = str(getattr(descriptor, "name", f"{cls.__module__}.{cls.__qualname__}"))
    spec = VectorSpec(
        name, name, getattr(descriptor, "size", 0), _distance(name, descriptor), "float32", model,
        revision=str(getattr(descriptor, "version", "")),
    )  # fmt: skip
    check_spec(spec)
    side = getattr(descriptor, "side", SIDE)
    if type(side) is not int or not 1 <= side <= 4096:
        raise ModelError(f"The aspect {name!r} wants {side!r:.80} pixels: give 1 to 4096.")
    describes_text = callable(getattr(descriptor, "describe_text", None))
    own = (OwnTextAspect if describes_text else OwnAspect)(spec, descriptor, side)
    _check_batches(own)
    return own


def _distance(name: str, descriptor: AspectDescriptor) -> Distance:
    """The distance that a descriptor names."""
    distance = getattr(descriptor, "distance", Distance.COSINE)
    if not isinstance(distance, str) or distance not in list(Distance):
        raise ModelError(
            f"The distance of the aspect {name!r} is {distance!r:.80}: use {', '.join(Distance)}."
        )
    return Distance(distance)


def _check_batches(own: OwnAspect) -> None:
    """Checks that the vector of an image does not depend on the batch it is described in.

    Raises:
        ModelError: it does.
    """
    if depends_on_batch(lambda images: own.describe(images).vectors, own.side):
        raise ModelError(
            f"The descriptor of the aspect {own.spec.name!r} makes another vector of an image "
            "alone than of the same image in a batch, or at random: each vector must depend on its "
            "image alone."
        )


def _called(name: str, function: Callable[[], Any]) -> Any:
    """The result of the user's code; its errors become one of ours.

    Raises:
        ModelError: it failed.
    """
    try:
        return function()
    except LookalikeError:
        raise
    except Exception as error:
        raise ModelError(
            f"The descriptor of the aspect {name!r} failed ({error!r:.300}): mend the descriptor."
        ) from error
