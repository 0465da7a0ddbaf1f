"""Types of option values, and the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

import click

from lookalike.errors import InputError
from lookalike.options import Option, is_union, options_of
from lookalike.search.request import FilterOptions

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
            name, equals, text = pair.partition("=")
            if not equals or not name.strip():
                self.fail(f"{pair!r} is not NAME=VALUE.", param, ctx)
            pairs[name.strip()] = text.strip()
        return pairs


class NumbersByName(click.ParamType[dict[str, float] | str]):
    """`name=0.8,name=0.2` as a mapping; a text without `=` as it is."""

    name = "name=number,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, float] | str:
        if isinstance(value, dict) or "=" not in value:
            return value
        try:
            pairs = Pairs().convert(value, param, ctx)
            return {name: float(number) for name, number in pairs.items()}
        except ValueError:
            self.fail(f"{value!r} is not NAME=NUMBER,… as in semantic=0.8,color=0.2.", param, ctx)


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


_ALONE = "\0"
"""Value of an option that stands alone; none that a command line can hold."""

WAIT = "lookalike.wait"
"""Key of the seconds to wait for an index, among the notes of a command's context."""


def wait_option(command: F) -> F:
    """The option is for `cli.opening` alone, so commands need not pass it on."""

    def keep(ctx: click.Context, _: click.Parameter, seconds: float) -> None:
        ctx.meta[WAIT] = seconds

    return click.option(
        "--wait",
        type=click.FloatRange(0),
        default=30,
        metavar="SECONDS",
        show_default=True,
        expose_value=False,
        callback=keep,
        help="How long to wait while another process has the index open.",
    )(command)


def index_option(command: F) -> F:
    command = wait_option(command)
    return click.option(
        "--index",
        "url",
        metavar="INDEX",
        help="Index: a folder, or http://host:6333/collection. Default: LOOKALIKE_INDEX, else a "
        "folder in your data folder.",
    )(command)


def server_option(command: F) -> F:
    return click.option(
        "--server",
        type=Pairs(),
        metavar="NAME=VALUE,…",
        help="Layout of a new collection, and its connection: replication_factor=2,patience=600,…",
    )(command)


def max_fields_option(command: F) -> F:
    return click.option(
        "--max-fields",
        type=click.IntRange(0),
        metavar="N",
        help="Number of fields from which on new ones are refused. Default: 200.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def store_options(command: F) -> F:
    """The options of an object store: --endpoint and --anonymous."""
    command = click.option(
        "--anonymous", is_flag=True, help="Use a public bucket without credentials."
    )(command)
    return click.option(
        "--endpoint",
        metavar="URL",
        help="Object store of s3:// addresses. Default: AWS_ENDPOINT_URL, else the cloud's own.",
    )(command)


def exclude_option(command: F) -> F:
    return click.option(
        "--exclude",
        multiple=True,
        metavar="GLOB",
        help="Files and folders to pass over, as in a .gitignore file; repeatable.",
    )(command)


def where_option(command: F) -> F:
    return _click_option("where", options_of(FilterOptions)["where"])(command)


def filter_options(command: F) -> F:
    """The options of a filter: --where and --param."""
    return declared_options(FilterOptions)(command)


def model_dir_option(command: F) -> F:
    return click.option(
        "--model-dir", metavar="DIR", help="Folder of the index's model, if it has moved."
    )(command)


def declared_options(*declarations: type) -> Callable[[F], F]:
    """Decorates a command with the options of declarations; see `options`."""
    options = {name: one for each in declarations for name, one in options_of(each).items()}

    def decorate(command: F) -> F:
        for name, option in reversed(options.items()):
            command = _click_option(name, option)(command)
        return command

    return decorate


def _click_option(name: str, option: Option) -> Callable[[F], F]:
    flag = option.flag or f"--{name.replace('_', '-')}"
    spellings = [*filter(None, [option.short]), flag]
    if option.type is bool:
        return click.option(*spellings, is_flag=True, default=option.default, help=option.help)
    alternatives = get_args(option.type) if is_union(option.type) else (option.type,)
    if bool in alternatives:
        return _flag_or_text(spellings, option)
    if str not in alternatives and any(get_args(one) == (str, Any) for one in alternatives):
        return _pairs_option(name, flag, option)
    repeatable = any(_is_list(one) and float not in get_args(one) for one in alternatives)
    return click.option(
        *spellings,
        type=str if repeatable else _click_type(alternatives),
        multiple=repeatable,
        default=None if repeatable else option.default,
        show_default=option.default not in (None, ()),
        metavar=option.metavar,
        help=option.help,
    )


def _flag_or_text(spellings: Sequence[str], option: Option) -> Callable[[F], F]:
    """An option that is true by itself, and a text with a value."""

    def read(_: click.Context, __: click.Parameter, value: str | None) -> bool | str:
        return value == _ALONE or value or option.default

    return click.option(
        *spellings,
        is_flag=False,
        flag_value=_ALONE,
        default=None,
        callback=read,
        metavar=option.metavar,
        help=option.help,
    )


def _pairs_option(name: str, flag: str, option: Option) -> Callable[[F], F]:
    """A repeatable `FLAG NAME=VALUE` for a mapping."""

    def collect(_: click.Context, __: click.Parameter, pairs: Sequence[str]) -> Any:
        return dict(name_and_value(pair, flag) for pair in pairs) or None

    return click.option(
        flag, name, multiple=True, callback=collect, metavar=option.metavar, help=option.help
    )


def _click_type(alternatives: Sequence[Any]) -> Any:
    """The parameter type for an option of one of these types."""
    for one in alternatives:
        if get_origin(one) is Literal:
            return click.Choice(get_args(one))
        if _is_list(one):
            return Numbers()
        if get_origin(one) is Mapping and float in get_args(one):
            return NumbersByName()
        if one in (int, float):
            return one
    return str


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is Sequence


def name_and_value(text: str, option: str) -> tuple[str, str]:
    """The two sides of a repeatable option's `name=value`."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{option} {text!r} is not NAME=VALUE.")
    return name, value
