"""The sink counts what arrives, the probe tells what a command cost, and both notice a failure."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import crc32c
import pytest

from bench import peers
from bench.ground import MIB, Ground, ground
from bench.peers import Command, Job, Programs
from bench.probe import measure
from bench.rounds import run
from bench.scenarios import Run, Scale, Scenario, download, upload
from bench.service import MD5_BUCKET, READABLE, Arrived, combined

SIZE = 25 * MIB
OURS = Programs(Path(sys.executable).with_name("ocihaul"))
SCALE = Scale(part_size=10 * MIB, parallel=3)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground(SIZE, tmp_path_factory.mktemp("bench")) as made:
        yield made


def troubles(here: Ground, scenario: Scenario) -> dict[str, str | None]:
    return {s.peer: s.cost.trouble for s in run(here, scenario, 1, lambda _: None)}


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("verify", [False, True])
def test_every_upload_arrives_whole(here: Ground, scheme: str, *, verify: bool) -> None:
    before = here.counters()["bytes_in"]
    scenario = upload(here, OURS, SCALE, scheme, verify=verify)
    assert not any(troubles(here, scenario).values())
    senders = sum(case.peer != peers.MD5 for case in scenario.cases)
    assert here.counters()["bytes_in"] - before == senders * (SIZE + 1)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_bare_download_is_the_file(here: Ground, scheme: str) -> None:
    scenario = download(here, OURS, SCALE, scheme)
    limit = replace(scenario, cases=scenario.cases[-1:])
    assert troubles(here, limit) == {peers.RAW: None}


def test_a_case_that_moves_the_wrong_bytes_fails_and_is_not_run_again(here: Ground) -> None:
    scenario = upload(here, OURS, SCALE, "http")
    raw = next(case for case in scenario.cases if case.peer == peers.RAW)
    other = here.home / "other"
    other.write_bytes(bytes(SIZE))
    wrong = peers.raw(here, "map", Job(other, "backups", "object", part_size=10 * MIB))
    bad = replace(raw, start=None, whole=Run(wrong, raw.whole.check))
    samples = list(run(here, replace(scenario, cases=(bad,)), 3, lambda _: None))
    assert len(samples) == 1
    assert "or other ones than were sent" in str(samples[0].cost.trouble)


def test_an_upload_of_an_earlier_run_does_not_count(here: Ground) -> None:
    scenario = upload(here, OURS, SCALE, "http")
    raw = next(case for case in scenario.cases if case.peer == peers.RAW)
    assert troubles(here, replace(scenario, cases=(raw,))) == {peers.RAW: None}
    idle = replace(raw, start=None, whole=Run(Command(("/bin/true",)), raw.whole.check))
    found = troubles(here, replace(scenario, cases=(idle,)))
    assert found == {peers.RAW: "the sink has no such object"}


def test_a_failing_command_is_told_with_its_last_words_and_without_our_paths(here: Ground) -> None:
    script = f"import sys; sys.exit('cannot open {here.home}/x')"
    cost = measure(here, Command((sys.executable, "-c", script)))
    assert cost.trouble == "exit status 1: cannot open GROUND/x"


def test_a_command_that_does_not_exist_is_a_failure(here: Ground) -> None:
    assert str(measure(here, Command(("/nowhere/to/be/found",))).trouble).startswith("exit status")


def test_cpu_memory_and_reads_are_those_of_the_command_and_its_children(here: Ground) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    script = (
        "import subprocess, sys, time\n"
        f"block = b'x' * {80 * MIB}\n"
        f"open({str(here.source)!r}, 'rb', buffering=0).read({20 * MIB})\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}])\n"
        "time.sleep(0.3)\n"
    )
    cost = measure(here, Command((sys.executable, "-I", "-c", script)))
    assert cost.trouble is None
    assert cost.cpu > 0.3
    assert cost.wall > 0.6
    assert 80 * MIB < cost.peak < 200 * MIB
    assert 80 * MIB < cost.anonymous < 200 * MIB
    assert 20 * MIB < cost.read < 25 * MIB


def test_measuring_does_not_lend_its_own_memory_to_the_command(here: Ground) -> None:
    ballast = bytearray(100 * MIB)
    assert measure(here, Command(("/bin/true",))).peak < 40 * MIB
    assert len(ballast) == 100 * MIB


def test_etags_carry_what_a_commit_needs() -> None:
    parts = [b"one" * 1000, b"two" * 500, b"x"]
    etags = [Arrived(len(part), crc32c.crc32c(part)).etag for part in parts]
    whole = combined(Arrived.of_etag(etag) for etag in etags)
    data = b"".join(parts)
    assert (whole.size, whole.crc32c, whole.md5) == (len(data), crc32c.crc32c(data), "")


def test_the_sink_computes_md5_only_where_it_is_asked_to(here: Ground) -> None:
    here.forget()
    for bucket in ("backups", MD5_BUCKET):
        job = Job(here.file(1), bucket, "one", verify=True)
        cost = measure(here, peers.ocihaul(here, OURS, "put", job))
        assert (cost.trouble is None) == (bucket == MD5_BUCKET)


def test_readable_is_a_bucket_of_its_own(here: Ground) -> None:
    assert here.arrived(READABLE, READABLE) is None
