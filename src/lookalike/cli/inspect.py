"""Commands that tell what an index holds: show, facets, stats."""

from __future__ import annotations

import click

from lookalike.cli.console import console, print_json
from lookalike.cli.opening import open_index
from lookalike.cli.options import index_option, json_option, where_option


@click.command()
@click.argument("id")
@index_option
@click.option("--vectors", is_flag=True, help="Include the vectors (with --json).")
@json_option
def show(id: str, url: str | None, vectors: bool, as_json: bool) -> None:
    """Shows everything known of one image."""
    from lookalike.cli import terminal

    with open_index(url) as index:
        point = index.get(id, vectors=vectors)
    if as_json:
        named = {name: vector.tolist() for name, vector in point.vectors.items()}
        print_json(
            {"id": point.id, "payload": point.payload} | ({"vectors": named} if named else {})
        )
    else:
        console().print(terminal.point_table(point))


@click.command()
@click.argument("field")
@index_option
@where_option
@click.option("-k", "limit", default=100, metavar="N", show_default=True, help="How many values.")
@click.option("--bins", type=int, metavar="N", help="Count ranges instead of values: about N.")
@json_option
def facets(
    field: str, url: str | None, where: str | None, limit: int, bins: int | None, as_json: bool
) -> None:
    """Counts the values of a field, most frequent first; of numbers and dates their ranges."""
    from lookalike.cli import terminal
    from lookalike.output import documents
    from lookalike.types import FieldType

    with open_index(url) as index:
        known = index.fields.get(field)
        if bins is not None or (known and known.type in (FieldType.FLOAT, FieldType.DATETIME)):
            ranges = index.histogram(field, where=where, bins=10 if bins is None else bins)
            if as_json:
                print_json(documents.of_histogram(ranges))
            else:
                for line in terminal.histogram_lines(ranges):
                    click.echo(line)
            return
        values = index.facets(field, where=where, limit=limit)
    if as_json:
        print_json({"field": field, "values": [{"value": v, "count": n} for v, n in values]})
        return
    for value, count in values:
        click.echo(f"{count:>10,}  {terminal.printable(str(value))}")


@click.command()
@index_option
@json_option
def stats(url: str | None, as_json: bool) -> None:
    """Shows what the index holds."""
    from lookalike.cli import terminal

    with open_index(url) as index:
        found = index.stats()
    if as_json:
        print_json(found)
    else:
        console().print(terminal.stats_table(found))
