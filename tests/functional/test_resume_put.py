"""`resume-put`: uploads that the journal does not know are confirmed part by part."""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocihaul.events import Event, Notice
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.upload import upload
from tests.functional.killed import BEGIN, killed_at
from tests.functional.test_resume import interrupted_after, parts_stored
from tests.world import MIB, PART, Ran, World, world

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


class Bytes:
    """A request body in memory."""

    def __init__(self, data: bytes) -> None:
        self.data, self.length = data, len(data)

    def blocks(self) -> Iterator[memoryview]:
        yield memoryview(self.data)

    def sent(self, count: int) -> None:
        """Nobody counts."""

    def discard_progress(self, reason: str) -> None:
        """Nobody asks."""


@contextmanager
def begun_elsewhere(w: World, source: Path, **parts: bytes) -> Iterator[str]:
    """An upload as another tool leaves it, with these parts; nothing is declared."""
    with w.storage() as storage:
        where = (w.oci.namespace, "backups")
        upload_id = storage.create_multipart_upload(*where, {"object": source.name}, {})
        for name, data in parts.items():
            send_part(storage, source.name, upload_id=upload_id, number=int(name[1:]), data=data)
        yield upload_id


def send_part(
    storage: StorageClient, name: str, *, upload_id: str, number: int, data: bytes
) -> None:
    storage.upload_part(
        *("ns1", "backups", name),
        upload_id=upload_id,
        number=number,
        body=Bytes(data),
        headers={},
    )


def slices(source: Path, *numbers: int, size: int = PART) -> dict[str, bytes]:
    data = source.read_bytes()
    return {f"p{n}": data[(n - 1) * size : n * size] for n in numbers}


def resume(w: World, source: Path, upload_id: str, *options: str) -> Ran:
    return w.run(
        *("os", "object", "resume-put", "-ns", "ns1", "-bn", "backups", "--file", str(source)),
        *("--upload-id", upload_id, "--auth", "security_token", *options),
    )


def test_what_is_there_is_confirmed_and_the_rest_is_sent(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = w.file(6 * PART - 9), tmp_path / "r.json"
        with begun_elsewhere(w, source, **slices(source, 1, 2, 6)) as upload_id:
            ran = resume(w, source, upload_id, "--receipt", str(receipt))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5, 6], "each once"
        assert w.oci.uploads("backups") == []
        assert json.loads(ran.out)["etag"] == w.oci.object_info("backups", source.name).etag
        document = json.loads(receipt.read_text())
        assert all({"md5", "crc32c"} <= set(part) for part in document["parts"])
        assert document["whole"]["md5"] == document["service"]["opc-multipart-md5"]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "odd"), [(10_000_000, False), (1_112_345, True)])
def test_finding_e07_what_it_finishes_can_be_compared_when_it_comes_back(
    tmp_path: Path, part: int, odd: bool
) -> None:
    """Parts as SDKs cut them, in bytes."""
    with world(tmp_path) as w:
        source, back = w.file(20 * 1_112_345 - 9), tmp_path / "back"
        with begun_elsewhere(w, source, **slices(source, 1, 2, size=part)) as upload_id:
            ran = resume(w, source, upload_id)
        assert ran.code == 0, ran.err
        assert (f"--part-size of {part} bytes" in ran.err) == odd
        hint = ("--part-size", f"{part}B") if odd else ()
        got = w.run(*w.get(source.name, back, "--verbose", *hint))
        assert got.code == 0, got.err
        assert "compared MD5" in got.err
        assert back.read_bytes() == source.read_bytes()


def test_weakness_09_foreign_parts_are_never_committed(tmp_path: Path) -> None:
    """An upload full of somebody else's bytes: the official CLI commits it as the user's file."""
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        foreign = {f"p{n}": hashlib.sha256(b"%d" % n).digest() * (PART // 32) for n in (1, 2, 3, 4)}
        with begun_elsewhere(w, source, **foreign) as upload_id:
            ran = resume(w, source, upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert "4 of the 4 parts there are not of this file" in ran.err


def test_one_damaged_part_and_one_of_another_size_are_sent_again(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(5 * PART)
        parts = slices(source, 1, 2, 3, 4)
        parts["p2"] = parts["p2"][:-1] + b"!"
        parts["p3"] = parts["p3"][:-1]
        with begun_elsewhere(w, source, **parts) as upload_id:
            ran = resume(w, source, upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 2, 3, 3, 4, 5]


@pytest.mark.slow
def test_another_part_size_is_refused_and_the_upload_goes_on_without_it(tmp_path: Path) -> None:
    with world(tmp_path, enforce_min_part_size=False) as w:
        source = w.file(12 * MIB + 1)
        with begun_elsewhere(w, source, **slices(source, 2, size=5 * MIB)) as upload_id:
            refused = resume(w, source, upload_id, "--part-size", "128")
            assert parts_stored(w) == [2]
            ran = resume(w, source, upload_id)
            assert ran.code == 0, ran.err
        assert refused.code == 2
        assert "128 MiB (the upload has parts of 5 MiB)" in refused.err
        assert sorted(parts_stored(w)) == [1, 2, 3]
        assert w.arrived_whole(source)


def test_a_killed_resume_is_in_the_journal_and_reads_nothing_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        source = w.file(6 * PART)
        with begun_elsewhere(w, source, **slices(source, 1, 2)) as upload_id:
            interrupted_after(w, source, 4, upload_id=upload_id)
            read: list[int] = []
            read_into = FileSource.read_into

            def counting(self: FileSource, view: memoryview, offset: int) -> None:
                read.append(len(view))
                read_into(self, view, offset)

            monkeypatch.setattr(FileSource, "read_into", counting)
            with Journal(w.home / "state") as journal, w.storage() as storage:
                request = w.request(source, upload_id=upload_id)
                upload(storage, request, listener=w.heard, stop=w.stop, journal=journal)
        assert w.arrived_whole(source)
        assert sum(read) == 2 * PART
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5, 6]


def test_our_own_upload_needs_no_reading_and_a_copy_of_the_file_does(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        (left,) = w.oci.uploads("backups")
        copy = tmp_path / "sub" / source.name
        copy.parent.mkdir()
        copy.write_bytes(source.read_bytes())
        ran = resume(w, copy, left.upload_id)
        assert ran.code == 0, ran.err
        assert "Reading 2 parts" in ran.err
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4]


def test_another_upload_of_the_same_object_is_not_mistaken_for_it(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        with begun_elsewhere(w, source, **slices(source, 4)) as upload_id:
            ran = resume(w, source, upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert [each.upload_id for each in w.oci.uploads("backups")] != [upload_id]


def test_it_works_without_a_journal(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        with begun_elsewhere(w, source, **slices(source, 1, 3)) as upload_id:
            w.upload(source, upload_id=upload_id)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4]


def test_weakness_16_a_customers_key_goes_with_every_part(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    key = SseCustomerKey.from_text(KEY, where="test")
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        interrupted_after(w, source, 1, sse_customer_key=key)
        (left,) = w.oci.uploads("backups")
        (w.home / "state" / "journal.sqlite3").unlink()
        ran = resume(w, source, left.upload_id, "--encryption-key-file", str(tmp_path / "key"))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3]


def test_parts_beyond_the_file_are_refused(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(5 * PART)
        parts = slices(source, 1, 5)
        source.write_bytes(source.read_bytes()[: 2 * PART])
        with begun_elsewhere(w, source, **parts) as upload_id:
            ran = resume(w, source, upload_id)
        assert ran.code == 2
        assert "has a part 5" in ran.err
        assert len(w.oci.uploads("backups")[0].parts) == 2


def test_an_id_that_the_service_does_not_know_is_an_error(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = resume(w, w.file(2 * PART), "no-such-upload")
        assert ran.code == 1
        assert "UploadNotFound" in ran.err
        assert w.oci.uploads("backups") == []


@pytest.mark.parametrize(
    "options",
    [("--file", "-"), ("--disable-parallel-uploads", "--parallel-upload-count", "2")],
)
def test_what_makes_no_sense_is_a_usage_error(tmp_path: Path, options: tuple[str, ...]) -> None:
    with world(tmp_path) as w:
        assert resume(w, w.file(10), "u", *options).code == 2


def test_put_begins_anew_when_the_journal_is_lost(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2)
        (w.home / "state" / "journal.sqlite3").unlink()
        ran = w.run(*w.put(source))
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert len(parts_stored(w)) == 6


@pytest.mark.slow
def test_1463_parts_are_taken_up_in_under_2_s_with_two_pages_and_no_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the decision costs, counted and timed."""
    part, count = 64, 1463
    with world(tmp_path, enforce_min_part_size=False) as w, Journal(tmp_path / "state") as journal:
        source = w.file(part * count)
        data = source.read_bytes()
        with begun_elsewhere(w, source) as upload_id, w.storage() as storage:
            from ocihaul.transfer.checksum import SentPart  # noqa: PLC0415  the journal's row
            from ocihaul.transfer.journal.journal import Target  # noqa: PLC0415

            with FileSource(source) as opened:
                entry = journal.begin(
                    Target(w.oci.endpoint, w.oci.namespace, "backups", source.name),
                    upload_id=upload_id,
                    source=str(source),
                    identity=opened.identity,
                    part_size=part,
                    encryption="service",
                    algorithm="MD5",
                )
            from ocihaul.transfer import checksum  # noqa: PLC0415

            for number in range(1, count):
                piece = data[(number - 1) * part : number * part]
                send_part(storage, source.name, upload_id=upload_id, number=number, data=piece)
            for each in storage.list_multipart_upload_parts(
                w.oci.namespace, "backups", source.name, upload_id=upload_id
            ):
                view = memoryview(data)[(each.number - 1) * part : each.number * part]
                running = {name: checksum.start(name) for name in ("CRC32C", "MD5")}
                for one in running.values():
                    one.update(view)
                digests = {name: one.digest() for name, one in running.items()}
                journal.record(entry, {each.number: SentPart(part, each.etag, digests)})
            w.oci.log.clear()
            read: list[int] = []
            read_into = FileSource.read_into

            def counting(self: FileSource, view: memoryview, offset: int) -> None:
                read.append(len(view))
                read_into(self, view, offset)

            monkeypatch.setattr(FileSource, "read_into", counting)
            request = w.request(source, part_size=None)
            decided: list[float] = []

            def listen(event: Event) -> None:
                if isinstance(event, Notice) and "1462 of 1463 parts are there" in event.text:
                    decided.append(time.perf_counter() - started)

            started = time.perf_counter()
            upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        assert w.arrived_whole(source)
        assert decided[0] < 2.0
        assert w.oci.log.count(operation="ListMultipartUploadParts") == 2
        assert w.oci.log.count(operation="UploadPart") == 1
        assert sum(read) == part, "only the missing part"


def begun_with(w: World, source: Path, algorithm: str, *numbers: int) -> str:
    """An upload as an SDK leaves it, which has declared `algorithm` at its beginning."""
    declared = {"opc-checksum-algorithm": algorithm}
    with w.storage() as storage:
        upload_id = storage.create_multipart_upload(
            "ns1", "backups", {"object": source.name}, declared
        )
        for name, data in slices(source, *numbers).items():
            storage.upload_part(
                *("ns1", "backups", source.name),
                upload_id=upload_id,
                number=int(name[1:]),
                body=Bytes(data),
                headers=declared,
            )
    return upload_id


def declared_by_parts(w: World, *, after: int) -> list[str | None]:
    return [
        entry.headers.get("opc-checksum-algorithm")
        for entry in w.oci.log.entries(operation="UploadPart")
        if entry.sequence > after
    ]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "CRC32C"])
def test_finding_e09_what_the_caller_says_is_declared_and_compared(
    tmp_path: Path, algorithm: str
) -> None:
    with world(tmp_path) as w:
        source = w.file(5 * PART - 3)
        upload_id = begun_with(w, source, algorithm, 1, 3)
        before = w.oci.log.entries()[-1].sequence
        ran = resume(w, source, upload_id, "--opc-checksum-algorithm", algorithm)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert declared_by_parts(w, after=before) == [algorithm] * 3
        (line,) = [line for line in ran.err.splitlines() if "Compared: " in line]
        assert algorithm in line
        assert "each part by MD5" in line


def test_finding_e09_what_is_not_known_is_not_declared_and_said(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        upload_id = begun_with(w, source, "SHA256", 1, 2)
        before = w.oci.log.entries()[-1].sequence
        ran = resume(w, source, upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert declared_by_parts(w, after=before) == [None, None]
        assert "not known which checksum" in ran.err
        assert "Compared: each part by MD5, the object by MD5" in ran.err


def test_finding_e09_what_the_journal_knows_is_declared(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 2, checksum_algorithm="SHA256")
        (left,) = w.oci.uploads("backups")
        copy = w.home / "copy"
        copy.mkdir()
        copy = copy / source.name
        copy.write_bytes(source.read_bytes())
        before = w.oci.log.entries()[-1].sequence
        ran = resume(w, copy, left.upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert declared_by_parts(w, after=before) == ["SHA256", "SHA256"]
        assert "Its parts declare SHA256." in ran.err
        assert parts_stored(w).count(1) == 1


def test_finding_e09_what_was_about_to_be_created_is_known(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(3 * PART)
        killed_at(w, BEGIN, *w.put(source, "--opc-checksum-algorithm", "SHA384"))
        (left,) = w.oci.uploads("backups")
        ran = resume(w, source, left.upload_id)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert declared_by_parts(w, after=0) == ["SHA384"] * 3
