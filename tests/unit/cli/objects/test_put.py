"""Signals and the question, seen from the outside."""

import io
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from ocihaul.cli import client
from ocihaul.cli.global_options import Given
from ocihaul.cli.invocation import Invocation
from ocihaul.cli.objects.put import run_put
from ocihaul.cli.output import View
from ocihaul.cli.signals import Stopper, stopping
from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import ObjectExistsError, OcihaulError, TransferCancelled
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.upload.request import UploadRequest
from tests.unit.cli.conftest import result

EXISTING = ObjectSummary(size=5, etag="e", headers={})


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def settings(home: Path) -> Settings:
    return resolve(Flags(), {}, home)


def run(
    settings: Settings, stdin: io.StringIO, stderr: io.StringIO, stdout: io.StringIO | None = None
) -> int:
    request = UploadRequest(source=Path("x"), namespace="n", bucket="b", name="x")
    invocation = Invocation(
        options={},
        settings=lambda: settings,
        view=View(),
        home=Path(),
        given=Given(),
        stdin=stdin,
        stdout=stdout or io.StringIO(),
        stderr=stderr,
    )
    return run_put(invocation, lambda: request)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """A core whose object exists: it asks, and uploads if told so."""
    answers: list[bool] = []

    def act(*_: Any, confirm: Any, **__: Any) -> Any:
        answers.append(confirm(EXISTING))
        if not answers[-1]:
            raise ObjectExistsError("it exists")
        return result()

    monkeypatch.setattr(client, "run_upload", act)
    return answers


@pytest.mark.parametrize(
    ("typed", "answer", "code"),
    [("y\n", True, 0), ("YES\n", True, 0), ("\n", False, 1), ("n\n", False, 1), ("", False, 1),
     ("what\ny\n", True, 0)],
)  # fmt: skip
def test_a_person_is_asked_on_stderr_and_no_is_the_default(
    settings: Settings, asking: list[bool], typed: str, answer: bool, code: int
) -> None:
    stderr, stdout = Terminal(), io.StringIO()
    assert run(settings, Terminal(typed), stderr, stdout) == code
    assert asking == [answer]
    assert "Are you sure you want to overwrite it? [y/N]: " in stderr.getvalue()
    assert "sure" not in stdout.getvalue()
    assert ("Aborted!" in stderr.getvalue()) is (code == 1)


@pytest.mark.parametrize(
    ("typed", "answer", "code"), [("y\n", True, 0), ("n\n", False, 1), ("\n", False, 1)]
)
def test_what_is_piped_in_is_the_answer(
    settings: Settings, asking: list[bool], typed: str, answer: bool, code: int
) -> None:
    stderr = io.StringIO()
    assert run(settings, io.StringIO(typed), stderr, io.StringIO()) == code
    assert asking == [answer]
    assert ("Aborted!" in stderr.getvalue()) is (code == 1)


def test_an_input_that_ends_is_no_answer(settings: Settings, asking: list[bool]) -> None:
    with pytest.raises(OcihaulError, match="it exists") as raised:
        run(settings, io.StringIO(""), io.StringIO(), io.StringIO())
    assert asking == [False]
    assert "There is no terminal to ask on." in str(raised.value.hint)


def test_a_person_who_does_not_see_the_question_is_not_asked(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirms: list[Any] = []

    def act(*_: Any, confirm: Any, **__: Any) -> Any:
        confirms.append(confirm)
        return result()

    monkeypatch.setattr(client, "run_upload", act)
    assert run(settings, Terminal("y\n"), io.StringIO()) == 0
    assert confirms == [None]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_the_upload_to_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = signal.getsignal(number)

    def act(*_: Any, stop: threading.Event, **__: Any) -> Any:
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        raise TransferCancelled("stopped")

    monkeypatch.setattr(client, "run_upload", act)
    with pytest.raises(TransferCancelled):
        run(settings, io.StringIO(), io.StringIO())
    assert signal.getsignal(number) is before


def test_a_signal_during_the_question_ends_it(
    settings: Settings, asking: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Typist(Terminal):
        def readline(self, *_: Any) -> Any:
            os.kill(os.getpid(), signal.SIGINT)
            return "y\n"

    with pytest.raises(TransferCancelled):
        run(settings, Typist(), Terminal())
    assert asking == []


def test_the_second_signal_ends_the_process_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    exits: list[int] = []
    monkeypatch.setattr(os, "_exit", exits.append)
    stopper = Stopper()
    stopper.handle(signal.SIGINT, None)
    stopper.handle(signal.SIGHUP, None)  # the terminal goes away, too
    assert exits == []
    stopper.handle(signal.SIGTERM, None)
    assert exits == [130]


def test_a_signal_that_the_parent_switched_off_stays_off() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stopping() as stopper:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stopper.stop.is_set()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[Any] = []

    def work() -> None:
        with stopping():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
