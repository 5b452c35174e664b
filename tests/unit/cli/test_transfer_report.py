"""`--report`: the page of a run, written by the run itself."""

import threading
from pathlib import Path

import pytest

from ocihaul.cli import report as report_module
from ocihaul.cli.report import TransferReport
from ocihaul.cli.run_result import LogOrigin, RunResult
from ocihaul.cli.transfer_log import JsonLog
from ocihaul.events import AttemptFinished, Notice, RetryScheduled
from tests.nights import MIB

ORIGIN = LogOrigin("put", "backups/db.tar")
RESULT = RunResult(
    command="put",
    object="backups/db.tar",
    state="done",
    exit=0,
    bytes=3 * MIB,
    moved=3 * MIB,
    seconds=2.0,
)


def sent(part: int) -> AttemptFinished:
    path = f"/n/ns/b/backups/u/db.tar?uploadPartNum={part}"
    return AttemptFinished("UploadPart", "PUT", path, 200, None, None, 0.0, 1, MIB, connection=part)


def test_it_makes_its_own_lines_where_there_is_no_json_log(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    report = TransferReport(target, ORIGIN, directory=False, log=None)
    channel = report.channel(ORIGIN, directory=False)
    for part in (1, 2, 3):
        channel(sent(part))
    channel(RetryScheduled("UploadPart", 1, 2.0, "503"))
    said: list[str] = []
    report.write(RESULT, say=said.append)
    document = target.read_text()
    assert said == []
    assert "The run ended well." in document
    assert document.count("data-connection=") == 3
    assert "503; tried again after 2 s" in document


def test_it_hears_the_lines_of_a_json_log_and_reads_those_before(tmp_path: Path) -> None:
    target, log = tmp_path / "page.html", tmp_path / "night.jsonl"
    before = JsonLog(lambda _: None, ORIGIN, directory=False)
    with log.open("w") as file:

        def write(line: str) -> None:
            file.write(line + "\n")
            file.flush()

        earlier = LogOrigin("put", "backups/earlier.tar")
        before = JsonLog(write, earlier, directory=False)
        before.begin()
        before.result(RESULT)
        report = TransferReport(target, ORIGIN, directory=False, log=log)
        own = JsonLog(report.beside(write), ORIGIN, directory=False)
        own.begin()
        own(sent(1))
        report.write(RESULT, say=pytest.fail)
        own.result(RESULT)
    document = target.read_text()
    assert "The night ended well." in document
    assert "backups/earlier.tar" in document
    assert document.count("data-connection=") == 1
    assert len(log.read_text().splitlines()) == 5


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ValueError("a bug")])
def test_whatever_goes_wrong_is_said_and_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fails(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(report_module, "write_report", fails)
    report = TransferReport(tmp_path / "page.html", ORIGIN, directory=False, log=None)
    channel = report.channel(ORIGIN, directory=False)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        channel.notice(text)  # as the run does: it tells all channels, this one among them

    ended = threading.Thread(target=report.write, args=[RESULT], kwargs={"say": say}, daemon=True)
    ended.start()
    ended.join(60)
    assert not ended.is_alive()
    (text,) = said
    assert text.startswith(f"--report {tmp_path}/page.html: ")
    assert "No space left" in text or "a bug" in text
    channel(Notice("it goes on"))
