"""Flags of the official CLI's commands on trees, seen by what arrives at the service or on disk."""

import json
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.functional.directories import content, make, operations, run
from tests.world import MIB, World, world

#: Of so many bytes a transfer is in parts, where parts have their default size.
LARGE = 129 * MIB


def ranges_asked_for(w: World) -> list[str | None]:
    return [entry.headers.get("range") for entry in w.oci.log.entries(operation="GetObject")]


HEADERS = {
    "--content-disposition": "attachment",
    "--content-encoding": "gzip",
    "--content-language": "ja",
    "--cache-control": "no-store",
}


@pytest.mark.parametrize("flag", HEADERS)
@pytest.mark.parametrize("name", ["bulk-upload", "sync"])
def test_a_header_comes_with_every_object(tmp_path: Path, name: str, flag: str) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "small")
        parts = ["--part-size", "10"] if name == "bulk-upload" else []
        w.file(11 * MIB, "src/large")
        ran = run(w, name, "--src-dir", str(src), *parts, flag, HEADERS[flag])
        assert ran.code == 0, ran.err
        for each in ("small", "large"):
            header = flag.removeprefix("--")
            assert w.oci.object_info("backups", each).headers[header] == HEADERS[flag]
        assert w.oci.object_info("backups", "large").part_count == (2 if parts else 0)


def test_a_master_key_encrypts_every_object(tmp_path: Path) -> None:
    key = "ocid1.key.oc1.iad.example"
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "small")
        w.file(11 * MIB, "src/large")
        flags = ["--part-size", "10", "--opc-sse-kms-key-id", key]
        ran = run(w, "bulk-upload", "--src-dir", str(src), *flags)
        assert ran.code == 0, ran.err
        keys = {each: w.oci.object_info("backups", each).kms_key_id for each in ("small", "large")}
        assert keys == {"small": key, "large": key}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "flags"),
    [("bulk-upload", 21 * MIB, ["--part-size", "10"]), ("sync", LARGE, [])],
)
def test_no_multipart_sends_a_large_file_in_one_piece(
    tmp_path: Path, name: str, size: int, flags: list[str]
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        large = w.file(size, "src/large")
        arguments = [name, "--src-dir", str(src), *flags]
        assert run(w, *arguments, "--prefix", "parts/").code == 0
        assert "PutObject" not in operations(w)
        assert operations(w)["UploadPart"] == -(-size // (10 * MIB if flags else 128 * MIB))
        w.oci.log.clear()
        ran = run(w, *arguments, "--prefix", "whole/", "--no-multipart")
        assert ran.code == 0, ran.err
        assert "UploadPart" not in operations(w)
        assert operations(w)["PutObject"] == 1
        assert w.arrived_whole(large, "whole/large")
        assert w.arrived_whole(large, "parts/large")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bulk-upload", "sync"])
def test_a_file_that_takes_one_slot_is_one_request(tmp_path: Path, name: str) -> None:
    """Its parts would be more connections than --parallel-…-count says."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src")
        medium = w.file(41 * MIB, "src/medium")
        assert run(w, name, "--src-dir", str(src)).code == 0
        assert operations(w)["PutObject"] == 1
        assert "UploadPart" not in operations(w)
        assert w.arrived_whole(medium, "medium")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "flags", "requests"),
    [
        ("bulk-download", [], 2),
        ("bulk-download", ["--no-multipart"], 1),
        ("bulk-download", ["--multipart-download-threshold", "128"], 2),
        ("bulk-download", ["--multipart-download-threshold", "129"], 1),
        ("sync", [], 2),
        ("sync", ["--no-multipart"], 1),
    ],
)
def test_a_large_object_comes_in_as_many_requests_as_the_flags_say(
    tmp_path: Path, name: str, flags: list[str], requests: int
) -> None:
    with world(tmp_path) as w:
        large = w.file(LARGE, "large")
        w.oci.put_object("backups", "large", large.read_bytes(), algorithm="CRC32C")
        ran = run(w, name, "--dest-dir", str(tmp_path / "dest"), *flags)
        assert ran.code == 0, ran.err
        # The last ranges are smaller, so how many there are is not what a flag says.
        assert min(len(ranges_asked_for(w)), 2) == requests
        assert w.arrived_whole(tmp_path / "dest" / "large")
        assert w.object_bytes_sent() == LARGE


def test_download_dir_is_dest_dir(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "d/x", b"x")
        assert run(w, "bulk-download", "--download-dir", str(tmp_path / "dest")).code == 0
        assert content(tmp_path / "dest") == {"d/": b"", "d/x": b"x"}


@pytest.mark.parametrize("flag", ["--object-prefix", "--prefix"])
def test_object_prefix_is_prefix_and_comes_before_each_name_as_it_is(
    tmp_path: Path, flag: str
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "d/b")
        assert run(w, "bulk-upload", "--src-dir", str(src), flag, "daily-").code == 0
        assert w.oci.object_names("backups") == ["daily-a", "daily-d/b"]


def test_disable_parallel_uploads_changes_nothing(tmp_path: Path) -> None:
    """As with the official CLI, where its bulk-upload has the flag and does not look at it."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b")
        flags = ["--disable-parallel-uploads", "--parallel-upload-count", "3"]
        ran = run(w, "bulk-upload", "--src-dir", str(src), *flags)
        assert ran.code == 0, ran.err
        assert w.oci.object_names("backups") == ["a", "b"]


@pytest.mark.parametrize("prefix", ["", "p/"])
def test_a_delimiter_leaves_out_what_is_deeper(tmp_path: Path, prefix: str) -> None:
    with world(tmp_path) as w:
        for name in ("a", "d/b", "p/c", "p/d/e"):
            w.oci.put_object("backups", name, name.encode())
        flags = ["--dest-dir", str(tmp_path / "dest"), "--delimiter", "/", "--prefix", prefix]
        ran = run(w, "bulk-download", *flags)
        assert ran.code == 0, ran.err
        assert ran.json["downloaded-objects"] == ["p/c" if prefix else "a"]
        (page,) = w.oci.log.entries(operation="ListObjects")
        assert page.query["delimiter"] == "/"


@pytest.mark.parametrize("name", ["bulk-download", "bulk-delete"])
def test_another_delimiter_is_one_error_and_moves_nothing(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "a:b", b"x")
        dest = tmp_path / "dest"
        place = ["--force"] if name == "bulk-delete" else ["--dest-dir", str(dest)]
        ran = run(w, name, *place, "--delimiter", ":")
        assert (ran.code, ran.json) == (1, None)
        assert "elimiter" in ran.err
        assert w.oci.object_names("backups") == ["a:b"]
        assert not (dest / "a:b").exists()


# How many at a time

AT_A_TIME = {
    "bulk-upload": "parallel-upload-count",
    "bulk-download": "parallel-operations-count",
    "bulk-delete": "parallel-operations-count",
    "sync": "parallel-operations-count",
}


@pytest.mark.parametrize("name", AT_A_TIME)
@pytest.mark.parametrize("place", ["flag", "oci_cli_rc", "from-json"])
def test_auto_may_be_said_in_every_place(tmp_path: Path, name: str, place: str) -> None:
    option = AT_A_TIME[name]
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "one", "two")
        if name in {"bulk-download", "bulk-delete"}:
            assert run(w, "bulk-upload", "--src-dir", str(src)).code == 0
        flags = {
            "bulk-upload": ["--src-dir", str(src)],
            "bulk-download": ["--dest-dir", str(tmp_path / "dest")],
            "bulk-delete": ["--force"],
            "sync": ["--src-dir", str(src)],
        }[name]
        if place == "flag":
            flags += [f"--{option}", "auto"]
        elif place == "oci_cli_rc":
            rc = tmp_path / "rc"
            rc.write_text(f"[DEFAULT]\nos.object.{name}.{option}=auto\n")
            flags += ["--cli-rc-file", str(rc)]
        else:
            first, *others = option.split("-")
            key = first + "".join(map(str.title, others))
            flags += ["--from-json", json.dumps({key: "auto"})]
        ran = run(w, name, *flags)
        assert ran.code == 0, ran.err
        assert ran.json is not None
        assert (w.oci.object_names("backups") == []) is (name == "bulk-delete")
        if name == "bulk-download":
            assert content(tmp_path / "dest") == content(src)


@pytest.mark.parametrize("count", ["many", "0", "-1", "1001"])
@pytest.mark.parametrize("name", AT_A_TIME)
def test_what_is_no_number_of_files_is_told(tmp_path: Path, name: str, count: str) -> None:
    with world(tmp_path) as w:
        ran = run(w, name, "--prefix", "x", f"--{AT_A_TIME[name]}", count)
        assert (ran.code, ran.out) == (2, "")
        assert AT_A_TIME[name] in ran.err
        assert operations(w) == {}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_so_many_files_go_at_a_time(tmp_path: Path, workers: int) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *map(str, range(6)))
        fault = w.oci.faults.add(Fault(operation="PutObject", stall_seconds=0.3, times=None))
        flags = ["--parallel-operations-count", str(workers)]
        assert run(w, "sync", "--src-dir", str(src), *flags).code == 0
        assert fault.fired == 6
        begun = [entry.started_at for entry in w.oci.log.entries(operation="PutObject")]
        # Each is in hand for 0.3 s at least.
        at_a_time = [sum(0 <= at - other < 0.25 for other in begun) for at in begun]
        assert max(at_a_time) == workers


# Symbolic links


def with_links(tmp_path: Path) -> Path:
    outside = make(tmp_path / "outside", "x")
    src = make(tmp_path / "src", "file")
    (src / "link").symlink_to(outside / "x")
    (src / "linked").symlink_to(outside)
    (src / "broken").symlink_to("nowhere")
    return src


@pytest.mark.parametrize("name", ["bulk-upload", "sync"])
def test_no_follow_symlinks_sends_files_alone(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        arguments = [name, "--src-dir", str(with_links(tmp_path))]
        ran = run(w, *arguments, "--no-follow-symlinks")
        assert (ran.code, ran.json["upload-failures"]) == (0, {})
        assert w.oci.object_names("backups") == ["file"]
        again = ["--overwrite"] if name == "bulk-upload" else []
        ran = run(w, *arguments, *again)
        assert (ran.code, list(ran.json["upload-failures"])) == (1, ["broken"])
        assert w.oci.object_names("backups") == ["file", "link", "linked/x"]


def test_no_follow_symlinks_deletes_the_objects_that_links_had(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = with_links(tmp_path)
        (src / "broken").unlink()
        arguments = ["sync", "--src-dir", str(src), "--delete"]
        assert run(w, *arguments).code == 0
        ran = run(w, *arguments, "--no-follow-symlinks")
        assert ran.json["deleted-objects"] == ["link", "linked/x"]
        assert w.oci.object_names("backups") == ["file"]


def test_no_follow_symlinks_leaves_links_where_files_are_deleted(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "x", b"x")
        dest = make(tmp_path / "dest", "gone")
        (dest / "link").symlink_to(dest / "x")
        arguments = ["sync", "--dest-dir", str(dest), "--delete"]
        ran = run(w, *arguments, "--no-follow-symlinks")
        assert ran.json["deleted-files"] == [str(dest / "gone")]
        assert (dest / "link").readlink() == dest / "x"
        ran = run(w, *arguments)
        assert ran.json["deleted-files"] == [str(dest / "link")]
        assert (dest / "x").read_bytes() == b"x"
