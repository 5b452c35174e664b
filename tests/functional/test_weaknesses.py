"""Weaknesses of the official tools that no other test looks at; docs/weaknesses.md has them all."""

import json
import os
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import UploadIncompleteError
from tests.world import MIB, PART, world


def test_weakness_03_a_doomed_part_costs_no_body(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.faults.add(Fault(operation="UploadPart", status=403, code="No", early=True))
        with pytest.raises(UploadIncompleteError):
            w.upload(w.file(2 * PART), parallel=1)
        w.oci.faults.assert_all_fired()
        assert w.part_bytes_received() == 0
        (entry,) = w.oci.log.entries(operation="UploadPart")
        assert entry.expected_100
        assert not entry.sent_100


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="Linux counts what is read")  # noqa: PTH110
def test_weakness_05_the_kernel_sees_each_byte_read_once(tmp_path: Path) -> None:
    """All that the process reads, the interpreter's own files included."""
    run = (
        "import sys; from ocihaul.cli.app import run; code = run(sys.argv[1:]);"
        "sys.stderr.write(open('/proc/self/io').readline()); sys.exit(code)"
    )
    with world(tmp_path) as w:
        source = w.file(12 * PART)
        ran = w.finish(w.start_python("-c", run, *w.put(source)))
        assert ran.code == 0, ran.err
        word, count = ran.err.splitlines()[-1].split()
        assert word == "rchar:"
        assert source.stat().st_size <= int(count) < 1.5 * source.stat().st_size


@pytest.mark.slow
def test_weakness_11_a_slow_part_keeps_no_others_waiting(tmp_path: Path) -> None:
    """Eight parts dealt out beforehand to two threads leave half of them behind the slow one."""
    with world(tmp_path) as w:
        fault = Fault(operation="UploadPart", part_number=1, stall_seconds=4, stall_at_byte=0)
        w.oci.faults.add(fault)
        source = w.file(8 * PART)
        w.upload(source, parallel=2)
        assert fault.fired
        assert w.arrived_whole(source)
        parts = w.oci.log.entries(operation="UploadPart")
        last = max(parts, key=lambda entry: entry.finished_at or 0)
        assert last.part_number == 1, "the others were all done"


def test_weakness_11_an_error_ends_it_at_once(tmp_path: Path) -> None:
    with world(tmp_path, bandwidth=10 * MIB) as w:
        w.oci.faults.add(Fault(operation="UploadPart", part_number=3, status=403, early=True))
        with pytest.raises(UploadIncompleteError):
            w.upload(w.file(9 * PART), parallel=3)
        w.oci.faults.assert_all_fired()
        begun = [entry.part_number for entry in w.oci.log.entries(operation="UploadPart")]
        assert set(begun) <= {1, 2, 3}
        assert w.part_bytes_received() < 2 * PART


def test_weakness_21_a_refresh_goes_by_the_certificates_that_it_is_given(tmp_path: Path) -> None:
    with world(tmp_path, tls=True) as w:
        own = w.oci.ca_file
        refresh = ("session", "refresh", "--no-retry")
        nothing = {"OCI_CLI_CERT_BUNDLE": ""}
        assert w.run(*refresh, **nothing).code != 0
        assert w.refreshes() == 0
        ran = w.run(*refresh, "--cert-bundle", str(own), **nothing)
        assert ran.code == 0, ran.err
        assert w.refreshes() == 1


def test_weakness_21_a_refresh_goes_through_the_proxy(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = w.run("session", "refresh", "--no-retry", "--proxy", "http://127.0.0.1:1")
        assert ran.code == 75
        assert "127.0.0.1:1" in ran.err
        assert w.refreshes() == 0


def test_weakness_23_the_namespace_is_asked_for_as_the_rc_file_says(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "it", b"x")
        rc = tmp_path / ".oci" / "oci_cli_rc"
        rc.parent.mkdir()
        rc.write_text(f"[DEFAULT]\nauth=security_token\nendpoint={w.oci.endpoint}\n")
        nowhere = {"OCI_CLI_ENDPOINT": ""}
        ran = w.run("os", "object", "list", "-bn", "backups", **nowhere)
        assert ran.code == 0, ran.err
        assert [each["name"] for each in json.loads(ran.out)["data"]] == ["it"]
        (asked,) = w.oci.log.entries(operation="GetNamespace")
        assert asked.token_id, "signed with the session's token"
        w.run("os", "object", "list", "-bn", "backups", "-ns", "ns1", **nowhere)
        assert w.oci.log.count(operation="GetNamespace") == 1
