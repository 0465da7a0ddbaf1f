"""The choice of the semantic model, and the descriptors of an index, loaded when first needed."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from lookalike import descriptors
from lookalike.descriptors import aspects, catalog, onnx_model
from lookalike.descriptors._device import AUTO, check_device
from lookalike.descriptors.catalog import NamedModel
from lookalike.errors import InputError, ModelError, QueryError
from lookalike.manifest import FURTHER, FurtherModel, Manifest
from lookalike.protocols import Describers, Descriptor
from lookalike.types import Description, Image, VectorSpec

BUILT_IN = "lookalike-small-1"
"""The semantic model that is used where CLIP's weights are missing; also called `built-in`."""

HUB = "https://huggingface.co"
"""The model hub from which FastEmbed downloads weights."""

_PROBE_SECONDS = 2.5


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The semantic model, and where its weights are.

    Attributes:
        model: a name of `catalog`, of a descriptor or of a FastEmbed model, or `onnx:NAME` for
            the model that `model_dir` holds; None for CLIP if possible, else the built-in
            model.
        model_dir: folder of the weights; None for the cache and the hub.
        cache_dir: folder of downloaded weights.
        hub: address of the model hub; None forbids downloads.
        text_revision: the fingerprint that the text model must have; None allows any.
        device: where it runs: `auto`, `cpu`, `cuda` or `cuda:N`.
    """

    model: str | None
    model_dir: Path | None
    cache_dir: Path
    hub: str | None
    text_revision: str | None = None
    device: str = AUTO


def full_name(model: str) -> str:
    """Returns the name that an index records for a model, in lower case."""
    base, precision = catalog.split_precision(model)
    named = catalog.named_model(base)
    name = (base if named is None else named.model).lower()
    return name if precision is None else f"{name}:{precision}"


def model_choice(
    model: str | None, model_dir: Path | None, cache_dir: Path, hub: str | None, device: str = AUTO
) -> ModelChoice:
    """The choice of a model that a user names, `onnx:DIR` among others.

    Raises:
        InputError: it names no folder, or a second one; or there is no such device.
        ModelError: the device cannot be used here.
    """
    check_device(device)
    base, precision = (None, None) if model is None else catalog.split_precision(model)
    named = named_folder(base)
    if named is not None:
        if model_dir is not None or not named:
            raise InputError(f"{model} must name a folder, and no other may be given with it.")
        model_dir = Path(named)
    folder = None if model_dir is None else model_dir.expanduser().resolve()
    if named is not None and folder is not None:
        name = onnx_model.PREFIX + folder.name  # wherever it moves
        model = name if precision is None else f"{name}:{precision}"
    return ModelChoice(model, folder, cache_dir, hub, device=device)


def with_precision(model: str | None, precision: str | None) -> str | None:
    """The name of a model in the precision that a user asks for.

    Raises:
        InputError: a precision of no model.
    """
    if precision is None:
        return model
    if model is None:
        raise InputError(f"Name the model that is wanted in {precision}.")
    return f"{model}:{precision}"


def in_precision(choice: ModelChoice, precision: str) -> ModelChoice:
    """The choice of the same model in another precision."""
    base, _ = catalog.split_precision(choice.model or "clip")
    return replace(choice, model=f"{base}:{precision}")


def named_folder(model: str | None) -> str | None:
    """The folder in a name such as `onnx:DIR`; None if it names none."""
    prefix = onnx_model.PREFIX
    return model.removeprefix(prefix) if model and model.startswith(prefix) else None


def load_semantic(choice: ModelChoice) -> Descriptor:
    """Loads the chosen descriptor, by default CLIP.

    Raises:
        ModelError: the name is unknown, or the weights are missing.
    """
    base, precision = catalog.split_precision(choice.model or "clip")
    named = catalog.named_model(base)
    name = base if named is None else named.model
    full = name if precision is None else f"{name}:{precision}"
    if named is not None and named.hub is not None:
        return _load_from_hub(named, full, precision, choice)
    if choice.model_dir is not None and named_folder(name) is not None:
        return onnx_model.load_onnx(
            choice.model_dir, full, choice.text_revision, device=choice.device
        )
    if precision is not None:
        raise ModelError(
            f"{name} comes in one precision alone: leave {precision} out, or take a model from a "
            "folder that has such a file, with onnx:DIR."
        )
    if descriptors.has(name):
        return descriptors.load(name)
    from lookalike.descriptors import clip  # importing FastEmbed takes half a second

    return clip.load_clip(
        name,
        choice.model_dir,
        choice.cache_dir,
        download=choice.hub is not None,
        text_revision=choice.text_revision,
        device=choice.device,
    )


def _load_from_hub(
    named: NamedModel, name: str, precision: str | None, choice: ModelChoice
) -> Descriptor:
    """Loads a model of the hub, or of the folder that was named instead.

    Raises:
        ModelError: as in `load_semantic`, or it is another model.
    """
    folder = choice.model_dir or catalog.download(
        named,
        choice.cache_dir,
        allowed=choice.hub is not None,
        suffixes=onnx_model.SUFFIXES[precision],
    )
    loaded = onnx_model.load_onnx(folder, name, choice.text_revision, device=choice.device)
    if loaded.spec.size != named.dimensions:
        raise ModelError(
            f"The model in {folder} makes vectors of {loaded.spec.size} numbers and {named.model} "
            f"makes {named.dimensions}: name the folder of that model, or use onnx:{folder}."
        )
    return loaded


def text_revision(semantic: Descriptor) -> str | None:
    """The fingerprint of the text model beside an image model; None if there is none here."""
    revision: str | None = getattr(semantic, "text_revision", lambda: None)()
    return revision


def choose_semantic(choice: ModelChoice) -> tuple[Descriptor, str | None]:
    """Loads the semantic descriptor of a new index.

    A model that was named is loaded or refused. Otherwise it is CLIP if its weights are cached or
    the hub answers, else the built-in model. Offline, the decision takes less than five seconds;
    FastEmbed alone would try for forty.

    Returns:
        The descriptor, and a notice for the user if it is the fallback.

    Raises:
        ModelError: as in `load_semantic`.
    """
    if choice.model is not None or choice.model_dir is not None:
        return _load_new(choice), None
    preferred = replace(choice, model="clip")
    try:
        return load_semantic(replace(preferred, hub=None)), None
    except ModelError:
        pass
    if choice.hub is not None and hub_answers(choice.hub):
        try:
            return load_semantic(preferred), None
        except ModelError as error:
            reason = str(error)
    else:
        reason = "CLIP's weights are not on this machine and the model hub cannot be reached."
    return descriptors.load(BUILT_IN), (
        f"{reason} Using the built-in model `{BUILT_IN}`, which knows certain words; for CLIP, run "
        "`lookalike migrate start --model clip` when there is a network, or with `--model-dir DIR`."
    )


def _load_new(choice: ModelChoice) -> Descriptor:
    """Loads a model that a new index is to be made with, and tries it.

    Raises:
        ModelError: as in `load_semantic`, or its vectors are of no use.
    """
    loaded = load_semantic(choice)
    if isinstance(loaded, onnx_model.OnnxModel):
        loaded.check()
    return loaded


def load_further(choices: Sequence[ModelChoice]) -> list[Descriptor]:
    """Loads models of a new index beside its semantic one, each for an aspect of its own.

    Raises:
        ModelError: as in `load_semantic`, or its vectors are of no use.
    """
    return [_serving(_load_new(choice), further_aspect(choice)) for choice in choices]


def further_aspect(choice: ModelChoice) -> str:
    """The aspect that a further model serves, such as `semantic:dinov2`."""
    model = choice.model or "clip"
    named = catalog.named_model(model)
    name = (named_folder(model) or model.rpartition("/")[2]) if named is None else named.name
    return FURTHER + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _serving(descriptor: Descriptor, aspect: str | None, name: str | None = None) -> Descriptor:
    """The descriptor, made to serve an aspect, or none, by the vector of a name."""
    named = name or descriptor.spec.name
    descriptor.spec = replace(descriptor.spec, aspect=aspect, name=named)
    return descriptor


def hub_answers(hub: str, seconds: float = _PROBE_SECONDS) -> bool:
    """Tells whether a connection to the hub opens in time, including the name lookup, which has no
    timeout of its own."""
    import socket

    address = urlsplit(hub)
    opened = threading.Event()

    def connect() -> None:
        port = address.port or (80 if address.scheme == "http" else 443)
        try:
            socket.create_connection((address.hostname or "", port), timeout=seconds).close()
        except OSError:
            return
        opened.set()

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return opened.is_set()


def _is_model(model: str | None, recorded: str) -> bool:
    """Tells if a model that was asked for may be that of an index; weights in a folder are
    compared when they are loaded, as folders may be renamed."""
    if model is None or full_name(model) == recorded.lower():
        return True
    return named_folder(model) is not None and named_folder(recorded) is not None


class _Outdated:
    """The place of a descriptor whose revision this version no longer has: vectors that are stored
    serve its aspect, and no image is described.

    Args:
        spec: the vector that the index has.
        manifest: that of the index.
    """

    side = 1

    def __init__(self, spec: VectorSpec, manifest: Manifest) -> None:
        self.spec = spec
        self._manifest = manifest

    def describe(self, images: Sequence[Image]) -> Description:
        current = descriptors.load(self.spec.model).spec
        self._manifest.require(replace(current, name=self.spec.name, aspect=self.spec.aspect))
        raise ModelError(f"The descriptor of {self.spec.name!r} is not at hand.")


class Models:
    """The descriptors of one index; see `protocols.Descriptors`.

    Args:
        manifest: names the descriptors that the index was made with.
        choice: the model that was asked for, and where its weights are.
        further: the same of models beside it.
        loaded: descriptors that are loaded already, as those of a new index are, and those of own
            aspects that were given.

    Raises:
        ModelError: the choice names another model than that of the index, or a loaded descriptor is
            not the index's.
    """

    def __init__(
        self,
        manifest: Manifest,
        choice: ModelChoice,
        loaded: Iterable[Descriptor] = (),
        further: Sequence[ModelChoice] = (),
    ) -> None:
        self._manifest = manifest
        self._decoded: tuple[Manifest | None, list[str]] = (None, [])
        self._loading = threading.Lock()
        self._choice = choice
        self._chosen = manifest.semantic.model
        self._further = {further_aspect(one): one for one in further}
        self._loaded = {descriptor.spec.name: descriptor for descriptor in loaded}
        for descriptor in self._loaded.values():
            manifest.require(descriptor.spec)
        recorded = manifest.semantic.model
        if not _is_model(choice.model, recorded):
            raise ModelError(
                f"This index was made with {recorded}, not {choice.model}: leave out the model to "
                "use the index's own, or replace it with `lookalike migrate start`."
            )
        for aspect in self._further:
            if aspect not in manifest.aspects:
                raise ModelError(
                    f"This index has no aspect {aspect!r}, only {', '.join(manifest.aspects)}: an "
                    "index keeps the models that it was made with, so index into a new folder."
                )

    def descriptor(self, name: str) -> Descriptor:
        """Returns the descriptor that makes the vectors of this name; one that is not at hand
        raises ModelError when it is to describe an image.

        Raises:
            ModelError: its weights are missing, or differ from those of the index.
            QueryError: the index does not have the vector any more.
        """
        return self._descriptor(name, self._manifest)

    def _descriptor(self, name: str, manifest: Manifest) -> Descriptor:
        if (at_hand := self._loaded.get(name)) is not None:
            return at_hand
        if self._is_available(name, manifest):
            with self._loading:  # a second thread waits for the model and does not load it again
                loaded = self._loaded.get(name) or self._load(name, manifest)
                manifest.require(loaded.spec)
                self._loaded[name] = loaded
                return loaded
        spec = manifest.vectors[name]
        if manifest.own_aspect(name) is None:
            return _Outdated(spec, manifest)
        return aspects.MissingAspect(spec)

    def is_available(self, name: str) -> bool:
        """Tells if a descriptor is at hand: that of an own aspect must be given or registered, and
        one of this package must be of the revision that the index was made with."""
        return self._is_available(name, self._manifest)

    def _is_available(self, name: str, manifest: Manifest) -> bool:
        if name in self._loaded:
            return True
        if name not in manifest.vectors:  # whoever asks has not taken the new manifest over yet
            raise QueryError(f"The index has no vector {name!r} any more: search again.")
        own = manifest.own_aspect(name)
        if own is not None:
            return aspects.is_registered(own)
        if name not in self._without_weights(manifest):
            return True
        loaded = self._load(name, manifest)
        if loaded.spec == manifest.vectors[name]:
            self._loaded[name] = loaded
        return name in self._loaded

    def refresh(self, manifest: Manifest) -> None:
        """Takes over a changed manifest, while other threads search and describe by the old one;
        models that the index still has stay loaded."""
        self._manifest = manifest
        for name, descriptor in tuple(self._loaded.items()):
            spec = manifest.vectors.get(name, descriptor.spec)  # a search may need one that is gone
            if replace(descriptor.spec, aspect=spec.aspect) != spec:
                self._loaded.pop(name, None)
            elif descriptor.spec != spec:
                _serving(descriptor, spec.aspect)

    def load(self, choice: ModelChoice, aspect: str) -> tuple[Descriptor, FurtherModel, str | None]:
        """Loads a model that is to serve an aspect in place of the index's own, and tries it.

        Args:
            choice: the model; without a name, the newest revision of the index's own.
            aspect: one that a model serves which comes with this package or from a model hub.

        Returns:
            The descriptor, which serves no aspect yet and whose vector has a name that the index
            does not use; what an index records of the model; and the name by which decoders run
            it, None for a model with weights.

        Raises:
            QueryError: the index has no such aspect.
            ModelError: the model is not there, or its vectors are of no use.
        """
        manifest = self._manifest
        if aspect not in manifest.aspects:
            names = ", ".join(manifest.aspects)
            raise QueryError(f"There is no aspect {aspect!r}: use {names}.")
        own = manifest.vectors[manifest.aspects[aspect]]
        chosen = choice if choice.model else replace(choice, model=own.model)
        loaded = _load_new(replace(chosen, cache_dir=self._choice.cache_dir, hub=self._choice.hub))
        folder = None if choice.model_dir is None else str(choice.model_dir)
        name, number = loaded.spec.name, 2
        while name in manifest.vectors:
            name, number = f"{loaded.spec.name}+{number}", number + 1
        decoded = loaded.spec.model if descriptors.has(loaded.spec.model) else None
        files = FurtherModel(folder, text_revision(loaded))
        return _serving(loaded, None, name), files, decoded

    def adopt(self, descriptor: Descriptor, name: str) -> None:
        """Keeps a descriptor for the vectors of a name, which the index is about to get."""
        self._loaded[name] = _serving(descriptor, None, name)

    def _load(self, name: str, manifest: Manifest) -> Descriptor:
        spec = manifest.vectors[name]
        if name == manifest.semantic.name or name in manifest.further:
            choice = self._recorded(spec, manifest.files_of(name))
            return _serving(load_semantic(choice), spec.aspect, name)
        if manifest.own_aspect(name) is None:
            return descriptors.load(name)
        return aspects.load_registered(name)

    @property
    def without_weights(self) -> list[str]:
        """Names of the descriptors that decoders can run by themselves."""
        return self._without_weights(self._manifest)

    def _without_weights(self, manifest: Manifest) -> list[str]:
        known, names = self._decoded
        if known is not manifest:
            names = [
                name
                for name in manifest.vectors
                if manifest.own_aspect(name) is None and descriptors.has(name)
            ]
            self._decoded = manifest, names
        return names

    def describers(self) -> Describers:
        """Returns all descriptors, divided by where an ingest runs them."""
        manifest = self._manifest
        all_of_them = dict(self._available(manifest))
        names = [name for name in self._without_weights(manifest) if name in all_of_them]
        return Describers(
            names={name: manifest.vectors[name] for name in names},
            models=[one for name, one in all_of_them.items() if name not in names],
            side=max(one.side for one in all_of_them.values()),
            gps=manifest.gps,
        )

    def _available(self, manifest: Manifest) -> Iterator[tuple[str, Descriptor]]:
        """The descriptors by name. While a model is being replaced, the vector that serves no
        aspect is left out where its model is not at hand."""
        for name in manifest.vectors:
            try:
                descriptor = self._descriptor(name, manifest)
                if isinstance(descriptor, _Outdated):
                    descriptor.describe(())  # raises, before any image is read
                yield name, descriptor
            except ModelError:
                if name != manifest.idle_vector:
                    raise

    def _recorded(self, spec: VectorSpec, recorded: FurtherModel) -> ModelChoice:
        """The choice that loads the model which made some vectors of the index."""
        folder = None if recorded.model_dir is None else Path(recorded.model_dir)
        given = self._further.get(str(spec.aspect))
        if spec.aspect == "semantic" and spec.model == self._chosen:
            given = self._choice
        if given is not None and given.model_dir is not None:
            folder = given.model_dir
        where = self._choice.cache_dir, self._choice.hub
        return ModelChoice(spec.model, folder, *where, recorded.text_revision, self._choice.device)
