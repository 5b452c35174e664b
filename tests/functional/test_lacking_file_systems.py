"""File systems without fsync, times or permissions: the bytes are right, and it is said once.

The real command runs on them: `sitecustomize` takes the place of a kernel that refuses.
"""

import errno
from pathlib import Path

import pytest

from tests.functional.directories import command, content
from tests.functional.test_download import noise
from tests.world import MIB, Ran, World, world

_SITE = """
import os

def refused(name, number, log):
    def refuse(*args, **kwargs):
        with open(log, "a") as file:
            file.write(name + "\\n")
        raise OSError(number, os.strerror(number))
    setattr(os, name, refuse)

for name, number in {lacks!r}.items():
    refused(name, number, {log!r})
"""


def run(w: World, lacks: dict[str, int], *args: str) -> tuple[Ran, list[str]]:
    """What the command left where these calls fail, and which of them it made."""
    log = w.home / "refused"
    log.write_text("")
    site = w.home / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(_SITE.format(lacks=lacks, log=str(log)))
    ran = w.run(*args, PYTHONPATH=str(site))
    return ran, log.read_text().split()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["utime", "fchmod"])
@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_finding_b03_a_mount_of_another_owner_gets_all_files_and_one_warning(
    tmp_path: Path, name: str, number: int
) -> None:
    with world(tmp_path) as w:
        sizes = {f"small{index}": index for index in range(9)} | {"large": 3 * MIB}
        for each, size in sizes.items():
            w.oci.put_object("backups", each, noise(size))
        dest = tmp_path / "dest"
        ran, refused = run(w, {name: number}, *command("sync", "--dest-dir", str(dest)))
        assert ran.code == 0, ran.err
        assert len(refused) >= len(sizes)
        assert content(dest) == {each: noise(size) for each, size in sizes.items()}
        assert ran.err.count("does not let us set") == 1
        asked = w.oci.log.count(operation="GetObject")
        again, _ = run(w, {name: number}, *command("sync", "--dest-dir", str(dest)))
        assert again.code == 0, again.err
        assert w.oci.log.count(operation="GetObject") == asked, "nothing comes twice"


def test_finding_b07_get_goes_on_without_fsync_and_says_it_once(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        data, target = noise(3 * MIB), tmp_path / "target"
        w.oci.put_object("backups", "x", data)
        ran, refused = run(w, {"fsync": errno.EINVAL}, *w.get("x", target))
        assert ran.code == 0, ran.err
        assert refused
        assert target.read_bytes() == data
        assert ran.err.count("no fsync") == 1


def test_a_disk_that_fails_at_the_end_is_an_error_and_the_old_file_stays(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        target = tmp_path / "target"
        target.write_bytes(b"before")
        w.oci.put_object("backups", "x", noise(3 * MIB))
        ran, refused = run(w, {"fsync": errno.EIO}, *w.get("x", target))
        assert ran.code == 75, ran.err
        assert refused == ["fsync"]
        assert "cannot be put in place: Input/output error" in ran.err
        assert target.read_bytes() == b"before"
        asked = w.oci.log.count(operation="GetObject")
        assert w.run(*w.get("x", target)).code == 0
        assert w.oci.log.count(operation="GetObject") == asked, "what was there is used"


def test_finding_b07_a_refresh_is_one_without_fsync(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        before = w.token_file.read_text()
        ran, refused = run(w, {"fsync": errno.EINVAL}, "session", "refresh")
        assert ran.code == 0, ran.err
        assert refused
        assert w.token_file.read_text() != before
        assert (ran.out + ran.err).count("no fsync") == 1
        assert "Successfully refreshed token" in ran.out + ran.err


def test_finding_b07_a_receipt_is_written_without_fsync(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, receipt = w.file(21 * MIB), tmp_path / "receipt.json"
        words = w.put(source, "--receipt", str(receipt))
        ran, refused = run(w, {"fsync": errno.EINVAL}, *words)
        assert ran.code == 0, ran.err
        assert refused
        assert "crc32c" in receipt.read_text()
        assert ran.err.count("no fsync") == 1
