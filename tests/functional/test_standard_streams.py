"""Standard streams that are closed, full or gone: they cost what is said, never the work."""

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import MIB, Ran, World, world

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device")

_CLOSED = "<&- >&- 2>&-"
_MISSING = "the answer cannot be written to standard output: No space left on device"


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def run(w: World, redirections: str, *words: str, unbuffered: bool = False) -> Ran:
    """The command as a shell starts it, with these redirections."""
    command = shlex.join([sys.executable, "-m", "ocihaul", *words])
    environ = w.environ() | ({"PYTHONUNBUFFERED": "1"} if unbuffered else {})
    done = subprocess.run(
        ["/bin/sh", "-c", f"{command} {redirections}"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return w.checked(Ran(done.returncode, done.stdout, done.stderr))


@pytest.mark.parametrize(
    ("redirections", "code", "answered", "said", "unbuffered"),
    [
        ("<&-", 0, True, "RESULT done", False),
        (">&-", 0, False, "RESULT done", False),
        ("2>&-", 0, True, "", True),
        (_CLOSED, 0, False, "", False),
        ("2>/dev/full", 0, True, "", False),
        (">/dev/full", 1, False, _MISSING, False),
        (">/dev/full", 1, False, _MISSING, True),
        (">/dev/full 2>&1", 1, False, "", False),
    ],
)
def test_an_upload_is_done_whatever_becomes_of_its_words(
    w: World, redirections: str, code: int, answered: bool, said: str, *, unbuffered: bool
) -> None:
    source = w.file(21 * MIB)
    ran = run(w, redirections, *w.put(source), unbuffered=unbuffered)
    assert ran.code == code
    assert w.arrived_whole(source)
    assert ('"etag"' in ran.out) == answered
    assert said in ran.err
    assert bool(ran.err) == bool(said)
    assert "ignored" not in ran.err  # as Python says it of what fails while it ends


def test_who_reads_the_answer_may_leave(w: World) -> None:
    source = w.file(21 * MIB)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        process = subprocess.run(
            [sys.executable, "-m", "ocihaul", *w.put(source)],
            env=w.environ(),
            stdout=gone,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
            check=False,
        )
    assert process.returncode == 141
    assert w.arrived_whole(source)
    assert "Error" not in process.stderr
    assert "Exception" not in process.stderr


@pytest.mark.slow
def test_who_reads_slowly_gets_all_of_it_even_if_our_end_may_not_wait(w: World) -> None:
    names = [f"{number:03}-{'x' * 900}" for number in range(200)]
    for name in names:
        w.oci.put_object("backups", name, b"x")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    words = ("os", "object", "list", "-ns", "ns1", "-bn", "backups", "--all", "--fields", "name")
    process = subprocess.Popen(
        [sys.executable, "-m", "ocihaul", *words, "--auth", "security_token"],
        env=w.environ(),
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as end:
        first = end.read(1)
        with pytest.raises(subprocess.TimeoutExpired):  # the pipe is full, and it waits
            process.wait(3)
        text = (first + end.read()).decode()
    process.communicate(timeout=100)
    assert process.returncode == 0
    assert [name for name in names if name not in text] == []


@pytest.mark.parametrize("what", ["get", "list"])
def test_finding_b09_a_reader_that_has_enough_ends_it_quietly(w: World, what: str) -> None:
    """As `cat FILE | head -c 10` ends: by SIGPIPE's status, without a word."""
    w.oci.put_object("backups", "x", os.urandom(5 * MIB))
    if what == "get":
        words = w.get("x", "-")
    else:
        for number in range(200):
            w.oci.put_object("backups", f"{number:03}-{'x' * 900}", b"x")
        words = ("os", "object", "list", "-ns", "ns1", "-bn", "backups", "--all")
        words += ("--auth", "security_token")
    process = subprocess.Popen(
        [sys.executable, "-m", "ocihaul", *words],
        env=w.environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert len(process.stdout.read(10)) == 10
    process.stdout.close()
    said = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(100) == 141
    assert "rror" not in said
    assert "Exception" not in said


@pytest.mark.parametrize(
    ("redirections", "why"), [(">&-", "Bad file descriptor"), (">/dev/full", "No space left")]
)
def test_bytes_that_cannot_be_written_are_no_success(w: World, redirections: str, why: str) -> None:
    source = w.file(3 * MIB)
    w.upload(source)
    ran = run(w, redirections, *w.get(source.name, "-"))
    assert ran.code == 1
    assert f"Error: the output cannot be written: {why}" in ran.err


def test_a_closed_stdin_is_no_empty_stream(w: World) -> None:
    words = ("os", "object", "put", "-ns", "ns1", "-bn", "backups", "--file", "-", "--name", "pipe")
    ran = run(w, "<&-", *words, "--auth", "security_token")
    assert ran.code == 2
    assert "stdin is closed" in ran.err
    assert not w.oci.log.entries(operation="PutObject")


@pytest.mark.parametrize(
    "words", [("--version",), ("--help",), ("session", "status"), ("doctor",), ("os", "ns", "get")]
)
def test_every_answer_that_is_lost_is_told(w: World, words: tuple[str, ...]) -> None:
    auth = ("--auth", "security_token") if words[0] == "os" else ()
    ran = run(w, ">/dev/full", *words, *auth)
    assert ran.code == 1
    assert _MISSING in ran.err
    ran = run(w, ">&-", *words, *auth)
    assert (ran.code, ran.err) == (0, "")
