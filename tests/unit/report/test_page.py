"""The page: its numbers, what may not break it, and how large it becomes."""

import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocihaul.report.page import LARGEST, ReceiptRow, ReportContents, page
from ocihaul.report.runs import LogReader
from tests.nights import BEGAN, MIB, LoggedRun, a_night, many_nights

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
NOW = BEGAN + timedelta(hours=5)
_VOID = {"meta", "link", "br", "img"}


class Read(HTMLParser):
    """A page as a browser has it: which elements, which texts, and whether all are closed."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(*runs: LoggedRun, receipts: list[ReceiptRow] | None = None) -> str:
    reader = LogReader()
    for each in runs:
        reader.read(each.lines)
    return page(
        ReportContents(
            runs=reader.runs, receipts=receipts or [], now=NOW, version="1.0", notes=["well"]
        )
    )


def read(document: str) -> Read:
    found = Read(document)
    assert found.open == []
    return found


def test_a_night_is_answer_table_and_picture() -> None:
    found = read(page_of(a_night(parts=30)))
    assert "✓ The run ended well." in found.text
    assert "30.0 MiB" in found.text
    assert "renewals 2" in found.text
    assert "Note: well" in found.text
    assert len(found.named("svg")) == 2
    assert len(found.named("title")) == 3  # the page and both drawings
    segments = [each["data-about"] or "" for each in found.named("path") if "data-about" in each]
    assert sum(len(each.split("\n")) for each in segments) == 30
    assert f"3\t{MIB}\t3.8" in "\n".join(segments)
    assert [each["class"] for each in found.named("b") if "data-row" in each] == ["k401", "kretry"]
    (figure,) = found.named("figure")
    tokens = [each.split(":")[1] for each in (figure["data-tokens"] or "").split()]
    assert tokens == ["1", "2", "3"]


def test_it_asks_for_nothing() -> None:
    document = page_of(a_night())
    found = read(document)
    assert not [each for each in found.elements if "src" in each[1] or each[0] == "img"]
    links = [each["href"] or "" for each in found.named("a") + found.named("link")]
    assert all(link.startswith(("#run-", "data:")) for link in links)
    assert "default-src 'none'" in document
    assert "http:" not in document.replace("http-equiv", "")
    assert "https:" not in document


HOSTILE = [
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "\u202egnp.exe\u2066",
    "a\nb\x00c\x1b[31md\x9b",
    "<!--",
    "]]>",
    "שלום عالم",
    "&lt;b&gt;",
]


ACTIVE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def full_of(name: str) -> Read:
    """A page with `name` wherever a text of a log may stand."""
    made = LoggedRun(name=f"backups/{name}", command=name)
    made.attempt(5.0, operation="PutObject", path=f"/n/ns/b/x/o/{name}")
    made.attempt(5.5, operation=name, status=401)
    made.say(6.0, "file_failed", name=name, reason=name)
    made.say(6.1, "notice", text=name, routine=False)
    made.token(6.2, 2, name)
    made.pause(6.5, 7.0)
    made.error(8.0, name, name)
    made.result(9.0, "failed", 1, reason=name, compared=name, receipt=name)
    receipt = ReceiptRow(row=1, where=f"backups/{name}", size=5, finished=BEGAN)
    other = ReceiptRow(row=2, where=f"other/{name}", size=5, finished=BEGAN)
    return read(page_of(made, receipts=[receipt, other]))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_only_a_name(name: str) -> None:
    found, plain = full_of(name), full_of("x")
    shape, expected = (
        [(tag, sorted(given)) for tag, given in each.elements] for each in (found, plain)
    )
    assert shape == expected
    texts = [value or "" for _, given in found.elements for value in given.values()]
    assert not [each for each in [*texts, found.text] if ACTIVE.search(each)]


def test_a_secret_in_a_name_is_masked() -> None:
    made = LoggedRun(name="backups/x")
    made.lines = [line.replace("backups/x", f"backups/{TOKEN}") for line in made.lines]
    made.say(5.0, "file_failed", name="x", reason="y")
    made.lines[-1] = made.lines[-1].replace('"reason": "y"', f'"reason": "Bearer {TOKEN}"')
    made.lines[-1] = made.lines[-1].replace("backups/x", f"backups/{TOKEN}")
    document = page_of(made)
    assert "y</li>" not in document
    assert TOKEN not in document
    assert TOKEN.rpartition(".")[2] not in document


@pytest.mark.slow
def test_thirty_nights_of_ten_thousand_parts_stay_below_half_a_megabyte() -> None:
    reader = LogReader()
    reader.read(many_nights(30, parts=300))
    document = page(ReportContents(runs=reader.runs, now=NOW, version="1.0"))
    assert len(document.encode()) <= LARGEST < 500_000
    assert document.count("<figure") == 30
    assert "All 30 nights ended well." in document
    one = LogReader()
    one.read(a_night(parts=10_000, connections=15).lines)
    (run,) = one.runs
    same = [run] * 30  # as large as any: the picture does not depend on the number of parts
    assert len(page(ReportContents(runs=same, now=NOW, version="1.0")).encode()) <= LARGEST


@pytest.mark.slow
def test_too_many_runs_are_fewer_pictures_and_then_fewer_rows() -> None:
    reader = LogReader()
    for number in range(400):
        began = BEGAN - timedelta(hours=number)
        made = LoggedRun(name=f"b/{'x' * 300}{number}", began=began, run=f"{number:016}")
        for at in range(12):
            made.attempt(at * 7.0, seconds=3.0, connection=at, part=at)
            made.retry(at * 7.0, reason="y" * 300)
        made.result(300.0)
        reader.read(made.lines)
    document = page(ReportContents(runs=reader.runs, now=NOW, version="1.0"))
    assert len(document.encode()) <= LARGEST
    found = read(document)
    assert "older runs are left out" in found.text
    assert len(found.named("figure")) < 100


def test_receipts_stand_at_their_run_and_others_below() -> None:
    known = ReceiptRow(
        row=7, where="backups/db.tar", size=5, finished=BEGAN + timedelta(seconds=30)
    )
    other = ReceiptRow(row=6, where="backups/alone.tar", size=2 * MIB, finished=BEGAN)
    found = read(page_of(a_night(), receipts=[known, other]))
    assert "receipt no. 7 of the journal" in found.text
    assert "backups/alone.tar" in found.text
    assert found.text.index("no. 6") > found.text.index("these logs no run")
    assert len(found.named("caption")) == 3


def test_an_empty_log_is_a_page_that_says_so() -> None:
    found = read(page_of())
    assert "There is no run to tell of." in found.text
    assert found.named("figure") == []


def test_a_run_of_a_moment_and_one_of_years_have_a_picture() -> None:
    moment = LoggedRun(run="a" * 16)
    moment.attempt(0.0, seconds=0.0, size=5)
    moment.result(0.0)
    years = LoggedRun(run="b" * 16, began=BEGAN - timedelta(days=2000))
    years.attempt(9e7, seconds=1e6)
    years.result(9.1e7)
    found = read(page_of(moment, years))
    assert len(found.named("figure")) == 2


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(HOSTILE) | st.text(max_size=20))))
def test_whatever_a_log_says_the_page_is_whole(texts: list[tuple[int, str]]) -> None:
    made = a_night(parts=10)
    for number, each in texts:
        made.say(float(number), "notice", text=each, routine=False)
        made.say(float(number), "file_failed", name=each, reason=each)
    found = read(page_of(made))
    assert len(found.named("script")) == 1


@pytest.mark.slow
def test_many_failed_files_are_fewer_and_the_page_stays_as_small() -> None:
    reader = LogReader()
    for number in range(300):
        began = BEGAN - timedelta(hours=number)
        made = LoggedRun(name=f"b/{'x' * 300}{number}", began=began, run=f"{number:016}")
        for at in range(20):
            made.say(at, "file_failed", name=f"{at}{'<' * 390}", reason="&" * 390)
        made.result(300.0, "partial", 1)
        reader.read(made.lines)
    document = page(ReportContents(runs=reader.runs, now=NOW, version="1.0"))
    assert len(document.encode()) <= LARGEST
    found = read(document)
    assert "older runs are left out" in found.text
    few = LogReader()
    few.read(made.lines)
    shown = read(page(ReportContents(runs=few.runs, now=NOW, version="1.0")))
    assert "Files that failed (the first 20)" in shown.text
