"""A receipt as a document: round trips, its schema, and what is refused."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ocihaul.errors import ReceiptError
from ocihaul.transfer.journal.journal import Target
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.receipt import Receipt, ReceiptPart, read_receipt
from ocihaul.transfer.receipt_check import load_receipt
from ocihaul.transfer.source import Identity

RECEIPT = Receipt(
    path="/data/\udcff.tar",
    identity=Identity(1, 2, 25, 1_800_000_000_123_456_789),
    size=25,
    target=Target("https://e", "n", "b", "dir/Ω"),
    etag="e",
    version_id="v",
    upload_id="u",
    encryption="service",
    part_size=10,
    parts=[
        ReceiptPart(1, 10, "e1", "r1", {"CRC32C": "AAAAAA==", "MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
        ReceiptPart(2, 10, "e2", None, {"CRC32C": "AAAAAA=="}),
        ReceiptPart(3, 5, "e3", "r3", {"CRC32C": "AAAAAA=="}),
    ],
    crc32c="AAAAAA==",
    md5=None,
    service={"opc-content-crc32c": "AAAAAA=="},
    begun=1_800_000_000.25,
    finished=1_800_003_600.5,
    counts=Counts(runs=2, renewals=3, retries=4, resends=5, resent_bytes=6),
)


def schema() -> Any:
    text = resources.files("ocihaul.transfer").joinpath("receipt.schema.json").read_text()
    return json.loads(text)


def check_schema(document: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft202012Validator(schema()).validate(document)


def test_it_is_read_as_it_was_written() -> None:
    assert read_receipt(RECEIPT.text(), where="here") == RECEIPT


@pytest.mark.parametrize(
    "receipt",
    [RECEIPT, replace(RECEIPT, path=None, identity=None, counts=None, upload_id=None)],
)
def test_it_keeps_to_its_schema(receipt: Receipt) -> None:
    check_schema(json.loads(receipt.text()))
    assert read_receipt(receipt.text(), where="here") == receipt


def test_times_have_a_zone_and_names_are_ascii() -> None:
    text = RECEIPT.text()
    assert text.isascii()
    assert json.loads(text)["times"]["begun"] == "2027-01-15T08:00:00.250+00:00"


def test_members_that_a_later_version_may_add_are_ignored() -> None:
    document = json.loads(RECEIPT.text()) | {"more": 1}
    document["parts"][0]["more"] = 1
    check_schema(document)
    assert read_receipt(json.dumps(document), where="here") == RECEIPT


def changed(**changes: Any) -> str:
    return json.dumps(json.loads(RECEIPT.text()) | changes)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        (RECEIPT.text()[:-40], "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "schema"),
        (changed(schema="another"), "schema"),
        (changed(version=2), "newer version"),
        (changed(parts=[]), "add up"),
        (changed(parts=json.loads(RECEIPT.text())["parts"][1:]), "numbered"),
        (
            changed(times={"begun": "2027-01-15T08:00:00", "finished": "x"}),
            "begun .* without a zone",
        ),
        (changed(times={"begun": "yesterday", "finished": "x"}), "begun is not a time"),
        (changed(whole={"size": "25", "crc32c": None, "md5": None}), "size is a text, not a whole"),
        (changed(whole={"size": 25}), "crc32c is missing"),
        (changed(target=None), "target is null, not"),
        (changed(counts=[]), "counts is a list, not"),
        (changed(parts=[None]), "not a JSON object, but null"),
    ],
)
def test_what_is_no_receipt_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ReceiptError, match=says) as caught:
        read_receipt(text, where="the file r.json")
    assert "the file r.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested deeper"),
        (RECEIPT.text().replace('"runs": 2', '"runs": Infinity'), "not JSON"),
        (RECEIPT.text().replace('"runs": 2', '"runs": 1e999'), "not JSON"),
        (changed(counts={"runs": -1}), "runs is -1, not a whole number"),
        (changed(source={"path": "/a\ud800"}), "path is not one"),
        (changed(source={"path": "/a\0"}), "path is not one"),
        (changed(source={"path": ["/a"]}), "path is not one"),
        (changed(**{"part-size": 2**63}), "part-size is 9223372036854775808, not"),
    ],
)
def test_finding_a21_a_receipt_with_odd_values_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ReceiptError, match=says):
        read_receipt(text, where="the file r.json")


def test_a_receipt_without_end_is_refused() -> None:
    with pytest.raises(ReceiptError, match="longer than"):
        load_receipt(Path("/dev/zero"))


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_times_that_no_calendar_has_in_utc_are_refused(moment: str) -> None:
    with pytest.raises(ReceiptError, match="begun is not a time"):
        read_receipt(changed(times={"begun": moment, "finished": moment}), where="here")


def test_a_receipt_whose_source_has_another_size_is_refused() -> None:
    source = json.loads(RECEIPT.text())["source"] | {"size": 24}
    with pytest.raises(ReceiptError, match="its source has 24 bytes, and the object 25"):
        read_receipt(changed(source=source), where="here")
