"""Columns of texts: numbers, dates, yes and no in the notations of many countries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lookalike.metadata.notation import Decimal
from lookalike.metadata.table import read_metadata
from lookalike.types import FieldType, ImageRef

INTEGER, FLOAT, BOOLEAN = FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOLEAN
DATETIME, KEYWORD = FieldType.DATETIME, FieldType.KEYWORD


def read(
    tmp_path: Path, cells: Sequence[str], *, kind: str = "csv", also: str = "", **options: Any
) -> tuple[FieldType | None, list[Any], list[str]]:
    """The type of a column `c` with these cells, its values, and the warnings.

    Args:
        also: the cell of another column in each row.
    """
    rows = [
        {"file": f"{i}.jpg", "c": cell, **({"also": also} if also else {})}
        for i, cell in enumerate(cells)
    ]
    path = tmp_path / f"m.{kind}"
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    if kind == "csv":
        quoted = [["file", "c", "also"], *([str(v) for v in row.values()] for row in rows)]
        width = len(rows[0])
        lines = [",".join(json.dumps(v, ensure_ascii=False) for v in row[:width]) for row in quoted]
    path.write_text("\n".join(lines), encoding="utf-8")
    with read_metadata(path, **options) as table:
        refs = [ImageRef(str(tmp_path / row["file"]), "e", 1) for row in rows]
        table.match(refs, lambda _: str(tmp_path))
        values = [found[0].fields.get("c") for _, found in table.matched()]
        return table.fields.get("c"), values, [str(warning) for warning in table.warnings]


@pytest.mark.parametrize(
    ("cells", "type", "values"),
    [
        (["19,99", "5,00", "1.250"], FLOAT, [19.99, 5.0, 1250.0]),
        (["1.234,50", "0,5", "1.234.567"], FLOAT, [1234.5, 0.5, 1234567.0]),
        (["1,234.50", "1,250", "0.5"], FLOAT, [1234.5, 1250.0, 0.5]),
        (["1,234,567", "1,250", "12"], INTEGER, [1234567, 1250, 12]),
        (["1.234.567", "1.250", "12"], INTEGER, [1234567, 1250, 12]),
        (["1 234,50 zł", "12,00 zł"], FLOAT, [1234.5, 12.0]),
        (["1\u202f234,50 €", "-12,00 €"], FLOAT, [1234.5, -12.0]),
        (["CHF 1'234.50", "CHF 12.–"], FLOAT, [1234.5, 12.0]),
        (["19,- kr", "1.200,50 kr"], FLOAT, [19.0, 1200.5]),
        (["$15.00", "-$0.50", "$1,200.00"], FLOAT, [15.0, -0.5, 1200.0]),
        (["15.00 USD", "7 usd", "$3"], FLOAT, [15.0, 7.0, 3.0]),
        (["15 €", "7 €"], FLOAT, [15.0, 7.0]),
        (["1.5", "2.25", "1.250"], FLOAT, [1.5, 2.25, 1.25]),
        (["5.00-", "7", "(1,200.50)", "($3.00)"], FLOAT, [-5.0, 7.0, -1200.5, -3.0]),
        (["5 %", "12,5 %", "100%"], FLOAT, [5.0, 12.5, 100.0]),
        (["円 300", "1,200.0円"], FLOAT, [300.0, 1200.0]),
        (["是", "否"], BOOLEAN, [True, False]),
        (["Dec 31, 2025", "january 2 2025 10:30"], DATETIME, ["2025-12-31", "2025-01-02T10:30"]),
        (["31 Dec 2025", "2-Jan-2025", "1st May 2025"], DATETIME, [
            "2025-12-31", "2025-01-02", "2025-05-01"]),
        (["Wed, 31 Dec 2025 10:00:00 +0100"], DATETIME, ["2025-12-31T09:00"]),
        (["2025年12月31日", "2025年1月2日"], DATETIME, ["2025-12-31", "2025-01-02"]),
        (["45992", "45993"], INTEGER, [45992, 45993]),  # Excel's dates are not guessed
        (["5", "N/A", "-", "null", "7"], INTEGER, [5, None, None, None, 7]),
        (["yes", "NO"], BOOLEAN, [True, False]),
        (["ja", "nein", "n/a"], BOOLEAN, [True, False, None]),
        (["oui", "Non"], BOOLEAN, [True, False]),
        (["sí", "no"], BOOLEAN, [True, False]),
        (["si", "no"], BOOLEAN, [True, False]),
        (["in stock", "Out of Stock"], BOOLEAN, [True, False]),
        (["in_stock", "in_stock"], BOOLEAN, [True, True]),
        (["WAHR", "FALSCH"], BOOLEAN, [True, False]),
        (["31.05.2024", "1.6.2024 10:30"], DATETIME, ["2024-05-31", "2024-06-01T10:30"]),
        (["05/31/2024", "06/05/2024"], DATETIME, ["2024-05-31", "2024-06-05"]),
        (["31/05/2024", "06/05/2024"], DATETIME, ["2024-05-31", "2024-05-06"]),
        (["31-05-2024", "06-05-2024"], DATETIME, ["2024-05-31", "2024-05-06"]),
        (["5/31/24 3:05 PM", "6/1/24 12:00 AM"], DATETIME, ["2024-05-31T15:05", "2024-06-01"]),
        (["2024/05/31", "2024/6/1"], DATETIME, ["2024-05-31", "2024-06-01"]),
        (["2024-05-01T10:00+0200", "2024-05-01 10:00:00+00"], DATETIME, [
            "2024-05-01T08:00", "2024-05-01T10:00"]),
        (["2024-05-31", "0000-00-00"], DATETIME, ["2024-05-31", None]),
    ],
)  # fmt: skip
def test_notations_are_read(
    tmp_path: Path, cells: list[str], type: FieldType, values: list[Any]
) -> None:
    found, parsed, warnings = read(tmp_path, cells)
    assert (found, warnings) == (type, [])
    if type is DATETIME:
        clock = "T00:00:00Z"
        values = [day and (f"{day}:00Z" if "T" in day else day + clock) for day in values]
    assert parsed == values
    assert [value.__class__ for value in parsed] == [value.__class__ for value in values]


@pytest.mark.parametrize(
    "cells",
    [
        ["007", "12"],
        ["00017", "00018"],
        ["1"] * 200 + ["0042"],  # a share below a twentieth, too
        ["1E5", "2E3"],
        ["1E5", "77"],
        ["+49", "5"],
        ["12345678901234567890", "4006381333931"],
        ["NO", "NO"],
        ["NO", "SE"],
        ["S", "M"],
        ["n", "n"],
        ["5-7", "8-9"],
        ["Mai 31, 2025", "May 32, 2025"],
        ["in stock", "out of stock", "preorder"],
        ["1.2.3", "1.10.0"],
        ["192.168.0.1", "10.0.0.1"],
        ["12-34-5678", "10-20-3040"],
        ["N/A", "Acme"],
    ],
)
def test_codes_and_words_stay_text(tmp_path: Path, cells: list[str]) -> None:
    assert read(tmp_path, cells) == (KEYWORD, cells, [])


@pytest.mark.parametrize(
    ("cells", "warning"),
    [
        (["1,234", "5,678"], "declare it with --field c=float or --decimal comma"),
        (["1.234 €", "5.678 €"], "declare it with --field c=float or --decimal comma"),
        (["1,50", "1.50", "2,50", "2.50"], "declare it with --field c=float or --decimal comma"),
        (["15 USD", "12.50 EUR"], "it mixes EUR, USD: declare it with --field c=float"),
        (["5 %", "0.05", "7 %"], "it mixes percentages with other numbers: declare it"),
        (["9.99"] * 30 + ["1e5"], '"1e5" is a code: declare it with --field c=float'),
        (["05/06/2024", "07/08/2024"], '"05/06/2024" may begin with the day or the month'),
        (["31/05/2024", "05/31/2024"], "may begin with the day or the month"),
    ],
)
def test_what_stays_text_in_doubt_is_said(tmp_path: Path, cells: list[str], warning: str) -> None:
    type, values, warnings = read(tmp_path, cells)
    assert (type, values) == (KEYWORD, cells)
    (found,) = warnings
    assert found.startswith("c: looks like ")
    assert warning in found


def test_the_user_decides_and_so_do_other_columns(tmp_path: Path) -> None:
    unclear = ["1.250", "2.500"]
    type, values, (warning,) = read(tmp_path, unclear)
    assert (type, values) == (FLOAT, [1.25, 2.5])
    assert "--decimal comma" in warning
    assert read(tmp_path, unclear, decimal=Decimal.COMMA) == (INTEGER, [1250, 2500], [])
    assert read(tmp_path, unclear, decimal=Decimal.POINT) == (FLOAT, [1.25, 2.5], [])
    assert read(tmp_path, unclear, also="19,99 €") == (INTEGER, [1250, 2500], [])
    assert read(tmp_path, unclear, also="19.99 €") == (FLOAT, [1.25, 2.5], [])
    # The values of a column come before what the user says about the file.
    assert read(tmp_path, ["0.5", "1.75"], decimal=Decimal.COMMA)[1] == [0.5, 1.75]
    declared = {"c": FLOAT}
    assert read(tmp_path, ["15 USD", "12.50 EUR"], declared=declared)[1] == [15.0, 12.5]
    _, values, warnings = read(tmp_path, ["1,50", "1.50", "1,500"], declared=declared)
    assert values == [1.5, 1.5, None]
    assert "use --decimal comma or --decimal point" in warnings[0]


def test_a_few_values_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    type, values, warnings = read(tmp_path, ["19,99 €"] * 30 + ["auf Anfrage"])
    assert (type, values[-1]) == (FLOAT, None)
    assert warnings == ['line 32 (30.jpg): c: "auf Anfrage" is not a number (float); left out']


def test_a_known_type_reads_the_notation_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, ["19,99", "5,00"], known={"c": FLOAT})[1] == [19.99, 5.0]
    assert read(tmp_path, ["1", "0"], known={"c": BOOLEAN})[1] == [True, False]
    assert read(tmp_path, ["-", "-"], known={"c": FLOAT}) == (FLOAT, [None, None], [])
    assert read(tmp_path, ["19,99", "5"], known={"c": INTEGER})[:2] == (FLOAT, [19.99, 5.0])
    assert read(tmp_path, ["5,00", "7,00"], known={"c": INTEGER})[:2] == (INTEGER, [5, 7])
    _, _, (warning,) = read(tmp_path, ["19,99", "5,00"], known={"c": KEYWORD})
    assert warning == "c: looks like numbers but is text: declare it with --field c=float"


def test_json_texts_stay_text_unless_declared(tmp_path: Path) -> None:
    prices = ["15.00 USD", "7.50 USD"]
    type, values, (warning,) = read(tmp_path, prices, kind="jsonl")
    assert (type, values) == (KEYWORD, prices)
    assert "looks like numbers but is text" in warning
    assert read(tmp_path, prices, kind="jsonl", declared={"c": FLOAT})[1] == [15.0, 7.5]
    assert read(tmp_path, ["42", "43"], kind="jsonl") == (KEYWORD, ["42", "43"], [])
