"""The command that lists the words of the built-in model."""

from __future__ import annotations

from dataclasses import asdict

import click

from lookalike.cli.console import print_json, print_table
from lookalike.cli.options import json_option


@click.command()
@click.option("--like", "prefix", default="", metavar="PREFIX", help="Only words that begin so.")
@json_option
def words(prefix: str, as_json: bool) -> None:
    """Lists the words that the built-in model can be searched by.

    The precision is the share of the ten best pictures that show the word: by their labels or,
    where there are too few, by the teacher that the model was distilled from.
    """
    from lookalike.cli.terminal.results import word_table
    from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
    from lookalike.search.vocabulary import words_of

    found = words_of(LookalikeSmall1(), prefix)
    if as_json:
        print_json([asdict(word) for word in found])
    else:
        print_table(word_table(found))
