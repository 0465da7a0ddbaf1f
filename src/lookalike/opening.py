"""Opening an index: the parts it is made of, found where it exists, made where it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict, cast

from lookalike import descriptors
from lookalike.cache.store import Cache, cache_file
from lookalike.descriptors import loader
from lookalike.descriptors.aspects import AspectsInput, load_aspects
from lookalike.descriptors.catalog import default_cache_dir
from lookalike.descriptors.loader import HUB, ModelChoice, Models
from lookalike.engines import MEMORY, open_engine
from lookalike.engines.options import ServerOptions
from lookalike.errors import InputError, NotFound
from lookalike.fields import indexed_fields
from lookalike.manifest import FurtherModel, Manifest
from lookalike.manifest.store import MAX_FIELDS, ManifestStore
from lookalike.options import Option, with_defaults
from lookalike.protocols import Descriptor, Engine
from lookalike.sources import Fetch
from lookalike.system.temporary import TemporaryFolder
from lookalike.types import DecodeLimits
from lookalike.workers.pool import DecoderPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of an open index.

    Attributes:
        url: the address of the index.
        engine: stores and finds the points.
        manifest: what the index was made with, as read when it was opened.
        models: its descriptors, each loaded when first needed.
        decoder: decodes images in child processes.
        cache: thumbnails, sketches, and copies left out.
        max_fields: number of fields from which on new ones are refused.
        notice: one line for the user about how the index was made; None when all went as asked.
        fetch: reads images by URL; None where the index reads none.
        folder: the folder of an index in memory; None for one that stays.
    """

    url: str
    engine: Engine
    manifest: Manifest
    models: Models
    decoder: DecoderPool
    cache: Cache
    max_fields: int = MAX_FIELDS
    notice: str | None = None
    fetch: Fetch | None = None
    folder: TemporaryFolder | None = None

    def manifests(self, on_update: Callable[[Manifest], None]) -> ManifestStore:
        """Reads and writes the manifest; calls `on_update` after every update."""
        return ManifestStore(self.engine, self.manifest, on_update, self.max_fields)

    def close(self) -> None:
        """Releases everything. Closing twice is harmless."""
        self.decoder.close()
        self.cache.close()
        self.engine.close()
        if self.folder is not None:
            self.folder.remove()


class OpenOptions(TypedDict, total=False):
    """Options of `Index.open`."""

    create: Annotated[bool, Option("Make an index where there is none.", True)]
    model: Annotated[
        str | None,
        Option(
            'Model for the aspect "semantic" of a new index: a name that `lookalike.models()` '
            'lists, such as "clip", "siglip2" or "built-in", or "onnx:DIR" for a folder with a '
            "model in ONNX format. By default CLIP if its weights are cached or can be downloaded, "
            "else the built-in model. An index keeps its model."
        ),
    ]
    model_dir: Annotated[
        str | os.PathLike[str] | None,
        Option("Folder with the model's files, or with the folders `vision` and `text`."),
    ]
    precision: Annotated[
        Literal["fp32", "fp16", "int8"] | None,
        Option(
            "Precision of the model's weights, where its files have several; `model` may name it, "
            'too, as in "dinov2:int8". An index keeps it.'
        ),
    ]
    also: Annotated[
        str | Sequence[str] | None,
        Option(
            'Models of a new index beside the first, each for an aspect of its own: "dinov2" for '
            "`semantic:dinov2`. Names as of `model`."
        ),
    ]
    aspects: Annotated[
        AspectsInput,
        Option(
            "Aspects of your own, chosen when an index is made: a descriptor by the name of each, "
            'as in `{"sleeves": Sleeves()}`, or names that a package registers.'
        ),
    ]
    device: Annotated[
        str,
        Option(
            'Device that runs the models: "cpu", "cuda", "cuda:1", or "auto" for a GPU if ONNX '
            "Runtime can use one. The built-in model always runs on the CPU.",
            "auto",
        ),
    ]
    cache_dir: Annotated[
        str | os.PathLike[str] | None,
        Option("Folder for downloaded weights; by default in the user's cache folder."),
    ]
    hub: Annotated[str | None, Option("Model hub for downloads; None never downloads.", HUB)]
    limits: Annotated[DecodeLimits | None, Option("Limits of the decoder; see `DecodeLimits`.")]
    threads: Annotated[
        int | None, Option("Number of images decoded in parallel; by default one per core.")
    ]
    server: Annotated[
        ServerOptions | None,
        Option("Connection to a server, and layout of a new collection there."),
    ]
    thumbnails: Annotated[
        int | None,
        Option(
            "Disk budget for thumbnails in bytes, kept for later runs; 0 disables them. By default "
            "as set before, or 10 GB."
        ),
    ]
    gps: Annotated[
        bool,
        Option(
            "Store where photos were taken, from their EXIF, as `image.gps`; chosen when an index "
            "is made. Everyone who may search the index can read it.",
            False,
        ),
    ]
    max_fields: Annotated[
        int, Option("Number of fields from which on new ones are refused.", MAX_FIELDS)
    ]
    subprocess: Annotated[
        bool,
        Option(
            "Run the engine of a folder in a child process, which builds the search graph while "
            "searches and writes go on, and let other processes of this user open the index "
            "meanwhile. A server does so anyway.",
            False,
        ),
    ]
    allow_url_fetch: Annotated[
        bool,
        Option(
            "Let searches name pictures by URL. They are fetched from the public internet alone, "
            "never from this machine or its network.",
            False,
        ),
    ]
    wait: Annotated[
        float,
        Option(
            "Seconds to wait for a process that has the folder open and does not let others in.",
            0.0,
        ),
    ]


def open_parts(url: str, options: OpenOptions) -> Parts:
    """Opens the parts of an index; see `Index.open` for errors."""
    chosen = with_defaults(OpenOptions, options)
    choice, further = _model_choice(chosen), _further_choices(chosen)
    own = tuple(load_aspects(chosen["aspects"]).values())
    with ExitStack() as undo:
        folder = _temporary_folder(create=chosen["create"]) if url == MEMORY else None
        address = url
        if folder is not None:
            undo.callback(folder.remove)
            address = str(folder.path)
        engine = open_engine(
            address, chosen["server"], subprocess=chosen["subprocess"], wait=chosen["wait"]
        )
        undo.callback(engine.close)
        stored = engine.read_manifest()
        if stored is None and not chosen["create"]:
            raise NotFound(
                f"There is no index at {url}: make one with `lookalike index PATH --index {url}`."
            )
        limits = chosen["limits"] or DecodeLimits()
        fetch = _fetcher(limits) if chosen["allow_url_fetch"] else None
        decoder = DecoderPool(chosen["threads"] or cores(), limits=limits)
        undo.callback(decoder.close)
        cache = Cache(cache_file(address), chosen["thumbnails"])
        undo.callback(cache.close)
        notice = None
        if stored is None:
            manifest, models, notice = create_index(
                engine, choice, decoder, own, gps=chosen["gps"], further=further
            )
        else:
            manifest = Manifest.from_json(stored, url)
            models = Models(manifest, choice, own, further)
        if chosen["gps"] and not manifest.gps:
            raise InputError(
                f"The index at {url} stores no places of photos, and an index keeps what it was "
                "made with: leave gps out, or index into a new folder."
            )
        undo.pop_all()
    return Parts(
        url=url,
        engine=engine,
        manifest=manifest,
        models=models,
        decoder=decoder,
        cache=cache,
        max_fields=chosen["max_fields"],
        notice=notice,
        fetch=fetch,
        folder=folder,
    )


def _temporary_folder(*, create: bool) -> TemporaryFolder:
    """The folder of an index in memory."""
    if not create:
        raise InputError(f"An index in memory ({MEMORY}) is always new: leave create=False out.")
    return TemporaryFolder()


def _fetcher(limits: DecodeLimits) -> Fetch:
    """The function that reads URLs."""
    try:
        from lookalike.sources.web.fetcher import Fetcher
    except ModuleNotFoundError:
        raise InputError(
            "Fetching images by URL needs a library: pip install 'lookalike[serve]'."
        ) from None
    return Fetcher(limits).fetch


def reopening(options: OpenOptions) -> OpenOptions:
    """The options that open the same index in another process: folders absolute, nothing made."""
    choice = _model_choice(with_defaults(OpenOptions, options))
    kept = {
        name: options[name]
        for name in ("aspects", "device", "hub", "limits", "server")
        if name in options
    }
    return cast(
        OpenOptions,
        {
            **kept,
            "create": False,
            "model_dir": choice.model_dir,
            "cache_dir": choice.cache_dir,
        },
    )


def _model_choice(chosen: Mapping[str, Any]) -> ModelChoice:
    """The choice of model that options mean, with absolute folders."""
    model_dir = None if chosen["model_dir"] is None else Path(chosen["model_dir"])
    own = loader.with_precision(chosen["model"], chosen["precision"]), model_dir
    return loader.model_choice(*own, _cache_dir(chosen), chosen["hub"], chosen["device"])


def _further_choices(chosen: Mapping[str, Any]) -> list[ModelChoice]:
    """The choices of models beside the semantic one."""
    also = chosen["also"] or ()
    return [
        loader.model_choice(model, None, _cache_dir(chosen), chosen["hub"], chosen["device"])
        for model in ([also] if isinstance(also, str) else also)
    ]


def _cache_dir(chosen: Mapping[str, Any]) -> Path:
    """The folder of downloaded weights."""
    given = chosen["cache_dir"]
    return default_cache_dir() if given is None else Path(given)


def create_index(
    engine: Engine,
    choice: ModelChoice,
    decoder: DecoderPool,
    own: Sequence[Descriptor] = (),
    *,
    gps: bool = False,
    further: Sequence[ModelChoice] = (),
) -> tuple[Manifest, Models, str | None]:
    """Makes an empty index; returns its manifest, its models, and a notice for the user."""
    requested = {loader.full_name(choice.model)} if choice.model else set()
    # The first decoder starts while the model loads.
    decoder.start((*descriptors.STANDARD, *requested & {loader.BUILT_IN}))
    semantic, notice = loader.choose_semantic(choice)
    beside = loader.load_further(further)
    standard = map(descriptors.load, descriptors.STANDARD)
    loaded: Sequence[Descriptor] = (semantic, *standard, *beside, *own)
    manifest = Manifest.of(
        [descriptor.spec for descriptor in loaded],
        _folder(choice),
        loader.text_revision(semantic),
        gps=gps,
        further={
            one.spec.name: FurtherModel(_folder(its), loader.text_revision(one))
            for one, its in zip(beside, further, strict=True)
        },
    )
    about_layout = engine.create(list(manifest.vectors.values()))
    notice = " ".join(filter(None, (notice, about_layout))) or None
    for field in indexed_fields({}, gps=gps):
        engine.create_field_index(field.path, field.type)
    stored = engine.read_manifest()
    if stored is None:
        engine.write_manifest(manifest.to_json())
    else:  # another process made the index while the model was loading here
        manifest = Manifest.from_json(stored, "that is open")
        for descriptor in loaded:
            manifest.require(descriptor.spec)
        loaded = own  # the others are loaded again where needed, and their text model is checked
    return manifest, Models(manifest, choice, loaded, further), notice


def _folder(choice: ModelChoice) -> str | None:
    """The folder that an index records for a model."""
    return None if choice.model_dir is None else str(choice.model_dir)


def cores() -> int:
    """Number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not available on every system
        return os.cpu_count() or 1
