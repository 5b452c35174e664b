"""The answer on stdout: JSON, tables, queries."""

import io
import json
import os
import re
import unicodedata

import pytest

from ocihaul.cli.output import View, columns_of, make_view, put_answer, table_text
from ocihaul.errors import UsageError
from ocihaul.redaction import hold

ANSWER = {"etag": "a-b", "last-modified": "Mon", "opc-content-md5": "x=="}


def test_json_is_sorted_indented_and_keeps_every_script() -> None:
    assert View().render({"b": "日本", "a": 1}) == '{\n  "a": 1,\n  "b": "日本"\n}'


def test_only_the_headers_of_the_stock_cli_are_shown() -> None:
    headers = ANSWER | {"date": "x", "opc-request-id": "y", "opc-content-crc32c": "z", "x": "y"}
    assert put_answer(headers) == ANSWER | {"opc-content-crc32c": "z"}


@pytest.mark.parametrize(
    ("query", "raw", "text"),
    [
        ("etag", False, '"a-b"'),
        ("etag", True, "a-b"),
        ("[etag]", True, '[\n  "a-b"\n]'),
        ("nothing", False, None),
        ("length(etag)", True, "3"),
    ],
)
def test_a_query_is_applied_before_printing(query: str, raw: bool, text: str | None) -> None:
    view = make_view(output=None, query=query, raw=raw, queries={})
    assert view.render(ANSWER) == text


def test_a_broken_named_query_is_refused_at_once() -> None:
    with pytest.raises(UsageError, match="is not a JMESPath expression"):
        make_view(output="json", query="query://bad", raw=False, queries={"bad": "[?"})


def test_raw_output_without_a_query_prints_json() -> None:
    assert json.loads(View(raw=True).render(ANSWER) or "") == ANSWER


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (
            ANSWER,
            [
                "+------+---------------+-----------------+",
                "| etag | last-modified | opc-content-md5 |",
                "+------+---------------+-----------------+",
                "| a-b  | Mon           | x==             |",
                "+------+---------------+-----------------+",
            ],
        ),
        ("plain", ["+---------+", "| Column1 |", "+---------+", "| plain   |", "+---------+"]),
        (
            [1, "b"],
            [
                "+---------+",
                "| Column1 |",
                "+---------+",
                "| 1       |",
                "| b       |",
                "+---------+",
            ],
        ),
        (
            [{"b": 1, "a": "é日本"}, {"c": None, "a": [1, 2]}],
            [
                "+--------+---+------+",
                "| a      | b | c    |",
                "+--------+---+------+",
                "| é日本  | 1 |      |",
                "| [1, 2] |   | None |",
                "+--------+---+------+",
            ],
        ),
        (
            [["x", 1], ["y", 2]],
            [
                "+---------+---------+",
                "| Column1 | Column2 |",
                "+---------+---------+",
                "| x       | 1       |",
                "| y       | 2       |",
                "+---------+---------+",
            ],
        ),
        (
            {"m": "line1\nline2"},  # a line break is written out
            [
                "+--------------+",
                "| m            |",
                "+--------------+",
                r"| line1\nline2 |",
                "+--------------+",
            ],
        ),
        ({}, ["++", "||", "++", "||", "++"]),
        ([], ["Command returned empty list, no table to display."]),
        (5, ["Table format not supported for operation return type: 5"]),
    ],
)
def test_a_table_looks_as_the_stock_cli_draws_it(data: object, lines: list[str]) -> None:
    assert table_text(data).splitlines() == lines


LIST = {"data": [{"name": "a"}], "prefixes": [], "opc-next-page": "p"}


def test_the_table_is_what_the_answer_has_as_data_and_the_rest_stands_beside_it() -> None:
    view = View(output="table")
    assert (view.render(LIST) or "").splitlines()[1] == "| name |"
    assert view.beside(LIST) == ["prefixes: []", "opc-next-page: p"]
    assert (view.render({"data": "ns1"}) or "").splitlines()[1] == "| Column1 |"


def test_a_query_chooses_what_the_table_is_of() -> None:
    view = View(output="table", query="{data: data[0].name}")
    assert (view.render(LIST) or "").splitlines()[1] == "| data |"
    assert view.beside(LIST) == ["prefixes: []", "opc-next-page: p"]


@pytest.mark.parametrize(("view", "answer"), [(View(), LIST), (View(output="table"), ANSWER)])
def test_nothing_stands_beside_json_nor_beside_headers_alone(view: View, answer: object) -> None:
    assert view.beside(answer) == []


ROWS = [
    {
        "compartment-id": "ocid1.compartment.oc1.." + "abcdefghij" * 6,
        "defined-tags": None,
        "name": "バックアップ-2026-11-27e\u0301.tar" * 3,
        "size": size,
    }
    for size in (7, 23456)
]


def columns(line: str) -> int:
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in line
    )


def cells(table: str) -> list[str]:
    """The texts of the cells, with what was folded put together again."""
    found: list[list[str]] = []
    for line in table.splitlines():
        if line.startswith("+"):
            found.append([])
            continue
        texts = [text.strip() for text in line.split("|")[1:-1]]
        if found[-1] and len(found[-1]) >= len(texts) and not all(texts):
            last = found[-1][-len(texts) :]
            found[-1][-len(texts) :] = [a + b for a, b in zip(last, texts, strict=True)]
        else:
            found[-1] += texts
    return [text for group in found for text in group]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 150])
def test_finding_d12_a_table_fits_and_loses_nothing(width: int) -> None:
    text = table_text(ROWS, columns=width)
    lines = text.splitlines()
    assert max(map(columns, lines)) <= width
    assert {columns(line) for line in lines} == {columns(lines[0])}
    kept = cells(text)
    for row in ROWS:
        for key, value in row.items():
            assert key in kept
            assert str(value) in kept


def test_finding_d12_a_table_is_as_ever_where_there_is_room_or_no_terminal() -> None:
    assert table_text(ROWS, columns=300) == table_text(ROWS)
    assert table_text(ROWS, columns=None).splitlines()[1].startswith("| compartment-id   ")
    assert columns_of(io.StringIO()) is None
    with open(os.devnull, encoding="utf-8") as file:  # noqa: PTH123  a file, and no terminal
        assert columns_of(file) is None
    closed = io.StringIO()
    closed.close()
    assert columns_of(closed) is None


def test_finding_d12_where_cells_would_be_too_narrow_rows_have_lines_of_their_own() -> None:
    data = [{"a": "x" * 30, "b": "y" * 9}, {"a": "", "b": None}]
    assert table_text(data, columns=24).splitlines() == [
        "+---+------------------+",
        "| a | xxxxxxxxxxxxxxxx |",
        "|   | xxxxxxxxxxxxxx   |",
        "| b | yyyyyyyyy        |",
        "+---+------------------+",
        "| a |                  |",
        "| b | None             |",
        "+---+------------------+",
    ]
    for narrow in range(1, 24):
        assert re.sub(r"[^xy]", "", table_text(data, columns=narrow)).count("x") == 30


def test_finding_d12_a_secret_is_masked_though_it_would_be_folded() -> None:
    secret = "S3cret" * 9
    hold(secret, "password")
    folded = table_text([{"a": secret, "b": "y"}], columns=30)
    assert "S3cret" not in folded


def test_finding_d12_official_means_the_official_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

        def fileno(self) -> int:
            return 1

    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size((80, 24)))
    assert columns_of(Screen()) == 80
    monkeypatch.setenv("OCIHAUL_COMPAT", "official")
    assert columns_of(Screen()) is None
