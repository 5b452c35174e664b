"""`ocihaul report` and `--report`: real nights as pages."""

import gzip
import json
import os
import re
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.test_night_logs import TOKYO, put, sync, until
from tests.unit.report.test_page import Read
from tests.world import MIB, World, world


def json_log(log: Path) -> tuple[str, ...]:
    return ("--log-file", str(log), "--log-format", "json", "--progress-interval", "1s")


def page_of(path: Path) -> Read:
    found = Read(path.read_text())
    assert found.open == []
    return found


def last_result(log: Path) -> dict[str, object]:
    results = [json.loads(line) for line in log.read_text().splitlines() if '"result"' in line]
    found: dict[str, object] = results[-1]
    return found


def night_with_everything(oci: World, log: Path) -> None:
    """A kill, then a renewal after a 401, a wait for a login, and an end that is well."""
    source = oci.file(60 * MIB)
    argv = put(oci, source, *json_log(log), "--session-wait", "5m", "--parallel-upload-count", "2")
    killed = oci.start(*argv, **TOKYO)
    until(lambda: oci.oci.log.count(operation="UploadPart", status=200) >= 1, killed)
    killed.kill()
    assert oci.finish(killed).code == -signal.SIGKILL
    night = oci.start(*argv, **TOKYO)
    until(lambda: "Resuming upload" in log.read_text(), night)
    oci.oci.revoke_all(refreshable=True)
    until(lambda: '"refresh"' in log.read_text(), night)
    oci.oci.revoke_all(refreshable=False)
    until(lambda: "session_paused" in log.read_text(), night)
    oci.log_in()
    ran = oci.finish(night)
    assert ran.code == 0, ran.err
    assert oci.arrived_whole(source)


@pytest.mark.slow
def test_a_night_with_a_kill_a_renewal_a_wait_and_a_resume_is_drawn(tmp_path: Path) -> None:
    log, target = tmp_path / "night.jsonl", tmp_path / "night.html"
    with world(tmp_path, bandwidth=12 * MIB) as oci:
        night_with_everything(oci, log)
        ran = oci.run("report", str(log), "-o", str(target), **TOKYO)
        assert (ran.code, ran.out) == (0, "")
        assert ran.err == f"The night ended well. The page is {target}\n"
        found, result = page_of(target), last_result(log)
        assert not [secret for secret in oci.secrets() if secret in target.read_text()]
    for words in (
        "✓ The night ended well.",
        "✗ no result",
        "✓ done",
        f"renewals {result['renewals']}",
        f"401s {result['rejections']}",
        "compared CRC32C and MD5",
        "waited for a login",
        "receipt no. 1 of the journal",
        "401, the token was not accepted",
        "60.0 MiB",
        "+09:00",
    ):
        assert words in found.text, words
    assert len(found.named("figure")) == 2
    assert '<div class="pause"' in target.read_text()
    lanes = [each for each in found.named("path") if each.get("data-connection")]
    assert len({each["data-connection"] for each in lanes}) >= 2
    moved = re.findall(r"(\d+\.\d MiB) moved now", found.text)
    assert len(moved) == 1
    assert len(target.read_bytes()) < 100_000


@pytest.mark.slow
def test_a_transfer_writes_its_page_itself_with_the_nights_before_it(tmp_path: Path) -> None:
    log, target = tmp_path / "night.jsonl", tmp_path / "night.html"
    with world(tmp_path, token_ttl=4.0, bandwidth=6e6) as oci:
        asked = (*json_log(log), "--report", str(target))
        first = oci.run(*put(oci, oci.file(20 * MIB, "a.tar"), *asked), **TOKYO)
        assert first.code == 0, first.err
        assert "✓ The run ended well." in page_of(target).text
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
        oci.oci.configure(token_ttl=3600.0)
        oci.log_in()  # on a busy machine the last token is over before the next command
        told = f"test -s {target} && cp {target} {tmp_path}/sent.html"
        second = oci.run(*oci.get("no-such", tmp_path / "x", *asked, "--on-failure", told), **TOKYO)
        assert second.code == 1
        found = page_of(target)
        assert (tmp_path / "sent.html").read_bytes() == target.read_bytes()
        assert "✗ The night did not end well." in found.text
        assert "404" in found.text
        assert "There is no such object" in found.text
        result = json.loads(
            next(line for line in log.read_text().splitlines() if '"result"' in line)
        )
        assert f"renewals {result['renewals']}" in found.text
        assert result["renewals"] >= 1
        # The page that `report` makes of the log has the same two runs.
        again = oci.run("report", str(log), "-o", str(tmp_path / "again.html"), **TOKYO)
        assert again.code == 0
        assert page_of(tmp_path / "again.html").text.count("exit status") == found.text.count(
            "exit status"
        )


def test_without_a_log_the_page_has_this_run(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    with world(tmp_path) as oci:
        ran = oci.run(*put(oci, oci.file(3 * MIB)), OCIHAUL_REPORT=str(target), **TOKYO)
        assert ran.code == 0, ran.err
    found = page_of(target)
    assert "✓ The run ended well." in found.text
    assert "3.0 MiB" in found.text


def test_a_directory_has_its_files_in_the_page(tmp_path: Path) -> None:
    source, target = tmp_path / "tree", tmp_path / "page.html"
    source.mkdir()
    for number in range(6):
        (source / f"f{number}").write_text("x" * 1000)
    (source / b"bad\xff".decode("utf-8", "surrogateescape")).write_text("y")
    with world(tmp_path) as oci:
        ran = oci.run(*sync(oci, source, "--report", str(target)), **TOKYO)
        assert ran.code == 1
    found = page_of(target)
    assert "✗ The run did not end well." in found.text
    assert "1 files failed" in found.text
    assert "6 files transferred" in found.text
    assert "bad" in found.text


@pytest.mark.parametrize("where", ["no/such/directory/page.html", "."])
def test_a_page_that_cannot_be_written_costs_nothing_but_a_line(tmp_path: Path, where: str) -> None:
    target, log = tmp_path / where, tmp_path / "night.log"
    with world(tmp_path) as oci:
        source = oci.file(MIB)
        asked = ("--report", str(target), "--log-file", str(log))
        ran = oci.run(*put(oci, source, *asked))
        assert ran.code == 0, ran.err
        assert oci.arrived_whole(source)
        assert f"Notice: --report {target}: " in log.read_text()
        assert "RESULT done" in log.read_text().splitlines()[-1]
        made = oci.run("report", str(log), "-o", str(target))
        assert made.code == 1
        assert f"{target}: the page cannot be written: " in made.err
    assert not list(tmp_path.glob(".ocihaul-report-*"))


@pytest.mark.slow
@pytest.mark.parametrize("link", [False, True])
def test_a_page_replaces_a_page_and_no_other_file(tmp_path: Path, link: bool) -> None:
    log, target = tmp_path / "night.jsonl", tmp_path / "there"
    with world(tmp_path) as oci:
        source = oci.file(2 * MIB)
        data = source.read_bytes()
        # The wrong one of two names: the backup itself.
        if link:
            target.symlink_to(source)
        else:
            target = source
        ran = oci.run(*put(oci, source, "--report", str(target), *json_log(log)))
        assert ran.code == 0, ran.err
        assert source.read_bytes() == data
        assert f"--report {target}: there is a file that is no page" in log.read_text()
        made = oci.run("report", str(log), "-o", str(target))
        assert (made.code, source.read_bytes() == data) == (1, True)
        assert "no page (HTML); it is kept" in made.err
        for before in ("", "<!doctype HTML>\nof yesterday"):
            source.write_text(before)
            assert oci.run("report", str(log), "-o", str(target)).code == 0
            assert "The run ended well" in source.read_text()
        assert target.is_symlink() == link


@pytest.mark.slow
def test_a_page_for_a_pipe_waits_for_no_reader(tmp_path: Path) -> None:
    log, fifo = tmp_path / "night.jsonl", tmp_path / "fifo"
    os.mkfifo(fifo)
    with world(tmp_path) as oci:
        ran = oci.run(*put(oci, oci.file(MIB), "--report", str(fifo), *json_log(log)))
        assert ran.code == 0, ran.err
        assert f"--report {fifo}: " in log.read_text()
        ours = f"{sys.executable} -m ocihaul report {log}"
        for command in (f"{ours} -o /dev/stdout", f"{ours} -o >(cat)", f"{ours} -o -"):
            piped = subprocess.run(
                ["bash", "-c", f"{command} | cat"],
                env=oci.environ(),
                capture_output=True,
                text=True,
                check=True,
            )
            assert "The run ended well." in Read(piped.stdout).text, command
        unread = subprocess.run(
            ["bash", "-c", f"{ours} -o - | true; exit ${{PIPESTATUS[0]}}"],
            env=oci.environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (unread.returncode, unread.stderr) == (141, "")


def test_a_transfer_does_not_mix_its_page_with_its_answer(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        ran = oci.run(*put(oci, oci.file(MIB), "--report", "-"))
        assert (ran.code, ran.out) == (2, "")
        assert "--report: - (a file)" in ran.err


@pytest.mark.slow
def test_logs_may_be_compressed_rotated_piped_empty_and_none(tmp_path: Path) -> None:
    log, target = tmp_path / "n.jsonl", tmp_path / "n.html"
    with world(tmp_path) as oci:
        assert oci.run(*put(oci, oci.file(MIB), *json_log(log))).code == 0
        data = log.read_bytes()
        half = data.index(b"\n", len(data) // 2) + 1
        (tmp_path / "n.jsonl.1.gz").write_bytes(gzip.compress(data[:half]))
        log.write_bytes(data[half:])
        ran = oci.run("report", str(log), str(tmp_path / "n.jsonl.1.gz"), "-o", str(target))
        assert ran.err == f"The run ended well. The page is {target}\n"
        (tmp_path / "torn.gz").write_bytes(gzip.compress(data[:half])[:-20])
        (tmp_path / "empty").touch()
        (tmp_path / "text.log").write_text("2026-11-27 02:00:01+09:00 a: uploading\n")
        odd = [str(tmp_path / name) for name in ("torn.gz", "empty", "text.log")]
        ran = oci.run("report", *odd, "-o", str(target))
        assert ran.code == 0
        assert "torn.gz: what is compressed ends early" in ran.err
        assert "text.log has no line of a JSON log" in ran.err
        assert "text.log has no line of a JSON log" in page_of(target).text
        nothing = oci.run("report", str(tmp_path / "empty"), "-o", "-")
        assert nothing.code == 0
        assert "There is no run to tell of." in Read(nothing.out).text
        for words in ((str(tmp_path / "gone"),), ()):
            failed = oci.run("report", *words)
            assert failed.code == 2
            assert failed.err.startswith("UsageError: ")
        lost = oci.run("report", str(log), "-o", str(log))
        assert lost.code == 2
        assert "is one of the logs" in lost.err
        assert log.read_bytes() == data[half:]
        both = oci.run(*put(oci, oci.file(MIB), *json_log(log), "--report", str(log)))
        assert both.code == 2
        assert log.read_bytes() == data[half:]
        ours = f"{sys.executable} -m ocihaul report"
        pipes = f"gzip < {log} | {ours} <(cat {log}.1.gz) - -o {target}"
        piped = subprocess.run(
            ["bash", "-c", pipes], env=oci.environ(), capture_output=True, text=True, check=True
        )
        assert piped.stderr == f"The run ended well. The page is {target}\n"
        assert "token 1 at the start" in page_of(target).text  # of the first half
        known = oci.run("report", "-o", str(target), OCIHAUL_LOG_FILE=str(log))
        assert known.code == 0
