"""Commands that change or remove images: update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import note, printable
from lookalike.cli.opening import open_index
from lookalike.cli.options import filter_options, index_option, max_fields_option, name_and_value
from lookalike.errors import InputError
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.index import Index
    from lookalike.ingest.updates import UpdateReport

_YES = "nothing was changed; add --yes"


@click.command()
@click.argument("id", required=False)
@index_option
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="Field and value; an empty value clears the field; repeatable.",
)
@filter_options
@click.option("--from", "file", metavar="FILE", help="CSV, JSON Lines or Parquet file with ids.")
@click.option(
    "--by",
    metavar="FIELD",
    help="Field whose value names the images in the file, instead of the id; several may share it.",
)
@click.option(
    "--id-field",
    metavar="F",
    help="Column with the ids, or those values. Default: id, or FIELD.",
)
@click.option("--encoding", metavar="NAME", help="Encoding of the file.")
@click.option("--yes", is_flag=True, help="With --where or --from: do it; else a dry run.")
@max_fields_option
def update(
    id: str | None,
    url: str | None,
    pairs: tuple[str, ...],
    file: str | None,
    by: str | None,
    id_field: str | None,
    encoding: str | None,
    yes: bool,
    max_fields: int | None,
    **filter: Any,
) -> None:
    """Sets fields of the image ID, of all images that pass a filter, or from a file's columns."""
    texts = dict(name_and_value(pair, "--set") for pair in pairs)
    if sum(one is not None for one in (id, filter["where"], file)) != 1:
        raise InputError("Name the images by an ID, by --where, or by --from; one of these.")
    if (file is None) != bool(texts):
        raise InputError(
            "Fields are missing: add --set NAME=VALUE."
            if file is None
            else "The values are those of the file: leave out --set."
        )
    if file is None and any(one is not None for one in (by, id_field, encoding)):
        raise InputError("--by, --id-field and --encoding describe a file: add --from FILE.")
    with open_index(url, max_fields=max_fields) as index:
        if file is not None:
            options: dict[str, Any] = {"by": by, "id_field": id_field, "encoding": encoding}
            _tell(index.update_from(file, dry_run=not yes, **options), by or "id")
            return
        fields = _values(index, texts)
        if id is not None:
            index.update(id, fields)
            click.echo(f"updated {id}")
            return
        ids = [point.id for point in index.scroll(**filter)]
        _tell(index.update_many(((one, fields) for one in ids), dry_run=not yes))


def _values(index: Index, texts: dict[str, str]) -> dict[str, Any]:
    """The values of fields; those that are new to the index have the narrowest type that fits."""
    from lookalike.fields import value_of_text

    known = index.fields
    return {name: t if name in known else value_of_text(t) for name, t in texts.items()}


def _tell(report: UpdateReport, key: str = "id") -> None:
    for warning in report.warnings:
        note(printable(str(warning)))
    if report.unknown:
        others = ", …" if report.unknown > len(report.examples) else ""
        names = printable(", ".join(report.examples[:5])) + others
        rows = count(report.unknown, "row")
        note(f"{rows} of the file changed nothing, as no image has this {key}: {names}")
    done = count(report.updated, "image")
    told = f"{report.unchanged:,} unchanged"
    click.echo(
        f"would update {done}, {told}; {_YES}" if report.dry_run else f"updated {done}, {told}"
    )


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID]…")
@index_option
@filter_options
@click.option("--yes", is_flag=True, help="With --where: do it; else a dry run.")
def delete(ids: tuple[str, ...], url: str | None, yes: bool, **filter: Any) -> None:
    """Removes images from the index: by ids, or all that pass a filter. Their files stay."""
    if bool(ids) == (filter["where"] is not None):
        raise InputError("Name the images to remove by ids, or by --where; one of these.")
    with open_index(url) as index:
        if ids:
            removed = index.delete(ids)
            click.echo(f"removed {removed:,} of {len(ids):,}")
        elif yes:
            click.echo(f"removed {count(index.delete(**filter), 'image')}")
        else:
            click.echo(f"would remove {count(index.count(**filter), 'image')}; {_YES}")
