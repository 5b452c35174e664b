"""The answer on stdout: JSON, tables, queries."""

import json

import pytest

from ocihaul.cli.output import View, make_view, put_answer, table_text
from ocihaul.errors import UsageError

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
