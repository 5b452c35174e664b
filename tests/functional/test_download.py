"""Downloads: right or not there at all, whatever the network, the object and the disk do."""

import io
import os
import random
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from ocihaul.emulator import Fault
from ocihaul.errors import (
    ChecksumError,
    LocalFileError,
    ObjectArchivedError,
    ObjectChangedError,
    ServiceError,
    UsageError,
)
from ocihaul.events import BytesReceived, DownloadPlanned, Event, Notice, PartFinished
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.download import download as download_module
from ocihaul.transfer.download import local_file
from ocihaul.transfer.download.download import is_unfinished
from tests.world import MIB, World, world

TLS = pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
KEY = SseCustomerKey.from_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", where="test")


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311  not a secret


def left_behind(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if ".ocihaul" in path.name]


def notices(w: World) -> str:
    return "\n".join(event.text for event in w.heard.events if isinstance(event, Notice))


@TLS
@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 3 * MIB, 3 * MIB + 1])
def test_weakness_06_every_byte_arrives_the_last_one_too(
    tmp_path: Path, tls: bool, size: int
) -> None:
    """Weakness 6: k parts and one byte lose that byte."""
    with world(tmp_path, tls=tls) as w:
        data, target = noise(size), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        result = w.fetch("x", target)
        assert target.read_bytes() == data
        assert (result.size, result.bytes_received) == (size, size)
        assert result.checked_by == "MD5"
        assert result.part_count == -(-size // MIB)
        assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("seed", "checked_by"),
    [
        ({"algorithm": "CRC32C"}, "CRC32C"),
        ({"algorithm": "CRC32C", "part_size": MIB}, "CRC32C"),
        ({}, "MD5"),
        ({"part_size": MIB}, "MD5"),
        ({"part_size": 3 * MIB}, "MD5"),
        ({"part_size": 7 * MIB}, "MD5"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_whole_is_compared_with_what_the_service_has(
    tmp_path: Path, seed: dict[str, object], checked_by: str, stream: bool
) -> None:
    with world(tmp_path) as w:
        data, out = noise(7 * MIB + 3), io.BytesIO()
        w.oci.put_object("backups", "x", data, **seed)  # type: ignore[arg-type]  # by name
        result = w.fetch("x", out if stream else tmp_path / "target")
        assert (out.getvalue() if stream else (tmp_path / "target").read_bytes()) == data
        assert result.checked_by == checked_by


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "seed", [{"algorithm": "CRC32C"}, {}, {"part_size": MIB}], ids=["crc32c", "md5", "md5-of-parts"]
)
def test_weakness_06_no_flipped_bit_gets_through(
    tmp_path: Path, seed: dict[str, object], stream: bool
) -> None:
    chance = random.Random(str(seed))  # noqa: S311  the places of the bits
    target = tmp_path / "target"
    target.write_bytes(b"what was there")
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB), **seed)  # type: ignore[arg-type]
        for _ in range(25):
            at = chance.choice([0, 1, MIB - 1, chance.randrange(MIB)])
            after = chance.randrange(3)
            w.oci.faults.add(Fault(operation="GetObject", after=after, corrupt_at_byte=at))
            with pytest.raises(ChecksumError):
                w.fetch("x", io.BytesIO() if stream else target, restart=True)
            w.oci.faults.assert_all_fired()
            w.oci.faults.clear()
        assert target.read_bytes() == b"what was there"


def test_a_flipped_bit_is_of_no_use_to_the_next_run(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = noise(3 * MIB)
        w.oci.put_object("backups", "x", data)
        w.oci.faults.add(Fault(operation="GetObject", corrupt=True))
        with pytest.raises(ChecksumError, match="again"):
            w.fetch("x", tmp_path / "target")
        w.oci.faults.assert_all_fired()
        assert left_behind(tmp_path) == []
        w.fetch("x", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == data


def test_parts_of_an_odd_size_are_judged_when_it_is_named_or_taken_as_they_are(
    tmp_path: Path,
) -> None:
    odd = 7 * MIB // 4
    with world(tmp_path) as w:
        data, target = noise(5 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, part_size=odd)
        with pytest.raises(ChecksumError, match="`part_size`"):
            w.fetch("x", target)
        assert not target.exists()
        fetched = w.object_bytes_sent()
        assert w.fetch("x", target, part_size=odd).checked_by == "MD5"
        assert target.read_bytes() == data
        target.unlink()
        with pytest.raises(ChecksumError):
            w.fetch("x", target)
        assert w.fetch("x", target, verify=False).checked_by is None
        assert target.read_bytes() == data
        assert w.object_bytes_sent() == 2 * fetched, "what was there was not fetched again"


@pytest.mark.parametrize("part", [2_000_000, 5_000_000])
@pytest.mark.parametrize("stream", [False, True])
def test_finding_e07_parts_of_a_decimal_size_are_proved(
    tmp_path: Path, part: int, stream: bool
) -> None:
    with world(tmp_path) as w:
        data, out = noise(11_000_003), io.BytesIO()
        w.oci.put_object("backups", "x", data, part_size=part)
        assert w.fetch("x", out if stream else tmp_path / "target").checked_by == "MD5"
        assert (out.getvalue() if stream else (tmp_path / "target").read_bytes()) == data


@pytest.mark.slow
def test_finding_e07_what_cannot_be_proved_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    odd = 1_112_345
    with world(tmp_path) as w:
        data, target = noise(20 * odd - 9), tmp_path / "target"
        w.oci.put_object("backups", "x", data, part_size=odd)
        ran = w.run(*w.get("x", target))
        assert ran.code == 1
        assert "20 parts of an odd size (they have 1112345 to 1170888 bytes)" in ran.err
        assert "--part-size, in bytes" in ran.err
        assert w.oci.log.count(operation="GetObject") == 0
        assert left_behind(tmp_path) == []
        ran = w.run(*w.get("x", target, "--part-size", f"{odd}B", "--verbose"))
        assert ran.code == 0, ran.err
        assert "compared MD5" in ran.err
        assert target.read_bytes() == data
        target.unlink()
        assert w.run(*w.get("x", target, "--no-verify-checksum")).code == 0
        assert target.read_bytes() == data


def test_a_service_without_checksums_is_told_of(tmp_path: Path) -> None:
    with world(tmp_path, fast=True) as w:
        w.oci.put_object("backups", "x", noise(MIB))
        assert w.fetch("x", tmp_path / "target").checked_by is None
        assert "no checksum" in notices(w)


# The network


@TLS
def test_a_body_that_is_cut_goes_on_from_the_byte_it_reached(tmp_path: Path, tls: bool) -> None:
    with world(tmp_path, tls=tls) as w:
        data, target = noise(3 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, algorithm="CRC32C")
        for at in (1, 300_000, 600_000):
            w.oci.faults.add(Fault(operation="GetObject", cut_at_byte=at))
        w.fetch("x", target)
        w.oci.faults.assert_all_fired()
        assert target.read_bytes() == data
        asked = [entry.headers["range"] for entry in w.oci.log.entries(operation="GetObject")]
        assert len(asked) == 6
        if not tls:  # over TLS what was cut off may be part of a record
            assert w.object_bytes_sent() == 3 * MIB, "no byte came twice"


@pytest.mark.slow
def test_a_body_that_is_cut_again_and_again_is_not_given_up_while_it_comes_further(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        data = noise(MIB)
        w.oci.put_object("backups", "x", data)
        w.oci.faults.add(Fault(operation="GetObject", cut_at_byte=200_000, times=5))
        w.fetch("x", tmp_path / "target", flags={"max_retries": 2})
        w.oci.faults.assert_all_fired()
        assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_refusals_that_pass(tmp_path: Path, status: int) -> None:
    with world(tmp_path) as w:
        data = noise(4 * MIB)
        w.oci.put_object("backups", "x", data)
        w.oci.faults.add(Fault(operation="GetObject", status=status, after=1, times=2))
        w.fetch("x", tmp_path / "target")
        w.oci.faults.assert_all_fired()
        assert (tmp_path / "target").read_bytes() == data
        assert (w.refreshes() > 0) == (status == 401)


@pytest.mark.parametrize("stream", [False, True])
def test_a_token_that_dies_on_the_way_is_renewed(tmp_path: Path, stream: bool) -> None:
    with world(tmp_path) as w:
        data, out = noise(8 * MIB), io.BytesIO()
        w.oci.put_object("backups", "x", data)

        def listen(event: Event) -> None:
            if isinstance(event, PartFinished) and event.part_number in {2, 5}:
                w.oci.revoke_all(refreshable=True)

        w.fetch("x", out if stream else tmp_path / "target", listener=listen, parallel=1)
        assert (out.getvalue() if stream else (tmp_path / "target").read_bytes()) == data
        assert w.storage_calls_with_401() >= 1
        assert w.refreshes() == w.storage_calls_with_401()
        assert w.object_bytes_sent() == 8 * MIB


# The object


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("gone", [False, True], ids=["replaced", "deleted"])
def test_weakness_06_an_object_that_changes_on_the_way_is_an_error_and_no_mixture(
    tmp_path: Path, gone: bool, stream: bool
) -> None:
    """Weakness 6: ranges are pinned to one etag."""
    target = tmp_path / "target"
    target.write_bytes(b"what was there")
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(5 * MIB), algorithm="CRC32C")

        def listen(event: Event) -> None:
            if isinstance(event, PartFinished) and event.part_number == 2:
                with w.storage() as storage:
                    storage.delete_object("ns1", "backups", "x")
                if not gone:
                    w.oci.put_object("backups", "x", bytes(5 * MIB))

        with pytest.raises(ObjectChangedError, match="changed"):
            w.fetch("x", io.BytesIO() if stream else target, listener=listen, parallel=1)
        assert target.read_bytes() == b"what was there"
        assert left_behind(tmp_path) == []
        asked = w.oci.log.entries(operation="GetObject")
        assert len({entry.headers["if-match"] for entry in asked}) == 1


def test_a_customers_key_goes_with_every_request(tmp_path: Path) -> None:
    """Weakness 16: HEAD, too."""
    with world(tmp_path) as w:
        source = w.file(3 * MIB)
        w.upload(source, sse_customer_key=KEY)
        with pytest.raises(ServiceError):
            w.fetch(source.name, tmp_path / "target")
        assert not (tmp_path / "target").exists()
        result = w.fetch(source.name, tmp_path / "target", sse_customer_key=KEY)
        assert (tmp_path / "target").read_bytes() == source.read_bytes()
        assert result.part_count == 3


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=5-2500000", 5, 2_500_000), ("bytes=2000000-", 2_000_000, -1)],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_range_alone(tmp_path: Path, text: str, first: int, last: int, stream: bool) -> None:
    with world(tmp_path) as w:
        data, out = noise(3 * MIB), io.BytesIO()
        w.oci.put_object("backups", "x", data)
        result = w.fetch("x", out if stream else tmp_path / "target", byte_range=text)
        wanted = data[first : last + 1 or None]
        assert (out.getvalue() if stream else (tmp_path / "target").read_bytes()) == wanted
        assert result.size == len(wanted) == w.object_bytes_sent()
        assert result.checked_by is None


@pytest.mark.parametrize(
    "text", ["bytes=3000000-", "bytes=-0", "bytes=9-8", "0-9", "bytes=0-1,4-5"]
)
def test_a_range_that_is_none_makes_no_file(tmp_path: Path, text: str) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(100))
        with pytest.raises(UsageError, match="`byte_range`"):
            w.fetch("x", tmp_path / "target", byte_range=text)
        assert left_behind(tmp_path) == []


@pytest.mark.parametrize("multipart", [False, True])
def test_weakness_13_versions_and_response_headers_go_with_every_range(
    tmp_path: Path, multipart: bool
) -> None:
    """Weakness 13: response headers in multipart, too."""
    with world(tmp_path) as w:
        version = w.oci.put_object("backups", "x", noise(3 * MIB)).version_id
        w.fetch(
            "x",
            tmp_path / "target",
            multipart=multipart,
            version_id=version,
            response_headers={"ContentType": "text/plain", "Expires": "never"},
        )
        asked = w.oci.log.entries(operation="GetObject")
        assert len(asked) == (3 if multipart else 1)
        for entry in asked:
            assert entry.query["versionId"] == version
            assert entry.query["httpResponseContentType"] == "text/plain"
            assert entry.query["httpResponseExpires"] == "never"
        with pytest.raises(ServiceError):
            w.fetch("x", tmp_path / "other", version_id="another")
        assert not (tmp_path / "other").exists()


def test_conditions(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        etag = w.oci.put_object("backups", "x", noise(10)).etag
        w.fetch("x", tmp_path / "one", if_match=etag, if_none_match="other")
        assert (tmp_path / "one").read_bytes() == noise(10)
        with pytest.raises(ServiceError, match="412"):
            w.fetch("x", tmp_path / "two", if_match="other")
        with pytest.raises(ServiceError, match="304"):
            w.fetch("x", tmp_path / "two", if_none_match=etag)
        assert not (tmp_path / "two").exists()


def test_weakness_13_the_threshold_has_an_effect(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB))
        for threshold, count in ((2 * MIB, 3), (3 * MIB, 1)):
            w.fetch("x", tmp_path / "target", threshold=threshold)
            (*_, planned) = (e for e in w.heard.events if isinstance(e, DownloadPlanned))
            assert planned.part_count == count


def test_an_archived_object_is_restored_and_waited_for(tmp_path: Path) -> None:
    with world(tmp_path, restore_seconds=1.0) as w:
        data, target = noise(2 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data, storage_tier="Archive")
        with pytest.raises(ObjectArchivedError, match="`restore`"):
            w.fetch("x", target)
        assert w.oci.log.count(operation="RestoreObjects") == 0
        w.fetch("x", target, restore=True, restore_hours=3)
        assert target.read_bytes() == data
        assert "restored" in notices(w)
        target.unlink()
        w.fetch("x", target, restore=True)
        assert w.oci.log.count(operation="RestoreObjects") == 1, "it was restored already"


def test_a_restore_that_never_begins_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download_module, "_BEGINS_WITHIN", 0.7)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(5), storage_tier="Archive")
        monkeypatch.setattr(download_module, "_request_restore", lambda *_: None)
        with pytest.raises(ObjectArchivedError, match="has not begun"):
            w.fetch("x", tmp_path / "target", restore=True)
        assert not (tmp_path / "target").exists()


def test_an_object_that_is_being_restored_is_waited_for_without_asking_again(
    tmp_path: Path,
) -> None:
    with world(tmp_path, restore_seconds=1.0) as w, w.storage() as storage:
        w.oci.put_object("backups", "x", noise(5), storage_tier="Archive")
        storage.restore_objects("ns1", "backups", "x")
        with pytest.raises(ObjectArchivedError, match="`restore`"):
            w.fetch("x", tmp_path / "target")
        w.oci.revoke_all(refreshable=True)
        w.fetch("x", tmp_path / "target", restore=True)
        assert w.oci.log.count(operation="RestoreObjects") == 1
        assert w.refreshes() == 1


# The disk


def test_weakness_08_an_existing_file_stays_until_the_object_is_there(tmp_path: Path) -> None:
    """Weakness 8: a target is truncated before the first request."""
    target = tmp_path / "target"
    target.write_bytes(b"what was there")
    target.chmod(0o640)
    with world(tmp_path) as w:
        with pytest.raises(ServiceError, match="404"):
            w.fetch("x", target)
        assert target.read_bytes() == b"what was there"
        w.oci.put_object("backups", "x", noise(3 * MIB))
        seen = set()
        w.fetch("x", target, listener=lambda _: seen.add(target.read_bytes()[:14]))
        assert seen == {b"what was there", noise(3 * MIB)[:14]}
        assert target.read_bytes() == noise(3 * MIB)
        assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["\u6f22" * 47, "x" * 143, "x" * 39 + "\u00fc" * 52])
def test_unfinished_files_have_shorter_names_than_their_targets(tmp_path: Path, name: str) -> None:
    """Encrypted shares of some storage devices take 143 bytes, which is what these names have."""
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB))
        target = tmp_path / name
        seen: set[str] = set()

        def look(event: Event) -> None:
            if isinstance(event, PartFinished):
                seen.update(path.name for path in tmp_path.iterdir() if ".ocihaul" in path.name)

        w.fetch("x", target, listener=look)
        assert len(seen) == 2, "the bytes, and what of them is there"
        assert all(len(os.fsencode(each)) <= 143 for each in seen)
        assert all(is_unfinished(each) for each in seen)


def test_a_link_stays_and_what_it_points_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", b"new")
        w.fetch("x", link)
        assert link.is_symlink()
        assert real.read_bytes() == b"new"


def test_a_link_in_the_place_of_the_temporary_file_is_not_followed(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = noise(3 * MIB)
        w.oci.put_object("backups", "x", data)
        w.oci.faults.add(Fault(operation="GetObject", status=403))
        with pytest.raises(ServiceError):
            w.fetch("x", tmp_path / "target")
        temporary = next(path for path in tmp_path.iterdir() if path.suffix == ".ocihaul")
        temporary.unlink()
        (tmp_path / "victim").write_bytes(b"mine")
        temporary.symlink_to(tmp_path / "victim")
        w.fetch("x", tmp_path / "target")
        assert (tmp_path / "target").read_bytes() == data
        assert not (tmp_path / "target").is_symlink()
        assert (tmp_path / "victim").read_bytes() == b"mine"


@pytest.mark.parametrize("how", ["link", "file", "gone", "moved"])
def test_what_takes_the_place_of_the_temporary_file_is_not_taken_for_it(
    tmp_path: Path, how: str
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(3 * MIB))
        directory = tmp_path / "d"
        directory.mkdir()
        (directory / "target").write_bytes(b"before")
        (tmp_path / "victim").write_bytes(b"mine")
        (tmp_path / "victim").chmod(0o400)
        meddled: list[Event] = []

        def meddle(event: Event) -> None:
            if not isinstance(event, PartFinished) or meddled:
                return
            meddled.append(event)
            temporary = next(path for path in directory.iterdir() if path.suffix == ".ocihaul")
            if how == "moved":
                directory.rename(tmp_path / "elsewhere")
                return
            temporary.unlink()
            if how == "link":
                temporary.symlink_to(tmp_path / "victim")
            elif how == "file":
                temporary.write_bytes(b"not the object")

        with pytest.raises(LocalFileError, match="put in place"):
            w.fetch("x", directory / "target", listener=meddle, parallel=1)
        assert meddled
        target = (tmp_path / "elsewhere" if how == "moved" else directory) / "target"
        assert target.read_bytes() == b"before"
        assert not target.is_symlink()
        assert (tmp_path / "victim").read_bytes() == b"mine"
        assert (tmp_path / "victim").stat().st_mode & 0o777 == 0o400
        if how in {"file", "gone"}:
            w.fetch("x", target)
            assert target.read_bytes() == noise(3 * MIB)


def test_pipes_and_devices_are_written_in_order(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data, pipe, got = noise(3 * MIB + 1), tmp_path / "pipe", []
        os.mkfifo(pipe)
        w.oci.put_object("backups", "x", data)
        reader = Thread(target=lambda: got.append(pipe.read_bytes()))
        reader.start()
        w.fetch("x", pipe)
        reader.join()
        assert got == [data]
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert w.fetch("x", Path(os.devnull)).size == len(data)


@pytest.mark.parametrize("target", [".", "missing/target", "/proc/target"])
def test_targets_that_cannot_be_are_refused_before_a_byte_is_fetched(
    tmp_path: Path, target: str
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(10))
        with pytest.raises((UsageError, LocalFileError)) as caught:
            w.fetch("x", tmp_path / target)
        assert caught.value.hint
        assert w.oci.log.count(operation="GetObject") == 0


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -f and posix_fallocate")
def test_a_full_disk_is_known_before_a_byte_is_fetched(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(5 * MIB))
        target = tmp_path / "target"
        target.write_bytes(b"what was there")
        command = [sys.executable, "-m", "ocihaul", *w.get("x", target)]
        ran = subprocess.run(
            ["sh", "-c", 'ulimit -f 4096; exec "$@"', "sh", *command],
            env=w.environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 1, ran.stderr
        assert "no room" in ran.stderr
        assert w.oci.log.count(operation="GetObject") == 0
        assert target.read_bytes() == b"what was there"
        assert left_behind(tmp_path) == []


def test_too_little_space_is_known_where_it_cannot_be_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(5 * MIB))
        little = shutil.disk_usage(tmp_path)._replace(free=4 * MIB)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: little)
        with pytest.raises(LocalFileError, match="no room"):
            w.fetch("x", tmp_path / "target")
        assert w.oci.log.count(operation="GetObject") == 0


def test_a_file_system_that_does_not_tell_its_space_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        data, target = noise(5 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        nothing = type(shutil.disk_usage(tmp_path))(0, 0, 0)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: nothing)
        w.fetch("x", target)
        assert target.read_bytes() == data


def test_a_disk_that_fills_on_the_way_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        data, target = noise(5 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        written = 0
        write = local_file.LocalFile._write_some

        def full(self: local_file.LocalFile, view: memoryview, offset: int) -> int:
            nonlocal written
            if written >= 3 * MIB:
                raise OSError(28, "No space left on device")
            written += len(view)
            return write(self, view, offset)

        monkeypatch.setattr(local_file.LocalFile, "_write_some", full)
        with pytest.raises(LocalFileError, match="No space left") as caught:
            w.fetch("x", target, parallel=1)
        assert caught.value.resumable
        monkeypatch.undo()
        w.oci.log.clear()
        result = w.fetch("x", target)
        assert target.read_bytes() == data
        assert result.bytes_received == w.object_bytes_sent() == 2 * MIB


# stdout


def test_stdout_gets_the_bytes_and_nothing_else(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data = noise(5 * MIB + 1)
        w.oci.put_object("backups", "x", data)
        command = [sys.executable, "-m", "ocihaul", *w.get("x", "-")]
        ran = subprocess.run(command, env=w.environ(), capture_output=True, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout == data
        w.oci.faults.add(Fault(operation="GetObject", after=2, corrupt=True))
        ran = subprocess.run(command, env=w.environ(), capture_output=True, check=False)
        assert ran.returncode == 1
        assert b"written already: do not use them" in ran.stderr
        assert len(ran.stdout) == len(data)


def test_a_file_leaves_stdout_empty(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(MIB + 1))
        ran = w.run(*w.get("x", tmp_path / "target", "--verbose"))
        assert (ran.code, ran.out) == (0, ""), ran.err
        assert "2 ranges of 1.0 MiB" in ran.err
        assert "compared MD5" in ran.err


def test_what_waits_for_a_slow_reader_is_bounded(tmp_path: Path) -> None:
    class Slow(io.BytesIO):
        ahead = 0

        def write(self, data: object) -> int:
            self.ahead = max(self.ahead, received - len(self.getvalue()))
            return super().write(data)  # type: ignore[arg-type]  # whatever comes

    received = 0

    def listen(event: Event) -> None:
        nonlocal received
        received += event.count if isinstance(event, BytesReceived) else 0

    with world(tmp_path) as w:
        data, out = noise(40 * MIB), Slow()
        w.oci.put_object("backups", "x", data)
        w.fetch("x", out, listener=listen, parallel=4)
        assert out.getvalue() == data
        assert 0 < out.ahead <= 5 * MIB, "a buffer for each connection, and the one being written"


def test_a_reader_that_goes_away_ends_it(tmp_path: Path) -> None:
    class Gone(io.BytesIO):
        def write(self, data: object) -> int:
            raise BrokenPipeError

    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", noise(5 * MIB))
        with pytest.raises(BrokenPipeError):
            w.fetch("x", Gone())
