"""The command that lists models by name."""

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
