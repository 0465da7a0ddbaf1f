"""The descriptors of an index, loaded when they are first needed, and always its own."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from lookalike import descriptors
from lookalike.descriptors import ModelChoice
from lookalike.errors import ModelError
from lookalike.manifest import Manifest
from lookalike.protocols import Describers, Descriptor


class Models:
    """What describes images for one index.

    Args:
        manifest: says which descriptors the index was made with.
        choice: where the semantic model's weights may be found.
        loaded: descriptors that are there already, when the index was just made with them.

    Raises:
        ModelError: another model was asked for than the index's own.
    """

    def __init__(
        self, manifest: Manifest, choice: ModelChoice, loaded: tuple[Descriptor, ...] = ()
    ) -> None:
        self._manifest = manifest
        self._choice = choice
        self._loaded = {descriptor.spec.name: descriptor for descriptor in loaded}
        own = manifest.semantic.model
        if choice.model is not None and descriptors.full_name(choice.model) != own.lower():
            raise ModelError(
                f"This index was made with {own} and {choice.model} was asked for: leave out the "
                "model to use the index's own, or index into a new folder with the other."
            )

    def descriptor(self, name: str) -> Descriptor:
        """The one that makes the vectors of this name.

        Raises:
            ModelError: its weights cannot be had, or are not those the index was made with.
        """
        if name not in self._loaded:
            semantic = name == self._manifest.semantic.name
            found = descriptors.load_semantic(self._own()) if semantic else descriptors.load(name)
            self._manifest.require(found.spec)
            self._loaded[name] = found
        return self._loaded[name]

    @cached_property
    def without_weights(self) -> list[str]:
        """Names of those that decoders can run by themselves."""
        known = descriptors.names()
        return [name for name in self._manifest.vectors if name in known]

    def describers(self) -> Describers:
        """All of them, as an ingest wants them."""
        names = self.without_weights
        everyone = {name: self.descriptor(name) for name in self._manifest.vectors}
        return Describers(
            names={name: self._manifest.vectors[name] for name in names},
            models=[one for name, one in everyone.items() if name not in names],
            side=max(one.side for one in everyone.values()),
        )

    def _own(self) -> ModelChoice:
        """The choice that finds the index's own model again."""
        recorded = self._manifest.model_dir
        folder = self._choice.model_dir or (Path(recorded) if recorded else None)
        return ModelChoice(
            self._manifest.semantic.model, folder, self._choice.cache_dir, self._choice.hub
        )
