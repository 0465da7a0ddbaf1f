"""Options of a search: declared once, available in every interface."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import click
import pytest
from click.testing import CliRunner

from lookalike import types
from lookalike.api import schemas
from lookalike.cli.options import declared_options
from lookalike.cli.search import recommend, search
from lookalike.errors import QueryError
from lookalike.index import Index
from lookalike.options import Option, check, documented, options_of
from lookalike.search import request
from lookalike.search.request import (
    ExampleOptions,
    RecommendOptions,
    Request,
    SearchOptions,
    read_request,
)
from lookalike.search.weights import PRESETS

SEARCH = options_of(SearchOptions)
RECOMMEND = {**options_of(ExampleOptions), **options_of(RecommendOptions)}
METHODS: list[tuple[Any, Any, Mapping[str, Option]]] = [
    (Index.search, search, SEARCH),
    (Index.recommend, recommend, RECOMMEND),
]


def flat(text: str | None) -> str:
    return re.sub(r"\s+", " ", text or "")


@pytest.mark.parametrize(("method", "command", "options"), METHODS, ids=["search", "recommend"])
def test_every_option_is_in_python_and_on_the_command_line(
    method: Any, command: click.Command, options: Mapping[str, Option]
) -> None:
    parameters = inspect.signature(method).parameters
    shown = CliRunner().invoke(command, ["--help"]).output
    by_name = {parameter.name: parameter for parameter in command.params}
    for name, option in options.items():
        assert parameters[name].default == option.default
        assert re.search(rf"\n {{12}}{name}: ", method.__doc__), name
        if name not in ("like", "unlike"):  # which `recommend` takes by position, too
            assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
            assert flat(f"{name}: {option.help}") in flat(method.__doc__)
        flag = option.flag or f"--{name.replace('_', '-')}"
        assert flag in by_name[name].opts
        assert flat(option.help) in flat(shown)
    assert set(parameters) - set(options) == {"self"} | ({"files"} & set(parameters))


def test_every_option_is_in_a_batch_line() -> None:
    assert set(SEARCH) | set(RECOMMEND) == set(options_of(Request)) - {"files"}
    defaults = {name: option.default for name, option in {**SEARCH, **RECOMMEND}.items()}
    assert read_request(defaults) == read_request({}) == {**defaults, "files": True}


def test_every_option_is_in_the_openapi_document() -> None:
    models: list[tuple[type[schemas.Body], Mapping[str, Option]]] = [
        (schemas.Search, SEARCH),
        (schemas.Recommend, RECOMMEND),
    ]
    batch = schemas.Batch.model_json_schema()["$defs"]
    for model, options in models:
        for schema in (model.model_json_schema(), batch[model.__name__]):
            properties = schema["properties"]
            for name in set(options) - {"image"}:  # which is sent by its bytes
                assert properties[name]["description"] == options[name].help
            assert set(properties) - set(options) <= {"filter", "upload", "url"}
            assert "image" not in properties
            assert schema["additionalProperties"] is False


class Spiced(SearchOptions, total=False):
    """The options of a search, and one more."""

    spice: Annotated[
        float, Option("Spiciness of results.", default=0.5, metavar="0…2", least=0, most=2)
    ]


def test_adding_an_option_takes_one_entry() -> None:
    @documented(Spiced)
    def find(**options: Any) -> dict[str, Any]:
        """Finds.

        Args:
            {options}
        """
        return check(Spiced, options)

    @click.command()
    @declared_options(Spiced)
    def command(**options: Any) -> None:
        click.echo(options["spice"])

    assert inspect.signature(find).parameters["spice"].default == 0.5
    assert "\n            spice: Spiciness of results." in (find.__doc__ or "")
    assert find()["spice"] == 0.5
    assert find(spice=2)["spice"] == 2
    with pytest.raises(QueryError, match=r"spice must be from 0 to 2 \(got 2\.5\)"):
        find(spice=2.5)
    with pytest.raises(TypeError, match=r"find\(\) got an unexpected keyword argument 'spices'"):
        find(spices=2)
    assert CliRunner().invoke(command, ["--spice", "1.5"]).output == "1.5\n"
    assert "--spice 0…2" in CliRunner().invoke(command, ["--help"]).output
    schema = schemas.declared(Spiced, base=schemas.Body, without=["image"]).model_json_schema()
    spice = schema["properties"]["spice"]
    assert (spice["type"], spice["minimum"], spice["maximum"]) == ("number", 0, 2)
    assert (spice["default"], spice["description"]) == (0.5, "Spiciness of results.")


def test_docstrings_have_no_gaps() -> None:
    for method, _, _ in METHODS:
        assert "{options}" not in method.__doc__
        for line in method.__doc__.splitlines():
            assert len(line) <= 100


def test_presets_are_named_in_the_help() -> None:
    assert SEARCH["weights"].help.endswith(f"a preset: {', '.join(PRESETS)}.")


def test_pictures_are_of_the_type_of_all_images() -> None:
    picture = get_args(get_type_hints(request.TargetOptions)["image"])
    assert set(get_args(types.ImageInput)) < set(picture)


def test_help_waits_for_no_heavy_import(tmp_path: Path) -> None:
    code = (
        "import sys; from lookalike import cli\n"
        "heavy = {'numpy', 'pydantic', 'PIL', 'qdrant_edge', 'fastapi'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ}, cwd=tmp_path)
