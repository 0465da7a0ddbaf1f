"""The command `evaluate`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import note, print_json, print_table
from lookalike.cli.opening import open_index, writable
from lookalike.cli.options import (
    NumbersByName,
    index_option,
    json_option,
    model_dir_option,
    where_option,
)

if TYPE_CHECKING:
    from lookalike.index import Index
    from lookalike.search.evaluation import Evaluation


@click.command()
@click.argument("field")
@index_option
@click.option(
    "--weights",
    multiple=True,
    type=NumbersByName(),
    metavar="PRESET|ASPECT=W,…",
    help="Weights to compare; repeatable. Default: each aspect alone, and every preset.",
)
@click.option("--fit-weights", is_flag=True, help="Also find the best weights, cross-validated.")
@click.option(
    "--save-preset", metavar="NAME", help="Store the fitted weights, for --weights NAME elsewhere."
)
@click.option("--replace", is_flag=True, help="Replace the preset if there is one of this name.")
@click.option("-k", "--limit", default=10, show_default=True, metavar="N", help="Results to judge.")
@click.option("--queries", default=200, show_default=True, metavar="N", help="Images to search by.")
@where_option
@json_option
@click.option("--html", metavar="FILE", help="Write the worst queries as a contact sheet.")
@model_dir_option
def evaluate(
    field: str,
    url: str | None,
    weights: tuple[Any, ...],
    fit_weights: bool,
    save_preset: str | None,
    replace: bool,
    limit: int,
    queries: int,
    where: str | None,
    as_json: bool,
    html: str | None,
    model_dir: str | None,
) -> None:
    """Measures how well searches by image find images with the same value of FIELD."""
    from lookalike.cli.terminal import results

    options: dict[str, Any] = {"limit": limit, "queries": queries, "where": where}
    options |= {"save_preset": save_preset, "replace": replace}
    with writable(html) as sheet, open_index(url, model_dir=model_dir) as index:
        evaluation = index.evaluate(field, weights=list(weights), fit=fit_weights, **options)
        if html:
            sheet.write(_sheet(index, evaluation, where))
    if as_json:
        print_json(asdict(evaluation))
        return
    title = f"{evaluation.queries:,} searches by image, by {field}, the first {limit:,}"
    print_table(results.evaluation_table(evaluation), title)
    if save_preset:
        note(f"stored the fitted weights as the preset {save_preset}")
    if html:
        note(f"contact sheet of the worst queries: {html}")


def _sheet(index: Index, evaluation: Evaluation, where: str | None) -> str:
    """The worst queries of the best weights, with their results."""
    from lookalike.output.contact_sheet import Panel, contact_sheet

    best = evaluation.results[0]
    panels = []
    for id in best.worst:
        hits = index.search(id=id, weights=best.weights, limit=evaluation.limit, where=where)
        value = index.get(id).payload.get(evaluation.field)
        panels.append(Panel(f"like {id} ({evaluation.field}: {value})", hits))
    return contact_sheet(panels, index.thumbnail)
