"""Files that are ours alone, and file systems that lack something."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocihaul.events import Notice
from ocihaul.filesystem import (
    FileSystem,
    creation_mode,
    open_existing,
    open_own,
    preallocate,
    sync_directory,
    sync_file,
)
from ocihaul.transfer.locks import hold
from tests.support import Recorder, another_user, needs_root


@contextmanager
def opened(name: str, directory: int | None = None) -> Iterator[tuple[int, bool]]:
    descriptor, is_new = open_own(name, os.O_RDWR, directory=directory)
    try:
        yield descriptor, is_new
    finally:
        os.close(descriptor)


def test_a_new_file_is_private_and_its_own_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "t"
    before = os.umask(0)
    try:
        with opened(str(path)) as (descriptor, is_new):
            assert is_new
            assert stat.S_IMODE(os.fstat(descriptor).st_mode) == 0o600
            os.write(descriptor, b"half")
    finally:
        os.umask(before)
    with opened(str(path)) as (descriptor, is_new):
        assert not is_new
        assert os.read(descriptor, 9) == b"half"


def hard_link(path: Path, victim: Path) -> None:
    path.hardlink_to(victim)


def soft_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def pipe(path: Path, _: Path) -> None:
    os.mkfifo(path)


def writable_by_the_group(path: Path, _: Path) -> None:
    path.write_bytes(b"foreign")
    path.chmod(0o620)


def writable_by_all(path: Path, _: Path) -> None:
    path.write_bytes(b"foreign")
    path.chmod(0o602)


FOREIGN = [hard_link, soft_link, pipe, writable_by_the_group, writable_by_all]


@pytest.mark.parametrize("make", FOREIGN)
@pytest.mark.parametrize("by_descriptor", [False, True])
def test_finding_a02_what_others_can_write_is_replaced_and_not_written(
    tmp_path: Path, make: Callable[[Path, Path], None], by_descriptor: bool
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "t"
    victim.write_bytes(b"mine")
    make(path, victim)
    assert open_existing(str(path), os.O_RDWR) is None
    directory = os.open(tmp_path, os.O_RDONLY) if by_descriptor else None
    with opened("t" if by_descriptor else str(path), directory) as (descriptor, is_new):
        assert is_new
        os.write(descriptor, b"ours")
    if directory is not None:
        os.close(directory)
    assert path.read_bytes() == b"ours"
    assert not path.is_symlink()
    assert path.stat().st_nlink == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert victim.read_bytes() == b"mine"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["t", "victim"]


@needs_root
def test_finding_a02_a_file_of_another_user_is_replaced(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    directory = os.open(tmp_path, os.O_RDONLY)
    with another_user():
        theirs = os.open("t", os.O_RDWR | os.O_CREAT, 0o600, dir_fd=directory)
    with opened("t", directory) as (descriptor, is_new):
        assert is_new
        os.write(descriptor, b"ours")
        os.pwrite(theirs, b"EVIL", 0)
    os.close(theirs)
    os.close(directory)
    assert (tmp_path / "t").read_bytes() == b"ours"
    assert (tmp_path / "t").stat().st_uid == 0


@needs_root
def test_finding_a02_in_a_sticky_directory_anothers_file_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    directory = os.open(tmp_path, os.O_RDONLY)
    (tmp_path / "t").write_bytes(b"of root's")
    with another_user(), pytest.raises(PermissionError):
        open_own("t", os.O_RDWR, directory=directory)
    os.close(directory)
    assert (tmp_path / "t").read_bytes() == b"of root's"


def test_a_mount_that_gives_all_files_one_owner_lets_ours_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CIFS, and NFS that squashes root: also a new file is another user's."""
    path = tmp_path / "t"
    path.write_bytes(b"half")
    path.chmod(0o600)
    here = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: here + 1)
    with opened(str(path)) as (descriptor, is_new):
        assert not is_new
        assert os.read(descriptor, 9) == b"half"
    path.chmod(0o620)  # a new file there is not like that
    with opened(str(path)) as (_, is_new):
        assert is_new
    assert [each.name for each in tmp_path.iterdir()] == ["t"], "no trial stays"


def test_a_file_that_comes_back_again_and_again_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "t"
    victim.write_bytes(b"mine")
    path.hardlink_to(victim)
    unlink, calls = os.unlink, 0

    def meddled(name: str, *, dir_fd: int | None = None) -> None:
        nonlocal calls
        calls += 1
        unlink(name, dir_fd=dir_fd)
        os.link(victim, path)

    monkeypatch.setattr(os, "unlink", meddled)
    with pytest.raises(FileExistsError, match="again and again"):
        open_own(str(path), os.O_RDWR)
    assert calls == 10
    assert victim.read_bytes() == b"mine"


def test_finding_a02_a_lock_file_that_is_a_second_name_of_a_file_is_not_written(
    tmp_path: Path,
) -> None:
    victim, lock = tmp_path / "victim", tmp_path / "x.lock"
    victim.write_bytes(b"mine")
    lock.hardlink_to(victim)
    with hold(lock, wait=0):
        assert victim.read_bytes() == b"mine"
    assert victim.read_bytes() == b"mine"
    with hold(lock, wait=0):
        assert str(os.getpid()) in lock.read_text()


# What is lacking


def fails_with(number: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_finding_b07_no_fsync_is_said_once_and_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    heard = Recorder()
    files = FileSystem(heard)
    monkeypatch.setattr(os, "fsync", fails_with(number))
    assert not sync_file(0)
    sync_directory(tmp_path)
    for _ in range(3):
        files.sync(0)
    (text,) = (each.text for each in heard.events if isinstance(each, Notice))
    assert "no fsync" in text


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fails_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    heard = Recorder()
    files = FileSystem(heard)
    for name in ("fsync", "utime", "fchmod", "posix_fallocate"):
        monkeypatch.setattr(os, name, fails_with(number))
    calls: list[Callable[[], None]] = [
        lambda: files.sync(0),
        lambda: files.set_mtime(0, 1),
        lambda: files.set_mode(0, 0o600),
        lambda: preallocate(0, 1),
        lambda: sync_directory(tmp_path),
    ]
    for call in calls:
        with pytest.raises(OSError, match=os.strerror(number)):
            call()
    assert not heard.of(Notice)


@pytest.mark.parametrize("number", [errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS])
def test_finding_b03_times_and_permissions_that_are_refused_are_said_once_each(
    monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    heard = Recorder()
    files = FileSystem(heard)
    monkeypatch.setattr(os, "utime", fails_with(number))
    monkeypatch.setattr(os, "fchmod", fails_with(number))
    for _ in range(3):
        files.set_mtime(0, 1)
        files.set_mode(0, 0o644)
    times, permissions = (each.text for each in heard.events if isinstance(each, Notice))
    assert "times" in times
    assert "permissions" in permissions


def test_the_permissions_of_new_files_are_those_of_the_umask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for mask in (0o022, 0o077, 0o002, 0):
        before = os.umask(mask)
        try:
            assert creation_mode() == 0o666 & ~mask
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(Path, "read_text", fails_with(errno.ENOENT))
                assert creation_mode() == 0o666 & ~mask, "without /proc"
        finally:
            assert os.umask(before) == mask
