"""What options take, and the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from lookalike.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])


class Pairs(click.ParamType[dict[str, str]]):
    """`name=value,name=value` as a mapping."""

    name = "name=value,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        pairs = {}
        for pair in str(value).split(","):
            name, equals, given = pair.partition("=")
            if not equals or not name.strip():
                self.fail(f"{pair!r} is not NAME=VALUE.", param, ctx)
            pairs[name.strip()] = given.strip()
        return pairs


class Numbers(click.ParamType[list[float]]):
    """`0.1,0.2,0.5,0.5` as numbers."""

    name = "number,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        try:
            return [float(number) for number in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0.1,0.2,0.5,0.5.", param, ctx)


def index_option(command: F) -> F:
    return click.option(
        "--index",
        "url",
        metavar="INDEX",
        help="The index: a folder, or http://host:6333/collection. Default: LOOKALIKE_INDEX, else "
        "a folder in your data folder.",
    )(command)


def server_option(command: F) -> F:
    return click.option(
        "--server",
        type=Pairs(),
        metavar="NAME=VALUE,…",
        help="How a new collection is laid out: shard_number=6,replication_factor=2,…",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def where_option(command: F) -> F:
    return click.option(
        "--where", metavar="EXPR", help='A filter: price < 100 and category = "dress".'
    )(command)


def model_dir_option(command: F) -> F:
    return click.option("--model-dir", metavar="DIR", help="Where the index's model is now.")(
        command
    )


def ranking_options(command: F) -> F:
    """What searches of every kind have."""
    options = [
        index_option,
        click.option("--preset", metavar="NAME", help="Weights: style, color, material, balanced."),
        click.option(
            "--weights", type=Pairs(), metavar="ASPECT=W,…", help="semantic=0.8,color=0.2"
        ),
        click.option(
            "--calibration",
            type=click.Choice(["spread", "none"]),
            default="spread",
            show_default=True,
            help="Weights mean influence, or are plain factors.",
        ),
        where_option,
        click.option("-k", "limit", default=10, metavar="N", show_default=True, help="How many."),
        click.option(
            "--offset", default=0, metavar="N", show_default=True, help="Skip the best N."
        ),
        click.option(
            "--diversity",
            default=0.0,
            metavar="0…1",
            show_default=True,
            help="How unlike.",
        ),
        click.option("--collapse", is_flag=True, help="Show near-identical images once."),
        click.option("--relevant", is_flag=True, help="Drop what is no closer than chance."),
        click.option("--exact", is_flag=True, help="Search on until the answer is proved."),
        click.option("--explain", is_flag=True, help="Say why each hit is there."),
        json_option,
        click.option("--html", metavar="FILE", help="Write a contact sheet."),
        model_dir_option,
    ]
    for option in reversed(options):
        command = option(command)
    return command


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """The two sides of a repeatable option's `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{option} {text!r} is not NAME=VALUE.")
    return name, value
