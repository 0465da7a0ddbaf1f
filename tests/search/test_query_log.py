"""The log of real queries."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import InputError
from lookalike.search.query_log import LoggedQuery, QueryLog, read_queries


def written(file: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_ids_and_texts_alone_are_written(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / "q")
    log.add({"text": "rote Schuhe €", "where": "price < 10", "limit": 5})
    log.add({"id": ["sku-1"], "text": None, "color": ["navy"]})
    assert written(tmp_path / "q") == [{"text": "rote Schuhe €"}, {"id": "sku-1"}]
    assert (tmp_path / "q").stat().st_mode & 0o777 == 0o600
    assert read_queries(tmp_path / "q") == [
        LoggedQuery("sku-1", is_text=False),
        LoggedQuery("rote Schuhe €"),
    ]


@pytest.mark.parametrize(
    "search",
    [
        {"image": [b"bytes"]},
        {"image": [b"bytes"], "text": "like this in red"},
        {"vector": [0.5], "id": "a"},
        {"id": ["a", "b"]},
        {"id": "a", "text": "red"},
        {"like": ["a"], "id": "b"},
        {"text": "next page", "offset": 10},
        {"where": "kind = 'a'"},
    ],
)
def test_other_searches_are_not_logged(tmp_path: Path, search: Mapping[str, Any]) -> None:
    QueryLog(tmp_path / "q").add(search)
    assert not (tmp_path / "q").exists()


def test_the_last_queries_stay_also_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "q"
    for start in (0, 30):
        log = QueryLog(file, most=10)
        for i in range(start, start + 30):
            log.add({"text": f"text {i}"})
            assert len(written(file)) <= 20
    assert [query.value for query in read_queries(file, 10)] == [
        f"text {i}" for i in range(59, 49, -1)
    ]
    assert file.stat().st_mode & 0o777 == 0o600


def test_each_query_counts_once_and_odd_lines_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "q"
    assert read_queries(file) == []
    lines = ['{"text": "a"}', '{"id": "a"}', '{"text": "a"}', '{"text": 3}', "[]", '{"text": "cut']
    file.write_text("\n".join(lines))
    assert read_queries(file) == [LoggedQuery("a"), LoggedQuery("a", is_text=False)]
    with pytest.raises(InputError, match="cannot be read"):
        read_queries(tmp_path)


def test_a_log_that_cannot_be_written_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = QueryLog(tmp_path / "no folder" / "q")
    with caplog.at_level(logging.WARNING):
        log.add({"text": "secret words"})
        log.add({"text": "secret words"})
    (message,) = caplog.messages
    assert "no query is logged" in message
    assert "secret" not in message
