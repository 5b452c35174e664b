"""Other names for options and commands, from the rc file."""

from pathlib import Path

import click
import pytest

from ocihaul.cli.app import emulator
from ocihaul.cli.exec_command import exec_command
from ocihaul.cli.groups import without_aliases
from tests.unit.cli.conftest import Command, FakeCore

RC = """
[DEFAULT]
auth=security_token
os.object.up.pieces=20
[OCI_CLI_PARAM_ALIASES]
--bucket=--bucket-name
--pieces=--part-size
-k=--no-overwrite
--where=--region
--prof=--profile
--name=--file
[OCI_CLI_COMMAND_ALIASES]
up=os.object.put
ls=list
o=object
put=os.object.delete
"""


@pytest.fixture
def rc(home: Path) -> Path:
    path = home / ".oci" / "oci_cli_rc"
    path.write_text(RC)
    return path


def test_finding_b16_options_by_their_aliases(
    ocihaul: Command, fake: FakeCore, home: Path, rc: Path
) -> None:
    assert rc.exists()
    outcome = ocihaul(
        *("--where", "eu-paris-1", "--prof", "DEFAULT", "os", "object", "put", "--bucket", "b"),
        *("--file", home / "backup.tar", "--pieces=30", "-k", "--name", "--bucket"),
    )
    assert outcome.code == 0, outcome.err
    [request], [settings] = fake.requests, fake.settings
    assert (request.bucket, request.part_size) == ("b", 30 * 2**20)
    assert request.existing.name == "KEEP"
    assert request.name == "--bucket", "it is the value of an option of our own"
    assert settings.region == "eu-paris-1"


def test_finding_b16_commands_by_their_aliases(
    ocihaul: Command, fake: FakeCore, home: Path, rc: Path
) -> None:
    assert rc.exists()
    flags = ("-bn", "b", "--file", home / "backup.tar")
    outcome = ocihaul("os", "object", "up", *flags)
    assert outcome.code == 0, outcome.err
    assert fake.requests[0].part_size == 20 * 2**20, "defaults go by aliases, too"
    assert ocihaul("os", "o", "up", *flags).code == 0
    assert ocihaul("os", "object", "put", *flags).code == 0, "a name of our own stays"
    assert len(fake.requests) == 3
    # In another group it is no alias, and not a command of ours.
    assert "has no command 'up'" in ocihaul("os", "up").err


def test_finding_b16_a_global_alias_is_for_every_group(
    ocihaul: Command, home: Path, rc: Path
) -> None:
    assert rc.exists()
    for group in (("os", "object"), ("os", "bucket"), ("os", "multipart")):
        outcome = ocihaul(*group, "ls", "--help")
        assert outcome.code == 0, outcome.err
        assert " ".join(("Usage: ocihaul", *group, "list")) in outcome.out


@pytest.mark.parametrize("place", ["flag", "equals", "variable", "before"])
def test_finding_b16_the_aliases_of_another_rc_file(
    ocihaul: Command,
    fake: FakeCore,
    home: Path,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = home / "other"
    other.write_text(RC)
    words: list[object] = ["os", "object", "up", "--bucket", "b", "--file", home / "backup.tar"]
    if place == "flag":
        words += ["--cli-rc-file", other]
    elif place == "equals":
        words += [f"--defaults-file={other}"]
    elif place == "before":
        words = ["--cli-rc-file", other, *words]
    else:
        monkeypatch.setenv("OCI_CLI_RC_FILE", str(other))
    assert ocihaul(*words).code == 0
    assert len(fake.requests) == 1


def test_finding_b16_what_is_no_alias_stays_an_error(
    ocihaul: Command, fake: FakeCore, rc: Path
) -> None:
    assert rc.exists()
    outcome = ocihaul("os", "object", "put", "--bucketeer", "b")
    assert outcome.code == 2
    assert "No such option" in outcome.err
    assert fake.requests == []


def test_finding_b16_a_broken_rc_file_does_not_hide_the_help(ocihaul: Command, rc: Path) -> None:
    rc.write_text("nonsense")
    for words in ((), ("--version",), ("--help",), ("os", "object", "put", "-h")):
        assert ocihaul(*words).code == 0
    assert "Begin the file with a line such as" in ocihaul("os", "up").err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (exec_command, ["--", "aws", "--bucket", "b"]),
        (exec_command, ["aws", "--where", "b"]),
        (emulator, ["--bucket", "b"]),
    ],
)
def test_finding_b16_another_programs_options_are_left_alone(
    command: click.Command, words: list[str], rc: Path
) -> None:
    assert rc.exists()
    assert without_aliases(click.Context(command), command, words) == words
