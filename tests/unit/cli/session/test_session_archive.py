"""`session export`, `import` and `terminate` as they are run, against the emulator."""

import os
import stat
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import Ran, World, world


@pytest.fixture
def oci(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as running:
        running.oci.write_profile(tmp_path / "oci", "NIGHT")
        yield running


def answered(oci: World, stdin: bytes, *args: str) -> Ran:
    """Run the command with an answer in a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "ocihaul", *args],
        env=oci.environ(),
        input=stdin,
        capture_output=True,
        check=False,
    )
    return oci.checked(Ran(done.returncode, done.stdout.decode(), done.stderr.decode()))


def exported(oci: World, *more: str) -> Path:
    target = oci.home / "night"
    ran = oci.run("session", "export", "--profile", "NIGHT", "--output-file", str(target), *more)
    assert ran.code == 0, ran.err
    return target.with_suffix(".zip")


def test_a_session_goes_from_one_home_to_another_and_works_there(oci: World) -> None:
    archive = exported(oci)
    config = oci.home / "other" / "config"
    environ = {"OCI_CLI_CONFIG_FILE": str(config)}
    ran = oci.run("session", "import", "--session-archive", str(archive), **environ)
    assert ran.code == 0, ran.err
    assert f"Profile NIGHT imported to {config}" in ran.err
    assert "delete it now" in ran.err
    ran = oci.run("session", "refresh", "--profile", "NIGHT", **environ)
    assert ran.code == 0, ran.err
    token = oci.home / ".oci/sessions/NIGHT/token"
    assert token.read_text() in oci.oci.auth.token_texts()
    assert token.read_text() != (oci.home / "oci/sessions/NIGHT/token").read_text()


def test_an_archive_is_private_from_birth_and_its_owner_is_warned(oci: World) -> None:
    mask = os.umask(0)
    try:
        target = oci.home / "night"
        ran = oci.run("session", "export", "--profile", "NIGHT", "--output-file", str(target))
    finally:
        os.umask(mask)
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "night.zip is a secret" in ran.err
    assert "The token is good until" in ran.err
    assert stat.S_IMODE(target.with_suffix(".zip").stat().st_mode) == 0o600
    assert [each.name for each in oci.home.iterdir() if "night" in each.name] == ["night.zip"]


def test_an_archive_that_exists_is_replaced_after_a_yes_only(oci: World) -> None:
    target = oci.home / "night.zip"
    target.write_text("old")
    command = ("session", "export", "--profile", "NIGHT", "--output-file", str(oci.home / "night"))
    for answer in (b"", b"n\n"):
        ran = answered(oci, answer, *command)
        assert (ran.code, target.read_text()) == (0, "old")
        assert "Export canceled" in ran.err
    assert answered(oci, b"y\n", *command).code == 0
    assert zipfile.is_zipfile(target)
    target.write_text("old")
    assert oci.run(*command, "--force").code == 0
    assert zipfile.is_zipfile(target)


@pytest.mark.slow
def test_a_token_that_has_ended_is_exported_with_a_warning(oci: World) -> None:
    token = oci.home / "oci/sessions/NIGHT/token"
    token.write_text(oci.oci.issue_token(oci.oci.login(), iat=1000, exp=2000))
    ran = oci.run("session", "export", "--profile", "NIGHT", "--output-file", str(oci.home / "n"))
    assert ran.code == 1, "it is the token of another key"
    assert "does not belong to its token" in ran.err
    session = oci.oci.login()
    oci.oci.write_profile(oci.home / "oci", "NIGHT", session=session)
    token.write_text(oci.oci.issue_token(session, iat=1000, exp=2000))
    ran = oci.run("session", "export", "--profile", "NIGHT", "--output-file", str(oci.home / "n"))
    assert ran.code == 0, ran.err
    assert "The token ended at 1970-01-01 00:33:20 UTC" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stdin", "more", "code", "name"),
    [
        (b"", (), 1, None),
        (b"DEFAULT\nEVENING\n", (), 0, "EVENING"),
        (b"../x\n", (), 2, None),
        (b"", ("--profile-name", "EVENING"), 0, "EVENING"),
        (b"", ("--profile-name", "DEFAULT"), 1, None),
        (b"", ("--force",), 0, "NIGHT"),
    ],
)
def test_a_profile_that_exists_is_not_replaced_by_mistake(
    oci: World, stdin: bytes, more: tuple[str, ...], code: int, name: str | None
) -> None:
    archive = exported(oci)
    before = oci.config.read_text()
    ran = answered(oci, stdin, "session", "import", "--session-archive", str(archive), *more)
    assert ran.code == code, ran.err
    assert (oci.config.read_text() == before) == (name != "EVENING")
    if name:
        assert f"Profile {name} imported" in ran.err
        assert oci.run("session", "status", "--profile", name).code == 0


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing"])
def test_what_is_no_archive_changes_nothing(oci: World, content: bytes) -> None:
    odd = oci.home / "odd.zip"
    odd.write_bytes(content)
    before = oci.config.read_text()
    ran = oci.run("session", "import", "--session-archive", str(odd))
    assert ran.code == 1
    assert "is no session archive" in ran.err
    assert oci.config.read_text() == before
    ran = oci.run("session", "import", "--session-archive", str(oci.home / "none.zip"))
    assert ran.code == 1
    assert "No such file" in ran.err


def test_a_terminated_session_is_gone_from_this_machine(oci: World) -> None:
    ran = oci.run("session", "terminate", "--profile", "NIGHT")
    assert ran.code == 0, ran.err
    assert f"Profile NIGHT removed from {oci.config}" in ran.err
    assert "stays usable until the session ends" in ran.err
    assert not (oci.home / "oci/sessions/NIGHT").exists()
    assert "[NIGHT]" not in oci.config.read_text()
    assert oci.run("session", "status").code == 0, "the other one is untouched"
    assert oci.oci.log.count() == 0, "the service has no call for it"
    again = oci.run("session", "terminate", "--profile", "NIGHT")
    assert (again.code, "has no profile 'NIGHT'" in again.err) == (1, True)


def test_the_default_profile_is_not_terminated(oci: World) -> None:
    before = oci.config.read_text()
    ran = oci.run("session", "terminate")
    assert ran.code == 1
    assert "the DEFAULT profile cannot be terminated" in ran.err
    assert oci.config.read_text() == before


def test_a_keeper_of_a_terminated_session_is_named(oci: World) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from ocihaul.session.lockfile import KeeperLock;"
        "KeeperLock(Path(sys.argv[1])).acquire(); print('kept', flush=True); time.sleep(100)"
    )
    token = oci.home / "oci/sessions/NIGHT/token"
    keeper = oci.start_python("-c", f"lock = None; {code}", str(token))
    assert keeper.stdout is not None
    assert keeper.stdout.readline() == "kept\n"
    ran: Ran = oci.run("session", "terminate", "--profile", "NIGHT")
    keeper.kill()
    oci.finish(keeper)
    assert ran.code == 0, ran.err
    assert "keeps this session alive" in ran.err
