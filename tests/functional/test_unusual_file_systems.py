"""Where containers and network homes put a session's files: it works, or it says what it cannot do.

The places are real ones, made in a mount namespace of the command's own. Files of another user are
files of a user that the command's own namespace does not know: over those even root has no power.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from ocihaul.session.credential import SessionToken
from ocihaul.session.store import CredentialStore
from tests.world import MIB, Ran, World, world

SOMEBODY = 54321


def works(*command: str) -> bool:
    return (
        shutil.which(command[0]) is not None
        and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


own_mounts = pytest.mark.skipif(
    not works("unshare", "-rm", "sh", "-c", "mount --bind /usr /usr"),
    reason="this system lets nobody make a mount namespace",
)
somebody_elses = pytest.mark.skipif(
    os.name != "posix" or os.getuid() != 0 or not works("unshare", "-r", "true"),
    reason="only root can give files to somebody else",
)


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        (tmp_path / "tmp").mkdir()
        yield made


def run_in(w: World, first: str, *args: str, mounts: bool = True, **environ: str) -> Ran:
    """Run our command in a namespace of its own, after the shell's lines in `first`."""
    script = f'set -e\n{first}\nexec "$@"'
    kind = "-rm" if mounts else "-r"
    process = subprocess.Popen(
        ["unshare", kind, "sh", "-c", script, "sh", sys.executable, "-m", "ocihaul", *args],
        env=w.environ() | {"TMPDIR": str(w.home / "tmp")} | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return w.finish(process)


def put(w: World) -> tuple[Path, tuple[str, ...]]:
    """A file, and the command that uploads it; on the way its token dies, and is renewed once."""
    w.oci.faults.add(Fault(operation="UploadPart", part_number=2, status=401))
    source = w.file(24 * MIB)
    return source, w.put(source)


def was_renewed(w: World, source: Path, ran: Ran) -> None:
    """The upload arrived, though its first token did not last."""
    assert ran.code == 0, ran.err
    w.oci.faults.assert_all_fired()
    assert w.arrived_whole(source)
    assert w.refreshes() == 1


@pytest.mark.slow
@own_mounts
def test_a_read_only_config_directory_keeps_the_renewed_token_in_memory_and_says_so(
    w: World,
) -> None:
    source, command = put(w)
    before = w.token_file.read_text()
    folder = w.config.parent
    closed = f"mount --bind {folder} {folder}\nmount -o remount,bind,ro {folder}"
    ran = run_in(w, closed, *command)
    was_renewed(w, source, ran)
    assert "The renewed token is only in this process" in ran.err
    assert "Read-only file system" in ran.err
    assert w.token_file.read_text() == before
    assert [path.name for path in (w.home / "tmp").iterdir()], "the lock is elsewhere"
    status = run_in(w, closed, "session", "status")
    assert status.code == 0, status.err
    assert "a renewed token cannot be written here: it stays in the process" in status.out


@own_mounts
@pytest.mark.parametrize("mode", ["rw", "ro"])
def test_bind_mounted_single_files(w: World, mode: str) -> None:
    source, command = put(w)
    outside = w.home / "outside"
    shutil.copytree(w.token_file.parent, outside)
    before = SessionToken.parse((outside / "token").read_text())
    inode = (outside / "token").stat().st_ino
    lines = []
    for inside in (w.token_file, w.key_file):
        lines.append(f"mount --bind {outside / inside.name} {inside}")
        lines.append(f"mount -o remount,bind,{mode} {inside}")
    token = w.token_file
    # As docker run -v …/token:…/token has it: nothing can be renamed over such a file.
    lines.append(
        f"cp {token} {token}.new; if mv -f {token}.new {token} 2>/dev/null; then exit 99; fi"
    )
    lines.append(f"rm -f {token}.new")
    ran = run_in(w, "\n".join(lines), *command)
    was_renewed(w, source, ran)
    pair = CredentialStore(outside / "token", outside / w.key_file.name).read_once()
    assert (outside / "token").stat().st_ino == inode
    if mode == "rw":
        assert "only in this process" not in ran.err
        assert pair.token.raw != before.raw, "written in place, for all to see"
    else:
        assert "The renewed token is only in this process" in ran.err
        assert "Read-only file system" in ran.err
        assert pair.token.raw == before.raw
    assert not list(w.token_file.parent.glob(".token.*")), "no token is left beside it"


def give_away(folder: Path, *, mode: int) -> None:
    """As on a host whose user is not the container's (`docker run --user`)."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else mode)
        os.chown(path, SOMEBODY, SOMEBODY)


@somebody_elses
def test_files_of_another_user_that_can_be_read_are_enough(w: World) -> None:
    source, command = put(w)
    before = w.token_file.read_text()
    give_away(w.config.parent, mode=0o644)
    ran = run_in(w, "true", *command, mounts=False)
    was_renewed(w, source, ran)
    assert "The renewed token is only in this process" in ran.err
    assert "Permission denied" in ran.err
    assert w.token_file.read_text() == before


@somebody_elses
def test_a_keeper_that_cannot_write_renews_nothing(w: World) -> None:
    give_away(w.config.parent, mode=0o644)
    ran = run_in(w, "true", "session", "keep", "--once", mounts=False)
    assert ran.code == 1, ran.err
    assert f"{w.token_file} cannot be written" in ran.err
    assert w.refreshes() == 0


@pytest.mark.slow
@somebody_elses
def test_files_of_another_user_that_cannot_be_read_are_named(w: World) -> None:
    command = w.put(w.file(MIB))
    give_away(w.config.parent, mode=0o600)
    w.config.chmod(0o644)
    ran = run_in(w, "true", *command, mounts=False)
    assert ran.code == 1, ran.err
    assert str(w.token_file) in ran.err
    assert "Permission denied" in ran.err
    assert w.oci.log.entries() == []


#: A file system without locks (NFS without lockd): what flock says there, and only there.
NO_LOCKS = """
import errno, fcntl, os
flock = fcntl.flock
def none_here(file, operation):
    path = os.readlink(f"/proc/self/fd/{file if isinstance(file, int) else file.fileno()}")
    if path.startswith(os.environ["NO_LOCKS_UNDER"]):
        os.close(os.open(os.environ["NO_LOCKS_ASKED"], os.O_CREAT | os.O_WRONLY))
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    return flock(file, operation)
fcntl.flock = none_here
"""


@pytest.fixture
def lockless(w: World) -> dict[str, str]:
    """The environment of a command whose home knows no locks (simulated in the command itself)."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("open files have no names here")
    (w.home / "site").mkdir()
    (w.home / "site" / "sitecustomize.py").write_text(NO_LOCKS)
    return {
        "PYTHONPATH": str(w.home / "site"),
        "NO_LOCKS_UNDER": str(w.config.parent),
        "NO_LOCKS_ASKED": str(w.home / "asked"),
    }


def test_without_locks_a_token_that_has_to_be_is_renewed_and_it_is_said(
    w: World, lockless: dict[str, str]
) -> None:
    source, command = put(w)
    ran = w.run(*command, **lockless)
    assert (w.home / "asked").exists(), "the fault has fired"
    was_renewed(w, source, ran)
    assert "The token is renewed without a lock: the lock cannot be taken" in ran.err
    assert "No locks available" in ran.err
    assert "only in this process" not in ran.err


def test_without_locks_a_person_still_logs_in_and_refreshes(
    w: World, lockless: dict[str, str]
) -> None:
    w.oci.write_api_key_profile(w.config.parent, "KEYS")
    login = ("session", "login", "--no-browser", "--renew-with", "KEYS", "--profile-name", "night")
    lockless["NO_LOCKS_UNDER"] = str(w.home)
    ran = w.run(*login, **lockless)
    assert ran.code == 0, ran.err
    assert (w.home / "asked").exists()
    before = w.token_file.read_text()
    w.oci.configure(token_ttl=7200.0)
    ran = w.run("session", "refresh", **lockless)
    assert ran.code == 0, ran.err
    assert w.token_file.read_text() != before
