"""Commands that show what an index holds and how it is: show, facets, stats, verify, doctor."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from lookalike.cli.console import console, note, print_json, print_table, printable
from lookalike.cli.opening import open_index, open_named_engine
from lookalike.cli.options import filter_options, index_option, json_option, model_dir_option
from lookalike.errors import NotFound


@click.command()
@click.argument("id")
@index_option
@click.option("--vectors", is_flag=True, help="Include the vectors; requires --json.")
@json_option
def show(id: str, url: str | None, vectors: bool, as_json: bool) -> None:
    """Shows everything known about an image."""
    from lookalike.cli.terminal import results
    from lookalike.output import documents

    with open_index(url) as index:
        point = index.get(id, vectors=vectors)
    if as_json:
        print_json(documents.of_point(point, vectors=vectors))
    else:
        print_table(results.point_table(point))


@click.command()
@click.argument("field")
@index_option
@filter_options
@click.option(
    "-k", "--limit", default=100, metavar="N", show_default=True, help="Maximum number of values."
)
@click.option("--bins", type=int, metavar="N", help="Count about N ranges instead of values.")
@json_option
def facets(
    field: str, url: str | None, limit: int, bins: int | None, as_json: bool, **filter: Any
) -> None:
    """Counts the values of a field, most frequent first.

    Numbers with fractions and dates are counted in ranges.
    """
    from lookalike.cli.terminal import results
    from lookalike.output import documents
    from lookalike.types import FieldType

    with open_index(url) as index:
        known = index.fields.get(field)
        if bins is not None or (known and known.type in (FieldType.FLOAT, FieldType.DATETIME)):
            histogram = index.histogram(field, bins=10 if bins is None else bins, **filter)
            if as_json:
                print_json(documents.of_histogram(histogram))
            else:
                for line in results.histogram_lines(histogram):
                    click.echo(line)
            return
        values = index.facets(field, limit=limit, **filter)
    if as_json:
        print_json(documents.of_facets(field, values))
        return
    for value, number in values:
        click.echo(f"{number:>10,}  {printable(str(value))}")


@click.command()
@click.argument("file")
@index_option
@filter_options
@click.option("--vectors", is_flag=True, help="Add columns of vectors.")
@click.option("--replace", is_flag=True, help="Replace FILE if it exists.")
def export(file: str, url: str | None, vectors: bool, replace: bool, **filter: Any) -> None:
    """Writes the images of the index to FILE as a table: CSV, JSON Lines or Parquet.

    The end of its name, .csv, .jsonl or .parquet, is the format; - writes JSON Lines to standard
    output.
    """
    from lookalike.system.text import count

    with open_index(url) as index:
        done = index.export(file, vectors=vectors, replace=replace, **filter)
    note(f"wrote {count(done, 'image')}")


@click.command()
@index_option
@json_option
def stats(url: str | None, as_json: bool) -> None:
    """Shows the size, vectors and fields of the index."""
    from lookalike.cli.terminal import results

    with open_index(url) as index:
        contents = index.stats()
    if as_json:
        print_json(contents)
    else:
        print_table(results.stats_table(contents))
    for problem in contents["problems"]:
        note(f"damaged: {problem}; see more with `lookalike verify`")
    sys.exit(1 if contents["problems"] else 0)


@click.command()
@index_option
@json_option
def verify(url: str | None, as_json: bool) -> None:
    """Reads the whole index, and says what is damaged and how to mend it.

    The exit code is 1 if anything is damaged. Damaged thumbnails are removed, nothing else changes.
    """
    from lookalike.admin.integrity import verify
    from lookalike.cache.store import Cache, cache_file
    from lookalike.cli.terminal import bars
    from lookalike.manifest import Manifest

    with open_named_engine(url, salvage=True) as place:
        stored = place.engine.read_manifest()
        if stored is None:
            raise NotFound(f"There is no index at {place.name}; choose an existing one.")
        manifest = Manifest.from_json(stored, place.name)
        with (
            Cache(cache_file(place.name)) as cache,
            bars.count_bar(console(stderr=True), "reading") as progress,
        ):
            done = verify(place.engine, manifest, cache, progress=progress)
    if as_json:
        print_json(asdict(done))
    else:
        for problem in done.problems:
            click.echo(printable(f"{problem.what}: {problem.remedy}"))
        verdict = "damaged" if done.problems else "nothing is damaged"
        click.echo(f"{done.images:,} images read in {done.seconds:.1f} s: {verdict}")
    sys.exit(1 if done.problems else 0)


@click.command()
@index_option
@click.option(
    "--probes",
    default=50,
    metavar="N",
    show_default=True,
    help="Images to search by for the recall; 0 measures none.",
)
@model_dir_option
@json_option
def doctor(url: str | None, probes: int, model_dir: str | None, as_json: bool) -> None:
    """Examines the index within seconds, and says what to do about what it finds.

    The exit code is 1 if anything is wrong; advice alone leaves it 0.
    """
    from lookalike.cli.terminal import results
    from lookalike.output import documents

    with open_index(url, model_dir=model_dir) as index:
        found = index.doctor(probes)
    if as_json:
        print_json(documents.of_health(found))
    else:
        click.echo(results.health_line(found))
        for table in (results.vectors_table(found), results.findings_table(found)):
            print_table(table)
    sys.exit(1 if found.is_damaged else 0)
