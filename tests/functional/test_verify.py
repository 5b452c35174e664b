"""`verify`: the file and the object of today against the receipt of their upload."""

import json
from pathlib import Path
from typing import Any

import pytest

from ocihaul.transfer.source import FileSource
from tests.functional.test_receipts import put
from tests.world import PART, Ran, World, world

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def uploaded(w: World, size: int, *options: str) -> tuple[Path, Path]:
    """A file that is stored, and its receipt."""
    source, receipt = w.file(size), w.home / "r.json"
    ran = w.run(*w.put(source, "--receipt", str(receipt), *options))
    assert ran.code == 0, ran.err
    return source, receipt


def verified(w: World, receipt: Path, *options: str) -> tuple[Ran, Any]:
    ran = w.run("verify", str(receipt), "--auth", "security_token", *options)
    return ran, json.loads(ran.out) if ran.out else None


def test_all_is_well_and_one_head_says_so_of_an_archived_object(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        _, receipt = uploaded(w, 4 * PART + 3)
        w.oci.log.clear()
        ran, document = verified(w, receipt)
        assert ran.code == 0, ran.err
        assert document["verified"] is True
        assert document["object"]["archival-state"] == "Archived"
        assert {"etag", "size", "opc-content-crc32c", "opc-multipart-md5"} <= set(
            document["object"]["compared"]
        )
        assert [entry.operation for entry in w.oci.log.entries()] == ["HeadObject"]


def test_weakness_04_the_parts_that_differ_are_named(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = uploaded(w, 4 * PART)
        with source.open("r+b") as file:
            for part in (2, 4):
                file.seek(part * PART - 1)
                file.write(b"!")
        ran, document = verified(w, receipt)
        assert ran.code == 1
        assert document["verified"] is False
        assert document["file"]["differing-parts"] == [2, 4]
        assert "2 of 4 parts differ" in ran.err
        assert document["object"]["good"] is True


@pytest.mark.slow
@pytest.mark.parametrize(("change", "differing"), [(-1, [3]), (1, []), (-2 * PART, [2, 3])])
def test_a_file_of_another_size_differs(tmp_path: Path, change: int, differing: list[int]) -> None:
    with world(tmp_path) as w:
        source, receipt = uploaded(w, 3 * PART)
        with source.open("r+b") as file:
            file.truncate(3 * PART + change)
        ran, document = verified(w, receipt, "--no-object")
        assert ran.code == 1
        assert document["file"]["differing-parts"] == differing
        assert "bytes, the receipt says" in ran.err


def test_each_byte_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading  # noqa: PLC0415  for the one event

    from ocihaul.transfer.receipt_check import load_receipt, verify_file  # noqa: PLC0415

    with world(tmp_path) as w:
        source, path = uploaded(w, 3 * PART + 7)
    read: list[int] = []
    read_into = FileSource.read_into

    def counting(self: FileSource, view: memoryview, offset: int) -> None:
        read.append(len(view))
        read_into(self, view, offset)

    monkeypatch.setattr(FileSource, "read_into", counting)
    assert verify_file(load_receipt(path), source, stop=threading.Event()).good
    assert sum(read) == 3 * PART + 7


@pytest.mark.slow
def test_another_place_of_the_file_is_given_by_name(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = uploaded(w, 1000)
        moved = source.rename(tmp_path / "moved")
        ran, document = verified(w, receipt)
        assert ran.code == 1
        assert "--file" in ran.err
        assert document["object"]["good"] is True
        ran, document = verified(w, receipt, "--file", str(moved))
        assert ran.code == 0, ran.err
        ran, document = verified(w, receipt, "--no-file")
        assert (ran.code, document["file"]) == (0, None)


@pytest.mark.slow
def test_a_replaced_object_and_one_that_is_gone_are_told_apart(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = uploaded(w, 2 * PART)
        w.oci.put_object("backups", source.name, b"something else")
        ran, document = verified(w, receipt, "--no-file")
        assert ran.code == 1
        assert "it was replaced" in ran.err
        assert document["object"]["found"] is True
        with w.storage() as storage:
            storage.delete_object(w.oci.namespace, "backups", source.name)
        ran, document = verified(w, receipt, "--no-file")
        assert ran.code == 1
        assert document["object"]["found"] is False


def test_nothing_is_asked_without_the_object(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        _, receipt = uploaded(w, 1000)
        w.oci.log.clear()
        w.config.unlink()
        ran, document = verified(w, receipt, "--no-object")
        assert ran.code == 0, ran.err
        assert document["object"] is None
        assert w.oci.log.count() == 0


def test_a_receipt_does_not_choose_where_the_credential_goes(tmp_path: Path) -> None:
    with world(tmp_path) as w, world(tmp_path / "other") as other:
        _, receipt = uploaded(w, 1000)
        receipt.write_text(receipt.read_text().replace(w.oci.endpoint, other.oci.endpoint))
        ran, _ = verified(w, receipt)
        assert ran.code == 0, ran.err
        assert f"was stored at {other.oci.endpoint}" in ran.err
        assert other.oci.log.count() == 0


@pytest.mark.slow
def test_a_customers_key_is_needed_and_has_to_be_the_one(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "other").write_text(KEY.replace("AAEC", "AQEC"))
    with world(tmp_path) as w:
        given = ("--encryption-key-file", str(tmp_path / "key"))
        _, receipt = uploaded(w, 2 * PART, *given)
        assert verified(w, receipt)[0].code == 2
        assert verified(w, receipt, given[0], str(tmp_path / "other"))[0].code == 2
        ran, _ = verified(w, receipt, *given)
        assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("{}", "not a receipt"), ("\0\xff", "not a receipt")],
)
def test_what_is_no_receipt_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    with world(tmp_path) as w:
        receipt = tmp_path / "r.json"
        if text is not None:
            receipt.write_text(text, encoding="latin-1")
        ran, _ = verified(w, receipt)
        assert ran.code == 1
        assert says in ran.err
        assert ran.out == ""
        assert w.oci.log.count() == 0


def test_a_single_object_is_verified_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        receipt = tmp_path / "r.json"
        put(w, w.file(12345), receipt=receipt, verify_checksum=True)
        ran, document = verified(w, receipt)
        assert ran.code == 0, ran.err
        assert "content-md5" in document["object"]["compared"]
