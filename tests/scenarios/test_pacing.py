"""`--bandwidth` and `--parallel-upload-count auto`, by the real command."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.world import MIB, World, world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as one:
        yield one


@pytest.mark.parametrize("multipart", ["--no-multipart", "--part-size=10"])
def test_weakness_27_an_upload_keeps_to_its_bandwidth(w: World, multipart: str) -> None:
    source = w.file(24 * MIB)
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    began = time.monotonic()
    ran = w.run(*put, "security_token", "--force", multipart, "--bandwidth", "12M")
    assert ran.code == 0, ran.err
    # What the kernel may have let through at once is small beside it.
    assert time.monotonic() - began > 1.6
    assert w.arrived_whole(source)


def test_the_variable_does_the_same_and_a_wrong_rate_is_told(w: World) -> None:
    source = w.file(1000)
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    ran = w.run(*put, "security_token", OCIHAUL_BANDWIDTH="quick")
    assert ran.code == 2
    assert "OCIHAUL_BANDWIDTH" in ran.err
    assert "200M" in ran.err
    assert w.oci.log.count(operation="PutObject") == 0


def test_auto_sends_everything_and_hears_the_service_ask_for_less(w: World) -> None:
    source = w.file(120 * MIB)
    w.oci.faults.add(Fault(operation="UploadPart", status=503, times=3))
    put = ("os", "object", "put", "-bn", "backups", "--file", str(source), "--auth")
    ran = w.run(
        *(*put, "security_token", "--force", "--part-size", "10"),
        *("--parallel-upload-count", "auto"),
    )
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)


def test_a_slow_line_neither_starves_a_connection_nor_holds_up_an_error(tmp_path: Path) -> None:
    """15 connections at a rate where one block would take hours."""
    with world(tmp_path, body_timeout=5.0) as slow:
        source = slow.file(15 * 10 * MIB)
        slow.oci.faults.add(
            Fault(operation="UploadPart", part_number=1, status=400, early_at_byte=1500)
        )
        started = time.monotonic()
        ran = slow.run(
            *("os", "object", "put", "-bn", "backups", "-ns", "ns1", "--file", str(source)),
            *("--auth", "security_token", "--part-size", "10", "--parallel-upload-count", "15"),
            *("--bandwidth", "2k", "--force"),
        )
        assert ran.code == 1, ran.err
        slow.oci.faults.assert_all_fired()
        assert time.monotonic() - started < 60
        assert "400" in ran.err
        assert slow.oci.log.count(operation="UploadPart") == 15, "nothing was cut and sent again"
