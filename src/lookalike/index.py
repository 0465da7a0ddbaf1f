"""The Index: one place to add images, search them, and look after them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from lookalike import descriptors, filters, ingest, query
from lookalike.decoders import DecoderPool
from lookalike.descriptors import HUB, ModelChoice
from lookalike.engines import open_engine
from lookalike.errors import InputError, ModelError, NotFound, QueryError, SourceError
from lookalike.fields import Field, fields_of, parse_value
from lookalike.images import encode_thumbnail
from lookalike.ingest import IngestReport
from lookalike.manifest import Manifest
from lookalike.metadata import MatchSummary, MetadataTable, Problem, read_metadata
from lookalike.protocols import DescribesColor, DescribesText, Descriptor, Engine, Source
from lookalike.sources import open_source
from lookalike.types import (
    FieldType,
    Filter,
    HasId,
    Hit,
    Hits,
    Image,
    ImageRef,
    Limits,
    Near,
    Not,
    Point,
    Query,
    Vector,
    join,
)

ImageInput: TypeAlias = str | os.PathLike[str] | bytes
"""A query image: the path of a file, or a file's bytes."""

Progress: TypeAlias = Callable[[IngestReport, int | None], None]
"""Called after every batch with the report so far, and the number of inputs once it is known."""


class Index:
    """Images that can be searched. Make one with `Index.open`, and close it, or use `with`.

        with Index.open("shop.index") as index:
            index.add("photos/", metadata="catalog.csv")
            for hit in index.search(image="query.jpg", where="price < 100"):
                print(hit.id, hit.score)

    Methods raise `LookalikeError` or one of its children. Searching from several threads is
    safe; adding is for one thread at a time.
    """

    def __init__(
        self,
        engine: Engine,
        manifest: Manifest,
        choice: ModelChoice,
        decoder: DecoderPool,
    ) -> None:
        self.engine = engine
        self.manifest = manifest
        self.notice: str | None = None
        """What the user should know of how it was opened, in one line; None mostly."""
        self._choice = choice
        self._decoder = decoder
        self._loaded: dict[str, Descriptor] = {}

    # --- opening and closing ----------------------------------------------------------------

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        create: bool = True,
        model: str | None = None,
        model_dir: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        hub: str | None = HUB,
        limits: Limits | None = None,
        threads: int | None = None,
    ) -> Index:
        """Opens an index, or makes a new one.

        Args:
            url: a folder.
            create: whether to make it where there is none.
            model: what serves `semantic` in a new index: "clip", a built-in ("layout"), or any
                image model of FastEmbed's. By default CLIP if its weights are cached or can be
                downloaded, else the built-in. An index keeps its model for ever.
            model_dir: folder with the model's files, or with folders `vision` and `text`.
            cache_dir: where downloaded weights are kept; by default the user's cache folder.
            hub: the model hub that a download needs; None never downloads.
            limits: what the decoder refuses; see `Limits`.
            threads: how many images are in work at the same time; by default one more than there
                are cores, so that none is idle while a picture is handed over.

        Raises:
            NotFound: there is no index and `create` is False.
            ModelError: the model cannot be had, or is not the index's own.
            IndexLocked, IndexDamaged, SchemaTooNew, DiskFull: as their names say.
        """
        engine = open_engine(os.fspath(url))
        folder = None if model_dir is None else Path(model_dir).expanduser().resolve()
        cache = descriptors.default_cache_dir() if cache_dir is None else Path(cache_dir)
        choice = ModelChoice(model, folder, cache, hub)
        stored = engine.read_manifest()
        if stored is None and not create:
            raise NotFound(
                f"There is no index at {os.fspath(url)}: make one with "
                f"`lookalike index PATH --index {os.fspath(url)}`."
            )
        with ExitStack() as undo:
            decoder = DecoderPool(threads or _threads(), limits=limits or Limits())
            undo.callback(decoder.close)
            if stored is None:
                index = cls._create(engine, choice, decoder)
            else:
                manifest = Manifest.from_json(stored, os.fspath(url))
                _check_model(manifest, choice)
                index = cls(engine, manifest, choice, decoder)
                engine.info()  # takes the index, or says who has it
            undo.pop_all()
        return index

    @classmethod
    def _create(cls, engine: Engine, choice: ModelChoice, decoder: DecoderPool) -> Index:
        decoder.start(descriptors.ALWAYS)  # while the model loads
        semantic, notice = descriptors.choose_semantic(choice)
        own = [semantic, *map(descriptors.load, descriptors.ALWAYS)]
        folder = None if choice.model_dir is None else str(choice.model_dir)
        manifest = Manifest.of([descriptor.spec for descriptor in own], folder)
        engine.create(list(manifest.vectors.values()))
        for field in fields_of({}).values():
            if field.name != "image.id":  # found by its point id
                engine.create_field_index(field.path, field.type)
        engine.write_manifest(manifest.to_json())
        index = cls(engine, manifest, choice, decoder)
        index.notice = notice
        index._loaded = {descriptor.spec.name: descriptor for descriptor in own}
        return index

    def close(self) -> None:
        """Lets go of the index. Doing it again is harmless."""
        self._decoder.close()
        self.engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- adding and changing ----------------------------------------------------------------

    def add(
        self,
        *sources: str | os.PathLike[str],
        metadata: str | os.PathLike[str] | None = None,
        id_field: str | None = None,
        field_types: Mapping[str, FieldType | str] | None = None,
        prune: bool = False,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Adds images, or brings them up to date: doing it again is cheap and harmless.

        Args:
            sources: folders, files, or globs.
            metadata: a CSV, JSON Lines or Parquet file whose rows name images.
            id_field: the column that holds ids; by default `id`.
            field_types: types of columns, where they should not be inferred.
            prune: remove what these sources no longer hold.
            progress: called after every batch.

        Raises:
            SourceError: a source does not exist, or there is nothing in any.
            MetadataError: the metadata cannot be used as it is; nothing was written.
            DiskFull: too little space; what the report would count is stored.
        """
        started = time.monotonic()
        self._decoder.start(self._without_weights())  # while the model loads
        opened = [open_source(os.fspath(source)) for source in sources]
        if next(_refs(opened), None) is None:
            named = ", ".join(os.fspath(source) for source in sources)
            raise SourceError(f"There is nothing to index in {named}.")
        report = IngestReport(model=self.manifest.semantic.model)
        with ExitStack() as stack:
            if metadata is None:
                listing: ingest.Listing = ((source, ref, ()) for source, ref in _refs(opened))
                total = ingest.count_in_background(opened) if progress else lambda: None
            else:
                table = stack.enter_context(
                    read_metadata(
                        Path(metadata),
                        id_field=id_field,
                        known=self.manifest.fields,
                        declared=self._declared(field_types or {}),
                    )
                )
                listing, total = self._joined(table, opened, report)
            ingest.ingest(
                self.engine,
                self._decoder,
                self._describers(),
                listing,
                limits=self._decoder.limits,
                threads=self._decoder.size,
                report=report,
                progress=lambda: progress(report, total()) if progress else None,
            )
            if not report.interrupted:
                if prune:
                    ingest.prune(self.engine, opened, report)
                if report.added or report.updated:
                    self.engine.optimize()
        report.seconds = time.monotonic() - started
        return report

    def update(self, id: str, fields: Mapping[str, Any]) -> None:
        """Sets fields of one image; None removes a field. Values are checked against its type.

        Raises:
            NotFound: no image has this id.
            InputError: a field that no metadata brought, one of ours, or a value of another type.
        """
        self._require(id)
        own = self.manifest.fields
        for name in fields:
            if name not in own:
                raise InputError(
                    f"There is no field {name!r} to set; this index has "
                    f"{', '.join(own) or 'none yet, metadata brings them'}."
                )
        try:
            values = {
                name: None if value is None else parse_value(own[name], value)
                for name, value in fields.items()
            }
        except InputError as error:
            raise InputError(f"{error}, and {', '.join(fields)} must fit the index.") from error
        self.engine.set_payload(id, values)

    def delete(self, ids: Sequence[str]) -> int:
        """Removes images from the index, never from disk; returns how many there were."""
        there = [point.id for point in self.engine.retrieve(ids, payload=False)]
        self.engine.delete(there)
        return len(there)

    def optimize(self) -> None:
        """Builds the search graph now. The process does nothing else meanwhile; a minute for
        100,000 images is usual. Searches are right without it, only slower."""
        self.engine.optimize()

    # --- searching --------------------------------------------------------------------------

    def search(
        self,
        *,
        image: ImageInput | None = None,
        id: str | None = None,
        text: str | None = None,
        color: str | Sequence[str] | None = None,
        weights: Mapping[str, float] | str | None = None,
        where: str | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> Hits:
        """The images nearest to what is asked for, best first.

        Args:
            image: a file, or its bytes.
            id: an image of the index; it is left out of the results.
            text: words, where the index's model knows words.
            color: names ("navy") or "#rrggbb"; takes the place of the image's own colours.
            weights: by aspect ("semantic", "color", "texture"), or the name of a preset.
            where: a filter, such as `price < 100 and category = "dress"`.
            limit: how many, from 1.
            offset: how many of the best to pass over.

        Raises:
            QueryError: nothing to search by, or something that the index does not have.
            FilterError: `where` does not parse, or does not fit the fields.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        started = time.perf_counter()
        if limit < 1 or offset < 0:
            raise QueryError(
                f"limit is {limit} and offset {offset}: ask for at least 1 image, from 0 on."
            )
        targets, meant = self._targets(image, id, text, color, weights)
        chosen = query.choose_weights(
            weights, targets=list(targets), meant=meant, aspects=list(self.manifest.aspects)
        )
        aspects = list(chosen)
        near = tuple(
            Near(self.manifest.aspects[aspect], targets[aspect](), chosen[aspect])
            for aspect in aspects
        )
        asked = query.run(
            self.engine, Query(near, self._filter(where, leave_out=id), limit, offset)
        )
        hits = tuple(
            Hit(row.id, row.score, dict(zip(aspects, row.scores, strict=True)), row.payload)
            for row in asked.answer.rows
        )
        return Hits(hits, asked.complete, chosen, (time.perf_counter() - started) * 1e3)

    def facets(
        self, field: str, *, where: str | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        """The most frequent values of a field with their counts, most frequent first.

        Raises:
            QueryError: there is no such field, or it holds numbers or dates, which have ranges.
        """
        known = self.fields
        if field not in known:
            raise QueryError(f"facets: {filters.unknown_field(field, known)}.")
        if known[field].type in (FieldType.FLOAT, FieldType.DATETIME):
            raise QueryError(
                f"{field} is a {known[field].type} and has no values to count; ask for its range "
                f"with `where`, as in `{field} >= …`."
            )
        return self.engine.facet(known[field].path, self._filter(where), limit)

    # --- looking ----------------------------------------------------------------------------

    def get(self, id: str, *, vectors: bool = False) -> Point:
        """One image: its payload, and its vectors by name if asked for.

        Raises:
            NotFound: no image has this id.
        """
        return self._require(id, vectors=list(self.manifest.vectors) if vectors else ())

    def count(self, where: str | None = None) -> int:
        """How many images pass, exactly."""
        return self.engine.count(self._filter(where))

    def __len__(self) -> int:
        return self.count()

    @property
    def fields(self) -> Mapping[str, Field]:
        """What `where` and `facets` can name, by name."""
        return fields_of(self.manifest.fields)

    def stats(self) -> dict[str, Any]:
        """What the index holds: images, bytes on disk, vectors, fields, engine, schema."""
        info = self.engine.info()
        return {
            "images": info["points"],
            "bytes_on_disk": info["bytes_on_disk"],
            "indexed_vectors": info["indexed_vectors"],
            "vectors": {
                name: {"size": spec.size, "model": spec.model, "aspect": spec.aspect}
                for name, spec in self.manifest.vectors.items()
            },
            "fields": {
                name: {"type": str(type), "values": self._values(name, type)}
                for name, type in self.manifest.fields.items()
            },
            "engine": info["engine"],
            "schema": self.manifest.to_json()["schema"],
        }

    def scroll(self, where: str | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """Every image that passes, in an order that does not change while nothing is written."""
        names = list(self.manifest.vectors) if vectors else ()
        for points in self.engine.scroll(self._filter(where), vectors=names):
            yield from points

    def thumbnail(self, id: str, side: int = 256) -> bytes:
        """A JPEG of an image, its longer side at most `side` pixels, without metadata.

        Raises:
            NotFound: no image has this id.
            InputError: its file is gone, or cannot be read any more.
        """
        return self.preview(self._require(id).payload["image"]["uri"], side)

    def preview(self, image: ImageInput, side: int = 256) -> bytes:
        """A JPEG of any image, its longer side at most `side` pixels, without metadata.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return encode_thumbnail(self._decode(image, side).pixels, side)

    # --- inside -----------------------------------------------------------------------------

    def _targets(
        self,
        image: ImageInput | None,
        id: str | None,
        text: str | None,
        color: str | Sequence[str] | None,
        weights: Mapping[str, float] | str | None,
    ) -> tuple[dict[str, Callable[[], Vector]], list[str]]:
        """For each aspect how to get its target, and the aspects that are meant if none is named.

        Getting is put off until the weights are known: an aspect that does not count need not
        be described.
        """
        parts: dict[str, list[Callable[[], Vector]]] = {}
        meant: dict[str, None] = {}
        if image is not None:
            side = max(self._descriptor(name).side for name in self.manifest.aspects.values())
            decoded = self._decode(image, side)
            for aspect in self.manifest.aspects:
                parts.setdefault(aspect, []).append(self._describing(aspect, decoded))
            meant["semantic"] = None
        if id is not None:
            stored = self._require(id, vectors=list(self.manifest.aspects.values())).vectors
            for aspect, name in self.manifest.aspects.items():
                parts.setdefault(aspect, []).append(lambda name=name: stored[name])  # type: ignore[misc]
            meant["semantic"] = None
        if text is not None:
            words = self._text_descriptor()
            parts.setdefault("semantic", []).append(lambda: words.describe_text([text])[0])
            meant["semantic"] = None
        if color:
            parts["color"] = [self._color(color)]
            meant["color"] = None
        return {aspect: _combined(several) for aspect, several in parts.items()}, list(meant)

    def _describing(self, aspect: str, image: Image) -> Callable[[], Vector]:
        name = self.manifest.aspects[aspect]
        return lambda: self._descriptor(name).describe([image]).vectors[0]

    def _text_descriptor(self) -> DescribesText:
        spec = self.manifest.semantic
        descriptor = self._descriptor(spec.name)
        if not isinstance(descriptor, DescribesText):
            raise QueryError(
                f"This index was made with {spec.model}, which knows no words: search by image "
                "or colour, or index into a new folder with `--model clip`."
            )
        return descriptor

    def _color(self, color: str | Sequence[str]) -> Callable[[], Vector]:
        names = [color] if isinstance(color, str) else list(color)
        parsed = query.parse_colors(names)
        descriptor = self._descriptor(self.manifest.aspects["color"])
        assert isinstance(descriptor, DescribesColor)  # noqa: S101 -- ours always does
        return lambda: descriptor.describe_color(parsed)

    def _decode(self, image: ImageInput, side: int) -> Image:
        if not isinstance(image, bytes):
            path = os.fspath(image)
            source = open_source(path)
            refs = list(source.refs())
            if len(refs) != 1:
                raise QueryError(f"{path} is not one image: give a file.")
            image = source.read(refs[0])
        return self._decoder.decode(image, side=side)

    def _descriptor(self, name: str) -> Descriptor:
        if name not in self._loaded:
            semantic = name == self.manifest.semantic.name
            descriptor = (
                descriptors.load_semantic(_recorded(self.manifest, self._choice))
                if semantic
                else descriptors.load(name)
            )
            self.manifest.require(descriptor.spec)
            self._loaded[name] = descriptor
        return self._loaded[name]

    def _describers(self) -> ingest.Describers:
        names = self._without_weights()
        everyone = {name: self._descriptor(name) for name in self.manifest.vectors}
        return ingest.Describers(
            names={name: self.manifest.vectors[name] for name in names},
            models=[one for name, one in everyone.items() if name not in names],
            side=max(one.side for one in everyone.values()),
        )

    def _without_weights(self) -> list[str]:
        known = descriptors.names()
        return [name for name in self.manifest.vectors if name in known]

    def _filter(self, where: str | None, *, leave_out: str | None = None) -> Filter | None:
        parsed = None if where is None else filters.parse(where, self.fields)
        return join(parsed, None if leave_out is None else Not(HasId((leave_out,))))

    def _require(self, id: str, vectors: Sequence[str] = ()) -> Point:
        for point in self.engine.retrieve([id], vectors=vectors):
            return point
        raise NotFound(f"There is no image with the id {id!r} in this index.")

    def _values(self, name: str, type: FieldType) -> int | None:
        """How many different values a field has, up to 1,000; None for numbers and dates."""
        if type in (FieldType.FLOAT, FieldType.DATETIME):
            return None
        return len(self.engine.facet(self.fields[name].path, limit=1000))

    def _declared(self, types: Mapping[str, FieldType | str]) -> dict[str, FieldType]:
        """The types that the user sets, which must not contradict those the index has."""
        declared = {}
        for name, type in types.items():
            if type not in list(FieldType):
                raise InputError(
                    f"{type!r} is no type for {name}; there are {', '.join(FieldType)}."
                )
            own = self.manifest.fields.get(name, type)
            if own != type:
                raise InputError(
                    f"{name} is a {own} in this index and stays one: index into a new folder to "
                    f"make it a {type}."
                )
            declared[name] = FieldType(type)
        return declared

    def _joined(
        self, table: MetadataTable, sources: Sequence[Source], report: IngestReport
    ) -> tuple[ingest.Listing, Callable[[], int | None]]:
        """The listing with its metadata rows; the manifest learns the fields before any write."""

        def source_of(ref: ImageRef) -> Source:
            return next(source for source in sources if source.covers(ref.uri))

        summary = table.match((ref for _, ref in _refs(sources)), lambda ref: source_of(ref).root)
        report.warnings.extend(table.problems)
        report.warnings.extend(_unused(summary))
        manifest = self.manifest.with_fields(table.fields)
        fields = fields_of(manifest.fields)
        for name in table.fields:
            self.engine.create_field_index(fields[name].path, fields[name].type)
        if manifest != self.manifest:
            self.engine.write_manifest(manifest.to_json())
            self.manifest = manifest
        listing = ((source_of(ref), ref, rows) for ref, rows in table.matched())
        return listing, lambda: summary.images


def _refs(sources: Sequence[Source]) -> Iterator[tuple[Source, ImageRef]]:
    """Every image of the sources once: what an earlier source has is not listed again."""
    for i, source in enumerate(sources):
        for ref in source.refs():
            if not any(earlier.has(ref.uri) for earlier in sources[:i]):
                yield source, ref


def _unused(summary: MatchSummary) -> Iterator[Problem]:
    """What to say of the rows that found no image."""
    if summary.unmatched:
        examples = ", ".join(summary.unmatched_examples)
        yield Problem(
            0, f"{summary.unmatched:,} rows name no image that is here, such as {examples}"
        )


def _combined(parts: Sequence[Callable[[], Vector]]) -> Callable[[], Vector]:
    return parts[0] if len(parts) == 1 else lambda: query.combine([part() for part in parts])


def _check_model(manifest: Manifest, choice: ModelChoice) -> None:
    """Raises ModelError where a model was asked for that is not the index's own."""
    own = manifest.semantic.model
    if choice.model is None or descriptors.full_name(choice.model) == own.lower():
        return
    raise ModelError(
        f"This index was made with {own} and {choice.model} was asked for: leave out the model "
        "to use the index's own, or index into a new folder with the other."
    )


def _recorded(manifest: Manifest, choice: ModelChoice) -> ModelChoice:
    """The choice that finds the index's own model again."""
    folder = choice.model_dir or (Path(manifest.model_dir) if manifest.model_dir else None)
    return ModelChoice(manifest.semantic.model, folder, choice.cache_dir, choice.hub)


def _threads() -> int:
    """One more than the cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0)) + 1
    except AttributeError:  # not on every system
        return (os.cpu_count() or 1) + 1
