"""Names are the bytes on disk, read as UTF-8, whatever the locale of the process."""

import json
import os
from pathlib import Path

import pytest

from tests import locales
from tests.functional.directories import command, content, make, operations, run
from tests.world import Ran, World, world

NAMES = ["Müller.txt", "日本語/ファイル名.txt", "\U0001f600", "plain.txt", "e\u0301/\u00e9"]

everywhere = pytest.mark.parametrize("name", locales.NAMES)


def ran(w: World, locale: str, *args: str) -> Ran:
    """One command on objects, in a locale."""
    return w.run(*command(*args), **locales.locale(locale))


def files(root: Path) -> dict[str, bytes]:
    """The files below, by the bytes of their names read as UTF-8, as this process does."""
    return {path: data for path, data in content(root).items() if not path.endswith("/")}


def stored(w: World) -> dict[str, bytes]:
    """All objects."""
    return {name: w.oci.read_object("backups", name) for name in w.oci.object_names("backups")}


@pytest.mark.slow
@everywhere
def test_finding_b01_a_sync_up_with_delete_keeps_what_is_right(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "quelle-ü", *NAMES)
        w.oci.put_object("backups", "p\u00f6/Müller.txt", "Müller.txt".encode())
        w.oci.put_object("backups", "p\u00f6/gone-ü", b"")
        sync = ("sync", "--src-dir", str(src), "--prefix", "p\u00f6/", "--delete")
        first = ran(w, name, *sync)
        assert first.code == 0, first.err
        assert json.loads(first.out)["deleted-objects"] == ["p\u00f6/gone-ü"]
        assert stored(w) == {f"p\u00f6/{each}": each.encode() for each in NAMES}
        again = ran(w, name, *sync)
        assert again.code == 0, again.err
        assert json.loads(again.out)["uploaded-objects"] == {}
        assert sorted(json.loads(again.out)["skipped-objects"]) == sorted(
            f"p\u00f6/{each}" for each in NAMES
        )


@pytest.mark.slow
@everywhere
def test_finding_b01_a_sync_down_with_delete_makes_the_names(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        for each in NAMES:
            w.oci.put_object("backups", f"p\u00f6/{each}", each.encode())
        w.oci.put_object("backups", "p\u00f6/" + "ü" * 200, b"too long for a file")
        w.oci.put_object("backups", "p\u00f6/groß", b"\xfc" * 600_000)
        target = make(tmp_path / "ziel-ü", "gone-ü", "Müller.txt")
        sync = ("sync", "--dest-dir", str(target), "--prefix", "p\u00f6/", "--delete")
        first = ran(w, name, *sync)
        # A name that the file system cannot have is that file's failure alone.
        answer = json.loads(first.out)
        assert first.code == 1, first.err
        assert list(answer["download-failures"]) == ["p\u00f6/" + "ü" * 200]
        assert answer["deleted-files"] == [str(target / "gone-ü")]
        expected = {each: each.encode() for each in NAMES}
        assert files(target) == expected | {"groß": b"\xfc" * 600_000}
        again = json.loads(ran(w, name, *sync).out)
        assert again["downloaded-objects"] == []


@pytest.mark.slow
@everywhere
def test_finding_b01_the_bulk_commands_and_their_patterns(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        src, back = make(tmp_path / "src", *NAMES), tmp_path / "zurück"
        up = ran(w, name, "bulk-upload", "--src-dir", str(src), "--exclude", "*ファ*")
        assert up.code == 0, up.err
        assert sorted(stored(w)) == sorted(each for each in NAMES if "ファ" not in each)
        down = ran(w, name, "bulk-download", "--dest-dir", str(back), "--include", "M?ller*")
        assert down.code == 0, down.err
        assert files(back) == {"Müller.txt": "Müller.txt".encode()}
        gone = ran(w, name, "bulk-delete", "--prefix", "Mü", "--force")
        assert gone.code == 0, gone.err
        assert json.loads(gone.out)["deleted-objects"] == ["Müller.txt"]


@pytest.mark.slow
@everywhere
def test_finding_b01_put_get_and_receipts_of_one_file(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        source, receipt = w.file(200_000, "Größe-日本.tar"), tmp_path / "Quittung-ü.json"
        put = ran(w, name, "put", "--file", str(source), "--receipt", str(receipt))
        assert put.code == 0, put.err
        named = ran(w, name, "put", "--file", str(source), "--name", "名前/ü")
        assert named.code == 0, named.err
        assert w.oci.object_names("backups") == ["Größe-日本.tar", "名前/ü"]
        assert json.loads(receipt.read_text("utf-8"))["target"]["object"] == "Größe-日本.tar"
        target = tmp_path / "zurück-\U0001f600"
        get = ran(w, name, "get", "--name", "名前/ü", "--file", str(target))
        assert get.code == 0, get.err
        assert target.read_bytes() == source.read_bytes()
        verified = w.run(
            *("verify", str(receipt), "--file", str(source), "--no-object"),
            **locales.locale(name),
        )
        assert verified.code == 0, verified.err


@everywhere
def test_finding_b01_a_name_that_is_no_utf8_fails_alone_and_deletes_nothing(
    tmp_path: Path, name: str
) -> None:
    """`M\\xfcller` may be what another tool has stored as `Müller`."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", b"d/M\xfcller", "d/ok", "d/deep/ok", "e/ok", b"f/bad\xff/x")
        for each in ("Müller", "d/Müller", "d/deep/gone", "e/gone", "f/bad?/x", "g"):
            w.oci.put_object("backups", each, b"")
        sync = ran(w, name, "sync", "--src-dir", str(src), "--delete")
        answer = json.loads(sync.out)
        assert sync.code == 1
        assert list(answer["upload-failures"]) == ["d/M\\udcfcller", "f/bad\\udcff/x"]
        assert "not valid UTF-8" in answer["upload-failures"]["d/M\\udcfcller"]
        assert answer["deleted-objects"] == ["Müller", "e/gone", "g"]
        assert "3 objects without a file are left" in sync.err
        assert [*answer["uploaded-objects"]] == ["d/deep/ok", "d/ok", "e/ok"]


@pytest.mark.slow
@everywhere
def test_finding_b01_an_argument_that_is_no_utf8_is_refused(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        source = w.file(5)
        for flags in (
            ("put", "--file", str(source), "--name", os.fsdecode(b"\xfc")),
            ("sync", "--src-dir", str(tmp_path), "--prefix", os.fsdecode(b"\xfc/"), "--delete"),
            ("sync", "--dest-dir", str(tmp_path / "d"), "--prefix", os.fsdecode(b"\xfc/")),
            ("bulk-delete", "--force", "--prefix", os.fsdecode(b"\xfc/")),
        ):
            refused = ran(w, name, *flags)
            assert refused.code == 2, refused.err
            assert "not valid UTF-8" in refused.err
        assert not {"PutObject", "ListObjects"} & set(operations(w))


def test_finding_b01_arguments_stay_byte_for_byte(tmp_path: Path) -> None:
    """Also those that are empty, and those that a multibyte locale reads in its own way."""
    told = "import sys, ocihaul.cli.process as p; p.use_utf8(); print(ascii(sys.argv), sys.flags)"
    odd = ["", "\u00fc", os.fsdecode(b"\xa1\xc0"), os.fsdecode(b"\x8f\xa2\xb7\xff"), "a\nb", ""]
    with world(tmp_path) as w:
        for name in locales.NAMES:
            process = w.start_python("-c", told, *odd, **locales.locale(name))
            answer = w.finish(process)
            assert answer.out.startswith(ascii(["-c", *odd])), (name, answer)
            assert "utf8_mode=1" in answer.out


LIBRARY = """
import os, sys, json
from pathlib import Path
import ocihaul

src, back, folder = sys.argv[1:]
asked = {"namespace": "ns1", "auth": "security_token"}
up = ocihaul.upload_directory(src, "backups", prefix="t/", **asked)
down = ocihaul.download_directory("backups", back, prefix="t/", **asked)
for single in Path(folder).iterdir():
    ocihaul.upload(single, "backups", **asked)
wish = {"part_size": 2**20, "threshold": 2**20}
name = os.fsdecode("neu-日本".encode())
ocihaul.download("backups", "t/gro\u00df", Path(back) / name, **wish, **asked)
print(json.dumps([sys.getfilesystemencoding(), up.good, down.good]))
"""


@pytest.mark.parametrize("name", [each for each in locales.NAMES if each != "cron"])
def test_finding_b01_the_library_in_a_program_of_another_locale(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        src, back = make(tmp_path / "src", *NAMES), tmp_path / "back"
        (src / "groß").write_bytes(b"\xfc" * 3_000_000)
        folder = make(tmp_path / "one", "Müller-日本.tar")
        script = tmp_path / "program.py"
        script.write_text(LIBRARY, "utf-8")
        arguments = (str(script), str(src), str(back), str(folder))
        answer = w.finish(w.start_python(*arguments, **locales.locale(name)))
        assert answer.code == 0, answer.err
        encoding, *good = json.loads(answer.out)
        assert encoding != "utf-8"
        assert good == [True, True]
        expected = {each: each.encode() for each in NAMES} | {"groß": b"\xfc" * 3_000_000}
        assert files(back) == expected | {"neu-日本": b"\xfc" * 3_000_000}
        names = {f"t/{each}" for each in expected} | {"Müller-日本.tar"}
        assert set(w.oci.object_names("backups")) == names


def test_finding_b01_a_name_in_another_encoding_is_deleted_by_a_sync_down(tmp_path: Path) -> None:
    """No object stands for it: the bucket is the source, and does not have it."""
    with world(tmp_path) as w:
        w.oci.put_object("backups", "a", b"a")
        target = make(tmp_path / "d", "a", b"bad\xff", b"sub\xff/x")
        sync = run(w, "sync", "--dest-dir", str(target), "--delete")
        assert sync.code == 0, sync.err
        assert content(target) == {"a": b"a"}
        assert len(sync.json["deleted-files"]) == 3


LONG = "ü" * 513


def test_finding_b08_a_name_that_is_too_long_is_refused_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        source = w.file(5)
        before = w.oci.log.entries()
        for flags in (
            ("put", "--file", str(source), "--name", LONG),
            ("get", "--file", str(tmp_path / "x"), "--name", LONG),
            ("head", "--name", LONG),
            ("delete", "--force", "--name", LONG),
            ("rename", "--source-name", "a", "--new-name", LONG),
            ("rename", "--source-name", LONG, "--new-name", "a"),
            ("restore", "--name", LONG),
        ):
            refused = run(w, *flags)
            assert refused.code == 2, (flags, refused.err)
            assert "has 1026 bytes of UTF-8 (1 to 1024 are allowed)" in refused.err
        assert w.oci.log.entries() == before


def test_finding_b08_in_a_directory_it_is_that_files_failure_alone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "ok", "/".join(["ü" * 100] * 6))
        w.oci.put_object("backups", "gone", b"")
        sync = run(w, "sync", "--src-dir", str(src), "--delete")
        assert sync.code == 1
        (reason,) = sync.json["upload-failures"].values()
        assert "more than 1024 bytes" in reason
        assert list(sync.json["uploaded-objects"]) == ["ok"]
        assert sync.json["deleted-objects"] == ["gone"]


@pytest.mark.parametrize(
    ("name", "encoding", "expected"),
    [
        ("a.css", None, "text/css"),
        ("a.css.gz", None, "application/gzip"),
        ("a.css.gz", "gzip", "text/css"),
        ("a.tgz", None, "application/gzip"),
        ("a.tar.bz2", None, "application/x-bzip2"),
        ("a.tar.xz", "gzip", "application/x-xz"),
        ("a.svgz", "gzip", "image/svg+xml"),
        ("no-type", None, None),
        ("data:,x", None, None),
    ],
)
@pytest.mark.parametrize("verb", ["put", "sync", "bulk-upload"])
def test_finding_b06_the_type_of_what_is_compressed(
    tmp_path: Path, verb: str, name: str, encoding: str | None, expected: str | None
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", name)
        flags = ["--file", str(src / name)] if verb == "put" else ["--src-dir", str(src)]
        if encoding is not None:
            flags += ["--content-encoding", encoding]
        ran = run(w, verb, *flags, "--content-type", "auto")
        assert ran.code == 0, ran.err
        headers = w.oci.object_info("backups", name).headers
        assert headers.get("content-type") in {expected, expected or "application/octet-stream"}
        assert headers.get("content-encoding") == encoding
