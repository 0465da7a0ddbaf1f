"""Commands about models: models, precision."""

from __future__ import annotations

from dataclasses import asdict

import click

from lookalike.cli.console import print_json, print_table
from lookalike.cli.options import json_option


@click.command()
@json_option
def models(as_json: bool) -> None:
    """Lists the models that an index can be made with, and which weights are on this machine.

    Any other model in ONNX format comes from a folder: --model onnx:DIR.
    """
    from lookalike.cli.settings import Settings
    from lookalike.cli.terminal.results import model_table
    from lookalike.descriptors import catalog

    found = catalog.models(Settings.from_environment().cache_dir)
    if as_json:
        print_json([asdict(model) for model in found])
    else:
        print_table(model_table(found))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@click.option("--model", required=True, metavar="NAME", help="The model; see `models`.")
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option(
    "--device", default="auto", metavar="DEVICE", help="Device that runs it. Default: auto."
)
@click.option(
    "--images",
    type=click.IntRange(20, 10_000),
    default=500,
    show_default=True,
    metavar="N",
    help="Pictures to compare, evenly spread over the paths.",
)
@json_option
def precision(
    paths: tuple[str, ...],
    model: str,
    model_dir: str | None,
    device: str,
    images: int,
    as_json: bool,
) -> None:
    """Compares a model's precisions on your own pictures: how fast each is, and how many of the
    ten nearest in fp32 it finds, too. PATH is a folder, a file or a glob."""
    from pathlib import Path

    from lookalike.cli.settings import Settings
    from lookalike.cli.terminal.results import precision_table
    from lookalike.descriptors.loader import model_choice
    from lookalike.facade.precision import compare_precisions
    from lookalike.opening import cores

    settings = Settings.from_environment()
    folder = None if model_dir is None else Path(model_dir)
    choice = model_choice(model, folder, settings.cache_dir, settings.hub, device)
    figures = compare_precisions(paths, choice, most=images, threads=cores())
    if as_json:
        print_json([asdict(one) for one in figures])
    else:
        print_table(precision_table(figures))
