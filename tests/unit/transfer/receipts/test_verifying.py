"""A file against a receipt that proves less than it seems to."""

import base64
import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import crc32c
import pytest

from ocihaul.errors import ReceiptError
from ocihaul.transfer.receipt import Receipt, ReceiptPart, read_receipt
from ocihaul.transfer.receipt_check import FileVerdict, Verification, verify_file
from tests.world import world

from .test_receipt import RECEIPT

DATA = bytes(range(25))


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def crc_of(data: bytes) -> str:
    return encoded(crc32c.crc32c(data).to_bytes(4))


def md5_of(data: bytes) -> bytes:
    return hashlib.md5(data).digest()


PIECES = (DATA[:10], DATA[10:20], DATA[20:])
OF_ALL = crc_of(DATA)
MD5_OF_ALL = encoded(md5_of(b"".join(map(md5_of, PIECES)))) + "-3"


def receipt(*parts: Mapping[str, str], crc: str | None, md5: str | None) -> Receipt:
    made = [
        ReceiptPart(number, len(data), f"e{number}", None, dict(each))
        for number, (data, each) in enumerate(zip(PIECES, parts, strict=True), 1)
    ]
    return replace(RECEIPT, parts=made, crc32c=crc, md5=md5, service={})


def verdict(tmp_path: Path, what: Receipt, data: bytes = DATA) -> FileVerdict:
    (tmp_path / "f").write_bytes(data)
    read = read_receipt(what.text(), where="r")
    return verify_file(read, tmp_path / "f", stop=threading.Event())


NONE: dict[str, str] = {}
KNOWN = [{"CRC32C": crc_of(data)} for data in PIECES]


@pytest.mark.parametrize("data", [DATA, bytes(25), b"\xff" * 25])
def test_finding_a12_a_receipt_without_checksums_verifies_nothing(
    tmp_path: Path, data: bytes
) -> None:
    found = verdict(tmp_path, receipt(NONE, NONE, NONE, crc=None, md5=None), data)
    assert not found.good
    assert found.problems == ("the receipt has no checksum, so nothing proves these bytes",)


@pytest.mark.parametrize("missing", [[0], [1], [0, 2], [2]])
def test_finding_a12_parts_without_checksums_are_counted(
    tmp_path: Path, missing: list[int]
) -> None:
    parts = [NONE if number in missing else each for number, each in enumerate(KNOWN)]
    found = verdict(tmp_path, receipt(*parts, crc=None, md5=None))
    (problem,) = found.problems
    assert problem.startswith(f"the receipt has no checksum of {len(missing)} of 3 parts")


@pytest.mark.parametrize(("crc", "md5"), [(OF_ALL, None), (None, MD5_OF_ALL), (OF_ALL, MD5_OF_ALL)])
def test_finding_a12_a_checksum_of_the_whole_proves_parts_without_one(
    tmp_path: Path, crc: str | None, md5: str | None
) -> None:
    bare = receipt(NONE, NONE, NONE, crc=crc, md5=md5)
    assert verdict(tmp_path, bare).good
    for at in (0, 12, 24):
        wrong = bytearray(DATA)
        wrong[at] ^= 1
        found = verdict(tmp_path, bare, bytes(wrong))
        assert not found.good
        assert "of the whole differs" in found.problems[0]


def test_finding_a12_a_plain_md5_proves_one_part(tmp_path: Path) -> None:
    part = ReceiptPart(1, 25, "e", None, {})
    one = replace(RECEIPT, parts=[part], crc32c=None, md5=encoded(md5_of(DATA)), service={})
    assert verdict(tmp_path, one).good
    assert not verdict(tmp_path, one, bytes(25)).good


def test_finding_a12_an_md5_of_other_parts_proves_nothing(tmp_path: Path) -> None:
    other = receipt(NONE, NONE, NONE, crc=None, md5=encoded(md5_of(DATA)) + "-2")
    assert not verdict(tmp_path, other).good


def test_an_empty_file_needs_no_checksum(tmp_path: Path) -> None:
    empty = replace(RECEIPT, size=0, parts=[], crc32c=None, md5=None, service={})
    assert verdict(tmp_path, empty, b"").good
    assert not verdict(tmp_path, empty, b"x").good


def changed(change: Any) -> str:
    document = json.loads(receipt(*KNOWN, crc=OF_ALL, md5=MD5_OF_ALL).text())
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d["parts"].append(d["parts"][0]), "numbered"),
        (lambda d: d["parts"].reverse(), "numbered"),
        (lambda d: d["parts"][1].update(number=1), "numbered"),
        (lambda d: d["parts"][1].update(size=11), "add up"),
        (lambda d: d["whole"].update(size=26), "add up"),
        (lambda d: d["parts"][2].update(crc32c=""), "CRC32C of part 3"),
        (lambda d: d["parts"][2].update(crc32c="AAAA"), "CRC32C of part 3"),
        (lambda d: d["parts"][2].update(sha256="AAAAAA=="), "SHA256 of part 3"),
        (lambda d: d["parts"][2].update(md5="nonsense"), "MD5 of part 3"),
        (lambda d: d["whole"].update(crc32c=""), "its CRC32C is none"),
        (lambda d: d["whole"].update(md5=""), "its MD5 is none"),
        (lambda d: d["whole"].update(md5="AAAA-3"), "its MD5 is none"),
        (lambda d: d["whole"].update(md5=d["whole"]["md5"][:-1]), "its MD5 is none"),
    ],
)
def test_finding_a12_what_is_no_checksum_makes_no_receipt(change: Any, says: str) -> None:
    with pytest.raises(ReceiptError, match=says):
        read_receipt(changed(change), where="r")


@pytest.mark.slow
def test_finding_a12_the_command_says_so_of_file_and_object(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, path = w.file(5000), w.home / "r.json"
        assert w.run(*w.put(source, "--receipt", str(path))).code == 0
        document = json.loads(path.read_text())
        document["whole"].update(crc32c=None, md5=None)
        document["service"] = {}
        for part in document["parts"]:
            for name in ("crc32c", "md5", "sha256", "sha384"):
                part.pop(name, None)
        path.write_text(json.dumps(document))
        source.write_bytes(bytes(5000))  # whatever has the right length
        for options in ((), ("--no-object",), ("--no-file",)):
            ran = w.run("verify", str(path), "--auth", "security_token", *options)
            assert ran.code == 1, ran.err
            assert json.loads(ran.out)["verified"] is False
            assert "the receipt has no checksum" in ran.err


def test_finding_a12_nothing_looked_at_is_not_good() -> None:
    assert not Verification(RECEIPT, None, None).good
