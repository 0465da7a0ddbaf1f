"""Health of an index: findings on everything that can be looked at within seconds."""

from __future__ import annotations

import platform
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lookalike.admin.integrity import verify
from lookalike.admin.migration import GrowingEngine
from lookalike.cache.records import Rejected
from lookalike.cache.store import Cache
from lookalike.errors import ModelError
from lookalike.manifest import Manifest, Phase
from lookalike.protocols import Descriptors, Engine
from lookalike.record import record_of
from lookalike.system.memory import resident_bytes
from lookalike.system.text import count

Recall = tuple[float, float, float]
"""Mean recall@10, and the ends of its 95 % interval."""

ENOUGH_RECALL = 0.95
"""Mean recall below which an aspect is worth a word."""

_GRAPH_FROM = 20_000
"""Images from which on searches want a graph in every engine."""
_COVERED = 0.9
"""Share of the vectors in the graph from which on the others make no difference."""
_SAMPLE = 200
"""Images whose files are looked for."""


class Level(StrEnum):
    """The weight of a finding."""

    FINE = "fine"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: a word for it, such as `model` or `files`.
        level: its weight.
        what: the state of it, in a sentence.
        remedy: what to do; empty where there is nothing to do.
    """

    about: str
    level: Level
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class VectorHealth:
    """One named vector.

    Attributes:
        aspect: the aspect that it serves.
        model: its model.
        size: number of dimensions.
        recall: the recall of searches by it; None if it was not measured.
    """

    aspect: str
    model: str
    size: int
    recall: Recall | None


@dataclass(frozen=True, slots=True)
class Health:
    """The health of an index.

    Attributes:
        images: number of images.
        rejects: images that could not be indexed in the last run over their source.
        vectors: the vectors of aspects, by name.
        bytes_on_disk: size of the index; None if that is unknown.
        bytes_free: bytes that are free on its disk; None for a server.
        thumbnails: bytes of the cache.
        memory: resident bytes of this process and its children.
        versions: versions of lookalike, the engine, Python and the system.
        findings: what was looked at, the worst first.
    """

    images: int
    rejects: Sequence[Rejected]
    vectors: Mapping[str, VectorHealth]
    bytes_on_disk: int | None
    bytes_free: int | None
    thumbnails: int
    memory: int
    versions: Mapping[str, str]
    findings: Sequence[Finding]

    @property
    def is_damaged(self) -> bool:
        """True if anything is wrong."""
        return any(finding.level is Level.PROBLEM for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Patient:
    """An index to examine.

    Attributes:
        engine: of the index.
        manifest: of the index.
        cache: of the index.
        models: its descriptors.
        recalls: the recall of searches, by vector name.
        calibration_due: whether it should be sampled again.
    """

    engine: Engine
    manifest: Manifest
    cache: Cache
    models: Descriptors
    recalls: Mapping[str, Recall]
    calibration_due: bool


def examine(patient: Patient) -> Health:
    """Looks at everything that can be looked at within seconds."""
    info, manifest = patient.engine.info(), patient.manifest
    folder = patient.cache.path.parent
    size = info["bytes_on_disk"]
    free = None if size is None or not folder.exists() else shutil.disk_usage(folder).free
    rejects = patient.cache.rejected()
    findings = [
        *_damage(patient),
        *(Finding("engine", Level.ADVICE, note) for note in info.get("notes", ())),
        *_models(patient),
        *_migration(patient),
        _graph(info, len(manifest.aspects)),
        *_recall(patient),
        *_calibration(patient, info["points"]),
        *_files(patient.engine),
        *_rejects(rejects),
        *_room(size, free),
        *_thumbnails(patient.cache),
    ]
    worst_first = (Level.PROBLEM, Level.ADVICE, Level.FINE)
    return Health(
        images=info["points"],
        rejects=rejects,
        vectors={
            name: VectorHealth(
                aspect,
                manifest.vectors[name].model,
                manifest.vectors[name].size,
                patient.recalls.get(name),
            )
            for aspect, name in manifest.aspects.items()
        },
        bytes_on_disk=size,
        bytes_free=free,
        thumbnails=patient.cache.bytes_on_disk,
        memory=resident_bytes(),
        versions=_versions(info["engine"]),
        findings=sorted(findings, key=lambda one: worst_first.index(one.level)),
    )


def _versions(engine: str) -> dict[str, str]:
    package = "qdrant-edge-py" if engine == "qdrant-edge" else "qdrant-client"
    return {
        "lookalike": version("lookalike"),
        package: version(package),
        "python": platform.python_version(),
        "system": platform.platform(),
    }


# --- findings -------------------------------------------------------------------------------


def _damage(patient: Patient) -> Iterator[Finding]:
    found = verify(patient.engine, patient.manifest, patient.cache, full=False).problems
    for problem in found:
        yield Finding("damage", Level.PROBLEM, f"{problem.what}.", f"{problem.remedy}.")
    if not found:
        what = "Nothing is missing; `lookalike verify` also reads every image."
        yield Finding("damage", Level.FINE, what)


def _models(patient: Patient) -> Iterator[Finding]:
    lacking = False
    for aspect, name in patient.manifest.aspects.items():
        if not patient.models.is_available(name):
            lacking = True
            yield Finding(
                "model",
                Level.ADVICE,
                f"The descriptor of the aspect {aspect} is not at hand: only stored vectors serve "
                "the aspect.",
                "Install its package, or pass it to `Index.open(aspects=…)`.",
            )
            continue
        try:
            patient.models.descriptor(name)
        except ModelError as error:
            lacking = True
            yield Finding("model", Level.PROBLEM, str(error))
    if not lacking:
        yield Finding("model", Level.FINE, "Every aspect has its model.")


_NEXT = {
    Phase.FILLING: "Run the same `lookalike migrate start` to its end, or `cancel`.",
    Phase.READY: "Look at `lookalike migrate report`, then `cut-over`, or `cancel`.",
    Phase.CUT_OVER: "Run `lookalike migrate finish` once nobody wants the old model back.",
    Phase.ENDING: "Run `lookalike migrate finish`, or `cancel`, once more.",
}


def _migration(patient: Patient) -> Iterator[Finding]:
    under_way, engine = patient.manifest.migration, patient.engine
    if under_way is None:
        return
    new, lacking = under_way.target, 0
    if isinstance(engine, GrowingEngine) and under_way.phase is not Phase.ENDING:
        lacking = engine.count_lacking(new.name)
    without = f"; {count(lacking, 'image')} without its vector" if lacking else ""
    what = f"A migration of {under_way.aspect} to {new.model} is {under_way.phase}{without}."
    yield Finding("migration", Level.ADVICE, what, _NEXT[under_way.phase])


def _graph(info: Mapping[str, Any], aspects: int) -> Finding:
    images, remedy = info["points"], "Run `lookalike optimize`."
    if info.get("status", "green") not in ("green", "red"):
        what = "The server is still building its search graphs; searches are slower until then."
        return Finding("graph", Level.ADVICE, what)
    covered = info["indexed_vectors"] / (images * aspects) if images else 1.0
    if "status" not in info and images >= _GRAPH_FROM and covered < _COVERED:
        what = f"The search graph covers {covered:.0%} of the vectors; the others are scanned."
        return Finding("graph", Level.ADVICE, what, remedy)
    if not images:
        what = "The index is empty."
        return Finding("graph", Level.ADVICE, what, "Add images with `lookalike index PATH`.")
    return Finding("graph", Level.FINE, "Searches have the graph that they need.")


def _recall(patient: Patient) -> Iterator[Finding]:
    for aspect, name in patient.manifest.aspects.items():
        if name in patient.recalls and patient.recalls[name][0] < ENOUGH_RECALL:
            mean, low, high = patient.recalls[name]
            yield Finding(
                "recall",
                Level.ADVICE,
                f"Searches by {aspect} find {mean:.0%} of the ten nearest images ({low:.0%} to "
                f"{high:.0%}).",
                "Run `lookalike optimize`, or search with --exact where it matters.",
            )


def _calibration(patient: Patient, images: int) -> Iterator[Finding]:
    if not patient.calibration_due:
        return
    known = patient.manifest.calibration
    made = "was never made" if known is None else f"is that of {count(known.images, 'image')}"
    yield Finding(
        "calibration",
        Level.ADVICE,
        f"The calibration of weights {made}, and there are {images:,}.",
        "Run `lookalike optimize`.",
    )


def _files(engine: Engine) -> Iterator[Finding]:
    points = next(engine.scroll(batch=_SAMPLE), [])
    paths = [uri for point in points if "://" not in (uri := record_of(point.payload)["uri"])]
    gone = [path for path in paths if not Path(path).exists()]
    if gone:
        yield Finding(
            "files",
            Level.ADVICE,
            f"{len(gone):,} of {count(len(paths), 'file')} that were looked for are gone, such as "
            f"{gone[0]}.",
            "Mount their disk, or index their folder again with --prune.",
        )
    elif paths:
        what = f"{count(len(paths), 'file')} that were looked for, drawn at random, are there."
        yield Finding("files", Level.FINE, what)


def _rejects(rejects: Sequence[Rejected]) -> Iterator[Finding]:
    if rejects:
        reasons = Counter(one.reason for one in rejects).most_common()
        counted = ", ".join(f"{number:,} {reason}" for reason, number in reasons)
        yield Finding(
            "rejects",
            Level.ADVICE,
            f"{count(len(rejects), 'file')} could not be indexed: {counted}.",
            "See each with --json; docs/images.md explains the reasons.",
        )


def _room(size: int | None, free: int | None) -> Iterator[Finding]:
    if size is not None and free is not None and free < size:
        yield Finding(
            "disk",
            Level.ADVICE,
            f"The disk has {free / 1e9:.1f} GB left, and building a search graph may need as much "
            f"as the index takes, {size / 1e9:.1f} GB.",
            "Free some space before `lookalike optimize`.",
        )


def _thumbnails(cache: Cache) -> Iterator[Finding]:
    if cache.problem:
        yield Finding("thumbnails", Level.ADVICE, cache.problem)
