"""The manifest of an index: its vectors, the aspects they serve, field types, calibration.

The manifest is JSON that the engine stores beside the points. This module enforces two rules: an
index never mixes models, and an older lookalike never touches a newer index.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import IndexDamaged, InputError, ModelError, QueryError, SchemaTooNew
from lookalike.fields import USER_TYPES, Field, fields_of
from lookalike.types import Background, Distance, FieldType, VectorSpec

SCHEMA = 1

STANDARD_ASPECTS = ("semantic", "color", "texture")
"""Aspects of every index; all others are the user's own."""

FURTHER = "semantic:"
"""Beginning of the aspects of further models, as in `semantic:dinov2`."""

_MAX_SIZE = 65_536
"""Dimensions that engines take."""

_VECTOR_NAME = re.compile(r"[\w.+-]{1,200}")

PRESET_NAME = re.compile(r"[^\W\d][\w-]{0,59}")

UNFINISHED = "unfinished"
"""Key under which an incomplete copy of an index holds its future manifest."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The similarities of random images, measured on a sample of the index.

    Attributes:
        images: number of images in the index at that time.
        backgrounds: mean and spread of the similarities, by vector name.
    """

    images: int
    backgrounds: Mapping[str, Background]


@dataclass(frozen=True, slots=True)
class FurtherModel:
    """A further model of an index; see `Manifest`, which has the same of the first one.

    Attributes:
        model_dir: folder with its files, if the user chose one.
        text_revision: fingerprint of its text model.
    """

    model_dir: str | None = None
    text_revision: str | None = None

    def check(self) -> None:
        """Raises TypeError for values that no index records."""
        if not isinstance(self.model_dir, str | None):
            raise TypeError(f"the folder of a model is {self.model_dir!r:.80}")
        _text_revision(self.text_revision)


class Phase(StrEnum):
    """The phase of a migration."""

    FILLING = "filling"
    READY = "ready"
    CUT_OVER = "cut over"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Migration:
    """The replacement of an aspect's model by another.

    Attributes:
        phase: "filling" while images get the new vector; "ready" once new images get both; "cut
            over" once the new one serves; "ending" while the one that does not is removed.
        aspect: the aspect.
        target: the new vector, as if it served no aspect.
        source: name of the vector that it replaces.
        files: the new model's files.
        calibration: of the index with the vector that does not serve; None if it has none.
        errors: number of images that the new model failed on.
    """

    phase: Phase
    aspect: str
    target: VectorSpec
    source: str
    files: FurtherModel
    calibration: Calibration | None = None
    errors: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads a migration as JSON, which may come from anywhere."""
        target, files = data["target"], FurtherModel(**data["files"])
        files.check()
        own = Phase(data["phase"]), data["aspect"], _spec(target["name"], target), data["source"]
        return cls(*own, files, _calibration(data["calibration"]), int(data["errors"]))


@dataclass(frozen=True)
class Manifest:
    """The description of an index that is stored with it.

    Attributes:
        aspects: the name of the vector that serves each aspect.
        vectors: the named vectors, by name.
        fields: types of the user's fields, by name.
        model_dir: folder with the semantic model's files, if the user chose one.
        calibration: None until the index has enough images.
        restored: whether the index came out of a backup file, so that its records may name any file
            of this machine.
        text_revision: fingerprint of the text model that shares the space of the semantic model;
            None if it has none, or its weights were not at hand when the index was made.
        presets: named weights of the user's own, each by aspect.
        gps: whether the index stores where photos were taken.
        further: the models beside the semantic one, by vector name.
        migration: the replacement of a model that is under way; None if none is.
    """

    aspects: Mapping[str, str]
    vectors: Mapping[str, VectorSpec]
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    model_dir: str | None = None
    calibration: Calibration | None = None
    restored: bool = False
    text_revision: str | None = None
    presets: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gps: bool = False
    further: Mapping[str, FurtherModel] = field(default_factory=dict)
    migration: Migration | None = None

    @classmethod
    def of(
        cls,
        specs: Sequence[VectorSpec],
        model_dir: str | None = None,
        text_revision: str | None = None,
        *,
        gps: bool = False,
        further: Mapping[str, FurtherModel] | None = None,
    ) -> Manifest:
        """The manifest of a new index with these vectors.

        Raises:
            ModelError: a spec cannot be used, or two have one name.
        """
        for spec in specs:
            check_spec(spec)
        if len({spec.name for spec in specs}) < len(specs):
            raise ModelError(
                f"Two descriptors have one name ({', '.join(spec.name for spec in specs)}): rename "
                "your own aspect, or name each model once."
            )
        return cls(
            aspects={spec.aspect: spec.name for spec in specs if spec.aspect is not None},
            vectors={spec.name: spec for spec in specs},
            model_dir=model_dir,
            text_revision=text_revision,
            gps=gps,
            further=further or {},
        )

    @property
    def all_fields(self) -> dict[str, Field]:
        """All fields by name: the user's, then our own."""
        return fields_of(self.fields, gps=self.gps)

    def own_aspect(self, name: str) -> str | None:
        """The aspect of the user's own that a named vector serves; None for other vectors."""
        aspect = self.vectors[name].aspect
        if aspect is None or aspect in STANDARD_ASPECTS or aspect.startswith(FURTHER):
            return None
        return aspect

    @property
    def semantic(self) -> VectorSpec:
        """The vector that serves the aspect `semantic`."""
        return self.vectors[self.aspects["semantic"]]

    @property
    def idle_vector(self) -> str | None:
        """The vector of a migration that serves no aspect; not every image has it."""
        own = self.migration
        names = () if own is None else (own.source, own.target.name)
        return next((n for n in names if n in self.vectors and not self.vectors[n].aspect), None)

    def files_of(self, name: str) -> FurtherModel:
        """The files of the model that makes the vectors of this name."""
        if name == self.semantic.name:
            return FurtherModel(self.model_dir, self.text_revision)
        return self.further.get(name, FurtherModel())

    def serving(self, aspect: str, name: str) -> Manifest:
        """The manifest in which another vector of the index serves an aspect.

        The one that served it stays, with its files, and serves none.
        """
        before = self.aspects[aspect]
        vectors = {
            **self.vectors,
            before: replace(self.vectors[before], aspect=None),
            name: replace(self.vectors[name], aspect=aspect),
        }
        further = {**self.further, before: self.files_of(before)}
        changed = replace(
            self, aspects={**self.aspects, aspect: name}, vectors=vectors, further=further
        )
        if aspect != "semantic":
            return changed
        return replace(changed, **asdict(self.files_of(name)))

    def with_fields(self, fields: Mapping[str, FieldType]) -> Manifest:
        return replace(self, fields={**self.fields, **fields})

    def require(self, spec: VectorSpec) -> None:
        """Checks that a descriptor is the one that the index was made with.

        Raises:
            ModelError: it is not.
        """
        if spec.name not in self.vectors:
            raise ModelError(
                f"This index has no aspect {spec.name!r}, only {', '.join(self.aspects)}: an index "
                "keeps the aspects that it was made with, so index into a new folder."
            )
        own = self.vectors[spec.name]
        if own != spec:
            raise ModelError(
                f"The index was made with {own.model} (revision {own.revision}, {own.size} "
                f"dimensions, {own.distance}) and this is {spec.model} (revision {spec.revision}, "
                f"{spec.size} dimensions, {spec.distance}): vectors of different models cannot "
                "be compared; name the index's own, or replace it: `lookalike migrate start`."
            )

    def checked_vector(self, aspect: str, numbers: Any) -> tuple[str, NDArray[np.float32]]:
        """The name of an aspect's vector, and a vector of a caller's for it.

        Raises:
            QueryError: there is no such aspect, or no image could have the vector.
        """
        if aspect not in self.aspects:
            raise QueryError(f"There is no aspect {aspect!r}: use {', '.join(self.aspects)}.")
        spec = self.vectors[self.aspects[aspect]]
        try:
            with np.errstate(over="ignore"):
                vector = np.asarray(numbers, np.float64).astype(np.float32)
        except (TypeError, ValueError):
            raise QueryError(f"The vector of {aspect} is not a list of numbers.") from None
        if vector.shape != (spec.size,):
            raise QueryError(
                f"A vector of {aspect} has {spec.size} numbers in this index (got {vector.size}): "
                f"make it with {spec.model}."
            )
        if not np.isfinite(vector).all():
            raise QueryError(f"The vector of {aspect} holds NaN or infinity: check it.")
        if flaw := spec.distance.flaw(vector[None]):
            raise QueryError(f"The vector of {aspect} {flaw}: check it.")
        return spec.name, vector

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "aspects": dict(self.aspects),
            "vectors": {name: asdict(spec) for name, spec in self.vectors.items()},
            "fields": {name: {"type": str(type)} for name, type in self.fields.items()},
            "model_dir": self.model_dir,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "restored": self.restored,
            "text_revision": self.text_revision,
            "presets": {name: dict(weights) for name, weights in self.presets.items()},
            "gps": self.gps,
            "further": {name: asdict(model) for name, model in self.further.items()},
            "migration": None if self.migration is None else asdict(self.migration),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], where: str) -> Manifest:
        """Reads the output of `to_json`.

        Args:
            data: the manifest as the engine stores it.
            where: the index, for error messages.

        Raises:
            SchemaTooNew: a newer lookalike wrote the manifest.
            IndexDamaged: the manifest is incomplete, or belongs to an incomplete copy.
        """
        try:
            if UNFINISHED in data:
                raise IndexDamaged(
                    f"The index {where} is an unfinished copy: run the same `lookalike copy` or "
                    "`lookalike restore` again, or delete it."
                )
            require_schema({"schema": int(data["schema"])}, where)
            vectors = {name: _spec(name, spec) for name, spec in data["vectors"].items()}
            aspects = {aspect: vectors[name].name for aspect, name in data["aspects"].items()}
            return cls(
                aspects,
                vectors,
                _fields(data["fields"]),
                data["model_dir"],
                _calibration(data.get("calibration"), set(aspects.values())),
                bool(data.get("restored")),
                _text_revision(data.get("text_revision")),
                _presets(data.get("presets", {}), aspects),
                bool(data.get("gps")),
                _further(data.get("further", {}), vectors),
                Migration.from_json(migration) if (migration := data.get("migration")) else None,
            )
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            raise IndexDamaged(
                f"The manifest of the index {where} is damaged ({error!r}): restore it from a "
                "backup, or delete the index and make it again."
            ) from error


def require_schema(data: Mapping[str, Any], where: str) -> None:
    """Raises SchemaTooNew for a manifest, valid or not, that a newer lookalike wrote."""
    schema = data.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise SchemaTooNew(
            f"The index {where} has schema {schema}, and this version of lookalike reads "
            f"schemas up to {SCHEMA}: upgrade it with `pip install -U lookalike`."
        )


def check_spec(spec: VectorSpec) -> None:
    """Checks the spec of a descriptor, which may be a plug-in's.

    Raises:
        ModelError: an index cannot be made with it.
    """
    wrong = _flaw(spec)
    if not wrong and not (spec.model and spec.revision):
        wrong = "no version: give it one, and change it whenever vectors change"
    if wrong:
        raise ModelError(f"The descriptor of the vector {spec.name!r:.80} has {wrong}.")


def _flaw(spec: VectorSpec) -> str:
    """The reason why no engine can hold a vector; empty if one can."""
    if not _VECTOR_NAME.fullmatch(spec.name):
        return "no usable name: use letters, digits, and . _ + -"
    if type(spec.size) is not int or not 0 < spec.size <= _MAX_SIZE:
        return f"{spec.size!r:.80} dimensions: use a whole number from 1 to {_MAX_SIZE:,}"
    if not isinstance(spec.distance, Distance):
        return f"the distance {spec.distance!r:.80}: use a member of `types.Distance`"
    if spec.datatype not in ("float32", "uint8"):
        return f"the type {spec.datatype!r:.80}: use float32 or uint8"
    return ""


def _spec(name: str, data: Mapping[str, Any]) -> VectorSpec:
    """A vector of an index, which may come from anywhere."""
    spec = VectorSpec(**{**data, "distance": Distance(data["distance"])})
    wrong = f"the name {spec.name!r}" if spec.name != name else _flaw(spec)
    if wrong:
        raise ValueError(f"the vector {name!r} has {wrong}")
    return spec


def _fields(data: Mapping[str, Any]) -> dict[str, FieldType]:
    """The user's fields of an index, which may come from anywhere."""
    types = {name: FieldType(field["type"]) for name, field in data.items()}
    if not set(types.values()) <= set(USER_TYPES):
        raise ValueError("no field of the user's holds places")
    fields_of(types)  # raises for a name that is reserved
    return types


def _text_revision(data: object) -> str | None:
    if not isinstance(data, str | None):
        raise TypeError(f"the revision of the text model is {data!r:.80}")
    return data


def _further(
    data: Mapping[str, Mapping[str, Any]], vectors: Mapping[str, VectorSpec]
) -> dict[str, FurtherModel]:
    """The further models of an index, which may come from anywhere."""
    further = {vectors[name].name: FurtherModel(**model) for name, model in data.items()}
    for model in further.values():
        model.check()
    return further


def _presets(
    data: Mapping[str, Mapping[str, Any]], aspects: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """The user's presets of an index, which may come from anywhere."""
    presets = {
        name: {aspect: float(weight) for aspect, weight in weights.items() if aspect in aspects}
        for name, weights in data.items()
    }
    for name, weights in presets.items():
        numbers = list(weights.values())
        if not PRESET_NAME.fullmatch(name) or not any(numbers):
            raise ValueError(f"the preset {name!r} is empty or has no usable name")
        if not all(0 <= number < np.inf for number in numbers):
            raise ValueError(f"the preset {name!r} has a weight that is negative or not finite")
    return presets


def _calibration(
    data: Mapping[str, Any] | None, names: Iterable[str] | None = None
) -> Calibration | None:
    if data is None:
        return None
    stored = data["backgrounds"]
    backgrounds = {name: Background(**stored[name]) for name in names or stored}
    return Calibration(int(data["images"]), backgrounds)
