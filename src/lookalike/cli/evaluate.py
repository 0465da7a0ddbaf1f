"""The command `evaluate`."""

from __future__ import annotations

from contextlib import nullcontext, suppress
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
from lookalike.errors import QueryError
from lookalike.system.text import count

if TYPE_CHECKING:
    from lookalike.index import Index
    from lookalike.search.evaluation import Evaluation


@click.command()
@click.argument("field", required=False)
@index_option
@click.option(
    "--weights",
    multiple=True,
    type=NumbersByName(),
    metavar="PRESET|ASPECT=W,…",
    help="Weights to compare; repeatable. Default: each aspect alone, and every preset.",
)
@click.option(
    "--judgments",
    metavar="FILE",
    help="Table of relevant images in place of FIELD: columns query, id, and relevance.",
)
@click.option(
    "--by-text",
    is_flag=True,
    help="Search by text: by the values of FIELD, or by the queries of the file.",
)
@click.option("--against", metavar="INDEX", help="Another index of the images, to compare with.")
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
    field: str | None,
    url: str | None,
    weights: tuple[Any, ...],
    judgments: str | None,
    by_text: bool,
    against: str | None,
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
    """Measures how well searches by image or text find images with the same value of FIELD, or
    those that a file of judged pairs or clicks names."""
    from lookalike.cli.terminal import results

    options: dict[str, Any] = {"limit": limit, "queries": queries, "where": where}
    options |= {"save_preset": save_preset, "replace": replace, "by_text": by_text}
    options |= {"judgments": judgments, "weights": list(weights), "fit": fit_weights}
    with (
        writable(html) as sheet,
        open_index(url, model_dir=model_dir) as index,
        nullcontext() if against is None else open_index(against) as other,
    ):
        evaluation = index.evaluate(field, against=other, **options)
        if html:
            sheet.write(_sheet(index, evaluation, where))
    if as_json:
        print_json(asdict(evaluation))
        return
    kind = "text" if by_text else "image"
    title = f"{evaluation.queries:,} searches by {kind}, by {evaluation.field}, the first {limit:,}"
    print_table(results.evaluation_table(evaluation), title)
    if evaluation.unknown:
        note(f"the index, or the filter, lacks {count(evaluation.unknown, 'image')} of {judgments}")
    if save_preset:
        note(f"stored the fitted weights as the preset {save_preset}")
    if html:
        note(f"contact sheet of the worst queries: {html}")


def _sheet(index: Index, evaluation: Evaluation, where: str | None) -> str:
    """The worst queries of the best weights, with their results."""
    from lookalike.output.contact_sheet import Panel, contact_sheet

    best = next(result for result in evaluation.results if not result.against)
    panels = []
    same: dict[str, Any] = {
        "weights": best.weights or None,
        "limit": evaluation.limit,
        "where": where,
    }
    for query in best.worst:
        if evaluation.by_text:
            with suppress(QueryError):  # words that the model does not know
                panels.append(Panel(f'"{query}"', index.search(text=query, **same)))
            continue
        value = index.get(query).payload.get(evaluation.field)
        label = "" if value is None else f" ({evaluation.field}: {value})"
        panels.append(Panel(f"like {query}{label}", index.search(id=query, **same)))
    return contact_sheet(panels, index.thumbnail)
