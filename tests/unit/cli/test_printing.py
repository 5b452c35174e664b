"""The one place where text is printed: whatever the text, one line is one line, and only text."""

import ast
import dataclasses
import inspect
import io
import json
import re
import threading
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ocihaul
from ocihaul import errors, events
from ocihaul.cli import app
from ocihaul.cli.directories.progress import DirectoryReporter
from ocihaul.cli.error_text import error_text
from ocihaul.cli.event_text import EventFormatter, debug_line
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.output import View, print_view, table_text
from ocihaul.cli.progress import PlainOutput, Reporter
from ocihaul.cli.session.status import Report
from ocihaul.printable import json_text, one_line
from ocihaul.printing import LONGEST_LINE, say, say_text, shown, write_answer, write_lines

#: What a terminal acts upon, or takes for the end of a line, or shows in another order.
ACTIVE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: What is not ours: a title for the terminal, a line of its own, a C1 control, another direction.
HOSTILE = (
    "\x1b]0;pwn\x07 hi\n2026-11-27 00:00:00+00:00 uploaded o: FAKE\x9b2J\r\u202e\u2028\udcff\x85"
)

hostile = st.lists(
    st.one_of(
        st.characters(),
        st.sampled_from("\x00\x07\x08\t\n\x0b\x0c\r\x1b\x7f\x85\x9b\u061c\u200e\u200f"),
        st.sampled_from("\u2028\u2029\u202a\u202e\u2066\u2069\ud800\udcff"),
        st.just("\x1b]52;c;eA==\x07"),
    ),
    max_size=12,
).map("".join)

EVENTS = [
    each
    for each in vars(events).values()
    if inspect.isclass(each) and issubclass(each, events.Event) and each is not events.Event
]
ERRORS = [
    each
    for each in vars(errors).values()
    if inspect.isclass(each) and issubclass(each, errors.OcihaulError)
]


def value_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a field, hostile wherever a text can be."""
    if isinstance(kind, types.UnionType):
        return st.one_of([value_of(each) for each in typing.get_args(kind)])
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: hostile,
        int: st.integers(0, 10**6),
        float: st.floats(0, 10**9),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple[kind]


def any_event(kind: type[events.Event]) -> st.SearchStrategy[events.Event]:
    hints = typing.get_type_hints(kind)
    fields = {each.name: value_of(hints[each.name]) for each in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


def any_error(kind: type[errors.OcihaulError]) -> st.SearchStrategy[errors.OcihaulError]:
    if kind is errors.ServiceError:
        headers = st.dictionaries(st.just("opc-request-id"), hostile)
        status = st.sampled_from([400, 401, 404, 409, 500, 503])
        return st.builds(
            kind, status=status, code=hostile, message=hostile, operation=hostile, headers=headers
        )
    if kind is errors.UploadIncompleteError:
        return st.builds(kind, hostile, upload_id=hostile, resumable=st.booleans(), hint=hostile)
    return st.builds(kind, hostile, hint=st.one_of(st.none(), hostile))


class Terminal(io.StringIO):
    """A stream with a person at its other end."""

    def isatty(self) -> bool:
        return True


def lines_of(stream: io.StringIO) -> list[str]:
    text = stream.getvalue()
    assert not ACTIVE.search(text), repr(text)
    assert text == "" or text.endswith("\n")
    return text.split("\n")[:-1]


@pytest.mark.parametrize("kind", EVENTS)
def test_finding_a07_no_event_says_more_lines_than_it_has(kind: type[events.Event]) -> None:
    @settings(max_examples=40)
    @given(any_event(kind), hostile)
    def check(event: events.Event, label: str) -> None:
        expected = EventFormatter(label=label).lines(event, at=0.0, now=0.0)
        stream = io.StringIO()
        for line in expected:
            PlainOutput(stream).say(line)
        assert len(lines_of(stream)) == len(expected)
        for reporter in (
            Reporter(PlainOutput(stream), debug=True),
            DirectoryReporter(PlainOutput(stream), debug=True),
        ):
            before = len(lines_of(stream))
            reporter(event)
            reporter.notice("what is next")
            assert lines_of(stream)[-1] == "what is next"
            assert len(lines_of(stream)) - before <= len(expected) + 2

    check()


@given(any_event(events.AttemptFinished))
def test_finding_a07_a_debug_line_is_one(event: events.AttemptFinished) -> None:
    stream = io.StringIO()
    say(stream, debug_line(event, 0.0))
    assert len(lines_of(stream)) == 1


@pytest.mark.parametrize("kind", ERRORS)
def test_finding_a07_no_error_says_a_line_that_is_not_ours(
    kind: type[errors.OcihaulError],
) -> None:
    @settings(max_examples=25)
    @given(any_error(kind), st.one_of(st.none(), st.sampled_from(ERRORS).flatmap(any_error)))
    def check(error: errors.OcihaulError, cause: errors.OcihaulError | None) -> None:
        error.__cause__ = cause
        for debug in (False, True):
            stream = io.StringIO()
            say_text(stream, error_text(error, debug=debug))
            lines = lines_of(stream)
            quiet = [line for line in lines if not line.startswith("| ")]
            # A block of JSON, the error, its reason and two hints are the most there can be.
            assert len(quiet) <= 16
            if "ServiceError:" in quiet:
                block = quiet[quiet.index("{") : quiet.index("}") + 1]
                assert json.loads("\n".join(block))["target_service"] == "object_storage"
            assert debug or quiet == lines

    check()


def test_finding_a07_the_text_of_the_finding_is_one_line() -> None:
    error = errors.ServiceError(status=503, code="C", message=HOSTILE, operation="PutObject")
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream))
    reporter(events.RetryScheduled("PutObject", 1, 2.0, error.message))
    (line,) = lines_of(stream)
    assert r"\x1b]0;pwn\x07 hi\n2026-11-27 00:00:00+00:00 uploaded o: FAKE\x9b2J" in line
    stream = io.StringIO()
    say_text(stream, error_text(error))
    block = stream.getvalue().removeprefix("ServiceError:\n").partition("\n}")[0] + "\n}"
    assert not ACTIVE.search(stream.getvalue())
    assert json.loads(block)["message"] == HOSTILE  # in JSON the value is what it was


def test_finding_a07_an_error_that_is_not_ours_is_one_line_too() -> None:
    lines = error_text(ValueError(HOSTILE)).split("\n")
    assert lines[0].startswith("Error: ValueError: \\x1b]0;pwn\\x07 hi\\n2026")
    assert len(lines) == 2


def test_finding_a07_a_line_of_a_traceback_is_not_taken_for_one_of_ours() -> None:
    try:
        raise ValueError("x\nuploaded o: FAKE")
    except ValueError as error:
        text = error_text(error, debug=True)
    assert "| uploaded o: FAKE" in text.split("\n")
    assert "uploaded o: FAKE" not in text.split("\n")


def test_finding_a07_long_text_is_cut_and_says_so() -> None:
    assert len(shown("x" * 10**6)) <= LONGEST_LINE + 20
    assert shown("x" * 10**6).endswith("… (cut)")
    huge = errors.ServiceError(status=400, code="C", message="y" * 10**7, operation="PutObject")
    assert len(huge.message) < 20_000
    assert len(error_text(huge)) < 10_000


def test_finding_a07_a_hint_of_several_lines_stays_one() -> None:
    error = errors.OcihaulError("m", hint=("Do this", f"or do that: {HOSTILE}"))
    assert str(error).split("\n")[1] == "Do this"
    assert len(str(error).split("\n")) == 3
    error.hint = "one\nline"
    assert error.hint == r"one\nline"


@given(hostile)
def test_finding_a07_json_keeps_its_value_and_drives_nothing(text: str) -> None:
    stream = io.StringIO()
    print_view(stream, View(), View().render({"data": {text: text}}) or "")
    assert not ACTIVE.search(stream.getvalue())
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(stream.getvalue()) == {"data": {whole: whole}}  # two halves are one in JSON


@given(st.lists(hostile, min_size=1, max_size=4))
def test_finding_a07_cells_of_a_table_stay_cells(names: list[str]) -> None:
    text = table_text([{"name": name, "size": 1} for name in names])
    assert not ACTIVE.search(text)
    lines = text.split("\n")
    assert len(lines) == 4 + len(names)
    assert all(line.startswith(("|", "+")) for line in lines)


def test_finding_a07_text_that_is_only_unusual_stays() -> None:
    for text in (
        "夜間　バックアップ.tar",
        "naïve café",
        "👩‍💻",
        "نسخة",
        "a\u00a0b",
        "soft\u00adhyphen",
    ):
        assert one_line(text) == text
        assert json_text(json.dumps(text, ensure_ascii=False)) == f'"{text}"'


def test_finding_a07_a_raw_answer_is_made_safe_at_a_terminal_only() -> None:
    view = View(raw=True)
    pipe, terminal = io.StringIO(), Terminal()
    print_view(pipe, view, HOSTILE)
    assert pipe.getvalue() == HOSTILE + "\n"
    print_view(terminal, view, HOSTILE)
    assert not ACTIVE.search(terminal.getvalue())


def test_finding_a07_names_in_lists_are_lines() -> None:
    stream = io.StringIO()
    write_lines(stream, [HOSTILE, "b" * 100_000, "c"])
    assert [len(line) > 0 for line in lines_of(stream)] == [True] * 3
    assert lines_of(stream)[1] == "b" * 100_000  # an answer is not cut
    stream = io.StringIO()
    write_answer(stream, iter(["[\n", '"\x9b"', "\n]\n"]))
    assert stream.getvalue() == '[\n"\\u009b"\n]\n'


def test_finding_a07_a_thread_that_dies_cannot_say_more_than_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threading, "excepthook", app.tell_of_dead_thread)
    thread = threading.Thread(target=_die, name=f"x{HOSTILE}")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    assert "| ValueError: \\x1b]0;pwn" in said
    assert not ACTIVE.search(said)
    assert not [line for line in said.split("\n") if line.startswith("2026-11-27")]


def _die() -> None:
    raise ValueError(HOSTILE)


@pytest.mark.parametrize(
    "argv",
    [
        (HOSTILE.replace("\udcff", ""),),
        ("os", "object", "head", f"--{HOSTILE}"),
        ("os", "object", "head", "-bn", "b", "--name", "n", "--output", HOSTILE),
        ("session", "status", "--profile", HOSTILE),
        ("doctor", "--profile", HOSTILE),
        ("verify", HOSTILE.replace("\x00", "")),
    ],
)
def test_finding_a07_a_command_line_is_quoted_without_its_controls(
    argv: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(list(argv)) != 0
    captured = capsys.readouterr()
    assert not ACTIVE.search(captured.out + captured.err)
    assert not re.search(r"^2026-11-27", captured.out + captured.err, re.MULTILINE)


def test_finding_a07_a_report_has_lines_of_its_own_only() -> None:
    report = Report(HOSTILE, 0.0, problem=errors.ConfigError(HOSTILE, hint=HOSTILE))
    stream = io.StringIO()
    say(stream, *report.lines())
    assert len(lines_of(stream)) == 3


# Nobody else prints.

_SOURCE = Path(ocihaul.__file__).parent
#: The one place, and those that have a stream for another reason: each is looked at by hand.
_ALLOWED = {
    "printing.py": "the one place",
    "cli/standard_streams.py": "it is the streams",
    "cli/signals.py": "prompts, which click prints: their text is made safe",
    "events.py": "log_events: the caller's own logger, with lines that are made safe",
    "cluster/connect.py": "Dask's own log, which is kept off the terminal",
    "integrations/oci_cli_hooks.py": "the official CLI's own lines, masked",
}
_STREAMS = {"stdout", "stderr", "stream", "_stream", "console", "_console", "screen"}
_PRINTING = {
    "print",
    "echo",
    "secho",
    "echo_via_pager",
    "prompt",
    "confirm",
    "print_exc",
    "print_exception",
    "print_stack",
}


def printing_calls(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(each.name == "logging" for each in node.names):
            yield node.lineno
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id == "print":
            yield node.lineno
        if not isinstance(called, ast.Attribute):
            continue
        owner = called.value
        name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
        if called.attr in {"write", "writelines"} and name in _STREAMS:
            yield node.lineno
        if called.attr in _PRINTING and name in {"click", "traceback", *_STREAMS}:
            yield node.lineno


def test_finding_a07_nothing_but_the_one_place_writes_to_the_streams() -> None:
    found = [
        f"{path.relative_to(_SOURCE)}:{line}"
        for path in sorted(_SOURCE.rglob("*.py"))
        if path.relative_to(_SOURCE).parts[0] != "emulator"  # a program of its own
        and str(path.relative_to(_SOURCE)) not in _ALLOWED
        for line in printing_calls(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "print('x')",
        "import click\nclick.echo('x')",
        "import sys\nsys.stderr.write('x')",
        "invocation.stdout.writelines([])",
        "import logging",
        "traceback.print_exc()",
    ],
)
def test_the_search_for_other_places_finds_them(source: str) -> None:
    assert list(printing_calls(ast.parse(source)))


def test_finding_a07_what_is_told_beside_an_answer_is_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, err = io.StringIO(), io.StringIO()
    tell: Callable[..., None] = Invocation.answer
    made = Invocation(
        options={},
        settings=lambda: None,  # type: ignore[arg-type,return-value]
        view=View(output="table"),
        home=Path(),
        given=None,  # type: ignore[arg-type]
        stdin=io.StringIO(),
        stdout=out,
        stderr=err,
    )
    tell(made, {"data": [{"name": HOSTILE}], "next-start-with": HOSTILE})
    assert len(lines_of(out)) == 5
    assert len(lines_of(err)) == 1
