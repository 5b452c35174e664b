"""Uploads left by the official CLI are resumed; the official SDK reads our lifecycle rule."""

import json
import os
import subprocess
import sys
from pathlib import Path

from ocihaul.emulator.faults import Fault

from .conftest import Official
from .programs import MIB


def ours(official: Official, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    official.environment |= {
        "OCIHAUL_STATE_DIR": str(official.home / "state"),
        "OCIHAUL_AUTH_ENDPOINT": official.oci.endpoint,
        "OCI_CLI_ENDPOINT": official.oci.endpoint,
        "OCI_CLI_CONFIG_FILE": str(official.config),
        "OCI_CLI_AUTH": "security_token",
    }
    return official.program([sys.executable, "-m", "ocihaul", *arguments])


def test_an_upload_that_the_stock_cli_has_left_is_gone_on_with(official: Official) -> None:
    official.oci.faults.add(
        Fault(operation="UploadPart", part_number=3, status=400, code="BadRequest", times=20)
    )
    source = official.home / "backup.tar"
    source.write_bytes(os.urandom(4 * 10 * MIB + 12345))
    failed = official.run(
        *["os", "object", "put", *official.place(), "--file", str(source), "--force"],
        *["--part-size", "10", "--disable-parallel-uploads"],
    )
    assert failed.returncode != 0
    (left,) = official.oci.uploads("backups")
    there = {part.number for part in left.parts}
    assert there
    assert 3 not in there
    official.oci.faults.clear()
    official.oci.log.clear()
    listed = ours(official, "uploads", "-bn", "backups", "--json")
    (row,) = json.loads(listed.stdout)["data"]
    assert row["upload-id"] == left.upload_id
    done = ours(
        official,
        *["os", "object", "resume-put", *official.place(), "--file", str(source)],
        *["--upload-id", row["upload-id"]],
    )
    assert done.returncode == 0, done.stderr.decode()
    assert official.oci.read_object("backups", source.name) == source.read_bytes()
    sent = {e.part_number for e in official.oci.log.entries(operation="UploadPart", status=200)}
    assert sent == {1, 2, 3, 4, 5} - there


def test_the_stock_sdk_reads_the_lifecycle_rule(official: Official) -> None:
    printed = ours(official, "uploads", "rule", "--days", "9")
    assert printed.returncode == 0, printed.stderr.decode()
    path: Path = official.home / "rule.json"
    path.write_bytes(printed.stdout)
    read = official.script(
        "import json, sys, types, oci\n"
        "from oci.object_storage.models import ObjectLifecycleRule as Rule\n"
        "rule = Rule()\n"
        "(given,) = json.load(open(sys.argv[1]))\n"
        "names = {wire: name for name, wire in rule.attribute_map.items()}\n"
        "for wire, value in given.items():\n"
        "    setattr(rule, names[wire], value)\n"
        "print(rule.action, rule.target, rule.time_amount, rule.time_unit, rule.is_enabled)\n",
        str(path),
    )
    assert read.stdout.decode().split() == ["ABORT", "multipart-uploads", "9", "DAYS", "True"], (
        read.stderr.decode()
    )
