"""Measures how readable the package is, and fails where it has grown past its bounds.

Usage: python -m scripts.house
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "lookalike"
VAGUE = re.compile(r"(What|Which|How|Whether)\b")
"""Openings that put off the noun: "What a search is about" instead of "Search targets"."""


class Figure(NamedTuple):
    """A measured value, the most it may be, and where it was found."""

    name: str
    value: float
    most: float
    where: str = ""


class Function(NamedTuple):
    lines: int
    name: str


def figures() -> list[Figure]:
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in trees}
    longest_file = max(lengths, key=lengths.__getitem__)
    functions = sorted(
        Function(lines, f"{path.relative_to(PACKAGE)}:{name}")
        for path, tree in trees.items()
        for lines, name in _functions(tree)
    )
    openings = [text for tree in trees.values() for text in _docstrings(tree)]
    vague = [text for text in openings if VAGUE.match(text)]
    layers = _layers()
    graph = grimp.build_graph("lookalike", cache_dir=None)
    upward = list(_upward(graph, layers))
    return [
        Figure("files at the root", sum(path.parent == PACKAGE for path in trees), 12),
        Figure("layers", len(layers), 7),
        Figure("imports that point upward", len(upward), 0, ", ".join(upward[:3])),
        Figure("import cycles between folders", len(cycle := _cycle(graph)), 0, " → ".join(cycle)),
        Figure(
            "lines of the longest file",
            lengths[longest_file],
            500,
            str(longest_file.relative_to(PACKAGE)),
        ),
        Figure("lines of the facade", lengths[PACKAGE / "index.py"], 450),
        Figure("lines of code in the longest function", *functions[-1][:1], 60, functions[-1].name),
        Figure(
            "lines of code in the ninth decile of functions",
            functions[len(functions) * 9 // 10].lines,
            21,
        ),
        Figure(
            "% of docstrings that open with What, Which, How or Whether",
            round(100 * len(vague) / len(openings), 1),
            2,
            vague[0] if vague else "",
        ),
    ]


def _functions(tree: ast.Module) -> Iterator[Function]:
    """Functions with their lines of code: without signature and docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and node.body[1:] else node.body
            yield Function((body[-1].end_lineno or 0) - body[0].lineno + 1, node.name)


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Every docstring, those under constants and attributes included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(node):
                yield text
            for before, after in zip(node.body, node.body[1:], strict=False):
                if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
                    value = after.value
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield value.value


def _layers() -> Sequence[Sequence[str]]:
    """The layers of the import contract, highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    return [re.split(r"\s*[|:]\s*", layer) for layer in layers]


def _upward(graph: grimp.ImportGraph, layers: Sequence[Sequence[str]]) -> Iterator[str]:
    height = {name: -i for i, layer in enumerate(layers) for name in layer}
    for importer in sorted(graph.modules):
        for imported in sorted(graph.find_modules_directly_imported_by(importer)):
            ends = [_component(module) for module in (importer, imported)]
            low, high = (height.get(end) for end in ends)
            if low is not None and high is not None and low < high:
                yield f"{importer} → {imported}"


def _cycle(graph: grimp.ImportGraph) -> Sequence[str]:
    """One cycle between the folders of the package, or nothing."""
    imports: dict[str, set[str]] = {}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            one, other = _folder(importer), _folder(imported)
            if one != other and not _within(one, other) and not _within(other, one):
                imports.setdefault(one, set()).add(other)
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return ()


def _component(module: str) -> str:
    """The part of a module's name that the contract names."""
    return module.split(".")[1] if "." in module else ""


def _folder(module: str) -> str:
    path = PACKAGE.parent / module.replace(".", "/")
    return module if path.is_dir() else module.rpartition(".")[0]


def _within(inner: str, outer: str) -> bool:
    return inner.startswith(f"{outer}.")


def main() -> int:
    failed = 0
    for name, value, most, where in figures():
        verdict = "ok" if value <= most else "FAIL"
        failed += verdict == "FAIL"
        print(f"{verdict:4}  {value:6g}  of {most:4g}  {name}{f'  ({where})' if where else ''}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
