"""What is said about a tree on stderr, and how often."""

import io
from dataclasses import replace

from ocihaul.cli.directories.progress import MOST_FAILURES, MOST_NOTICES, DirectoryReporter
from ocihaul.cli.progress import PlainOutput
from ocihaul.events import (
    DirectoryProgress,
    DirectoryScanned,
    FileFailed,
    FileFinished,
    Notice,
    UploadPlanned,
)
from ocihaul.printable import one_line


def said(*events: object) -> list[str]:
    stream = io.StringIO()
    reporter = DirectoryReporter(PlainOutput(stream))
    for event in events:
        reporter(event)  # type: ignore[arg-type]
    reporter.beat()
    return stream.getvalue().splitlines()


def test_failures_are_told_as_they_happen_up_to_a_number() -> None:
    lines = said(
        *(FileFailed(f"f{number}", "broken") for number in range(1000)),
        DirectoryProgress(0, 0, None, None, None, 0, 0, 1000, 1000, complete=False),
    )
    failures = [line for line in lines if line.startswith("failed: ")]
    assert failures[0] == "failed: f0: broken"
    assert len(failures) == MOST_FAILURES
    assert "Further failures are told at the end only." in lines
    assert "1000 failed" in lines[-1]


def test_the_same_notice_is_told_once_and_many_are_cut_off() -> None:
    assert len(said(*[Notice("the same")] * 9)) == 2
    assert len(said(*(Notice(f"no {number}") for number in range(1000)))) == MOST_NOTICES + 1


def test_a_name_cannot_act_on_the_terminal() -> None:
    assert one_line("a\x1b[2J\nü") == "a\\x1b[2J\\nü"
    (line, *_) = said(FileFailed("x\nfailed: y", "token=abc"))
    assert line == "failed: x\\nfailed: y: token=[redacted]"


def test_progress_is_how_many_of_how_many_so_far() -> None:
    plan = UploadPlanned("x", 5, 5, 1, 1, multipart=True)
    lines = said(
        DirectoryProgress(1024, 2048, None, 512.0, None, 1, 0, 0, 7, complete=False),
        FileFinished("x", 1024),
        plan,
    )
    assert lines[-1].endswith("1 transferred (1.0 KiB), 7 found so far (2.0 KiB), 512 bytes/s")
    lines = said(DirectoryProgress(1024, 2048, 0.5, 256.0, 4.0, 1, 3, 2, 7, complete=True))
    assert lines[-1].endswith(
        "1 transferred (1.0 KiB), 3 unchanged, 7 found (2.0 KiB), 256 bytes/s, 4 s left, 2 failed"
    )
    gone = DirectoryProgress(0, 0, 0.4, None, None, 4, 0, 1, 10, complete=True, files_deleted=4)
    assert said(gone)[-1].endswith("4 deleted, 10 found, 1 failed")
    both = replace(gone, done=1024, total=2048, files_done=5, files_failed=0)
    assert said(both)[-1].endswith("1 transferred (1.0 KiB), 4 deleted, 10 found (2.0 KiB)")
    assert said(DirectoryScanned(7, 2048, complete=True))[-1].endswith("0 transferred (0 bytes)")
