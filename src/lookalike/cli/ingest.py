"""Commands that fill an index: index, optimize."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

import click
from click.core import ParameterSource

from lookalike.cli.console import console, fail, note, print_json, stopped
from lookalike.cli.opening import no_empty_index, open_index, ray_executor, writable
from lookalike.cli.options import (
    Pairs,
    exclude_option,
    index_option,
    json_option,
    max_fields_option,
    name_and_value,
    server_option,
    store_options,
)
from lookalike.errors import InputError
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.ingest.report import IngestReport
    from lookalike.types import DecodeLimits


@click.command("index")
@click.argument("paths", nargs=-1, metavar="[PATH]…")
@index_option
@click.option(
    "--metadata", metavar="FILE", help="CSV, JSON Lines or Parquet file; rows name images."
)
@click.option(
    "--vectors-from",
    metavar="FILE",
    help="Parquet or JSON Lines file whose rows name the images, with vectors made elsewhere.",
)
@click.option("--id-field", metavar="F", help="Metadata column with the ids. Default: id.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=TYPE",
    help="Type of a metadata column or a field, instead of the inferred one; repeatable.",
)
@click.option(
    "--encoding", metavar="NAME", help="Encoding of the metadata file. Default: UTF-8 or UTF-16."
)
@click.option(
    "--decimal",
    type=click.Choice(["comma", "point"]),
    help="Decimal sign of columns whose values leave it open.",
)
@click.option(
    "--fetch",
    is_flag=True,
    help="Download the images that a feed or the metadata names by address; those that the index "
    "has, only if they have changed.",
)
@click.option(
    "--recheck/--no-recheck",
    default=True,
    help="Whether to ask the servers about images that the index has. Default: yes.",
)
@click.option(
    "--private",
    multiple=True,
    metavar="IP:PORT",
    help="Host of a private network that images may be fetched from; repeatable.",
)
@click.option(
    "--model",
    metavar="NAME",
    help="Model of a new index: a name that `lookalike models` lists, or onnx:DIR.",
)
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    help="Precision of the model's weights, in a new index; `precision` compares them.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="NAME",
    help="Model of a new index beside the first, as in --also dinov2 for the aspect "
    "semantic:dinov2; repeatable.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    help="Device that runs the models: auto, cpu, cuda or cuda:N. Default: auto.",
)
@click.option(
    "--aspect",
    "aspects",
    multiple=True,
    metavar="NAME",
    help="Aspect that an installed package registers, for a new index; repeatable.",
)
@click.option(
    "--gps", is_flag=True, help="Store where photos were taken (image.gps), in a new index."
)
@click.option(
    "--prune", is_flag=True, help="Remove images that the paths or the metadata no longer have."
)
@click.option(
    "--yes",
    is_flag=True,
    help="Let --prune remove more than a fifth of the images, or all below a folder that is empty "
    "or gone.",
)
@exclude_option
@store_options
@click.option(
    "--listing",
    metavar="FILE",
    help="CSV or Parquet file with a bucket's keys, or the manifest.json of an S3 Inventory.",
)
@click.option("--partition", metavar="N/M", help="Index only the Nth of M parts of the images.")
@click.option(
    "--copies",
    type=click.Choice(["keep", "skip", "link"]),
    default="keep",
    show_default=True,
    help="What to do with a new image that is a copy of one in the index.",
)
@click.option(
    "--thumbnails",
    metavar="BYTES",
    help="Disk budget for thumbnails; 0 disables them. Default: 10G.",
)
@click.option(
    "--ray",
    "ray_address",
    metavar="ADDRESS",
    help="Run on a Ray cluster: auto, local or host:port.",
)
@click.option("--rejects", metavar="FILE", help="Write rejected images to a file, as JSON Lines.")
@click.option(
    "--limits",
    type=Pairs(),
    metavar="NAME=N,…",
    help="Limits above which an image is rejected. "
    "Default: pixels=128000000,bytes=67108864,aspect=100,seconds=20.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Number of images decoded in parallel. Default: one per core.",
)
@max_fields_option
@server_option
@json_option
def index_command(
    paths: tuple[str, ...],
    url: str | None,
    metadata: str | None,
    vectors_from: str | None,
    id_field: str | None,
    fields: tuple[str, ...],
    encoding: str | None,
    decimal: Literal["comma", "point"] | None,
    fetch: bool,
    recheck: bool,
    private: tuple[str, ...],
    model: str | None,
    model_dir: str | None,
    precision: str | None,
    also: tuple[str, ...],
    device: str | None,
    aspects: tuple[str, ...],
    gps: bool,
    prune: bool,
    yes: bool,
    exclude: tuple[str, ...],
    endpoint: str | None,
    anonymous: bool,
    listing: str | None,
    partition: str | None,
    copies: Literal["keep", "skip", "link"],
    thumbnails: str | None,
    ray_address: str | None,
    rejects: str | None,
    limits: dict[str, str] | None,
    threads: int | None,
    max_fields: int | None,
    server: dict[str, str] | None,
    as_json: bool,
) -> None:
    """Adds images, and updates those that have changed. PATH is a folder, a file, a glob, an
    address such as s3://bucket/folder/, or, with --fetch, a catalog feed or its address."""
    from lookalike.cli.terminal import bars, reports
    from lookalike.ingest.partition import parse_partition
    from lookalike.output import documents

    _check_inputs(paths, vectors_from, fetched=metadata is not None and fetch)
    types = dict(name_and_value(field, "--field") for field in fields)
    part = None if partition is None else parse_partition(partition)
    options: dict[str, Any] = {"model": model, "model_dir": model_dir, "threads": threads}
    options |= {"max_fields": max_fields, "aspects": aspects or None, "also": also or None}
    options |= {"gps": gps or None, "device": device, "precision": precision}
    if thumbnails is not None:
        options["thumbnails"] = _thumbnails(thumbnails)
    executor = None if ray_address is None else ray_executor(ray_address, url, threads)
    with (
        writable(rejects) as rejects_file,
        no_empty_index(url, server, shared=partition is not None),
        open_index(url, create=True, limits=_limits(limits), server=server, **options) as index,
    ):
        if index.notice:
            note(index.notice)
        with bars.ingest_bar(console(stderr=True)) as progress:
            if vectors_from is not None:
                report = index.put(vectors_from, id_field=id_field, progress=progress)
                index.optimize()
                index.calibrate()
            else:
                report = index.add(
                    *paths,
                    metadata=metadata,
                    id_field=id_field,
                    fields=types,
                    encoding=encoding,
                    decimal=decimal,
                    fetch=fetch,
                    recheck=recheck,
                    private=private,
                    prune=prune,
                    yes=yes,
                    exclude=exclude,
                    endpoint=endpoint,
                    anonymous=anonymous,
                    listing=listing,
                    partition=part,
                    copies=copies,
                    progress=progress,
                    executor=executor,
                )
        for sentence in filter(None, (index.thumbnails_problem, *report.engine_notes)):
            note(sentence)
        for reject in report.rejects if rejects_file else ():
            rejects_file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")
    if as_json:
        print_json(documents.of_report(report))
    else:
        for line in reports.ingest_lines(report):
            click.echo(line)
    _exit(report)


def _exit(report: IngestReport) -> None:
    """Ends the command with a message if something is left to do."""
    if report.interrupted:
        stopped()
    if report.prune_refused:
        fail(report.prune_refused, 1)
    if report.incomplete:
        fail("A part of the bucket could not be listed; see the rejected keys above.", 1)
    if report.rejected and report.rejected == report.done:
        fail("None of the images could be read; see the reasons above.", 1)
    if report.outdated:
        fail(
            f"{count(report.outdated, 'value')} could not be read, and the index keeps what it "
            "had; see the metadata warnings above.",
            1,
        )


@click.command()
@index_option
def optimize(url: str | None) -> None:
    """Builds the search graph now, and calibrates weights again if the index has doubled or halved.

    `index` does this at its end; with --partition it leaves out the graph.
    """
    with open_index(url) as index:
        index.optimize()
        index.calibrate()
    click.echo("optimized")


_NOT_WITH_VECTORS = (
    "metadata", "fields", "encoding", "decimal", "fetch", "recheck", "private", "prune", "yes",
    "exclude", "endpoint", "anonymous", "listing", "partition", "copies", "ray_address",
)  # fmt: skip
"""Options that say something about paths or their metadata."""


def _check_inputs(paths: tuple[str, ...], vectors_from: str | None, *, fetched: bool) -> None:
    """Checks that the images are named in one way, or all of them fetched.

    Raises:
        InputError: neither by paths nor by a file with vectors, or by both.
    """
    if vectors_from is None:
        if not (paths or fetched):
            raise InputError("Name a folder, a file or a glob to index, or --vectors-from FILE.")
        return
    context = click.get_current_context()
    given = ["PATH"] if paths else []
    given += [
        max(option.opts, key=len)
        for option in context.command.params
        if option.name in _NOT_WITH_VECTORS
        and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    ]
    if given:
        raise InputError(
            f"--vectors-from names the images and their fields itself: leave out {given[0]}."
        )


def _thumbnails(text: str) -> int:
    """The value of `--thumbnails` in bytes."""
    from lookalike.cli.quantities import parse_bytes

    try:
        return 0 if text == "0" else parse_bytes(text)
    except InputError:
        raise InputError(f"--thumbnails takes 0 or a size such as 10G, not {text!r}.") from None


def _limits(pairs: dict[str, str] | None) -> DecodeLimits | None:
    """The value of `--limits`."""
    from lookalike.types import DecodeLimits

    if pairs is None:
        return None
    types = {"pixels": int, "bytes": int, "aspect": float, "seconds": float}
    try:
        limits = {name: types[name](float(value)) for name, value in pairs.items()}
    except KeyError as error:
        raise InputError(f"There is no limit {error}: use {', '.join(types)}.") from None
    except (ValueError, OverflowError):
        raise InputError(f"--limits takes numbers, not {pairs}.") from None
    if any(not value > 0 for value in limits.values()):
        raise InputError(f"--limits takes numbers above 0, not {pairs}.")
    return DecodeLimits(**limits)
