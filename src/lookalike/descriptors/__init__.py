"""Descriptors: image in, vector out. One file each, found by its name.

A descriptor is a module here, or an entry point of the group `lookalike.descriptors`, with one
class that has a `spec`. Models that FastEmbed knows all live in `clip`.
"""

from __future__ import annotations

import importlib
import pkgutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lookalike.errors import ModelError
from lookalike.protocols import Descriptor

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

BUILT_IN = "lookalike-small-1"
"""What serves `semantic` where no weights can be had; `built-in` asks for it, too."""

ALWAYS = ("color", "texture", "phash")
"""What every index has beside its semantic vector."""

HUB = "https://huggingface.co"
"""Where FastEmbed gets weights from."""

_GROUP = "lookalike.descriptors"


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model serves `semantic`, and where its weights are.

    Attributes:
        model: `clip`, `built-in`, the name of a descriptor here, or a FastEmbed model's.
        model_dir: folder of the weights, or None for the cache and the hub.
        cache_dir: where downloaded weights are kept.
        hub: address of the model hub, or None where the network must not be used.
    """

    model: str | None
    model_dir: Path | None
    cache_dir: Path
    hub: str | None


def names() -> list[str]:
    """Every descriptor that needs nothing downloaded: ours and those of entry points."""
    return sorted({*_own(), *(entry.name for entry in _others())})


def load(name: str) -> Descriptor:
    """The descriptor of this name.

    Raises:
        ModelError: there is none, or its file in the package is damaged.
    """
    if name not in _own():
        for entry in _others():
            if entry.name == name:
                other: Descriptor = entry.load()()
                return other
        raise ModelError(f"There is no descriptor {name!r}; there are {', '.join(names())}.")
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    (found,) = (
        thing
        for thing in vars(module).values()
        if isinstance(thing, type)
        and thing.__module__ == module.__name__
        and hasattr(thing, "spec")
    )
    descriptor: Descriptor = found()
    return descriptor


def _own() -> set[str]:
    modules = {module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"}
    return {name.replace("_", "-") for name in modules} - {"clip", "loader"}


def _others() -> EntryPoints:
    from importlib.metadata import entry_points  # it reads about every package there is

    return entry_points(group=_GROUP)


def full_name(model: str) -> str:
    """The name that an index records for a model that was asked for, in lower case."""
    if model == "built-in":
        return BUILT_IN
    if model != "clip":
        return model.lower()
    from lookalike.descriptors import clip  # FastEmbed takes half a second to import

    return clip.DEFAULT.lower()


def default_cache_dir() -> Path:
    """Where downloaded weights are kept: a place that outlives a restart, unlike FastEmbed's."""
    import platformdirs  # decoders, which load descriptors too, do without

    return platformdirs.user_cache_path("lookalike") / "models"


def load_semantic(choice: ModelChoice) -> Descriptor:
    """The descriptor that was asked for by name.

    Raises:
        ModelError: the name is unknown, or the weights cannot be had.
    """
    name = BUILT_IN if choice.model == "built-in" else choice.model
    if name in names():
        return load(name)
    from lookalike.descriptors import clip

    model = clip.DEFAULT if name in (None, "clip") else name
    return clip.load_clip(
        model, choice.model_dir, choice.cache_dir, download=choice.hub is not None
    )


def choose_semantic(choice: ModelChoice) -> tuple[Descriptor, str | None]:
    """The semantic descriptor of a new index, and a line to tell the user where it fell back.

    What was asked for is taken or refused. Without a wish it is CLIP where its weights are at
    hand or the hub answers, else the built-in; finding out takes under five seconds offline,
    where FastEmbed alone would try for forty.
    """
    if choice.model is not None or choice.model_dir is not None:
        return load_semantic(choice), None
    from lookalike.descriptors import clip

    try:
        return clip.load_clip(clip.DEFAULT, None, choice.cache_dir, download=False), None
    except ModelError:
        pass
    if choice.hub is not None and _answers(choice.hub):
        try:
            return clip.load_clip(clip.DEFAULT, None, choice.cache_dir, download=True), None
        except ModelError as error:
            reason = str(error)
    else:
        reason = "CLIP's weights are not on this machine and the model hub cannot be reached."
    return load(BUILT_IN), (
        f"{reason} Using the built-in `{BUILT_IN}`, which knows no words; for CLIP, "
        "index into a new folder with `--model clip` once there is a network, or with "
        "`--model-dir DIR`."
    )


def _answers(hub: str, seconds: float = 2.5) -> bool:
    """Whether a connection to the hub opens in time; name look-up included, which can hang."""
    import socket  # decoders, which load descriptors too, do without

    address = urlsplit(hub)
    opened = threading.Event()

    def knock() -> None:
        port = address.port or (80 if address.scheme == "http" else 443)
        try:
            socket.create_connection((address.hostname or "", port), timeout=seconds).close()
        except OSError:
            return
        opened.set()

    thread = threading.Thread(target=knock, daemon=True)
    thread.start()
    thread.join(seconds)
    return opened.is_set()
